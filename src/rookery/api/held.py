"""Which addresses and delegated prefixes of a subnet are held, and by whom: kept up to date, never searched for."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from itertools import chain

from rookery.model.objects import NetworkInterface

PREFIX_LENGTHS = {4: 28, 6: 80}  # of a delegated prefix
IPV4_PER_PREFIX = 16

Address = IPv4Address | IPv6Address


def held_by(interface: NetworkInterface) -> tuple[str, ...]:
    """Addresses of both families, and delegated prefixes."""
    return (*interface.addresses, *interface.ipv6_addresses, *interface.prefixes)


def prefix_around(address: Address) -> str:
    """The one delegated prefix that could hold the address."""
    length = PREFIX_LENGTHS[address.version]
    shift = address.max_prefixlen - length
    return f"{type(address)(int(address) >> shift << shift)}/{length}"


def is_prefix(held: str) -> bool:
    return "/" in held


def ipv4_units(interface: NetworkInterface) -> int:
    """What counts against the limit of its instance type: a prefix as much as an address."""
    return len(interface.addresses) + sum(":" not in each for each in interface.prefixes)


def ipv6_units(interface: NetworkInterface) -> int:
    return len(interface.ipv6_addresses) + sum(":" in each for each in interface.prefixes)


class Held(dict[str, str]):
    """Address or delegated prefix, in canonical text -> id of the network interface. Of one subnet."""

    def __init__(self) -> None:
        super().__init__()
        self.ipv4 = 0  # addresses that are gone from the subnet; a prefix takes all of its own

    def take(self, each: str, holder: str = "") -> None:
        if each not in self:
            self.ipv4 += _ipv4_in(each)
        self[each] = holder

    def hold(self, interface: NetworkInterface) -> None:
        for each in held_by(interface):
            self.take(each, interface.id)

    def release(self, interface: NetworkInterface) -> None:
        """What has moved to another interface meanwhile stays there."""
        for each in held_by(interface):
            if self.get(each) == interface.id:
                del self[each]
                self.ipv4 -= _ipv4_in(each)


def _ipv4_in(held: str) -> int:
    if ":" in held:
        return 0
    return IPV4_PER_PREFIX if is_prefix(held) else 1


NOTHING = Held()  # of a subnet in which nobody has been yet


class Holdings:
    """What is held in one subnet while one request runs: what was, and what the request has taken so far."""

    def __init__(self, held: Held):
        self._held = held
        self._taken = Held()

    @property
    def ipv4(self) -> int:
        return self._held.ipv4 + self._taken.ipv4

    def __iter__(self) -> Iterator[str]:
        return chain(self._held, self._taken)

    def holder(self, address: str) -> str | None:
        """The id of the interface that holds it, by itself."""
        return self._held.get(address)

    def is_free(self, address: Address) -> bool:
        """Neither held by itself nor in a delegated prefix."""
        around = prefix_around(address)
        text = str(address)
        return not any(each in held for held in (self._held, self._taken) for each in (text, around))

    def take(self, each: str) -> str:
        self._taken.take(each)
        return each
