"""What each interface may: how many flows it tracks, how many packets it sends to services. How many they are is the programs'
own count: a row is written when its interface comes, deleted when it is gone, and never in between."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Generic, TypeVar

from rookery.dataplane.formats import Allowance, InterfaceNumber, ServiceBudget
from rookery.host.ports import Table

ALLOWED = 65_536  # flows of one interface
NO_FLOWS = Allowance(tracked=0, allowed=ALLOWED)
NO_PACKETS = ServiceBudget(second_and_packets=0)
R = TypeVar("R", bound=tuple)


class Allowances(Generic[R]):
    """`unused`: the row of an interface that has used nothing yet."""

    def __init__(self, table: Table[InterfaceNumber, R], unused: R):
        self._table = table
        self._unused = unused
        self._lock = threading.Lock()
        self._given: set[InterfaceNumber] = set()

    def give(self, interfaces: Iterable[int]) -> None:
        """To those that are new."""
        with self._lock:
            new = set(map(InterfaceNumber, interfaces)) - self._given
            self._write(new)
            self._given |= new

    def take_back(self, remaining: Iterable[int]) -> None:
        """From all others: their flows are forgotten with the next sweep."""
        with self._lock:
            gone = self._given - set(map(InterfaceNumber, remaining))
            self._given -= gone
            if gone:
                self._table.delete_many(sorted(gone))

    def heal(self) -> int:
        """Rows that are missing, and those of interfaces that went while no agent ran; counts are not touched."""
        with self._lock:
            found = {key for key, _ in self._table.items()}
            strays = found - self._given
            if strays:
                self._table.delete_many(sorted(strays))
            return len(strays) + self._write(self._given - found)

    def _write(self, interfaces: Iterable[InterfaceNumber]) -> int:
        rows = {i: self._unused for i in sorted(interfaces) if self._table.get(i) is None}
        if rows:
            self._table.put_many(rows)
        return len(rows)
