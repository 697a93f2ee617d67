"""Route tables and their associations. Local routes follow from the VPC's blocks; others are not built yet."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rookery.api.cidr import network, parse_cidr
from rookery.api.describe import describe
from rookery.api.errors import (
    check_id,
    dependency_violation,
    invalid_combination,
    invalid_parameter,
    missing_parameter,
    not_found,
    refuse_unbuilt,
    unsupported,
)
from rookery.api.idempotency import redescribes
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import RouteTable, RouteTableAssociation, Subnet, Vpc

LINK_LOCAL_SERVICES = network("169.254.168.0/22")
_TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "VpcPeeringConnectionId",
    "TransitGatewayId",
    "EgressOnlyInternetGatewayId",
    "VpcEndpointId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
    "OdbNetworkArn",
)
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


def _local_destinations(table: RouteTable, view: View) -> list[str]:
    vpc = view.get(Vpc, table.vpc_id)
    return [one.cidr for one in vpc.cidr_associations] if vpc else []


FILTERS = {
    "association.gateway-id": lambda _table, _view: None,
    "association.main": lambda table, _view: [not one.subnet_id for one in table.associations],
    "association.route-table-association-id": lambda table, _view: [one.id for one in table.associations],
    "association.route-table-id": lambda table, _view: table.id if table.associations else None,
    "association.subnet-id": lambda table, _view: [one.subnet_id or None for one in table.associations],
    "owner-id": lambda table, _view: table.account,
    "route-table-id": lambda table, _view: table.id,
    "route.destination-cidr-block": _local_destinations,
    "route.destination-ipv6-cidr-block": lambda _table, _view: None,
    "route.destination-prefix-list-id": lambda _table, _view: None,
    "route.egress-only-internet-gateway-id": lambda _table, _view: None,
    "route.gateway-id": lambda _table, _view: "local",
    "route.instance-id": lambda _table, _view: None,
    "route.nat-gateway-id": lambda _table, _view: None,
    "route.network-interface-id": lambda _table, _view: None,
    "route.origin": lambda _table, _view: "CreateRouteTable",
    "route.state": lambda _table, _view: "active",
    "route.transit-gateway-id": lambda _table, _view: None,
    "route.vpc-peering-connection-id": lambda _table, _view: None,
    "vpc-id": lambda table, _view: table.vpc_id,
}


@operation("CreateRouteTable")
def create_route_table(request: Request, view: View) -> Outcome:
    vpc = find(view, Vpc, request.parameters["VpcId"])
    if len(list(view.in_vpc(RouteTable, vpc.id))) >= request.quotas.route_tables_per_vpc:
        raise ApiError("RouteTableLimitExceeded", "The maximum number of route tables has been reached.")
    table = RouteTable(
        account=request.account,
        region=request.region,
        id=request.ids.new("rtb"),
        created=request.now,
        tags=tags_for(request, "route-table"),
        vpc_id=vpc.id,
    )
    return Outcome(result=_created(request, table, view), puts=(table,))


def _created(request: Request, table: RouteTable, view: View) -> dict[str, Any]:
    return {
        "RouteTable": render_route_table(table, view),
        "ClientToken": request.parameters.get("ClientToken"),
    }


@redescribes("CreateRouteTable")
def created_before(request: Request, view: View, made: Any) -> dict[str, Any]:
    return _created(request, made[0], view)


@operation("DescribeRouteTables")
def describe_route_tables(request: Request, view: View) -> Outcome:
    return describe(request, view, RouteTable, "RouteTableIds", "RouteTables", render_route_table, FILTERS)


def render_route_table(table: RouteTable, view: View) -> dict[str, Any]:
    return {
        "RouteTableId": table.id,
        "VpcId": table.vpc_id,
        "OwnerId": table.account,
        "Associations": [_render_association(table, one) for one in table.associations],
        "PropagatingVgws": [],
        "Routes": [_render_local(destination) for destination in _local_destinations(table, view)],
        "Tags": render_tags(table.tags),
    }


def _render_local(destination: str) -> dict[str, str]:
    return {
        "DestinationCidrBlock": destination,
        "GatewayId": "local",
        "Origin": "CreateRouteTable",
        "State": "active",
    }


def _render_association(table: RouteTable, association: RouteTableAssociation) -> dict[str, Any]:
    return {
        "Main": not association.subnet_id,
        "RouteTableAssociationId": association.id,
        "RouteTableId": table.id,
        "SubnetId": association.subnet_id or None,
        "AssociationState": {"State": "associated"},
    }


@operation("DeleteRouteTable")
def delete_route_table(request: Request, view: View) -> Outcome:
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    if table.associations:
        raise dependency_violation("routeTable", table.id)
    return Outcome(deletes=(table,))


@operation("AssociateRouteTable")
def associate_route_table(request: Request, view: View) -> Outcome:
    given = request.parameters
    refuse_unbuilt(given, "GatewayId", "PublicIpv4Pool")
    table = find(view, RouteTable, given["RouteTableId"])
    if "SubnetId" not in given:
        raise missing_parameter("subnetId")
    subnet = find(view, Subnet, given["SubnetId"])
    _check_same_vpc(table, subnet)
    for other in view.in_vpc(RouteTable, table.vpc_id):
        for one in other.associations:
            if one.subnet_id == subnet.id:
                return _already_associated(other, table, one)
    added = RouteTableAssociation(request.ids.new("rtbassoc"), subnet.id)
    changed = replace(table, associations=(*table.associations, added))
    return Outcome(result=_association_answer("AssociationId", added), puts=(changed,))


def _check_same_vpc(table: RouteTable, subnet: Subnet) -> None:
    if table.vpc_id != subnet.vpc_id:
        raise invalid_parameter(f"Route table {table.id} and subnet {subnet.id} belong to different networks")


def _already_associated(other: RouteTable, table: RouteTable, association: RouteTableAssociation) -> Outcome:
    """With the same table: the same answer again."""
    if other.id == table.id:
        return Outcome(result=_association_answer("AssociationId", association))
    why = f"the specified association for route table {table.id} conflicts with an existing association"
    raise ApiError("Resource.AlreadyAssociated", why)


def _association_answer(member: str, association: RouteTableAssociation) -> dict[str, Any]:
    return {member: association.id, "AssociationState": {"State": "associated"}}


@operation("DisassociateRouteTable")
def disassociate_route_table(request: Request, view: View) -> Outcome:
    table, association = _association(view, request.parameters["AssociationId"])
    if not association.subnet_id:
        raise invalid_parameter(f"cannot disassociate the main route table association {association.id}")
    return Outcome(puts=(_without(table, association),))


@operation("ReplaceRouteTableAssociation")
def replace_route_table_association(request: Request, view: View) -> Outcome:
    """Of a subnet; of the main association: another table becomes the VPC's main one."""
    before, association = _association(view, request.parameters["AssociationId"])
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    if before.vpc_id != table.vpc_id:
        raise invalid_parameter(f"Route tables {before.id} and {table.id} belong to different networks")
    if before.id == table.id:
        return Outcome(result=_association_answer("NewAssociationId", association))
    moved = RouteTableAssociation(request.ids.new("rtbassoc"), association.subnet_id)
    after = replace(table, associations=(*table.associations, moved))
    return Outcome(
        result=_association_answer("NewAssociationId", moved), puts=(_without(before, association), after)
    )


def _association(view: View, association_id: str) -> tuple[RouteTable, RouteTableAssociation]:
    check_id("rtbassoc", association_id)
    for table in view.all(RouteTable):
        for association in table.associations:
            if association.id == association_id:
                return table, association
    raise not_found("rtbassoc", association_id)


def _without(table: RouteTable, association: RouteTableAssociation) -> RouteTable:
    return replace(table, associations=tuple(one for one in table.associations if one != association))


@operation("CreateRoute")
def create_route(request: Request, view: View) -> Outcome:
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    destination = _destination(request)
    _target(request)
    if destination in _local_destinations(table, view):
        raise ApiError("RouteAlreadyExists", f"The route identified by {destination} already exists.")
    _check_outside(table, destination, view)
    raise unsupported("Rookery has no targets for routes yet: a route table holds the VPC's local routes.")


def _check_outside(table: RouteTable, destination: str, view: View) -> None:
    block = network(destination)
    if block.subnet_of(LINK_LOCAL_SERVICES):
        raise invalid_parameter(
            f"The destination CIDR block {destination} is reserved for link-local services."
        )
    if any(block.subnet_of(network(one)) for one in _local_destinations(table, view)):
        raise invalid_parameter(
            f"The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR "
            "blocks. This route can target only an interface or an instance."
        )


@operation("ReplaceRoute")
def replace_route(request: Request, view: View) -> Outcome:
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    destination = _destination(request)
    if destination not in _local_destinations(table, view):
        raise invalid_parameter(
            f"There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
        )
    if request.parameters.get("LocalTarget"):
        return Outcome()  # it is local already
    _target(request)
    raise unsupported("Rookery cannot give a local route another target yet.")


@operation("DeleteRoute")
def delete_route(request: Request, view: View) -> Outcome:
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    destination = _destination(request)
    if destination in _local_destinations(table, view):
        raise invalid_parameter(f"cannot remove local route {destination} in route table {table.id}")
    why = f"no route with destination-cidr-block {destination} in route table {table.id}"
    raise ApiError("InvalidRoute.NotFound", why)


def _destination(request: Request) -> str:
    given = [name for name in _DESTINATIONS if name in request.parameters]
    if not given:
        raise missing_parameter("destinationCidrBlock")
    if len(given) > 1:
        raise invalid_combination("A route has exactly one destination.")
    refuse_unbuilt(request.parameters, *_DESTINATIONS[1:])
    return str(parse_cidr(request.parameters[given[0]], "destinationCidrBlock"))


def _target(request: Request) -> None:
    given = [name for name in _TARGETS if name in request.parameters]
    if not given:
        raise missing_parameter("gatewayId")
    if len(given) > 1:
        raise invalid_combination(f"A route has exactly one target, not {', '.join(given)}.")
