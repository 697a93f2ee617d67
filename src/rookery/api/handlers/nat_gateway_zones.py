"""A regional NAT gateway in a zone: an interface of its own at the zone's cell, in no subnet, and the Elastic IPs by which the zone's
packets leave. How it gets there and how it goes is in regional_nat_gateways, regional_nat_zones and nat_gateway_state."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, NamedTuple

from rookery.api.errors import invalid_combination, invalid_value, missing_parameter
from rookery.api.handlers.cells import Placing
from rookery.api.handlers.elastic_ip_associations import bound_to
from rookery.api.handlers.nat_gateway_state import ASSOCIATING, COUNTED
from rookery.api.handlers.public_pools import FreeAddresses
from rookery.api.operation import ApiError, Request, View
from rookery.api.zones import zone_named, zones
from rookery.intent.regional import BLOCK, zone_number
from rookery.model.objects import (
    CellAttachment,
    ElasticIp,
    NatAddress,
    NatGateway,
    NatZone,
    NetworkInterface,
    Shard,
    Subnet,
)

RESERVED = 4  # at the beginning of the block: the first is the router's, as in a subnet
NO_SUBNET = ""


class Joined(NamedTuple):
    """What one zone adds."""

    zone: NatZone
    interface: NetworkInterface
    addresses: tuple[NatAddress, ...]
    elastic_ips: tuple[ElasticIp, ...]  # associated
    shards: tuple[Shard, ...]  # see Place


def joined(
    request: Request,
    view: View,
    gateway: NatGateway,
    zone: str,
    elastic_ips: Sequence[ElasticIp],
    *,
    placing: Placing,
    taken: Collection[str] = (),
) -> Joined:
    """`taken`: private addresses that the request has given already. Raises NotAvailableInZone, InsufficientCapacity."""
    place = placing.place(zone)
    interface_id = request.ids.new(NetworkInterface.PREFIX)
    private = free_private_addresses(view, len(elastic_ips), seed=interface_id, taken=taken)
    interface = NetworkInterface(
        account=request.account,
        region=request.region,
        id=interface_id,
        created=request.now,
        vpc_id=gateway.vpc_id,
        subnet_id=NO_SUBNET,
        zone=zone,
        mac=request.ids.mac(),
        addresses=tuple(private),
        description=f"Interface for NAT Gateway {gateway.id} in {zone}",
        source_dest_check=False,
        interface_type="nat_gateway",
        cell_attachment=CellAttachment(cell=place.cell.name, of=gateway.id),
    )
    addresses = zone_addresses(request, zone, private, elastic_ips)
    return Joined(
        zone=NatZone(zone=zone, interface_id=interface_id),
        interface=interface,
        addresses=addresses,
        elastic_ips=tuple(bound_to(elastic_ips, addresses, interface_id)),
        shards=place.shards,
    )


def zone_addresses(
    request: Request, zone: str, private: Sequence[str], elastic_ips: Sequence[ElasticIp]
) -> tuple[NatAddress, ...]:
    """Not in effect yet."""
    return tuple(
        NatAddress(
            private_address=one,
            allocation_id=elastic_ip.id,
            association_id=request.ids.new("eipassoc"),
            public_address=elastic_ip.address,
            status=ASSOCIATING,
            zone=zone,
        )
        for one, elastic_ip in zip(private, elastic_ips, strict=True)
    )


def free_private_addresses(view: View, count: int, seed: str, taken: Collection[str] = ()) -> list[str]:
    """Of the block of all of the account's regional gateways, drawn at random as a subnet's are. Raises InsufficientCapacity."""
    block, held, chance = IPv4Network(BLOCK), view.held_addresses(NO_SUBNET), random.Random(seed)
    drawn: list[str] = []
    if len(held) + count > block.num_addresses // 2:  # so that luck finds one
        raise ApiError("InsufficientCapacity", "There are not enough private addresses for another NAT gateway.", status=500)
    while len(drawn) < count:
        one = str(block[chance.randrange(RESERVED, block.num_addresses - 1)])
        if not any(one in each for each in (held, taken, drawn)):
            drawn.append(one)
    return drawn


def allocated(request: Request, view: View, gateway_id: str, free: FreeAddresses, before: int = 0) -> ElasticIp:
    """An Elastic IP that the region allocates for a gateway: it counts as its owner's do, for the pool is everybody's. `before`: how many
    the request has allocated. Raises AddressLimitExceeded, InsufficientAddressCapacity."""
    if len(view.all(ElasticIp)) + before >= request.quotas.elastic_ips:
        raise ApiError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
    new_id = request.ids.new(ElasticIp.PREFIX)
    return ElasticIp(
        account=request.account,
        region=request.region,
        id=new_id,
        created=request.now,
        address=free.draw_one(new_id),
        managed_by=gateway_id,
    )


def present_zones(view: View, vpc_id: str) -> set[str]:
    """Where the VPC has network interfaces."""
    return {one.zone for one in view.in_vpc(NetworkInterface, vpc_id) if one.subnet_id}


def placing_of(request: Request, view: View) -> Placing:
    return Placing(request, view, "The NAT gateway")


def is_served(view: View, zone: str) -> bool:
    """Whether a cell of Hyperplane serves the zone."""
    return any(zone_number(zone) in cell.zones for cell in view.cells())


def asked_zone(request: Request, view: View, given: Mapping[str, Any]) -> str:
    """`AvailabilityZone` or `AvailabilityZoneId`. Raises MissingParameter, InvalidParameterCombination, InvalidParameterValue."""
    name, by_id = given.get("AvailabilityZone"), given.get("AvailabilityZoneId")
    if name and by_id:
        raise invalid_combination("AvailabilityZone and AvailabilityZoneId cannot be used together")
    if by_id:
        found = next((one.name for one in zones(request, view) if one.id == by_id), None)
        if found is None:
            raise invalid_value("availabilityZoneId", by_id, "There is no such availability zone.")
        return found
    if not name:
        raise missing_parameter("AvailabilityZone")
    return zone_named(request, view, name).name


def check_gateway_quota(request: Request, view: View, zone: str) -> None:
    """Of zonal ones in the zone's subnets, and of regional ones that are in the zone. Raises NatGatewayLimitExceeded."""
    most = request.quotas.nat_gateways
    subnets = {one.id for one in view.all(Subnet) if one.zone == zone}
    counted = [one for one in view.all(NatGateway) if one.state in COUNTED and _is_in(one, zone, subnets)]
    if len(counted) >= most:
        why = f"Performing this operation would exceed the limit of {most} NAT gateways"
        raise ApiError("NatGatewayLimitExceeded", why)


def _is_in(gateway: NatGateway, zone: str, subnets: Collection[str]) -> bool:
    return gateway.subnet_id in subnets or any(one.zone == zone for one in gateway.zones)


def check_zone_count(request: Request, count: int) -> None:
    """Of a regional gateway's addresses in one zone. Raises AddressLimitExceeded."""
    most = request.quotas.nat_zone_elastic_ips
    if count > most:
        why = f"A regional NAT gateway may not have more than {most} Elastic IP addresses in one availability zone."
        raise ApiError("AddressLimitExceeded", why)
