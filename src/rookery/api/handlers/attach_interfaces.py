"""AttachNetworkInterface, DetachNetworkInterface: while the instance is stopped; its next boot has the change.

Plugging into a running instance is refused until the data path of a moving interface is proven to lose nothing.
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
    unsupported,
)
from rookery.api.handlers.instance_interfaces import attachment_of, interfaces_of
from rookery.api.handlers.instance_state import SHUTTING_DOWN, STOPPED, TERMINATED, state_in
from rookery.api.handlers.instance_type_catalogue import CATALOGUE
from rookery.api.handlers.network_interfaces import too_many_addresses
from rookery.api.handlers.unbuilt import honour_only
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
    require_stopped(view, instance, "attached to")
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
    if interface.attachment:
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
    if len(interface.addresses) > kind.addresses:
        raise too_many_addresses(kind.addresses)


def require_stopped(view: View, instance: Instance, what: str) -> None:
    state = state_in(view, instance)
    if state in (SHUTTING_DOWN, TERMINATED):
        raise ApiError("IncorrectState", f"The instance '{instance.id}' is {state.name}.")
    if state is not STOPPED:
        raise unsupported(
            f"A network interface cannot be {what} an instance that is {state.name}, only one that is stopped."
        )


def holding(instance: Instance, interfaces: Iterable[NetworkInterface]) -> Instance:
    ordered = sorted(interfaces, key=lambda each: attachment_of(each).device_index)
    return replace(instance, interface_ids=tuple(each.id for each in ordered))


@operation("DetachNetworkInterface")
def detach_network_interface(request: Request, view: View) -> Outcome:
    """`Force` asks for no more: a stopped guest cannot resist."""
    honour_only(request.parameters, {"AttachmentId", "Force"})
    interface = attached_by(view, request.parameters["AttachmentId"])
    attachment = attachment_of(interface)
    if attachment.device_index == 0:
        raise not_permitted(
            "The network interface at device index 0 and networkCard index 0 cannot be detached."
        )
    instance = find(view, Instance, attachment.instance_id)
    require_stopped(view, instance, "detached from")
    left = [each for each in interfaces_of(view, instance) if each.id != interface.id]
    return Outcome(puts=(replace(interface, attachment=None), holding(instance, left)))


def attached_by(view: View, attachment_id: str) -> NetworkInterface:
    check_id("eni-attach", attachment_id)
    for interface in view.all(NetworkInterface):
        if interface.attachment and interface.attachment.id == attachment_id:
            return interface
    raise not_found("eni-attach", attachment_id)
