"""AssociateAddress: an Elastic IP stands for a private address from now on, wherever it stood before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import invalid_combination, invalid_parameter
from rookery.api.handlers.addresses import parse_address
from rookery.api.handlers.elastic_ip_associations import disassociated, standing_for
from rookery.api.handlers.elastic_ips import named_address
from rookery.api.handlers.instance_interfaces import interfaces_of
from rookery.api.handlers.instance_state import PENDING, SHUTTING_DOWN, TERMINATED, state_in
from rookery.api.handlers.managed_interfaces import check_not_managed, check_own
from rookery.api.handlers.public_addresses import with_address_again, without_address
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.vpc_gateways import internet_gateway_of
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import ElasticIp, Instance, NetworkInterface


@operation("AssociateAddress")
def associate_address(request: Request, view: View) -> Outcome:
    """The same again is no error. What stood for the private address before stays allocated, or is given back when it came by
    itself."""
    parameters = request.parameters
    honour_only(
        parameters,
        {
            "AllocationId",
            "PublicIp",
            "InstanceId",
            "NetworkInterfaceId",
            "PrivateIpAddress",
            "AllowReassociation",
        },
    )
    elastic_ip = named_address(parameters, view)
    interface = check_own(target_interface(parameters, view))
    private = private_address(parameters.get("PrivateIpAddress"), interface)
    if internet_gateway_of(view, interface.vpc_id) is None:
        why = f"Network {interface.vpc_id} is not attached to any internet gateway"
        raise ApiError("Gateway.NotAttached", why)
    if (elastic_ip.interface_id, elastic_ip.private_address) == (interface.id, private):
        return Outcome(result={"AssociationId": elastic_ip.association_id})
    if elastic_ip.association_id and parameters.get("AllowReassociation") is False:
        raise ApiError(
            "Resource.AlreadyAssociated",
            f"resource {elastic_ip.id} is already associated with associate-id {elastic_ip.association_id}",
        )
    associated = replace(
        elastic_ip,
        association_id=request.ids.new("eipassoc"),
        interface_id=interface.id,
        private_address=private,
        ended_association_id=elastic_ip.association_id or elastic_ip.ended_association_id,
    )
    check_not_managed(view, elastic_ip)
    displaced = [disassociated(one) for one in standing_for(view, interface, {private})]
    changed = changed_interfaces(view, elastic_ip, interface, private)
    return Outcome(
        result={"AssociationId": associated.association_id}, puts=(associated, *displaced, *changed)
    )


def changed_interfaces(
    view: View, elastic_ip: ElasticIp, interface: NetworkInterface, private: str
) -> list[NetworkInterface]:
    """The one that the Elastic IP leaves may get an address by itself again; the one that it comes to gives its own back."""
    changed = {interface.id: without_address(interface) if private == interface.primary else interface}
    former = view.get(NetworkInterface, elastic_ip.interface_id)
    if former is not None and elastic_ip.private_address == former.primary:
        changed[former.id] = with_address_again(view, former, elastic_ip.id)
    return [one for one in changed.values() if one != view.get(NetworkInterface, one.id)]


def target_interface(parameters: Mapping[str, Any], view: View) -> NetworkInterface:
    instance_id, interface_id = parameters.get("InstanceId"), parameters.get("NetworkInterfaceId")
    if instance_id and interface_id:
        raise invalid_combination("You may specify an instance ID or a network interface ID, but not both")
    if interface_id:
        return find(view, NetworkInterface, interface_id)
    if not instance_id:
        raise ApiError("MissingParameter", "Either 'InstanceId' or 'NetworkInterfaceId' must be specified")
    return only_interface(find(view, Instance, instance_id), view)


def only_interface(instance: Instance, view: View) -> NetworkInterface:
    """Raises IncorrectInstanceState, InvalidInstanceID."""
    state = state_in(view, instance)
    if state in (SHUTTING_DOWN, TERMINATED):
        raise ApiError("IncorrectInstanceState", f"The instance '{instance.id}' is {state.name}.")
    if state is PENDING:
        why = f"The pending instance '{instance.id}' is not in a valid state for this operation."
        raise ApiError("InvalidInstanceID", why)
    held = interfaces_of(view, instance)
    if len(held) > 1:
        raise ApiError(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance.id}'. "
            "Please specify an interface ID for the operation instead.",
        )
    return held[0]


def private_address(asked: str | None, interface: NetworkInterface) -> str:
    """The primary one, unless another is asked for."""
    if not asked:
        return interface.primary
    address = str(parse_address(asked))
    if address not in interface.addresses:
        raise invalid_parameter(
            f"The private IP address {address} is not assigned to interface {interface.id}"
        )
    return address
