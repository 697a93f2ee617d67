"""AssignPrivateIpAddresses, UnassignPrivateIpAddresses: secondary addresses come, move and go at run time."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from rookery.api.errors import invalid_combination, invalid_parameter, missing_parameter
from rookery.api.handlers.addresses import SubnetAddresses, parse_address
from rookery.api.handlers.instance_type_catalogue import CATALOGUE, MOST_ADDRESSES
from rookery.api.handlers.network_interfaces import too_many_addresses
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import Instance, NetworkInterface, Subnet


@operation("AssignPrivateIpAddresses")
def assign_private_ip_addresses(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    honour_only(
        parameters,
        {"NetworkInterfaceId", "PrivateIpAddresses", "SecondaryPrivateIpAddressCount", "AllowReassignment"},
        {"Ipv4PrefixCount": (0,)},
    )
    found = find(view, NetworkInterface, parameters["NetworkInterfaceId"])
    listed = parameters.get("PrivateIpAddresses") or []
    count = checked_count(listed, parameters.get("SecondaryPrivateIpAddressCount"))
    addresses = SubnetAddresses(find(view, Subnet, found.subnet_id), view.held_addresses(found.subnet_id))
    if listed:
        wanted = {addresses.check(address): None for address in listed}
        return assign_these(view, found, addresses, list(wanted), bool(parameters.get("AllowReassignment")))
    check_limit(view, found, count)
    drawn = addresses.draw(count, seed=f"{found.id} {request.now}")
    return assigned(replace(found, addresses=(*found.addresses, *drawn)), drawn, ())


def checked_count(listed: list[str], count: int | None) -> int:
    """0 when addresses are listed. Raises unless exactly one of the two is given."""
    if listed and count is not None:
        raise invalid_combination(
            "Only one of PrivateIpAddresses and SecondaryPrivateIpAddressCount may be specified"
        )
    if listed:
        return 0
    if count is None:
        raise missing_parameter("PrivateIpAddresses or SecondaryPrivateIpAddressCount")
    if count < 1:
        raise invalid_parameter("SecondaryPrivateIpAddressCount must be at least 1")
    return count


def check_limit(view: View, found: NetworkInterface, more: int) -> None:
    limit = address_limit(view, found)
    if len(found.addresses) + more > limit:
        raise too_many_addresses(limit)


def address_limit(view: View, found: NetworkInterface) -> int:
    """Of the type of the instance that holds it."""
    if not found.attachment:
        return MOST_ADDRESSES
    return CATALOGUE[find(view, Instance, found.attachment.instance_id).instance_type].addresses


def assign_these(
    view: View, found: NetworkInterface, addresses: SubnetAddresses, wanted: list[str], may_move: bool
) -> Outcome:
    """An address that another interface of the subnet holds moves only when allowed; its primary never."""
    new = [address for address in wanted if addresses.holder(address) != found.id]
    check_limit(view, found, len(new))
    losers: dict[str, NetworkInterface] = {}
    for address in new:
        holder_id = addresses.holder(address)
        if holder_id is None:
            continue
        holder = losers.get(holder_id) or find(view, NetworkInterface, holder_id)
        if not may_move or address == holder.primary:
            raise ApiError(
                "Resource.AlreadyAssigned", f"The address {address} is already assigned to {holder.id}."
            )
        losers[holder_id] = without(holder, [address])
    return assigned(replace(found, addresses=(*found.addresses, *new)), new, losers.values())


def assigned(gainer: NetworkInterface, addresses: list[str], losers: Iterable[NetworkInterface]) -> Outcome:
    return Outcome(
        result={
            "NetworkInterfaceId": gainer.id,
            "AssignedPrivateIpAddresses": [{"PrivateIpAddress": address} for address in addresses],
        },
        puts=(gainer, *losers) if addresses else (),
    )


def without(found: NetworkInterface, addresses: Iterable[str]) -> NetworkInterface:
    gone = set(addresses)
    return replace(found, addresses=tuple(address for address in found.addresses if address not in gone))


@operation("UnassignPrivateIpAddresses")
def unassign_private_ip_addresses(request: Request, view: View) -> Outcome:
    parameters = request.parameters
    honour_only(parameters, {"NetworkInterfaceId", "PrivateIpAddresses"})
    found = find(view, NetworkInterface, parameters["NetworkInterfaceId"])
    unwanted = [str(parse_address(address)) for address in parameters.get("PrivateIpAddresses") or []]
    if not unwanted:
        raise missing_parameter("PrivateIpAddresses")
    foreign = [address for address in unwanted if address not in found.addresses[1:]]
    if foreign:
        raise invalid_parameter(
            f"Some of the specified addresses are not assigned to interface {found.id} as secondary ones: {', '.join(foreign)}"
        )
    return Outcome(puts=(without(found, unwanted),))
