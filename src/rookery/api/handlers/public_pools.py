"""Which public IPv4 addresses of the region are free.

They are drawn at random, as a subnet's are: the lowest free one was most likely given back a moment ago, and its last holder's
peers may still send to it.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network

from rookery.api.operation import ApiError, View
from rookery.model.objects import AddressPool

TRIES = 32
SHORTEST_WITHOUT_EDGES = (
    31  # of shorter prefixes, many a program takes the first and the last address for no host's
)


class FreeAddresses:
    """While one request runs: what is held, and what the request has drawn so far."""

    def __init__(self, pools: Iterable[AddressPool], held: Collection[str]):
        self._ranges = [_usable(IPv4Network(pool.cidr)) for pool in pools]
        self._ranges.sort(key=lambda each: each.start)
        self._size = sum(map(len, self._ranges))
        self._held = held
        self._drawn: set[str] = set()

    @property
    def exist(self) -> bool:
        """False: the region has no public addresses at all."""
        return self._size > 0

    def is_free(self, address: IPv4Address) -> bool:
        known = any(int(address) in each for each in self._ranges)
        return known and str(address) not in self._held and str(address) not in self._drawn

    def draw(self, count: int, seed: str) -> list[str]:
        """Any `count` of them, or as many as there are."""
        chance = random.Random(seed)
        drawn: list[str] = []
        while len(drawn) < count and (address := self._free_one(chance)):
            drawn.append(address)
            self._drawn.add(address)
        return drawn

    def draw_one(self, seed: str) -> str:
        """Raises InsufficientAddressCapacity."""
        drawn = self.draw(1, seed)
        if not drawn:
            raise no_addresses()
        return drawn[0]

    def _free_one(self, chance: random.Random) -> str:
        """By luck; when nearly all are held, the next free one above the last that was tried. Empty: there is none."""
        start = 0
        for _ in range(TRIES if self._size else 0):
            start = chance.randrange(self._size)
            if self.is_free(self._at(start)):
                return str(self._at(start))
        offsets = (each % self._size for each in range(start, start + self._size))
        return next((str(self._at(each)) for each in offsets if self.is_free(self._at(each))), "")

    def _at(self, offset: int) -> IPv4Address:
        for each in self._ranges:
            if offset < len(each):
                return IPv4Address(each[offset])
            offset -= len(each)
        raise IndexError(offset)


def _usable(block: IPv4Network) -> range:
    edge = 1 if block.prefixlen < SHORTEST_WITHOUT_EDGES else 0
    return range(int(block[0]) + edge, int(block[-1]) + 1 - edge)


def free_addresses(view: View) -> FreeAddresses:
    return FreeAddresses(view.public_pools(), view.public_addresses())


def no_addresses() -> ApiError:
    """AWS answers this one with 500, so that clients try again."""
    return ApiError(
        "InsufficientAddressCapacity",
        "There are not enough available addresses to satisfy your request.",
        status=500,
    )
