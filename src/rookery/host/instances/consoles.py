"""What instances said on their consoles, told to the mapping service: soon after it was said, then ever more rarely.

An instance that talks without end costs the store a write a minute, and its host's disk a mebibyte.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rookery.host.instances.record import Places, console_file
from rookery.model.objects import ConsoleOutput, InstanceStatus

TOLD = 64 * 1024  # bytes: as much as GetConsoleOutput gives
KEPT = 1024 * 1024
FIRST_REST = 1.0  # seconds between two reports; doubles with each
LONGEST_REST = 60.0


@dataclass
class _Told:
    state: tuple[int, int] = (0, 0)  # size, time of the last change
    rest: float = FIRST_REST
    next: float = 0.0


class Consoles:
    """`report` gets what is new. Blocking: a look reads what changed and nothing else."""

    def __init__(
        self,
        places: Places,
        report: Callable[[list[ConsoleOutput]], None],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._places = places
        self._report = report
        self._clock = clock
        self._told: dict[InstanceStatus, _Told] = {}

    def look(self, statuses: Iterable[InstanceStatus]) -> None:
        """Of the instances that are here. One that boots, or ends, is heard at once."""
        self._told = {status: self._told.get(status, _Told()) for status in map(_without_time, statuses)}
        outputs = [output for status, told in self._told.items() if (output := self._news(status.id, told))]
        if outputs:
            self._report(outputs)

    def _news(self, instance: str, told: _Told) -> ConsoleOutput | None:
        now, path = self._clock(), console_file(self._places, instance)
        if now < told.next:
            return None
        try:
            if not path.stat().st_size or _state_of(path) == told.state:
                return None
            output = ConsoleOutput(id=instance, time=path.stat().st_mtime, output=_end_of(path))
            told.state = _state_of(path)
        except FileNotFoundError:
            return None
        told.next, told.rest = now + told.rest, min(2 * told.rest, LONGEST_REST)
        return output


def _without_time(status: InstanceStatus) -> InstanceStatus:
    return InstanceStatus(id=status.id, state=status.state, boot=status.boot)


def _state_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _end_of(path: Path) -> bytes:
    """Cuts the file when it has grown too large: who writes there appends, and what is said in that moment is lost."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TOLD))
        end = file.read(TOLD)
    if size > KEPT:
        os.truncate(path, 0)
        with path.open("ab") as file:
            file.write(end)
    return end
