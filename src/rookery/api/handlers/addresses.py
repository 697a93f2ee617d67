"""Which addresses of a subnet are free, and which of them a new interface gets.

An address that nobody asked for by number is drawn at random (seeded by the interface, so that a handler stays a function of
its request). Not the lowest free: that one was most likely given back a moment ago, and packets and caches of its last
holder may still be about (docs/decisions/0004-address-reuse.md).
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Mapping
from typing import Any

import msgspec

from rookery.api.cidr import RESERVED_FIRST, usable_addresses
from rookery.api.errors import invalid_combination, invalid_parameter, missing_parameter
from rookery.api.operation import ApiError
from rookery.model.objects import Subnet

TRIES = 32  # at 95 % full, four in five draws succeed by luck alone


class SubnetAddresses:
    """The addresses of one subnet while one request runs: what is held, and what this request has taken so far."""

    def __init__(self, subnet: Subnet, held: Mapping[str, str]):
        network = ipaddress.IPv4Network(subnet.cidr)
        self._subnet = subnet
        self._network = network
        self._first = int(network.network_address) + RESERVED_FIRST
        self._size = max(usable_addresses(subnet.cidr), 0)
        self._held = held
        self._taken: set[str] = set()

    @property
    def free(self) -> int:
        return self._size - len(self._held) - len(self._taken)

    def holder(self, address: str) -> str | None:
        """The id of the interface that holds it."""
        return self._held.get(address)

    def check(self, address: str) -> str:
        """Its canonical text. Raises InvalidParameterValue when it can never be given to an interface here."""
        parsed = parse_address(address)
        if parsed not in self._network:
            raise invalid_parameter("Address does not fall within the subnet's address range")
        if not 0 <= int(parsed) - self._first < self._size:
            raise invalid_parameter(f"Address {parsed} is in subnet's reserved address range")
        return str(parsed)

    def take(self, address: str) -> str:
        """This very address. Raises InvalidIPAddress.InUse."""
        chosen = self.check(address)
        if chosen in self._held or chosen in self._taken:
            raise ApiError("InvalidIPAddress.InUse", f"Address {chosen} is in use.")
        self._taken.add(chosen)
        return chosen

    def draw(self, count: int, seed: str) -> list[str]:
        """Any `count` free ones. Raises InsufficientFreeAddressesInSubnet."""
        if count > self.free:
            raise subnet_full(self._subnet)
        chance = random.Random(seed)
        return [self._take_offset(self._free_offset(chance)) for _ in range(count)]

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
        address = self._at(offset)
        return address not in self._held and address not in self._taken

    def _take_offset(self, offset: int) -> str:
        self._taken.add(self._at(offset))
        return self._at(offset)

    def _at(self, offset: int) -> str:
        return str(ipaddress.IPv4Address(self._first + offset))


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


class WantedAddresses(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of an interface's addresses. `primary` empty: any."""

    primary: str = ""
    secondaries: tuple[str, ...] = ()
    automatic: int = 0  # further secondaries, any

    @property
    def count(self) -> int:
        return 1 + len(self.secondaries) + self.automatic

    @property
    def chosen(self) -> bool:
        """Some address is asked for by number, so that only one interface can have them."""
        return bool(self.primary or self.secondaries)

    def allocate(self, addresses: SubnetAddresses, seed: str) -> tuple[str, ...]:
        """Primary first. Chosen ones are taken before any is drawn: chance must not draw one of them."""
        primary = [addresses.take(self.primary)] if self.primary else []
        secondaries = [addresses.take(address) for address in self.secondaries]
        drawn = addresses.draw(self.automatic + (not primary), seed)
        if not primary:
            primary = [drawn.pop(0)]
        return (*primary, *secondaries, *drawn)


def wanted_addresses(parameters: Mapping[str, Any]) -> WantedAddresses:
    """From PrivateIpAddress, PrivateIpAddresses and SecondaryPrivateIpAddressCount. Raises InvalidParameterValue,
    InvalidParameterCombination."""
    listed = parameters.get("PrivateIpAddresses") or []
    automatic = parameters.get("SecondaryPrivateIpAddressCount") or 0
    if automatic < 0:
        raise invalid_parameter("SecondaryPrivateIpAddressCount must not be negative")
    if any(not entry.get("PrivateIpAddress") for entry in listed):
        raise missing_parameter("PrivateIpAddress")
    primaries = [entry["PrivateIpAddress"] for entry in listed if entry.get("Primary")]
    secondaries = tuple(entry["PrivateIpAddress"] for entry in listed if not entry.get("Primary"))
    if secondaries and automatic:
        raise invalid_combination(
            "Only one of secondary private IP addresses and SecondaryPrivateIpAddressCount may be specified"
        )
    return WantedAddresses(
        primary=only_primary(parameters.get("PrivateIpAddress"), primaries),
        secondaries=secondaries,
        automatic=automatic,
    )


def only_primary(alone: str | None, listed: list[str]) -> str:
    if alone and listed:
        raise invalid_combination(
            "Only one of PrivateIpAddress and a primary in PrivateIpAddresses may be specified"
        )
    if len(listed) > 1:
        raise invalid_parameter("Only one private IP address may be designated as primary")
    return alone or (listed[0] if listed else "")
