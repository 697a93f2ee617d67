"""AttachNetworkInterface, DetachNetworkInterface: of a running instance at once, of a stopped one at its next boot.

A running instance's interface is `detaching` until its host has said that the device is gone; then
rookery.api.handlers.housekeeping makes it available. Its packets stop with the request, not with that word.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from rookery.api.errors import (
    check_id,
    invalid_combination,
    invalid_parameter,
    not_found,
    not_permitted,
)
from rookery.api.handlers.instance_interfaces import attachment_of, interfaces_of
from rookery.api.handlers.instance_state import RUNNING, STOPPED, State, state_in
from rookery.api.handlers.instance_type_catalogue import CATALOGUE
from rookery.api.handlers.managed_interfaces import check_attachment_id, is_managed
from rookery.api.handlers.network_interfaces import too_many_addresses
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.held import ipv4_units, ipv6_units
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import Attachment, Instance, NetworkInterface


@operation("AttachNetworkInterface")
def attach_network_interface(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    honour_only(
        parameters,
        {"NetworkInterfaceId", "InstanceId", "DeviceIndex"},
        {"NetworkCardIndex": (0,), "EnaSrdSpecification.EnaSrdEnabled": (False,)},
    )
    interface = find(view, NetworkInterface, parameters["NetworkInterfaceId"])
    instance = find(view, Instance, parameters["InstanceId"])
    held = interfaces_of(view, instance)
    check_fit(interface, instance, held, parameters["DeviceIndex"])
    check_state(view, instance)
    attachment = Attachment(
        id=request.ids.new("eni-attach"),
        instance_id=instance.id,
        host=instance.host,
        device_index=parameters["DeviceIndex"],
        attached=request.now,
    )
    attached = replace(interface, attachment=attachment)
    return Outcome(
        result={"AttachmentId": attachment.id, "NetworkCardIndex": 0},
        puts=(attached, holding(instance, [*held, attached])),
    )


def check_fit(
    interface: NetworkInterface, instance: Instance, held: list[NetworkInterface], device_index: int
) -> None:
    if interface.attachment or is_managed(interface):
        raise ApiError("InvalidNetworkInterface.InUse", f"Interface: [{interface.id}] in use.")
    if interface.zone != instance.zone:
        raise invalid_combination(
            "You may not attach a network interface to an instance if they are not in the same availability zone"
        )
    if device_index < 0:
        raise invalid_parameter("The device index must not be negative")
    if any(attachment_of(each).device_index == device_index for each in held):
        raise invalid_parameter(
            f"Instance '{instance.id}' already has an interface attached at device index '{device_index}'."
        )
    kind = CATALOGUE[instance.instance_type]
    if len(held) >= kind.interfaces:
        raise ApiError(
            "AttachmentLimitExceeded", f"Interface count {len(held) + 1} exceeds the limit for {kind.name}"
        )
    if max(ipv4_units(interface), ipv6_units(interface)) > kind.addresses:
        raise too_many_addresses(kind.addresses)


def check_state(view: View, instance: Instance) -> State:
    """RUNNING or STOPPED; raises in between, when nobody knows which of the two will have the change."""
    state = state_in(view, instance)
    if state not in (RUNNING, STOPPED):
        raise ApiError(
            "IncorrectState", f"Instance '{instance.id}' is {state.name}, not 'running' or 'stopped'."
        )
    return state


def holding(instance: Instance, interfaces: Iterable[NetworkInterface]) -> Instance:
    ordered = sorted(interfaces, key=lambda each: attachment_of(each).device_index)
    return replace(instance, interface_ids=tuple(each.id for each in ordered))


@operation("DetachNetworkInterface")
def detach_network_interface(request: Request, view: View) -> Outcome:
    """`Force` does not wait for the host, which may be dead or stuck: the interface is available at once. As with a
    terminated instance (docs/decisions/0004-address-reuse.md) receivers do not believe the old place any more."""
    honour_only(request.parameters, {"AttachmentId", "Force"})
    check_attachment_id(request.parameters["AttachmentId"], view.all(NetworkInterface))
    interface = attached_by(view, request.parameters["AttachmentId"])
    attachment = attachment_of(interface)
    if attachment.device_index == 0:
        raise not_permitted(
            "The network interface at device index 0 and networkCard index 0 cannot be detached."
        )
    instance = find(view, Instance, attachment.instance_id)
    if check_state(view, instance) is RUNNING and not request.parameters.get("Force"):
        return Outcome(puts=(replace(interface, attachment=replace(attachment, detaching=True)),))
    return Outcome(puts=released(view, instance, [interface]))


def released(
    view: View, instance: Instance, interfaces: list[NetworkInterface]
) -> tuple[NetworkInterface | Instance, ...]:
    """What is different when the instance holds `interfaces` no more."""
    gone = {each.id for each in interfaces}
    left = [each for each in interfaces_of(view, instance) if each.id not in gone]
    return (*(replace(each, attachment=None) for each in interfaces), holding(instance, left))


def attached_by(view: View, attachment_id: str) -> NetworkInterface:
    check_id("eni-attach", attachment_id)
    for interface in view.all(NetworkInterface):
        if interface.attachment and interface.attachment.id == attachment_id:
            return interface
    raise not_found("eni-attach", attachment_id)
