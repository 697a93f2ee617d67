"""Since when does each node of the cell live, as this one sees it, and until when did it? Pure.

Who decides about flows asks it: who was there a moment ago may know more than whoever has its place now, and who came a moment ago may
have been told nothing yet (docs/decisions/0031)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rookery.dataplane.formats import CellPresence

NOTHING = CellPresence(came=0, left=0)


def changes(before: int, living: int, held: Mapping[int, CellPresence], *, me: int, now: int, alone: bool = False) -> dict[int, CellPresence]:
    """Rows to write, by place. `before`, `living`: bit n: the node at place n lives; 0 before: this node remembers nothing, and is what is
    new, whoever else there is. `alone`: it saw nobody until now, so others took it for dead, and began flows in its place. `now`:
    nanoseconds, CLOCK_MONOTONIC."""
    if not before:
        return {me: CellPresence(came=now, left=0)}
    back = {me: CellPresence(came=now, left=0)} if alone else {}
    gone = {place: held.get(place, NOTHING)._replace(left=now) for place in _places(before & ~living)}
    return gone | back | {place: CellPresence(came=now, left=0) for place in _places(living & ~before)}


def _places(bits: int) -> Iterable[int]:
    return (place for place in range(bits.bit_length()) if bits >> place & 1)
