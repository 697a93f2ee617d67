"""CreateNatGateway for regional ones: in a VPC, in no subnet, with a route table of their own (VPC guide, "Regional NAT gateways").

Zones are named with their Elastic IPs, and remain what their owner says; or the gateway follows the VPC's network interfaces, with Elastic
IPs that the region allocates for it (regional_nat_zones)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from rookery.api.errors import missing_parameter
from rookery.api.handlers.nat_gateway_state import FAILED
from rookery.api.handlers.nat_gateway_wishes import PRIVATE, chosen_elastic_ips, invalid_parameter_of
from rookery.api.handlers.nat_gateway_zones import (
    Joined,
    allocated,
    asked_zone,
    check_gateway_quota,
    check_zone_count,
    is_served,
    joined,
    placing_of,
    present_zones,
)
from rookery.api.handlers.public_pools import free_addresses
from rookery.api.handlers.route_tables import check_route_table_quota
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.handlers.vpc_gateways import internet_gateway_of
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View
from rookery.api.tags import tags_for
from rookery.model.objects import (
    ElasticIp,
    InternetGateway,
    NatAddress,
    NatGateway,
    Resource,
    Route,
    RouteTable,
    Shard,
    Subnet,
    Vpc,
)

REGIONAL = "regional"
ONLY_ZONAL = (
    "SubnetId",
    "AllocationId",
    "PrivateIpAddress",
    "SecondaryAllocationIds",
    "SecondaryPrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
)
ONLY_REGIONAL = ("VpcId", "AvailabilityZoneAddresses")

ZoneWishes = dict[str, list[ElasticIp]]  # by zone


class Made(NamedTuple):
    gateway: NatGateway  # pending, or failed
    outcome: Outcome  # without a result


def make_regional(request: Request, view: View) -> Made:
    """Raises ApiError where nothing can be meant; what AWS finds out later is a failed gateway."""
    parameters = request.parameters
    _check(parameters)
    vpc = find(view, Vpc, parameters["VpcId"])
    named = _named_zones(request, view, parameters.get("AvailabilityZoneAddresses") or [])
    zones = list(named) or _first_zones(request, view, vpc.id)
    for zone in zones:
        check_gateway_quota(request, view, zone)
    check_route_table_quota(request, view, vpc.id)
    asked = NatGateway(
        account=request.account,
        region=request.region,
        id=request.ids.new(NatGateway.PREFIX),
        created=request.now,
        tags=tags_for(request, "natgateway"),
        vpc_id=vpc.id,
        automatic=not named,
    )
    gateway = internet_gateway_of(view, vpc.id)
    if gateway is None:
        why = f"Network {vpc.id} has no Internet gateway attached"
        return _failed(request, asked, named, ApiError("Gateway.NotAttached", why))
    busy = next((one for each in named.values() for one in each if one.association_id), None)
    if busy is not None:
        why = f"Elastic IP address {busy.id} is already associated"
        return _failed(request, asked, named, ApiError("Resource.AlreadyAssociated", why))
    try:
        wanted = named or _allocated_for(request, view, asked, zones)
    except ApiError as error:
        return _failed(request, asked, named, error)
    return _made(request, view, asked, gateway, wanted)


def _check(parameters: Mapping[str, Any]) -> None:
    """Raises UnsupportedOperation, InvalidParameter, MissingParameter."""
    honour_only(
        parameters,
        {"VpcId", "AvailabilityZoneAddresses", "ConnectivityType", "TagSpecifications", "AvailabilityMode", *ONLY_ZONAL},
    )
    given = next((name for name in ONLY_ZONAL if parameters.get(name)), "")
    if given:
        raise invalid_parameter_of(f"{given} cannot be specified for a regional NAT gateway")
    if parameters.get("ConnectivityType") == PRIVATE:
        raise invalid_parameter_of("A regional NAT gateway cannot be private")
    if not parameters.get("VpcId"):
        raise missing_parameter("VpcId")


def _named_zones(request: Request, view: View, named: Sequence[Mapping[str, Any]]) -> ZoneWishes:
    """Raises MissingParameter, InvalidParameterValue, InvalidParameter, InvalidAllocationID.NotFound, AddressLimitExceeded,
    NotAvailableInZone."""
    found: ZoneWishes = {}
    for one in named:
        zone, allocations = asked_zone(request, view, one), one.get("AllocationIds") or []
        if zone in found:
            raise invalid_parameter_of(f"The availability zone {zone} is named twice")
        if not allocations:
            raise missing_parameter("AllocationIds")
        check_zone_count(request, len(allocations))
        placing_of(request, view).place(zone)  # or says why not
        found[zone] = chosen_elastic_ips(view, allocations, ())
    ids = [one.id for each in found.values() for one in each]
    if len(set(ids)) < len(ids):
        raise invalid_parameter_of("An Elastic IP address cannot be associated twice")
    return found


def _first_zones(request: Request, view: View, vpc_id: str) -> list[str]:
    """In which an automatic one begins: those with network interfaces; there are none yet: that of the first subnet."""
    present = sorted(present_zones(view, vpc_id)) or [one.zone for one in view.in_vpc(Subnet, vpc_id)][:1]
    served = [zone for zone in present if is_served(view, zone)]
    if present and not served:
        placing_of(request, view).place(present[0])  # says why not
    return served


def _allocated_for(request: Request, view: View, asked: NatGateway, zones: Iterable[str]) -> ZoneWishes:
    """As many zones as there are addresses for: the others are served across zones. Raises AddressLimitExceeded,
    InsufficientAddressCapacity: there is none at all."""
    free, found = free_addresses(view), ZoneWishes()
    for zone in zones:
        try:
            found[zone] = [allocated(request, view, asked.id, free, before=len(found))]
        except ApiError:
            if not found:
                raise
            break
    return found


def _failed(request: Request, asked: NatGateway, named: ZoneWishes, why: ApiError) -> Made:
    addresses = tuple(
        NatAddress(allocation_id=one.id, public_address=one.address, status=FAILED, zone=zone)
        for zone, elastic_ips in named.items()
        for one in elastic_ips
    )
    failed = replace(
        asked, state=FAILED, addresses=addresses, failure_code=why.code, failure_message=why.message, ended=request.now
    )
    return Made(failed, Outcome(puts=(failed,)))


def _made(request: Request, view: View, asked: NatGateway, out: InternetGateway, wanted: ZoneWishes) -> Made:
    table = RouteTable(
        account=request.account,
        region=request.region,
        id=request.ids.new(RouteTable.PREFIX),
        created=request.now,
        vpc_id=asked.vpc_id,
        routes=(Route("0.0.0.0/0", out.id),),
    )
    parts: list[Joined] = []
    placing = placing_of(request, view)
    for zone, elastic_ips in wanted.items():
        taken = {address for part in parts for address in part.interface.addresses}
        parts.append(joined(request, view, asked, zone, elastic_ips, placing=placing, taken=taken))
    made = replace(
        asked,
        route_table_id=table.id,
        zones=tuple(part.zone for part in parts),
        addresses=tuple(address for part in parts for address in part.addresses),
    )
    puts: list[Resource] = [made, table]
    for part in parts:
        puts += [part.interface, *part.elastic_ips]
    return Made(made, Outcome(puts=tuple(puts), shards=_once(parts)))


def _once(parts: Iterable[Joined]) -> tuple[Shard, ...]:
    """Zones of one cell ask for the same shard."""
    return tuple({shard.cell: shard for part in parts for shard in part.shards}.values())
