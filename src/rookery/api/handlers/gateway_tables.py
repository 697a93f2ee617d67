"""Route tables of gateways: where packets go that come into a VPC from outside (VPC guide, "Gateway route tables").

They may lead to an interface or be local, and are for nothing but the VPC's own blocks, spelled out.
"""

from __future__ import annotations

from rookery.api.blocks import block, is_within
from rookery.api.errors import invalid_parameter, is_well_formed
from rookery.api.handlers.route_destinations import is_prefix_list, local_blocks
from rookery.api.handlers.route_targets import is_interface
from rookery.api.operation import ApiError, View
from rookery.model.objects import InternetGateway, Route, RouteTable, Vpc


def table_of_gateway(view: View, vpc_id: str, gateway_id: str) -> RouteTable | None:
    """The table of this VPC that the gateway is associated with."""
    tables = view.in_vpc(RouteTable, vpc_id)
    return next((one for one in tables if any(a.gateway_id == gateway_id for a in one.associations)), None)


def gateway_for(gateway_id: str, table: RouteTable, view: View) -> str:
    """Its id, where it can be associated with `table`. Raises InvalidGatewayID.NotFound, InvalidParameterValue."""
    if not any(is_well_formed(prefix, gateway_id) for prefix in ("igw", "vgw")):
        raise invalid_parameter(f"Value ({gateway_id[:80]}) for parameter gatewayId is invalid.")
    gateway = view.get(InternetGateway, gateway_id)
    if gateway is None:
        raise ApiError("InvalidGatewayID.NotFound", f"The gateway ID '{gateway_id}' does not exist")
    if gateway.attached_vpc_id != table.vpc_id:
        raise invalid_parameter(
            f"Route table {table.id} and gateway {gateway.id} belong to different networks"
        )
    check_gateway_table(table, view)
    return gateway.id


def check_gateway_table(table: RouteTable, view: View) -> None:
    """Whether a gateway may have it. Raises InvalidParameterValue."""
    for route in table.routes:
        check_gateway_route(route, table, view)


def check_route_of_gateway(route: Route, table: RouteTable, view: View) -> None:
    """Whether `table` may hold the route, should a gateway be associated with it. Raises InvalidParameterValue."""
    if any(association.gateway_id for association in table.associations):
        check_gateway_route(route, table, view)


def check_gateway_route(route: Route, table: RouteTable, view: View) -> None:
    if not is_interface(route.target):
        raise invalid_parameter(
            f"The route table {table.id} of a gateway cannot hold a route to {route.target}: "
            "only interfaces and the local target are possible."
        )
    local = [block(one) for one in local_blocks(view.get(Vpc, table.vpc_id))]
    if is_prefix_list(route.destination) or not any(
        is_within(block(route.destination), one) for one in local
    ):
        raise invalid_parameter(
            f"The route table {table.id} of a gateway cannot hold a route to {route.destination}, "
            "which is outside the CIDR blocks of the VPC."
        )
