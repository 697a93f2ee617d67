"""AssignPrivateIpAddresses, UnassignPrivateIpAddresses: secondary addresses and prefixes come, move and go at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import invalid_combination, invalid_parameter, missing_parameter
from rookery.api.handlers.addresses import SubnetAddresses, addresses_of, parse_address
from rookery.api.handlers.delegated_prefixes import parse_prefix
from rookery.api.handlers.elastic_ip_associations import disassociated_from, moved_along
from rookery.api.handlers.instance_type_catalogue import CATALOGUE, MOST_ADDRESSES
from rookery.api.handlers.managed_interfaces import check_own, is_managed
from rookery.api.handlers.network_interfaces import too_many_addresses
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.held import ipv4_units
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import Instance, NetworkInterface, Resource, Subnet

WAYS = ("PrivateIpAddresses", "SecondaryPrivateIpAddressCount", "Ipv4Prefixes", "Ipv4PrefixCount")


@operation("AssignPrivateIpAddresses")
def assign_private_ip_addresses(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    honour_only(parameters, {"NetworkInterfaceId", "AllowReassignment", *WAYS})
    found = check_own(find(view, NetworkInterface, parameters["NetworkInterfaceId"]))
    way = only_way(parameters, WAYS)
    addresses = addresses_of(view, find(view, Subnet, found.subnet_id))
    if way == "PrivateIpAddresses":
        wanted = {addresses.check(address): None for address in parameters[way]}
        return assign_these(view, found, addresses, list(wanted), bool(parameters.get("AllowReassignment")))
    more = parameters[way] if way.endswith("Count") else len(parameters[way])
    check_limit(view, found, ipv4_units(found) + more)
    seed = f"{found.id} {request.now}"
    if way == "SecondaryPrivateIpAddressCount":
        drawn = addresses.draw(more, seed)
        return assigned(replace(found, addresses=(*found.addresses, *drawn)), drawn, ())
    prefixes = (
        addresses.prefixes.draw(more, 4, seed)
        if way == "Ipv4PrefixCount"
        else [addresses.prefixes.take(prefix, 4) for prefix in parameters[way]]
    )
    return delegated(replace(found, prefixes=(*found.prefixes, *prefixes)), prefixes)


def only_way(parameters: Mapping[str, Any], ways: Sequence[str]) -> str:
    """Which of the parameters says what is asked for. Raises unless exactly one does; a count is at least 1, though none of
    a thing is no way of asking for it."""
    lists = [name for name in ways if not name.endswith("Count") and parameters.get(name)]
    counts = {name: parameters[name] for name in ways if name.endswith("Count") and name in parameters}
    wrong = [name for name, count in counts.items() if count < 0 or (count == 0 and len(counts) == 1)]
    if wrong and not lists:
        raise invalid_parameter(f"{wrong[0]} must be at least 1")
    given = [*lists, *(name for name, count in counts.items() if count)]
    if not given:
        raise missing_parameter(" or ".join(ways))
    if len(given) > 1:
        raise invalid_combination(f"Only one of {', '.join(given)} may be specified")
    return given[0]


def check_limit(view: View, found: NetworkInterface, wanted: int) -> None:
    limit = address_limit(view, found)
    if wanted > limit:
        raise too_many_addresses(limit)


def address_limit(view: View, found: NetworkInterface) -> int:
    """Of the type of the instance that holds it; each family has it for itself."""
    if not found.attachment:
        return MOST_ADDRESSES
    return CATALOGUE[find(view, Instance, found.attachment.instance_id).instance_type].addresses


def assign_these(
    view: View, found: NetworkInterface, addresses: SubnetAddresses, wanted: list[str], may_move: bool
) -> Outcome:
    """An address that another interface of the subnet holds moves only when allowed; its primary never, nor one of a
    delegated prefix. Its Elastic IP goes with it."""
    new = [address for address in wanted if addresses.holder(address) != found.id]
    check_limit(view, found, ipv4_units(found) + len(new))
    losers: dict[str, NetworkInterface] = {}
    for address in new:
        if addresses.is_delegated(address):
            raise ApiError(
                "Resource.AlreadyAssigned", f"The address {address} is part of a delegated prefix."
            )
        holder_id = addresses.holder(address)
        if holder_id is None:
            continue
        holder = losers.get(holder_id) or find(view, NetworkInterface, holder_id)
        if not may_move or address == holder.primary or is_managed(holder):
            raise ApiError(
                "Resource.AlreadyAssigned", f"The address {address} is already assigned to {holder.id}."
            )
        losers[holder_id] = without(holder, [address])
    elastic_ips = moved_along(view, losers.values(), found, new)
    gainer = replace(found, addresses=(*found.addresses, *new))
    return assigned(gainer, new, (*losers.values(), *elastic_ips))


def assigned(gainer: NetworkInterface, addresses: list[str], others: Iterable[Resource]) -> Outcome:
    """`others`: what changes beside the interface that gets the addresses."""
    return Outcome(
        result={
            "NetworkInterfaceId": gainer.id,
            "AssignedPrivateIpAddresses": [{"PrivateIpAddress": address} for address in addresses],
        },
        puts=(gainer, *others) if addresses else (),
    )


def delegated(gainer: NetworkInterface, prefixes: list[str]) -> Outcome:
    shapes = [{"Ipv4Prefix": prefix} for prefix in prefixes]
    return Outcome(result={"NetworkInterfaceId": gainer.id, "AssignedIpv4Prefixes": shapes}, puts=(gainer,))


def without(found: NetworkInterface, addresses: Iterable[str]) -> NetworkInterface:
    gone = set(addresses)
    return replace(found, addresses=tuple(address for address in found.addresses if address not in gone))


@operation("UnassignPrivateIpAddresses")
def unassign_private_ip_addresses(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    honour_only(parameters, {"NetworkInterfaceId", "PrivateIpAddresses", "Ipv4Prefixes"})
    found = check_own(find(view, NetworkInterface, parameters["NetworkInterfaceId"]))
    unwanted = [str(parse_address(address)) for address in parameters.get("PrivateIpAddresses") or []]
    prefixes = [str(parse_prefix(prefix, 4)) for prefix in parameters.get("Ipv4Prefixes") or []]
    if not (unwanted or prefixes):
        raise missing_parameter("PrivateIpAddresses")
    foreign = [address for address in unwanted if address not in found.addresses[1:]]
    foreign += [prefix for prefix in prefixes if prefix not in found.prefixes]
    if foreign:
        raise invalid_parameter(
            f"Some of the specified addresses are not assigned to interface {found.id} as secondary ones: {', '.join(foreign)}"
        )
    changed = without_prefixes(without(found, unwanted), prefixes)
    return Outcome(puts=(changed, *disassociated_from(view, found, unwanted)))


def without_prefixes(found: NetworkInterface, prefixes: Sequence[str]) -> NetworkInterface:
    return replace(found, prefixes=tuple(one for one in found.prefixes if one not in prefixes))
