"""AssignIpv6Addresses, UnassignIpv6Addresses: addresses and prefixes of IPv6 come and go at run time. None of them moves."""

from __future__ import annotations

from msgspec.structs import replace

from rookery.api.errors import invalid_parameter, missing_parameter
from rookery.api.handlers.addresses import SubnetAddresses, addresses_of
from rookery.api.handlers.delegated_prefixes import parse_prefix
from rookery.api.handlers.interface_addresses import check_limit, only_way, without_prefixes
from rookery.api.handlers.ipv6_addresses import parse_ipv6_address
from rookery.api.handlers.managed_interfaces import check_own
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.held import ipv6_units
from rookery.api.lookup import find
from rookery.api.operation import Outcome, Request, View, operation
from rookery.model.objects import NetworkInterface, Subnet

WAYS = ("Ipv6Addresses", "Ipv6AddressCount", "Ipv6Prefixes", "Ipv6PrefixCount")


@operation("AssignIpv6Addresses")
def assign_ipv6_addresses(request: Request, view: View) -> Outcome:
    """What the interface has already may be asked for again."""
    parameters = request.parameters
    honour_only(parameters, {"NetworkInterfaceId", *WAYS})
    found = check_own(find(view, NetworkInterface, parameters["NetworkInterfaceId"]))
    way = only_way(parameters, WAYS)
    pool = addresses_of(view, find(view, Subnet, found.subnet_id))
    listed = _unheld(parameters[way], way, found, pool) if not way.endswith("Count") else []
    more = len(listed) if not way.endswith("Count") else parameters[way]
    check_limit(view, found, ipv6_units(found) + more)
    seed = f"{found.id} {request.now}"
    if way in ("Ipv6Addresses", "Ipv6AddressCount"):
        new = [pool.ipv6.take(one) for one in listed] or pool.ipv6.draw(more, seed)
        return _answer(found, replace(found, ipv6_addresses=(*found.ipv6_addresses, *new)), "Addresses", new)
    new = [pool.prefixes.take(one, 6) for one in listed] or pool.prefixes.draw(more, 6, seed)
    return _answer(found, replace(found, prefixes=(*found.prefixes, *new)), "Prefixes", new)


def _unheld(wanted: list[str], way: str, found: NetworkInterface, pool: SubnetAddresses) -> list[str]:
    """Canonical, each once, without what the interface has."""
    if way == "Ipv6Addresses":
        canonical = [pool.ipv6.check(one) for one in wanted]
        return [one for one in dict.fromkeys(canonical) if one not in found.ipv6_addresses]
    canonical = [str(parse_prefix(one, 6)) for one in wanted]
    return [one for one in dict.fromkeys(canonical) if one not in found.prefixes]


def _answer(before: NetworkInterface, after: NetworkInterface, what: str, new: list[str]) -> Outcome:
    result = {"NetworkInterfaceId": before.id, f"AssignedIpv6{what}": new}
    return Outcome(result=result, puts=(after,) if new else ())


@operation("UnassignIpv6Addresses")
def unassign_ipv6_addresses(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    honour_only(parameters, {"NetworkInterfaceId", "Ipv6Addresses", "Ipv6Prefixes"})
    found = check_own(find(view, NetworkInterface, parameters["NetworkInterfaceId"]))
    addresses = [str(parse_ipv6_address(one)) for one in parameters.get("Ipv6Addresses") or []]
    prefixes = [str(parse_prefix(one, 6)) for one in parameters.get("Ipv6Prefixes") or []]
    if not (addresses or prefixes):
        raise missing_parameter("Ipv6Addresses")
    _check_goes(found, addresses, prefixes)
    kept = tuple(one for one in found.ipv6_addresses if one not in addresses)
    return Outcome(
        result={
            "NetworkInterfaceId": found.id,
            "UnassignedIpv6Addresses": addresses,
            "UnassignedIpv6Prefixes": prefixes,
        },
        puts=(without_prefixes(replace(found, ipv6_addresses=kept), prefixes),),
    )


def _check_goes(found: NetworkInterface, addresses: list[str], prefixes: list[str]) -> None:
    foreign = [one for one in addresses if one not in found.ipv6_addresses]
    foreign += [one for one in prefixes if one not in found.prefixes]
    if foreign:
        raise invalid_parameter(
            f"Some of the specified addresses are not assigned to interface {found.id}: {', '.join(foreign)}"
        )
    if found.primary_ipv6 and found.ipv6_addresses[0] in addresses:
        raise invalid_parameter(f"The primary IPv6 address of {found.id} cannot be unassigned")
