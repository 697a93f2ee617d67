"""What a VPC's blocks and the routes of its tables ask of each other."""

from __future__ import annotations

from msgspec.structs import replace

from rookery.api.blocks import Block, is_within
from rookery.api.handlers.route_destinations import spelled_out
from rookery.api.handlers.routes import route_to, without
from rookery.api.operation import ApiError, View
from rookery.model.objects import RouteTable, Vpc


def check_covers_no_route(block: Block, vpc: Vpc, view: View) -> None:
    """A block that joins the VPC may be inside a route's destination, never equal to it or around it. Raises
    InvalidVpc.Range."""
    for table in view.in_vpc(RouteTable, vpc.id):
        for route in table.routes:
            if any(is_within(one, block) for one in spelled_out(route.destination, view)):
                why = (
                    f"The CIDR '{block}' is equal to or contains the destination of the route to "
                    f"{route.destination} in route table {table.id}."
                )
                raise ApiError("InvalidVpc.Range", why)


def tables_without_local(cidr: str, vpc: Vpc, view: View) -> list[RouteTable]:
    """The tables that change when a block leaves the VPC: with its local route goes what has taken its place."""
    return [
        replace(table, routes=without(table, cidr))
        for table in view.in_vpc(RouteTable, vpc.id)
        if route_to(table, cidr)
    ]
