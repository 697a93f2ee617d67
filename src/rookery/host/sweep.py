"""When the tracked flows are swept: those forgotten whose time is over, which take room and no more (docs/decisions/0010).

A pass goes through every place of the table, taken or not: some ten milliseconds of CPU. The allowances tell in a hundredth of one how
many flows there are, and so whether a pass has anything to give, and whether somebody needs it soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rookery.dataplane.formats import Allowance, InterfaceNumber, SweepOutcome
from rookery.host.ports import Table

LOOK_SECONDS = 3.0
LONGEST_SECONDS = 30.0  # that a flow whose time is over takes room which nobody needs
HURRY = 8  # an eighth of the room that was free after the last pass is taken: the next one does not wait


class FlowSweep:
    """`room`: flows that the table takes. `look()` every LOOK_SECONDS."""

    def __init__(
        self,
        allowances: Table[InterfaceNumber, Allowance],
        sweep: Callable[[], SweepOutcome],
        room: int,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._allowances = allowances
        self._sweep = sweep
        self._room = room
        self._clock = clock
        self._swept: float | None = None  # an earlier agent may have left anything
        self._left: dict[InterfaceNumber, int] = {}  # what each interface tracked after the last pass
        self._seen: dict[InterfaceNumber, int] = {}  # and at the last look
        self._uncounted = 0  # flows that are in the table and in no interface's count

    def look(self) -> int:
        """Sweeps if it is worth a pass. Flows that take room afterwards. Raises DataplaneError."""
        rows = dict(self._allowances.items())
        if self._is_due(rows):
            rows = self._pass()
        self._seen = {interface: row.tracked for interface, row in rows.items()}
        return self._taken(self._seen)

    def _pass(self) -> dict[InterfaceNumber, Allowance]:
        held = self._sweep().held
        rows = dict(self._allowances.items())
        self._left = {interface: row.tracked for interface, row in rows.items()}
        self._uncounted = max(0, held - sum(self._left.values()))
        self._swept = self._clock()
        return rows

    def _taken(self, tracked: Mapping[InterfaceNumber, int]) -> int:
        return sum(tracked.values()) + self._uncounted

    def _is_due(self, rows: Mapping[InterfaceNumber, Allowance]) -> bool:
        tracked = {interface: row.tracked for interface, row in rows.items()}
        if self._swept is None or self._lost_count(tracked):
            return True
        if not self._taken(tracked):
            return False
        return self._clock() - self._swept >= LONGEST_SECONDS or self._is_tight(rows, tracked)

    def _lost_count(self, tracked: Mapping[InterfaceNumber, int]) -> bool:
        """Only a pass counts down. Where there is less without one, an interface went or came anew: its flows are nobody's."""
        return any(tracked.get(interface, 0) < seen for interface, seen in self._seen.items())

    def _is_tight(self, rows: Mapping[InterfaceNumber, Allowance], tracked: Mapping[InterfaceNumber, int]) -> bool:
        whole = _fills(self._taken(tracked), self._taken(self._left), self._room)
        return whole or any(
            _fills(row.tracked, self._left.get(interface, 0), row.allowed) for interface, row in rows.items()
        )


def _fills(taken: int, left: int, room: int) -> bool:
    """A full one does too, whatever was added: any flow that ends there makes room for one that was refused."""
    return (taken - left) * HURRY >= room - left
