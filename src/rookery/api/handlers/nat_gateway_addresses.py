"""Secondary addresses of NAT gateways come and go at run time: Elastic IPs of public ones, private addresses of private ones.

What goes takes no new flows from now on, and is there for those that it has until its time is over (nat_gateway_state). One change
after the other, as at AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import check_id, invalid_combination, missing_parameter, not_found
from rookery.api.handlers.addresses import SubnetAddresses, addresses_of, parse_address
from rookery.api.handlers.elastic_ip_associations import bound_to
from rookery.api.handlers.nat_gateway_shape import address_shapes
from rookery.api.handlers.nat_gateway_state import AVAILABLE, DISASSOCIATING, SUCCEEDED, UNASSIGNING
from rookery.api.handlers.nat_gateway_wishes import (
    PRIVATE,
    PUBLIC,
    check_count,
    chosen_elastic_ips,
    invalid_parameter_of,
)
from rookery.api.handlers.nat_gateway_zones import (
    asked_zone,
    check_gateway_quota,
    check_zone_count,
    free_private_addresses,
    joined,
    placing_of,
    zone_addresses,
)
from rookery.api.handlers.nat_gateways import new_addresses
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import ElasticIp, NatAddress, NatGateway, NetworkInterface, Shard, Subnet

ZONES = ("AvailabilityZone", "AvailabilityZoneId")
DRAIN_SECONDS = 350  # AWS's default; its model allows 1 to 4000


@operation("AssociateNatGatewayAddress")
def associate_nat_gateway_address(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"NatGatewayId", "AllocationIds", "PrivateIpAddresses", *ZONES})
    found = _changeable(request, view, PUBLIC)
    _check_mode(request, found)
    wanted = [str(parse_address(one)) for one in request.parameters.get("PrivateIpAddresses") or []]
    elastic_ips = chosen_elastic_ips(view, request.parameters["AllocationIds"], wanted)
    if not elastic_ips:
        raise missing_parameter("AllocationIds")
    busy = next((one for one in elastic_ips if one.association_id), None)
    if busy is not None:
        why = f"Elastic IP address {busy.id} is already associated"
        raise ApiError("Resource.AlreadyAssociated", why)
    if found.is_regional:
        return _grown_in_zone(request, view, found, elastic_ips)
    return _grown(request, view, found, wanted=wanted, count=len(elastic_ips), elastic_ips=elastic_ips)


@operation("AssignPrivateNatGatewayAddress")
def assign_private_nat_gateway_address(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"NatGatewayId", "PrivateIpAddresses", "PrivateIpAddressCount"})
    found = _changeable(request, view, PRIVATE)
    wanted = [str(parse_address(one)) for one in request.parameters.get("PrivateIpAddresses") or []]
    count = request.parameters.get("PrivateIpAddressCount") or 0
    if wanted and count:
        raise invalid_combination("Only one of PrivateIpAddresses, PrivateIpAddressCount may be specified")
    if not wanted and not count:
        raise missing_parameter("PrivateIpAddresses or PrivateIpAddressCount")
    return _grown(request, view, found, wanted=wanted, count=count or len(wanted))


def _changeable(request: Request, view: View, connectivity: str) -> NatGateway:
    """Raises NatGatewayNotFound, InvalidParameter, IncorrectState, OperationInProgress."""
    found = find(view, NatGateway, request.parameters["NatGatewayId"])
    if found.connectivity != connectivity:
        raise invalid_parameter_of(f"{request.operation} is for {connectivity} NAT gateways, not for {found.id}")
    if found.state != AVAILABLE:
        raise ApiError("IncorrectState", f"The NAT gateway {found.id} is {found.state}, not 'available'.")
    changing = [one for one in found.addresses if one.status != SUCCEEDED]
    if changing:
        names = ", ".join(one.allocation_id or one.private_address for one in changing)
        what = "EIPs" if connectivity == PUBLIC else "private IPs"
        why = f"Service is currently {changing[0].status.upper()} the following {what}: [{names}]."
        raise ApiError("OperationInProgress", why)
    return found


def _check_mode(request: Request, found: NatGateway) -> None:
    """Raises InvalidParameter."""
    if found.is_regional and found.automatic:
        raise invalid_parameter_of(f"The NAT gateway {found.id} is in the automatic mode: its addresses come and go by themselves")
    unfit = ("PrivateIpAddresses",) if found.is_regional else ZONES
    given = next((name for name in unfit if request.parameters.get(name)), "")
    if given:
        kind = "regional" if found.is_regional else "zonal"
        raise invalid_parameter_of(f"{given} cannot be specified for the {kind} NAT gateway {found.id}")


def _grown_in_zone(request: Request, view: View, found: NatGateway, elastic_ips: Sequence[ElasticIp]) -> Outcome:
    """Where it has been before, or in another zone, which it serves from then on."""
    zone = asked_zone(request, view, request.parameters)
    held = next((one for one in found.zones if one.zone == zone), None)
    check_zone_count(request, sum(one.zone == zone for one in found.addresses) + len(elastic_ips))
    if held is None:
        check_gateway_quota(request, view, zone)
        part = joined(request, view, found, zone, elastic_ips, placing=placing_of(request, view))
        grown = replace(found, zones=(*found.zones, part.zone), addresses=(*found.addresses, *part.addresses))
        return _answer(grown, part.addresses, puts=(part.interface, *part.elastic_ips), shards=part.shards)
    interface = find(view, NetworkInterface, held.interface_id)
    private = free_private_addresses(view, len(elastic_ips), seed=f"{interface.id} {request.now}")
    new = zone_addresses(request, zone, private, elastic_ips)
    return _answer(
        replace(found, addresses=(*found.addresses, *new)),
        new,
        puts=(
            replace(interface, addresses=(*interface.addresses, *private)),
            *bound_to(elastic_ips, new, interface.id),
        ),
    )


def _grown(
    request: Request,
    view: View,
    found: NatGateway,
    *,
    wanted: Sequence[str],
    count: int,
    elastic_ips: Sequence[ElasticIp] = (),
) -> Outcome:
    check_count(found.connectivity == PUBLIC, len(found.addresses) + count, request.quotas)
    interface = find(view, NetworkInterface, found.interface_id)
    pool = addresses_of(view, find(view, Subnet, found.subnet_id))
    private = _taken(pool, wanted, count, seed=f"{interface.id} {request.now}")
    new = new_addresses(request, private, elastic_ips)
    bound = bound_to(elastic_ips, new, interface.id)
    return _answer(
        replace(found, addresses=(*found.addresses, *new)),
        new,
        puts=(replace(interface, addresses=(*interface.addresses, *private)), *bound),
    )


def _taken(pool: SubnetAddresses, wanted: Sequence[str], count: int, seed: str) -> list[str]:
    return [pool.take(one) for one in wanted] or pool.draw(count, seed)


@operation("DisassociateNatGatewayAddress")
def disassociate_nat_gateway_address(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"NatGatewayId", "AssociationIds", "MaxDrainDurationSeconds"})
    for one in request.parameters["AssociationIds"]:
        check_id("eipassoc", one)
    found = _changeable(request, view, PUBLIC)
    _check_mode(request, found)
    wanted = set(request.parameters["AssociationIds"])
    unknown = sorted(wanted - {one.association_id for one in found.addresses})
    if unknown:
        raise not_found("eipassoc", *unknown)
    return _draining(request, found, wanted, lambda one: one.association_id, DISASSOCIATING)


@operation("UnassignPrivateNatGatewayAddress")
def unassign_private_nat_gateway_address(request: Request, view: View) -> Outcome:
    honour_only(request.parameters, {"NatGatewayId", "PrivateIpAddresses", "MaxDrainDurationSeconds"})
    wanted = {str(parse_address(one)) for one in request.parameters["PrivateIpAddresses"]}
    found = _changeable(request, view, PRIVATE)
    unknown = sorted(wanted - {one.private_address for one in found.addresses})
    if unknown:
        raise invalid_parameter_of(f"{', '.join(unknown)}: not assigned to the NAT gateway {found.id}")
    return _draining(request, found, wanted, lambda one: one.private_address, UNASSIGNING)


def _draining(
    request: Request,
    found: NatGateway,
    wanted: Collection[str],
    name: Callable[[NatAddress], str],
    status: str,
) -> Outcome:
    if not wanted:
        raise missing_parameter("AssociationIds" if status == DISASSOCIATING else "PrivateIpAddresses")
    if any(one.is_primary and name(one) in wanted for one in found.addresses):
        raise invalid_parameter_of(f"The primary IP address of the NAT gateway {found.id} cannot be removed")
    if all(name(one) in wanted for one in found.addresses):
        raise invalid_parameter_of(f"The last IP address of the NAT gateway {found.id} cannot be removed")
    until = request.now + (request.parameters.get("MaxDrainDurationSeconds") or DRAIN_SECONDS)
    after = tuple(
        replace(one, status=status, drain_until=until) if name(one) in wanted else one
        for one in found.addresses
    )
    return _answer(replace(found, addresses=after), [one for one in after if name(one) in wanted])


def _answer(
    after: NatGateway, changed: Sequence[NatAddress], puts: tuple[Any, ...] = (), shards: tuple[Shard, ...] = ()
) -> Outcome:
    """`NatGatewayAddresses`: those that the request was about."""
    return Outcome(
        result={"NatGatewayId": after.id, "NatGatewayAddresses": address_shapes(after, changed)},
        puts=(after, *puts),
        shards=shards,
    )
