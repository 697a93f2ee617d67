"""The rings of a cell: who keeps flows, now and before.

Two replicas bear one disagreement at a time (tests/hyperplane/protocol.py), so a ring changes by one node, and changes again only when
every node that lives has used it for a while: until then both rings are named, and nodes mind both. A node that is known to be dead is
not waited for; one that others see alive but that reads no files is: a ring must not change behind its back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rookery.hyperplane.report import NodeReport

SETTLING_BEATS = 3  # before another change: what is new to a key leads it after heartbeats and a lease
KEPT_BEATS = 16  # CELL_YOUNG_SECONDS (bpf/formats/cell.h) in ticks, and one: so long nodes ask the ring before


class Rings(NamedTuple):
    """Places, sorted."""

    current: tuple[int, ...]
    previous: tuple[int, ...]
    since: int  # epoch of the first file with this pair
    beat: int  # and its beat: time is counted in these, for files come early when there are news


def first_rings(wanted: Iterable[int], epoch: int, beat: int) -> Rings:
    places = tuple(sorted(wanted))
    return Rings(places, places, epoch, beat)


def next_rings(held: Rings, wanted: Iterable[int], epoch: int, beat: int, slowest: int) -> Rings:
    """Those of the file `epoch`. `wanted`: places that are to keep flows; `slowest`: the oldest epoch by which a living node works."""
    goal = set(wanted)
    if held.current != held.previous:
        enough = KEPT_BEATS if goal == set(held.current) else SETTLING_BEATS
        settled = slowest >= held.since and beat >= held.beat + enough
        return Rings(held.current, held.current, epoch, beat) if settled else held
    if not goal or slowest < held.since or goal == set(held.current):
        return held  # a cell without a node that could take flows keeps those it had
    joins, leaves = sorted(goal - set(held.current)), sorted(set(held.current) - goal)
    changed = {*held.current, joins[0]} if joins else {*held.current} - {leaves[0]}
    return Rings(tuple(sorted(changed)), held.current, epoch, beat)


def living_nodes(fresh: Mapping[str, NodeReport]) -> set[str]:
    """Who says so, and whom others see. `fresh`: reports that are not older than a few ticks."""
    return {*fresh, *(name for report in fresh.values() for name in report.living)}


def slowest_epoch(living: Iterable[str], reports: Mapping[str, NodeReport], newest: int) -> int:
    """Of a node that lives and never reported: 0. Without any node: the newest."""
    return min((reports[name].epoch if name in reports else 0 for name in living), default=newest)
