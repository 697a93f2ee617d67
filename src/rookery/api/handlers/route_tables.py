"""Route tables and their associations. Their routes are rookery.api.handlers.routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.describe import describe
from rookery.api.errors import (
    check_id,
    dependency_violation,
    invalid_combination,
    invalid_parameter,
    missing_parameter,
    not_found,
    refuse_unbuilt,
)
from rookery.api.handlers.gateway_tables import check_gateway_table, gateway_for
from rookery.api.handlers.routes import ROUTE_FILTERS, routes_shape
from rookery.api.idempotency import redescribes
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import render_tags, tags_for
from rookery.model.objects import NatGateway, RouteTable, RouteTableAssociation, Subnet, Vpc

FILTERS = {
    "association.gateway-id": lambda table, _view: [one.gateway_id or None for one in table.associations],
    "association.main": lambda table, _view: [_is_main(one) for one in table.associations],
    "association.route-table-association-id": lambda table, _view: [one.id for one in table.associations],
    "association.route-table-id": lambda table, _view: table.id if table.associations else None,
    "association.subnet-id": lambda table, _view: [one.subnet_id or None for one in table.associations],
    "owner-id": lambda table, _view: table.account,
    "route-table-id": lambda table, _view: table.id,
    **ROUTE_FILTERS,
    "vpc-id": lambda table, _view: table.vpc_id,
}


def _is_main(association: RouteTableAssociation) -> bool:
    return not association.subnet_id and not association.gateway_id


@operation("CreateRouteTable")
def create_route_table(request: Request, view: View) -> Outcome:
    vpc = find(view, Vpc, request.parameters["VpcId"])
    check_route_table_quota(request, view, vpc.id)
    table = RouteTable(
        account=request.account,
        region=request.region,
        id=request.ids.new("rtb"),
        created=request.now,
        tags=tags_for(request, "route-table"),
        vpc_id=vpc.id,
    )
    return Outcome(result=_created(request, table, view), puts=(table,))


def check_route_table_quota(request: Request, view: View, vpc_id: str) -> None:
    if len(list(view.in_vpc(RouteTable, vpc_id))) >= request.quotas.route_tables_per_vpc:
        raise ApiError("RouteTableLimitExceeded", "The maximum number of route tables has been reached.")


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
        "Routes": routes_shape(table, view),
        "Tags": render_tags(table.tags),
    }


def _render_association(table: RouteTable, association: RouteTableAssociation) -> dict[str, Any]:
    return {
        "Main": _is_main(association),
        "RouteTableAssociationId": association.id,
        "RouteTableId": table.id,
        "SubnetId": association.subnet_id or None,
        "GatewayId": association.gateway_id or None,
        "AssociationState": {"State": "associated"},
    }


@operation("DeleteRouteTable")
def delete_route_table(request: Request, view: View) -> Outcome:
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    if table.associations or any(one.route_table_id == table.id for one in view.in_vpc(NatGateway, table.vpc_id)):
        raise dependency_violation("routeTable", table.id)
    return Outcome(deletes=(table,))


@operation("AssociateRouteTable")
def associate_route_table(request: Request, view: View) -> Outcome:
    given = request.parameters
    refuse_unbuilt(given, "PublicIpv4Pool")
    table = find(view, RouteTable, given["RouteTableId"])
    subnet_id, gateway_id = _what_to_associate(given, table, view)
    for other in view.in_vpc(RouteTable, table.vpc_id):
        for one in other.associations:
            if not _is_main(one) and (one.subnet_id, one.gateway_id) == (subnet_id, gateway_id):
                return _already_associated(other, table, one)
    added = RouteTableAssociation(request.ids.new("rtbassoc"), subnet_id, gateway_id)
    changed = replace(table, associations=(*table.associations, added))
    return Outcome(result=_association_answer("AssociationId", added), puts=(changed,))


def _what_to_associate(given: Mapping[str, Any], table: RouteTable, view: View) -> tuple[str, str]:
    """A subnet of the table's VPC, or a gateway."""
    subnet_id, gateway_id = given.get("SubnetId"), given.get("GatewayId")
    if subnet_id and gateway_id:
        raise invalid_combination(
            "A route table is associated with a subnet or with a gateway, not with both."
        )
    if gateway_id:
        return "", gateway_for(gateway_id, table, view)
    if not subnet_id:
        raise missing_parameter("subnetId")
    subnet = find(view, Subnet, subnet_id)
    _check_same_vpc(table, subnet)
    return subnet.id, ""


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
    if _is_main(association):
        raise invalid_parameter(f"cannot disassociate the main route table association {association.id}")
    return Outcome(puts=(_without(table, association),))


@operation("ReplaceRouteTableAssociation")
def replace_route_table_association(request: Request, view: View) -> Outcome:
    """Of a subnet or a gateway; of the main association: another table becomes the VPC's main one."""
    before, association = _association(view, request.parameters["AssociationId"])
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    if before.vpc_id != table.vpc_id:
        raise invalid_parameter(f"Route tables {before.id} and {table.id} belong to different networks")
    if before.id == table.id:
        return Outcome(result=_association_answer("NewAssociationId", association))
    if association.gateway_id:
        check_gateway_table(table, view)
    moved = replace(association, id=request.ids.new("rtbassoc"))
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
