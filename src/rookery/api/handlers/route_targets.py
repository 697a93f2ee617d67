"""Where a route leads: what the request names, and whether packets get there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rookery.api.errors import (
    check_id,
    invalid_combination,
    invalid_parameter,
    invalid_value,
    is_well_formed,
    missing_parameter,
    not_found,
    unsupported,
)
from rookery.api.handlers.managed_interfaces import check_own
from rookery.api.handlers.nat_gateway_state import ALIVE
from rookery.api.lookup import find
from rookery.api.operation import ApiError, View
from rookery.model.objects import (
    EgressOnlyInternetGateway,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    RouteTable,
    VpcPeering,
)

ACTIVE, BLACKHOLE = "active", "blackhole"
FINAL = ("failed", "rejected", "expired", "deleted")  # no route can ever lead through such a peering again


class Gateway(msgspec.Struct, frozen=True):
    """A kind of target that nobody can have yet, in AWS's words."""

    prefix: str
    noun: str
    not_found: str


GATEWAYS: dict[str, tuple[Gateway, ...]] = {
    "GatewayId": (
        Gateway("vgw", "gateway", "InvalidGatewayID.NotFound"),
        Gateway("vpce", "VPC endpoint", "InvalidVpcEndpointId.NotFound"),
    ),
    "TransitGatewayId": (Gateway("tgw", "transitGateway", "InvalidTransitGatewayID.NotFound"),),
    "VpcEndpointId": (Gateway("vpce", "VPC endpoint", "InvalidVpcEndpointId.NotFound"),),
}
UNBUILT = ("LocalGatewayId", "CarrierGatewayId", "CoreNetworkArn", "OdbNetworkArn")


def target_of(parameters: Mapping[str, Any], table: RouteTable, view: View) -> str:
    """The id that the route will hold: eni-..., pcx-..., igw-..., eigw-..., nat-.... Raises unless exactly one target is given, and is one that
    `table` may have."""
    name = target_parameter(parameters)
    if name in UNBUILT:
        raise unsupported(f"The parameter {name} is not supported by Rookery yet.")
    if name not in _RESOLVE:
        raise _nobodys(name, parameters[name])
    return _RESOLVE[name](parameters[name], table, view)


def target_parameter(parameters: Mapping[str, Any]) -> str:
    """Its name. Raises MissingParameter, InvalidParameterCombination."""
    given = given_targets(parameters)
    if not given:
        raise missing_parameter("gatewayId")
    if len(given) > 1:
        raise invalid_combination(f"A route has exactly one target, not {', '.join(given)}.")
    return given[0]


def given_targets(parameters: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys((*_RESOLVE, *GATEWAYS, *UNBUILT)) if parameters.get(name)]


def _nobodys(parameter: str, target_id: str) -> ApiError:
    for one in GATEWAYS[parameter]:
        if is_well_formed(one.prefix, target_id):
            return ApiError(one.not_found, f"The {one.noun} ID '{target_id}' does not exist")
    return invalid_value(parameter, target_id[:80], "This is not the ID of such a target.")


def _interface(interface_id: str, table: RouteTable, view: View) -> str:
    interface = check_own(find(view, NetworkInterface, interface_id))
    if interface.vpc_id != table.vpc_id:
        raise _strangers(table, "interface", interface.id)
    return interface.id


def _instance(instance_id: str, table: RouteTable, view: View) -> str:
    """Its only interface."""
    instance = find(view, Instance, instance_id)
    if not instance.interface_ids:
        raise ApiError("IncorrectInstanceState", f"The instance '{instance.id}' has no network interface.")
    if len(instance.interface_ids) > 1:
        raise ApiError(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance.id}'. "
            "Please specify an interface ID for the operation instead.",
        )
    return _interface(instance.interface_ids[0], table, view)


def _peering(peering_id: str, table: RouteTable, view: View) -> str:
    check_id(VpcPeering.PREFIX, peering_id)
    peering = view.get(VpcPeering, peering_id)
    if peering is None:
        raise not_found(VpcPeering.PREFIX, peering_id)
    if table.vpc_id not in (peering.requester.vpc_id, peering.accepter.vpc_id):
        raise _strangers(table, "vpc peering connection", peering.id)
    if peering.status in FINAL:
        raise invalid_parameter(f"The vpc peering connection {peering.id} is {peering.status}")
    return peering.id


def _gateway(gateway_id: str, table: RouteTable, view: View) -> str:
    """Of the kinds that share this parameter one can exist: an internet gateway, attached to this VPC."""
    gateway = view.get(InternetGateway, gateway_id)
    if gateway is None and is_well_formed(InternetGateway.PREFIX, gateway_id):
        raise ApiError("InvalidGatewayID.NotFound", f"The gateway ID '{gateway_id}' does not exist")
    if gateway is None:
        raise _nobodys("GatewayId", gateway_id)
    if gateway.attached_vpc_id != table.vpc_id:
        raise _strangers(table, "network gateway", gateway.id)
    return gateway.id


def _egress_only(gateway_id: str, table: RouteTable, view: View) -> str:
    gateway = find(view, EgressOnlyInternetGateway, gateway_id)
    if gateway.attached_vpc_id != table.vpc_id:
        raise _strangers(table, "network gateway", gateway.id)
    return gateway.id


def _nat(gateway_id: str, table: RouteTable, view: View) -> str:
    gateway = view.get(NatGateway, gateway_id)
    if gateway is None and not is_well_formed(NatGateway.PREFIX, gateway_id):
        raise invalid_value("NatGatewayId", gateway_id[:80], "This is not the ID of such a target.")
    if gateway is None or gateway.state not in ALIVE:
        raise ApiError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{gateway_id}' does not exist")
    if gateway.route_table_id == table.id:
        raise invalid_parameter(f"route table {table.id} is that of the NAT gateway {gateway.id}, and cannot lead to it")
    if gateway.vpc_id != table.vpc_id:
        raise _strangers(table, "NAT gateway", gateway.id)
    return gateway.id


def _strangers(table: RouteTable, noun: str, target_id: str) -> ApiError:
    return invalid_parameter(f"route table {table.id} and {noun} {target_id} belong to different networks")


_RESOLVE: dict[str, Callable[[str, RouteTable, View], str]] = {
    "NetworkInterfaceId": _interface,
    "InstanceId": _instance,
    "VpcPeeringConnectionId": _peering,
    "GatewayId": _gateway,
    "EgressOnlyInternetGatewayId": _egress_only,
    "NatGatewayId": _nat,
}


def is_interface(target: str) -> bool:
    return target.startswith(f"{NetworkInterface.PREFIX}-")


def is_egress_only(target: str) -> bool:
    return target.startswith(f"{EgressOnlyInternetGateway.PREFIX}-")


def is_internet_gateway(target: str) -> bool:
    return target.startswith(f"{InternetGateway.PREFIX}-")


def is_nat(target: str) -> bool:
    return target.startswith(f"{NatGateway.PREFIX}-")


def state_of_target(target: str, vpc_id: str, view: View) -> str:
    """A black hole still wins over shorter prefixes; its packets are dropped."""
    if is_interface(target):
        interface = view.get(NetworkInterface, target)
        attachment = interface.attachment if interface else None
        return ACTIVE if attachment and not attachment.detaching else BLACKHOLE
    if is_internet_gateway(target) or is_egress_only(target):
        gateway = view.get(InternetGateway, target) or view.get(EgressOnlyInternetGateway, target)
        return ACTIVE if gateway and gateway.attached_vpc_id == vpc_id else BLACKHOLE
    if is_nat(target):
        nat = view.get(NatGateway, target)
        return ACTIVE if nat is not None and nat.state in ALIVE else BLACKHOLE
    peering = view.get(VpcPeering, target)
    return ACTIVE if peering is not None and peering.status == "active" else BLACKHOLE


def target_shape(target: str, view: View) -> dict[str, str]:
    """The members of `Route` that say where it leads."""
    if is_internet_gateway(target):
        return {"GatewayId": target}
    if is_egress_only(target):
        return {"EgressOnlyInternetGatewayId": target}
    if is_nat(target):
        return {"NatGatewayId": target}
    if not is_interface(target):
        return {"VpcPeeringConnectionId": target}
    interface = view.get(NetworkInterface, target)
    if interface is None or interface.attachment is None:
        return {"NetworkInterfaceId": target}
    return {
        "NetworkInterfaceId": target,
        "InstanceId": interface.attachment.instance_id,
        "InstanceOwnerId": interface.account,
    }
