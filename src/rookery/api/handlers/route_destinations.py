"""Where a route is for: a block of either family or a prefix list, and which of them a table may have.

Inside the VPC only the whole block of a subnet may lead elsewhere, and only to an interface or a NAT gateway: an appliance between subnets
(behaviour of AWS since 2021). What the local services live at is never routed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rookery.api.blocks import Block, block, is_ipv6, is_within, parse_block
from rookery.api.cidr import network, parse_cidr
from rookery.api.errors import invalid_combination, invalid_parameter, missing_parameter
from rookery.api.handlers.route_targets import is_egress_only, is_interface, is_nat
from rookery.api.lookup import find
from rookery.api.operation import ApiError, View
from rookery.model import nat64
from rookery.model.objects import PrefixList, Route, RouteTable, Subnet, Vpc

LINK_LOCAL_SERVICES = (network("169.254.168.0/22"), block("fd00:ec2::/32"))
PARAMETERS = {
    "DestinationCidrBlock": "destination-cidr-block",
    "DestinationIpv6CidrBlock": "destination-ipv6-cidr-block",
    "DestinationPrefixListId": "destination-prefix-list-id",
}


def local_blocks(vpc: Vpc | None) -> list[str]:
    """The destinations of the local routes that every table of the VPC has."""
    if vpc is None:
        return []
    return [one.cidr for one in (*vpc.cidr_associations, *vpc.ipv6_cidr_associations)]


def is_prefix_list(destination: str) -> bool:
    return destination.startswith(f"{PrefixList.PREFIX}-")


def member_of(destination: str) -> str:
    """Of `Route`: which of its three members says the destination."""
    if is_prefix_list(destination):
        return "DestinationPrefixListId"
    return "DestinationIpv6CidrBlock" if is_ipv6(destination) else "DestinationCidrBlock"


def given_destination(parameters: Mapping[str, Any], view: View) -> str:
    """Canonical. Raises MissingParameter, InvalidParameterCombination, InvalidParameterValue, InvalidPrefixListID."""
    given = [name for name in PARAMETERS if parameters.get(name)]
    if not given:
        raise missing_parameter("destinationCidrBlock")
    if len(given) > 1:
        raise invalid_combination("A route has exactly one destination.")
    text = parameters[given[0]]
    if given[0] == "DestinationPrefixListId":
        return find(view, PrefixList, text).id
    if given[0] == "DestinationCidrBlock":
        return str(parse_cidr(text, "destinationCidrBlock"))
    if ":" not in text:
        raise invalid_parameter(f"Value ({text[:80]}) for parameter destinationIpv6CidrBlock is invalid.")
    return str(parse_block(text, "destinationIpv6CidrBlock"))


def spelled_out(destination: str, view: View) -> Iterator[Block]:
    """The blocks of a destination; none of a prefix list that is gone."""
    if not is_prefix_list(destination):
        yield block(destination)
        return
    prefix_list = view.get(PrefixList, destination)
    for entry in prefix_list.entries if prefix_list else ():
        yield block(entry.cidr)


def check_destination(
    blocks: Iterable[Block], target: str, table: RouteTable, view: View, *, replaces_local: bool = False
) -> None:
    """Whether routes of `table` to `blocks` may lead to `target`. Only what replaces a local route may be as wide as it: an
    entry of a prefix list stands beside the local route, which wins. Raises InvalidParameterValue."""
    local = [block(one) for one in local_blocks(view.get(Vpc, table.vpc_id))]
    for one in blocks:
        if any(is_within(one, services) for services in LINK_LOCAL_SERVICES):
            raise invalid_parameter(f"The destination CIDR block {one} is reserved for link-local services.")
        if any(is_within(one, each) for each in local) and not (
            (is_interface(target) or is_nat(target))
            and ((replaces_local and one in local) or _is_whole_subnet(one, table.vpc_id, view))
        ):
            raise inside_vpc(one)


def check_family(destination: str, target: str, view: View) -> None:
    """An egress-only gateway is for IPv6; a NAT gateway for IPv4, and for what of IPv6 it translates. Raises InvalidParameterValue."""
    prefix_list = view.get(PrefixList, destination)
    is_of_ipv6 = prefix_list.family == "IPv6" if prefix_list else is_ipv6(destination)
    if is_nat(target) and is_of_ipv6 and not all(is_within(one, nat64.PREFIX) for one in spelled_out(destination, view)):
        raise invalid_parameter(
            f"The destination {destination} of a route to the NAT gateway {target} is not within {nat64.PREFIX}: it leads to IPv4 only."
        )
    if is_egress_only(target) and not is_of_ipv6:
        raise invalid_parameter(
            f"The destination {destination} of a route to the egress-only internet gateway {target} is not one of IPv6."
        )


def inside_vpc(destination: Block) -> ApiError:
    return invalid_parameter(
        f"The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR "
        "blocks. This route can target only an interface or an instance."
    )


def _is_whole_subnet(one: Block, vpc_id: str, view: View) -> bool:
    text = str(one)
    return any(
        text == subnet.cidr or any(text == each.cidr for each in subnet.ipv6_cidr_associations)
        for subnet in view.in_vpc(Subnet, vpc_id)
    )


def check_route_limit(
    routes: Iterable[Route], local: Iterable[str], limit: int, list_of: Callable[[str], PrefixList | None]
) -> None:
    """A prefix list weighs what it may hold. Raises RouteLimitExceeded."""
    counts = {"IPv4": 0, "IPv6": 0}
    own = set(local)
    for route in routes:
        if route.destination in own:
            continue  # in the place of a local route
        family, weight = _weight_of(route.destination, list_of)
        counts[family] += weight
    if max(counts.values()) > limit:
        raise ApiError("RouteLimitExceeded", "The maximum number of routes has been reached.")


def _weight_of(destination: str, list_of: Callable[[str], PrefixList | None]) -> tuple[str, int]:
    if is_prefix_list(destination):
        prefix_list = list_of(destination)
        return (prefix_list.family, prefix_list.max_entries) if prefix_list else ("IPv4", 0)
    return ("IPv6" if is_ipv6(destination) else "IPv4", 1)
