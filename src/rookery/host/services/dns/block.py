"""Ranges of addresses as numbers: the standard library's networks take longer than all the rest of an answer."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import NamedTuple


class Block(NamedTuple):
    """One CIDR."""

    version: int  # 4, 6
    first: int
    last: int

    def contains(self, other: Block) -> bool:
        return self.version == other.version and self.first <= other.first and other.last <= self.last

    def overlaps(self, other: Block) -> bool:
        return self.version == other.version and self.first <= other.last and other.first <= self.last


@functools.lru_cache(maxsize=4096)
def block(cidr: str) -> Block:
    network = ipaddress.ip_network(cidr)
    return Block(network.version, int(network.network_address), int(network.broadcast_address))


def blocks(cidrs: Iterable[str]) -> tuple[Block, ...]:
    return tuple(block(cidr) for cidr in cidrs)


def one(packed: bytes) -> Block:
    """Of a single address."""
    number = int.from_bytes(packed, "big")
    return Block(4 if len(packed) == 4 else 6, number, number)
