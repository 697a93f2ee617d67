"""Which nodes of a cell keep a flow: rendezvous hashing, as bpf/stages/rendezvous.h computes it for every packet that needs it.

Bit by bit, so that two who were written apart agree (all numbers are unsigned, 64 bits, and wrap):

    seed(name)         = the first 8 bytes of BLAKE2b(name in UTF-8), 64 bytes long, without a key, read little-endian
    mix64(x)           = x ^= x >> 30; x *= 0xbf58476d1ce4e5b9; x ^= x >> 27; x *= 0x94d049bb133111eb; x ^= x >> 31
                         (the finalizer of splitmix64: Steele, Lea, Flood 2014)
    weight(hash, node) = mix64(hash ^ seed(node))

The heaviest node is the flow's primary, the next its secondary; of two as heavy the one at the lower place comes first. `hash`
is the cell's keyed hash of the flow. A node that leaves moves its own flows only, and each to whoever was next."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

MASK = 0xFFFF_FFFF_FFFF_FFFF
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def seed(name: str) -> int:
    return int.from_bytes(blake2b(name.encode()).digest()[:8], "little")


def mix64(number: int) -> int:
    number = (number ^ number >> 30) * FIRST & MASK
    number = (number ^ number >> 27) * SECOND & MASK
    return number ^ number >> 31


def weight(flow: int, node_seed: int) -> int:
    return mix64(flow ^ node_seed)


def ranked(flow: int, seeds: Mapping[int, int]) -> list[int]:
    """Places, the flow's primary first. `flow`: its hash; `seeds`: by place."""
    return sorted(seeds, key=lambda place: (-weight(flow, seeds[place]), place))
