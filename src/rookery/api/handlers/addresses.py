"""Which addresses of a subnet are free.

An address that nobody asked for by number is drawn at random (seeded by the interface, so that a handler stays a function of
its request). Not the lowest free: that one was most likely given back a moment ago, and packets and caches of its last
holder may still be about (docs/decisions/0004-address-reuse.md).
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator, Sequence

from rookery.api.blocks import is_ipv6
from rookery.api.cidr import RESERVED_FIRST, usable_addresses
from rookery.api.errors import invalid_parameter
from rookery.api.handlers.delegated_prefixes import SubnetPrefixes
from rookery.api.handlers.ipv6_addresses import SubnetIpv6
from rookery.api.held import Held, Holdings, prefix_around
from rookery.api.operation import ApiError, View
from rookery.model.objects import Subnet, SubnetCidrReservation

TRIES = 32  # at 95 % full, four in five draws succeed by luck alone


class SubnetAddresses:
    """The addresses of one subnet while one request runs: what is held, and what this request has taken so far.

    `ipv6` and `prefixes` look at the same holdings. Reserved blocks are never drawn from; what is reserved for prefixes is not
    given out by number either."""

    def __init__(self, subnet: Subnet, held: Held, reservations: Sequence[SubnetCidrReservation] = ()):
        network = ipaddress.IPv4Network(subnet.cidr)
        self._subnet = subnet
        self._network = network
        self._first = int(network.network_address) + RESERVED_FIRST
        self._size = max(usable_addresses(subnet.cidr), 0)
        self._reservations = [one for one in reservations if not is_ipv6(one.cidr)]
        self._reserved = [self._offsets(one.cidr) for one in self._reservations]
        self._holdings = Holdings(held)
        self.ipv6 = SubnetIpv6(subnet, self._holdings, [one for one in reservations if is_ipv6(one.cidr)])
        self.prefixes = SubnetPrefixes(subnet, self._holdings, reservations)

    def _offsets(self, cidr: str) -> range:
        """Of the block's addresses that can be given to an interface."""
        reserved = ipaddress.IPv4Network(cidr)
        start = int(reserved.network_address) - self._first
        return range(max(start, 0), min(start + reserved.num_addresses, self._size))

    @property
    def free(self) -> int:
        """How many can be drawn."""
        if not self._reserved:
            return self._size - self._holdings.ipv4
        inside = sum(map(len, self._reserved))
        outside = sum(not self._is_reserved(offset) for offset in self._held_offsets())
        return self._size - inside - outside

    def _held_offsets(self) -> Iterator[int]:
        for each in self._holdings:
            if not is_ipv6(each):
                yield from (int(address) - self._first for address in ipaddress.IPv4Network(each))

    def _is_reserved(self, offset: int) -> bool:
        return any(offset in reserved for reserved in self._reserved)

    def holder(self, address: str) -> str | None:
        """The id of the interface that holds it."""
        return self._holdings.holder(address)

    def is_delegated(self, address: str) -> bool:
        """With all of a prefix."""
        return self.holder(prefix_around(ipaddress.IPv4Address(address))) is not None

    def check(self, address: str) -> str:
        """Its canonical text. Raises InvalidParameterValue when it can never be given to an interface here."""
        parsed = parse_address(address)
        if parsed not in self._network:
            raise invalid_parameter("Address does not fall within the subnet's address range")
        if not 0 <= int(parsed) - self._first < self._size:
            raise invalid_parameter(f"Address {parsed} is in subnet's reserved address range")
        for one in self._reservations:
            if one.kind == "prefix" and parsed in ipaddress.IPv4Network(one.cidr):
                raise invalid_parameter(f"Address {parsed} is reserved for prefixes by {one.id}")
        return str(parsed)

    def take(self, address: str) -> str:
        """This very address. Raises InvalidIPAddress.InUse."""
        chosen = self.check(address)
        if not self._holdings.is_free(ipaddress.IPv4Address(chosen)):
            raise ApiError("InvalidIPAddress.InUse", f"Address {chosen} is in use.")
        return self._holdings.take(chosen)

    def draw(self, count: int, seed: str) -> list[str]:
        """Any `count` free ones. Raises InsufficientFreeAddressesInSubnet."""
        if count > self.free:
            raise subnet_full(self._subnet)
        chance = random.Random(seed)
        return [self._holdings.take(self._at(self._free_offset(chance))) for _ in range(count)]

    def _free_offset(self, chance: random.Random) -> int:
        """By luck; in a nearly full subnet, the next free one above the last that was tried."""
        for _ in range(TRIES):
            offset = chance.randrange(self._size)
            if self._is_free(offset):
                return offset
        return next(
            each % self._size
            for each in range(offset, offset + self._size)
            if self._is_free(each % self._size)
        )

    def _is_free(self, offset: int) -> bool:
        address = ipaddress.IPv4Address(self._first + offset)
        return not self._is_reserved(offset) and self._holdings.is_free(address)

    def _at(self, offset: int) -> str:
        return str(ipaddress.IPv4Address(self._first + offset))


def addresses_of(view: View, subnet: Subnet) -> SubnetAddresses:
    return SubnetAddresses(subnet, view.held_addresses(subnet.id), reservations_of(view, subnet))


def reservations_of(view: View, subnet: Subnet) -> list[SubnetCidrReservation]:
    return [one for one in view.in_vpc(SubnetCidrReservation, subnet.vpc_id) if one.subnet_id == subnet.id]


def subnet_full(subnet: Subnet) -> ApiError:
    return ApiError(
        "InsufficientFreeAddressesInSubnet",
        f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of addresses.",
    )


def parse_address(text: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise invalid_parameter(f"Invalid IPv4 address: '{text}'") from None
