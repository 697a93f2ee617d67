"""The routes of a table: local ones, those that somebody wrote, and where they lead now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rookery.intent.host import RouteIntent
from rookery.intent.peering import peer_of
from rookery.intent.prefix_list import cidrs_of
from rookery.intent.regional import interface_for, place_without_subnet
from rookery.intent.things import GatewayThing, InterfaceThing, NatThing, TableThing, Things, VpcThing
from rookery.model.objects import (
    EgressOnlyInternetGateway,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    PrefixList,
    Route,
    VpcPeering,
)

TERMINATED = "terminated"
NAT_LIVES = ("pending", "available")  # states of a NAT gateway to which routes lead


class Way(NamedTuple):
    kind: str  # as in RouteIntent
    target: int = 0


LOCAL = Way("local")
BLACKHOLE = Way("blackhole")
INTERNET = Way("internet")
EGRESS_ONLY = Way("egress_only")


def routes_of(table: TableThing, vpc: VpcThing, things: Things, zone: int | None = None) -> list[RouteIntent]:
    """One for each destination, as a host in `zone` has it; None: of a part of the region that sends in no zone's name. A written CIDR
    beats the local route of the same block, that one beats an entry of a prefix list, and of several lists that with the smallest id
    decides."""
    ways: dict[str, Way] = {}
    for destination, way in _by_precedence(table, vpc, things, zone):
        ways.setdefault(destination, way)
    return [
        RouteIntent(table=table.number, destination=destination, kind=way.kind, target=way.target)
        for destination, way in ways.items()
    ]


def _by_precedence(table: TableThing, vpc: VpcThing, things: Things, zone: int | None) -> Iterator[tuple[str, Way]]:
    for route in table.routes:
        if not is_prefix_list(route.destination):
            yield route.destination, way_of(route, vpc, things, zone)
    for association in (*vpc.cidr_associations, *vpc.ipv6_cidr_associations):
        yield association.cidr, LOCAL
    lists = (route for route in table.routes if is_prefix_list(route.destination))
    for route in sorted(lists, key=lambda route: route.destination):
        way = way_of(route, vpc, things, zone)
        for cidr in cidrs_of(route.destination, things.prefix_lists):
            yield cidr, way


def is_prefix_list(destination: str) -> bool:
    return destination.startswith(PrefixList.PREFIX + "-")


def way_of(route: Route, vpc: VpcThing, things: Things, zone: int | None = None) -> Way:
    """Where a written route of this VPC's table leads from `zone`. Packets to what is gone are dropped: none takes a shorter prefix."""
    prefix = route.target.partition("-")[0]
    if prefix == NetworkInterface.PREFIX:
        return _to_interface(route.target, vpc, things)
    if prefix == VpcPeering.PREFIX:
        return _to_peer(route.target, vpc, things)
    if prefix == InternetGateway.PREFIX:
        return _to_gateway(things.internet_gateways.get(route.target), vpc, INTERNET)
    if prefix == EgressOnlyInternetGateway.PREFIX:
        return _to_gateway(things.egress_only_gateways.get(route.target), vpc, EGRESS_ONLY)
    if prefix == NatGateway.PREFIX:
        return _to_nat(things.nat_gateways.get(route.target), vpc, things, zone)
    return BLACKHOLE


def _to_gateway(gateway: GatewayThing | None, vpc: VpcThing, way: Way) -> Way:
    return way if gateway and gateway.attached_vpc_id == vpc.id else BLACKHOLE


def _to_interface(target: str, vpc: VpcThing, things: Things) -> Way:
    """It must be on an instance of this VPC. While that one is stopped the route stays, and packets are lost there."""
    interface = things.interfaces.get(target)
    attachment = interface.attachment if interface else None
    if interface is None or attachment is None or attachment.detaching:
        return BLACKHOLE
    instance = things.instances.get(attachment.instance_id)
    if instance is None or instance.wanted == TERMINATED or not _is_in(interface, vpc, things):
        return BLACKHOLE
    return Way("interface", interface.number)


def _to_nat(nat: NatThing | None, vpc: VpcThing, things: Things, zone: int | None) -> Way:
    """To its interface at a cell."""
    interface = things.interfaces.get(interface_for(nat, zone)) if nat and nat.state in NAT_LIVES else None
    if interface is None or interface.cell_attachment is None or not _is_in(interface, vpc, things):
        return BLACKHOLE
    return Way("interface", interface.number)


def _is_in(interface: InterfaceThing, vpc: VpcThing, things: Things) -> bool:
    place = things.subnets.get(interface.subnet_id) or place_without_subnet(interface, things.nat_gateways)
    return place is not None and place.vpc_id == vpc.id


def _to_peer(target: str, vpc: VpcThing, things: Things) -> Way:
    peering = things.peerings.get(target)
    peer = peer_of(vpc, peering, things.vpcs) if peering else None
    return Way("peer", peer.vni) if peer else BLACKHOLE
