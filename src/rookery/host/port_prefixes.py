"""Ranges of ports as prefixes, for a table that knows only prefixes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

BITS = 16


class Range(NamedTuple):
    first: int
    last: int


PORTS = Range(0, (1 << BITS) - 1)


def elementary_ranges(rules: Iterable[tuple[Range, int]]) -> Iterator[tuple[Range, int]]:
    """All ports, cut where a rule begins or ends, each with the bits of the rules that cover it; equal neighbours are one.

    `rules`: (ports, bit)."""
    turns: dict[int, int] = {PORTS.first: 0}  # port -> the bits that come or go there
    for ports, bit in rules:
        turns[ports.first] = turns.get(ports.first, 0) ^ bit
        turns[ports.last + 1] = turns.get(ports.last + 1, 0) ^ bit
    turns.pop(PORTS.last + 1, None)
    first, bits = PORTS.first, 0
    for port in sorted(turns):
        if turns[port] and port > first:
            yield Range(first, port - 1), bits
            first = port
        bits ^= turns[port]
    yield Range(first, PORTS.last), bits


def covering(ports: Range) -> Iterator[tuple[int, int]]:
    """The fewest prefixes that cover just these ports: (first port, bits of the prefix)."""
    first = ports.first
    while first <= ports.last:
        size = first & -first or 1 << BITS
        while first + size - 1 > ports.last:
            size >>= 1
        yield first, BITS - size.bit_length() + 1
        first += size
