"""The IPv6 addresses of a subnet's /64. There is always a free one: what is drawn is drawn from 2^64."""

from __future__ import annotations

import random
from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network

from rookery.api.blocks import Block, block
from rookery.api.errors import invalid_parameter
from rookery.api.held import Holdings
from rookery.api.operation import ApiError
from rookery.model.objects import Subnet, SubnetCidrReservation

RESERVED_FIRST = 4  # network, router, and two that AWS keeps, as in IPv4
TRIES = 64  # only reservations of nearly all of the block make so many draws miss


class SubnetIpv6:
    def __init__(self, subnet: Subnet, holdings: Holdings, reservations: Sequence[SubnetCidrReservation]):
        self._subnet = subnet
        self._holdings = holdings
        self._reserved: list[Block] = [block(one.cidr) for one in reservations]
        associations = subnet.ipv6_cidr_associations
        self._network = IPv6Network(associations[0].cidr) if associations else None

    @property
    def on_creation(self) -> int:
        """How many a new interface gets that says nothing about them."""
        return int(self._subnet.assign_ipv6_on_creation and self._network is not None)

    def network(self) -> IPv6Network:
        """Raises InvalidParameterValue: the subnet has none."""
        if self._network is None:
            raise invalid_parameter(
                f"The subnet '{self._subnet.id}' has no IPv6 CIDR block associated with it"
            )
        return self._network

    def check(self, text: str) -> str:
        """Its canonical text. Raises InvalidParameterValue when it can never be given to an interface here."""
        network = self.network()
        parsed = parse_ipv6_address(text)
        if parsed not in network:
            raise invalid_parameter("Address does not fall within the subnet's address range")
        if not self._is_usable(int(parsed) - int(network.network_address)):
            raise invalid_parameter(f"Address {parsed} is in subnet's reserved address range")
        return str(parsed)

    def _is_usable(self, offset: int) -> bool:
        return RESERVED_FIRST <= offset < self.network().num_addresses - 1

    def take(self, text: str) -> str:
        """This very address. Raises InvalidIPAddress.InUse."""
        chosen = self.check(text)
        if not self._holdings.is_free(IPv6Address(chosen)):
            raise ApiError("InvalidIPAddress.InUse", f"Address {chosen} is in use.")
        return self._holdings.take(chosen)

    def draw(self, count: int, seed: str) -> list[str]:
        chance = random.Random(f"{seed} ipv6")
        return [self._holdings.take(str(self._free(chance))) for _ in range(count)]

    def _free(self, chance: random.Random) -> IPv6Address:
        network = self.network()
        for _ in range(TRIES):
            offset = chance.randrange(network.num_addresses)
            address = network[offset]
            reserved = any(address in one for one in self._reserved)
            if self._is_usable(offset) and not reserved and self._holdings.is_free(address):
                return address
        raise ApiError(
            "InsufficientFreeAddressesInSubnet",
            f"The reservations of subnet '{self._subnet.id}' leave no IPv6 address to be drawn.",
        )


def parse_ipv6_address(text: str) -> IPv6Address:
    try:
        if "%" not in text:
            return IPv6Address(text)
    except ValueError:
        pass
    raise invalid_parameter(f"Invalid IPv6 address: '{text[:80]}'")
