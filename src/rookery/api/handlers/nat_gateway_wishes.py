"""What CreateNatGateway asks for: the addresses of a gateway, inside and outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rookery.api.errors import invalid_combination, missing_parameter
from rookery.api.handlers.addresses import SubnetAddresses
from rookery.api.handlers.network_interfaces import too_many_addresses
from rookery.api.lookup import find, find_all
from rookery.api.operation import ApiError, Request, View
from rookery.api.quotas import Quotas
from rookery.model.objects import ElasticIp

PUBLIC, PRIVATE = "public", "private"
ONLY_PUBLIC = ("AllocationId", "SecondaryAllocationIds")


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    connectivity: str
    elastic_ips: tuple[ElasticIp, ...] = ()  # the primary one first; none of a private gateway
    primary: str = ""  # empty: any
    secondaries: tuple[str, ...] = ()
    more: int = 0  # secondary ones that nobody chose

    @property
    def is_public(self) -> bool:
        return self.connectivity == PUBLIC

    @property
    def chosen(self) -> tuple[str, ...]:
        return (self.primary, *self.secondaries) if self.primary else self.secondaries

    @property
    def count(self) -> int:
        """Of private addresses."""
        return 1 + len(self.secondaries) + self.more

    def allocate(self, addresses: SubnetAddresses, seed: str) -> tuple[str, ...]:
        """Private addresses, the primary one first. Raises InvalidParameterValue, InvalidIPAddress.InUse,
        InsufficientFreeAddressesInSubnet."""
        taken = {one: addresses.take(one) for one in self.chosen}
        drawn = addresses.draw(self.count - len(taken), seed)
        first = taken[self.primary] if self.primary else drawn.pop(0)
        return (first, *(taken[one] for one in self.secondaries), *drawn)


def wishes_of(request: Request, view: View) -> Wishes:
    """Raises MissingParameter, InvalidParameter, InvalidParameterCombination, InvalidAllocationID.NotFound,
    AddressLimitExceeded, PrivateIpAddressLimitExceeded."""
    parameters = request.parameters
    wishes = _public(parameters, view) if _connectivity(parameters) == PUBLIC else _private(parameters)
    if len(set(wishes.chosen)) < len(wishes.chosen):
        raise invalid_parameter_of("The private IP addresses of a NAT gateway must differ")
    check_count(wishes.is_public, wishes.count, request.quotas)
    return wishes


def _connectivity(parameters: Mapping[str, Any]) -> str:
    return parameters.get("ConnectivityType") or PUBLIC


def _public(parameters: Mapping[str, Any], view: View) -> Wishes:
    if not parameters.get("AllocationId"):
        raise missing_parameter("AllocationId")
    if parameters.get("SecondaryPrivateIpAddressCount"):
        raise invalid_parameter_of("SecondaryPrivateIpAddressCount is for private NAT gateways only")
    named = parameters.get("SecondaryAllocationIds") or []
    private = tuple(parameters.get("SecondaryPrivateIpAddresses") or ())
    return Wishes(
        connectivity=PUBLIC,
        elastic_ips=(
            find(view, ElasticIp, parameters["AllocationId"]),
            *chosen_elastic_ips(view, named, private, besides=parameters["AllocationId"]),
        ),
        primary=parameters.get("PrivateIpAddress") or "",
        secondaries=private,
        more=0 if private else len(named),
    )


def chosen_elastic_ips(
    view: View, named: Sequence[str], private: Sequence[str], besides: str = ""
) -> list[ElasticIp]:
    """`private`: which private address each shall stand for, where that is said. `besides`: one that is taken already. Raises
    InvalidParameter, InvalidAllocationID.NotFound."""
    found = find_all(view, ElasticIp, named)
    if len(found) < len(named) or besides in named:
        raise invalid_parameter_of("An Elastic IP address cannot be associated twice")
    if private and len(private) != len(found):
        raise invalid_parameter_of(
            "There must be as many private IP addresses as Elastic IP addresses, or none"
        )
    return found


def _private(parameters: Mapping[str, Any]) -> Wishes:
    given = [name for name in ONLY_PUBLIC if parameters.get(name)]
    if given:
        raise invalid_parameter_of(f"{given[0]} cannot be specified for a private NAT gateway")
    secondaries = tuple(parameters.get("SecondaryPrivateIpAddresses") or ())
    more = parameters.get("SecondaryPrivateIpAddressCount") or 0
    if secondaries and more:
        raise invalid_combination(
            "Only one of SecondaryPrivateIpAddresses, SecondaryPrivateIpAddressCount may be specified"
        )
    return Wishes(
        connectivity=PRIVATE,
        primary=parameters.get("PrivateIpAddress") or "",
        secondaries=secondaries,
        more=more,
    )


def check_count(is_public: bool, count: int, quotas: Quotas) -> None:
    """Of all addresses of one gateway. Raises AddressLimitExceeded, PrivateIpAddressLimitExceeded."""
    if is_public and count > quotas.nat_elastic_ips:
        why = f"A NAT gateway may not have more than {quotas.nat_elastic_ips} Elastic IP addresses."
        raise ApiError("AddressLimitExceeded", why)
    if count > quotas.nat_private_addresses:
        raise too_many_addresses(quotas.nat_private_addresses)


def invalid_parameter_of(message: str) -> ApiError:
    """What AWS says of NAT gateways, where it says InvalidParameterValue of others."""
    return ApiError("InvalidParameter", message)
