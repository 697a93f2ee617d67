"""A table of the kernel and what it must hold: changed row by row, compared whole now and then, mended where it differs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Generic, TypeVar

from rookery.host.ports import Table
from rookery.host.reconcile import TableChange, reconcile

K = TypeVar("K")
V = TypeVar("V")

ROWS_AT_ONCE = 16_384  # some ten milliseconds


class KeptTable(Generic[K, V]):
    """`wanted` is what was asked for last, also when the kernel refused it: the next pass tries again.

    Looking for differences takes no lock, for a dump of a million rows takes a second; each suspicion is looked at again
    under the lock before anything is mended, so a change in between is no fault."""

    def __init__(self, table: Table[K, V]):
        self._table = table
        self._lock = threading.Lock()
        self.wanted: dict[K, V] = {}

    def become(self, wanted: dict[K, V]) -> TableChange[K, V]:
        """Compares with the kernel's rows, whoever wrote them."""
        with self._lock:
            self.wanted = wanted
            change = reconcile(wanted, dict(self._table.items()))
            self._apply(change)
        return change

    def include(self, rows: Mapping[K, V]) -> None:
        """These rows too; whatever else the kernel holds stays, until shift() says what is wanted. Reads the kernel's rows."""
        with self._lock:
            found = dict(self._table.items())
            self.wanted = found | dict(rows)
            self._apply(TableChange(reconcile(rows, found).put, []))

    def keep_only(self, kept: Mapping[K, V]) -> None:
        """Deletes the kernel's other rows, whoever wrote them; what is kept is not touched."""
        with self._lock:
            change: TableChange[K, V] = TableChange({}, [key for key, _ in self._table.items() if key not in kept])
            self.wanted = {key: row for key, row in self.wanted.items() if key in kept}
            self._apply(change)

    def shift(self, wanted: dict[K, V]) -> TableChange[K, V]:
        """Compares with what was wanted before: no dump."""
        with self._lock:
            change = reconcile(wanted, self.wanted)
            self.wanted = wanted
            self._apply(change)
        return change

    def change(self, put: Mapping[K, V], delete: Iterable[K]) -> None:
        """Only these rows. The puts come first: a row that moves to another key is never nowhere."""
        with self._lock:
            gone = [key for key in delete if key not in put]
            for key in gone:
                self.wanted.pop(key, None)
            self.wanted.update(put)
            self._apply(TableChange(dict(put), gone))

    def _apply(self, change: TableChange[K, V]) -> None:
        """In pieces: packing rows holds the interpreter, and the agent has others to answer."""
        rows, keys = iter(change.put.items()), iter(change.delete)
        while put := dict(islice(rows, ROWS_AT_ONCE)):
            self._table.put_many(put)
        while delete := list(islice(keys, ROWS_AT_ONCE)):
            self._table.delete_many(delete)

    def heal(self) -> int:
        """How many rows were wrong, and are right now."""
        return self._mend(self._suspects())

    def _suspects(self) -> list[K]:
        wanted, seen, suspects = self.wanted, 0, []
        for key, row in self._table.items():
            if wanted.get(key) == row:
                seen += 1
            else:
                suspects.append(key)
        if seen < len(wanted):
            suspects += self._missing()
        return suspects

    def _missing(self) -> list[K]:
        found = {key for key, _ in self._table.items()}
        with self._lock:
            return [key for key in self.wanted if key not in found]

    def _mend(self, suspects: list[K]) -> int:
        with self._lock:
            change: TableChange[K, V] = TableChange({}, [])
            for key in dict.fromkeys(suspects):
                row, found = self.wanted.get(key), self._table.get(key)
                if row is None and found is not None:
                    change.delete.append(key)
                elif row is not None and row != found:
                    change.put[key] = row
            self._apply(change)
            return len(change.put) + len(change.delete)
