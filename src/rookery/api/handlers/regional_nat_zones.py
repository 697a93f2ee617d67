"""Regional NAT gateways in the automatic mode follow their VPC's network interfaces from zone to zone. Of the housekeeper.

A zone in which the VPC has its first interface is served across zones from that moment, and gets an interface and an Elastic IP of its own at
the next look; where there is no address or no room for it, another look later. A zone in which there has been no interface for an hour is
left, and its address released; the last one stays."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from msgspec.structs import replace

from rookery.api.handlers.nat_gateway_state import AVAILABLE, DISASSOCIATING, SUCCEEDED
from rookery.api.handlers.nat_gateway_zones import (
    allocated,
    check_gateway_quota,
    is_served,
    joined,
    placing_of,
    present_zones,
)
from rookery.api.handlers.public_pools import free_addresses
from rookery.api.operation import ApiError, Outcome, Request, View
from rookery.api.room import with_room
from rookery.model.objects import NatGateway, NatZone

CONTRACTS_SECONDS = 3600.0  # AWS names no time; who replaces its instances keeps its address


def regional_gateways_follow(request: Request, view: View) -> Outcome:
    """One step of one gateway; there are no others: nothing."""
    for gateway in view.all(NatGateway):
        if gateway.automatic and gateway.state == AVAILABLE and not _changes(gateway):
            outcome = _step(request, view, gateway)
            if outcome is not None:
                return outcome
    return Outcome()


def _changes(gateway: NatGateway) -> bool:
    """One change after the other."""
    return any(one.status != SUCCEEDED for one in gateway.addresses) or any(not one.serves for one in gateway.zones)


def _step(request: Request, view: View, gateway: NatGateway) -> Outcome | None:
    present = present_zones(view, gateway.vpc_id)
    for zone in sorted(present - {one.zone for one in gateway.zones}):
        if is_served(view, zone):
            try:
                return with_room(request, view, partial(_expanded, gateway, zone))
            except ApiError:
                continue  # its packets go across zones as before
    after = _contracted(gateway, present, request.now)
    return Outcome(puts=(after,)) if after != gateway else None


def _expanded(gateway: NatGateway, zone: str, request: Request, view: View) -> Outcome:
    """Raises NatGatewayLimitExceeded, AddressLimitExceeded, InsufficientAddressCapacity, InsufficientCapacity."""
    check_gateway_quota(request, view, zone)
    elastic_ip = allocated(request, view, gateway.id, free_addresses(view))
    part = joined(request, view, gateway, zone, [elastic_ip], placing=placing_of(request, view))
    grown = replace(gateway, zones=(*gateway.zones, part.zone), addresses=(*gateway.addresses, *part.addresses))
    return Outcome(puts=(grown, part.interface, *part.elastic_ips), shards=part.shards)


def _contracted(gateway: NatGateway, present: Collection[str], now: float) -> NatGateway:
    zones = [_seen(one, present, now) for one in gateway.zones]
    over = [one for one in zones if one.empty_since and now - one.empty_since >= CONTRACTS_SECONDS]
    gone = {one.zone for one in (over[1:] if len(over) == len(zones) else over)}
    return replace(
        gateway,
        zones=tuple(replace(one, leaving=True) if one.zone in gone else one for one in zones),
        addresses=tuple(replace(one, status=DISASSOCIATING) if one.zone in gone else one for one in gateway.addresses),
    )


def _seen(zone: NatZone, present: Collection[str], now: float) -> NatZone:
    if zone.zone in present:
        return replace(zone, empty_since=0.0)
    return zone if zone.empty_since else replace(zone, empty_since=now)
