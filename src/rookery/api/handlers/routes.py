"""CreateRoute, ReplaceRoute, DeleteRoute; and how DescribeRouteTables shows the routes of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import invalid_combination, invalid_parameter
from rookery.api.handlers.gateway_tables import check_route_of_gateway
from rookery.api.handlers.route_destinations import (
    PARAMETERS,
    check_destination,
    check_family,
    check_route_limit,
    given_destination,
    local_blocks,
    member_of,
    spelled_out,
)
from rookery.api.handlers.route_targets import (
    ACTIVE,
    given_targets,
    state_of_target,
    target_of,
    target_parameter,
    target_shape,
)
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import PrefixList, Route, RouteTable, Vpc

LOCAL = "local"


@operation("CreateRoute")
def create_route(request: Request, view: View) -> Outcome:
    """The same route again is no error."""
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    destination = given_destination(request.parameters, view)
    target_parameter(request.parameters)
    local = local_blocks(view.get(Vpc, table.vpc_id))
    before = route_to(table, destination)
    if destination in local:
        raise already_there(destination)
    target = target_of(request.parameters, table, view)
    check_destination(spelled_out(destination, view), target, table, view)
    check_family(destination, target, view)
    check_route_of_gateway(Route(destination, target), table, view)
    if before is not None:
        if before.target != target:
            raise already_there(destination)
        return Outcome(result={"Return": True})
    routes = (*table.routes, Route(destination, target))
    check_route_limit(routes, local, request.quotas.routes_per_table, partial(view.get, PrefixList))
    return Outcome(result={"Return": True}, puts=(replace(table, routes=routes),))


def already_there(destination: str) -> ApiError:
    return ApiError("RouteAlreadyExists", f"The route identified by {destination} already exists.")


def route_to(table: RouteTable, destination: str) -> Route | None:
    return next((route for route in table.routes if route.destination == destination), None)


def without(table: RouteTable, destination: str) -> tuple[Route, ...]:
    return tuple(route for route in table.routes if route.destination != destination)


@operation("ReplaceRoute")
def replace_route(request: Request, view: View) -> Outcome:
    """In its place in the table. Of a local route: something takes its place, or (LocalTarget) it is back."""
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    destination = given_destination(request.parameters, view)
    is_local = destination in local_blocks(view.get(Vpc, table.vpc_id))
    before = route_to(table, destination)
    if before is None and not is_local:
        raise invalid_parameter(
            f"There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
        )
    if request.parameters.get("LocalTarget"):
        return local_again(request, table, destination, is_local)
    target = target_of(request.parameters, table, view)
    blocks = spelled_out(destination, view)
    check_destination(blocks, target, table, view, replaces_local=is_local)
    after = Route(destination, target)
    check_family(destination, target, view)
    check_route_of_gateway(after, table, view)
    if before is None:
        return Outcome(puts=(replace(table, routes=(*table.routes, after)),))
    routes = tuple(after if route is before else route for route in table.routes)
    return Outcome(puts=(replace(table, routes=routes),))


def local_again(request: Request, table: RouteTable, destination: str, is_local: bool) -> Outcome:
    if given_targets(request.parameters):
        raise invalid_combination("A route has exactly one target, and LocalTarget is one.")
    if not is_local:
        raise invalid_parameter(f"The route to {destination} is not one of the local routes of the VPC.")
    routes = without(table, destination)
    return Outcome(puts=(replace(table, routes=routes),) if routes != table.routes else ())


@operation("DeleteRoute")
def delete_route(request: Request, view: View) -> Outcome:
    table = find(view, RouteTable, request.parameters["RouteTableId"])
    destination = given_destination(request.parameters, view)
    if destination in local_blocks(view.get(Vpc, table.vpc_id)):
        raise invalid_parameter(f"cannot remove local route {destination} in route table {table.id}")
    if route_to(table, destination) is None:
        word = PARAMETERS[member_of(destination)]
        why = f"no route with {word} {destination} in route table {table.id}"
        raise ApiError("InvalidRoute.NotFound", why)
    return Outcome(puts=(replace(table, routes=without(table, destination)),))


def routes_shape(table: RouteTable, view: View) -> list[dict[str, str]]:
    """Local ones first, what has taken their place in their place."""
    local = local_blocks(view.get(Vpc, table.vpc_id))
    written = {route.destination: route for route in table.routes}
    shapes = [
        _shape(written[one], "CreateRouteTable", table, view) if one in written else _local_shape(one)
        for one in local
    ]
    return shapes + [
        _shape(route, "CreateRoute", table, view) for route in table.routes if route.destination not in local
    ]


def _local_shape(destination: str) -> dict[str, str]:
    return {
        member_of(destination): destination,
        "GatewayId": LOCAL,
        "Origin": "CreateRouteTable",
        "State": ACTIVE,
    }


def _shape(route: Route, origin: str, table: RouteTable, view: View) -> dict[str, str]:
    return {
        member_of(route.destination): route.destination,
        **target_shape(route.target, view),
        "Origin": origin,
        "State": state_of_target(route.target, table.vpc_id, view),
    }


def _of_routes(member: str) -> Callable[[RouteTable, View], Iterator[str | None]]:
    """A filter on one member of the table's routes."""
    return lambda table, view: (shape.get(member) for shape in routes_shape(table, view))


ROUTE_FILTERS: dict[str, Callable[[Any, View], Any]] = {
    "route.destination-cidr-block": _of_routes("DestinationCidrBlock"),
    "route.destination-ipv6-cidr-block": _of_routes("DestinationIpv6CidrBlock"),
    "route.destination-prefix-list-id": _of_routes("DestinationPrefixListId"),
    "route.egress-only-internet-gateway-id": _of_routes("EgressOnlyInternetGatewayId"),
    "route.gateway-id": _of_routes("GatewayId"),
    "route.instance-id": _of_routes("InstanceId"),
    "route.nat-gateway-id": _of_routes("NatGatewayId"),
    "route.network-interface-id": _of_routes("NetworkInterfaceId"),
    "route.origin": _of_routes("Origin"),
    "route.state": _of_routes("State"),
    "route.transit-gateway-id": _of_routes("TransitGatewayId"),
    "route.vpc-peering-connection-id": _of_routes("VpcPeeringConnectionId"),
}
