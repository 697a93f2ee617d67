"""From what nodes said to what is measured: differences of totals, minutes, peaks. Pure; the file is somebody else's.

    NodeMeasures --differences--> (attachment, counts) --measured_by--> minutes of each of whom they are
                                                                    `-> averages of ten seconds, of which the highest counts"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from rookery.hyperplane.measured import NodeMeasures
from rookery.metrics.catalogue import PEAK_SECONDS, Counts, Fold
from rookery.metrics.points import MINUTE, Content, Packed, more_of, place_of
from rookery.metrics.resources import Measured

Key = tuple[int, int]  # VNI and number of an attachment's interface
Held = Callable[[Measured, int], Mapping[int, Packed]]  # a minute as the file has it


class Difference(NamedTuple):
    key: Key
    counts: Counts


def differences(before: NodeMeasures | None, now: NodeMeasures) -> Iterator[Difference]:
    """What was counted in between. Rows that began anew, because the node did or because they have a new owner, count from zero."""
    same = before is not None and before.began == now.began
    held = {(one.vni, one.interface): one.counts for one in before.attachments} if before and same else {}
    for one in now.attachments:
        key = (one.vni, one.interface)
        old = held.get(key)
        counts = one.counts
        if old and len(old) == len(counts) and all(map(int.__le__, old, counts)):
            counts = tuple(map(int.__sub__, counts, old))
        if any(counts):
            yield Difference(key, counts)


class Minutes:
    """Rows that are being made. `held`: what the file has of a minute that is not here (any more)."""

    def __init__(self, held: Held):
        self._held = held
        self._rows: dict[tuple[Measured, int], dict[int, Packed]] = {}
        self._changed: set[tuple[Measured, int]] = set()
        self._totals: dict[Measured, dict[int, int]] = {}
        self._windows: dict[tuple[Measured, int, int], int] = {}  # by the metric's place and the number of the ten seconds

    def count(self, measured: Measured, time: float, counts: Counts) -> None:
        """`time`: unix seconds, of whoever counted."""
        row = self.row(measured, time)
        totals = self._totals.setdefault(measured, {})
        for place, metric in enumerate(measured.family.metrics):
            value = metric.of(counts) if metric.fold in (Fold.SUM, Fold.PEAK) else 0
            if metric.fold is Fold.SUM and value:
                totals[place] = totals.get(place, 0) + value
                row[place] = more_of(Fold.SUM, row.get(place), value)
            elif value:
                row[place] = more_of(Fold.PEAK, row.get(place), self._average(measured, place, time, value))

    def _average(self, measured: Measured, place: int, time: float, value: int) -> float:
        """A second, of the ten seconds in which it was counted; it grows until they are over."""
        window = (measured, place, int(time) // PEAK_SECONDS)
        self._windows[window] = self._windows.get(window, 0) + value
        return self._windows[window] / PEAK_SECONDS

    def look(self, measured: Measured, time: float, level: Counts) -> None:
        """At what is there now: flows held, or targets."""
        row = self.row(measured, time)
        for place, metric in enumerate(measured.family.metrics):
            if metric.fold is Fold.LEVEL:
                row[place] = more_of(metric.fold, row.get(place), metric.of(level))

    def observe(self, measured: Measured, time: float, name: str, value: int) -> None:
        """Of one metric, by name; as often as there are parts of what is measured."""
        row = self.row(measured, time)
        place = place_of(measured.family.metrics, name)
        assert place is not None
        row[place] = more_of(Fold.OBSERVED, row.get(place), value)

    def row(self, measured: Measured, time: float) -> dict[int, Packed]:
        """Of the minute; there is one from now on, if only to say that nothing happened."""
        minute = int(time) // MINUTE * MINUTE
        key = (measured, minute)
        if key not in self._rows:
            self._rows[key] = dict(self._held(measured, minute))
        self._changed.add(key)
        return self._rows[key]

    def taken(self) -> tuple[dict[tuple[Measured, int], Content], dict[Measured, dict[int, int]]]:
        """Rows that changed since the last time, and what was added to totals."""
        rows: dict[tuple[Measured, int], Content] = {key: dict(self._rows[key]) for key in self._changed}
        totals = {measured: more for measured, more in self._totals.items() if more}
        self._changed, self._totals = set(), {}
        return rows, totals

    def end_windows(self) -> None:
        """What is counted from now on is of other ten seconds, also where they have the same number."""
        self._windows.clear()

    def forget_before(self, time: float) -> None:
        """They are in the file."""
        self._rows = {key: row for key, row in self._rows.items() if key[1] >= time or key in self._changed}
        self._windows = {key: held for key, held in self._windows.items() if key[2] >= time // PEAK_SECONDS}


def levels(
    measures: Iterable[NodeMeasures], of: Callable[[Key], Iterable[Measured]]
) -> dict[Measured, tuple[int, ...]]:
    """What all nodes together hold."""
    found: defaultdict[Measured, tuple[int, ...]] = defaultdict(lambda: (0, 0, 0, 0))
    for node in measures:
        for one in node.attachments:
            for measured in of((one.vni, one.interface)):
                found[measured] = tuple(map(int.__add__, found[measured], one.held))
    return dict(found)
