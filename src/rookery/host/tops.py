"""The table of the nodes of cells (`tops`): which there are, as the intent says, and which of them live, as probes do.

Until probes have said otherwise those live that the kernel's rows have kept: an agent that comes back turns to no dead one."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from rookery.host import rows
from rookery.host.kept_table import KeptTable
from rookery.host.ports import Table
from rookery.intent.host import RuleIntent, RuleKey, TopsIntent


class Tops:
    def __init__(self, table: Table[Any, Any]):
        self.table = KeptTable(table)
        self._changing = threading.Lock()  # probes and intent come from two threads
        kept = dict(table.items())
        self._sets = {key.number: rows.kept_tops(key, row) for key, row in kept.items()}
        self.living = rows.living_tops(kept.values())

    @property
    def nodes(self) -> tuple[str, ...]:
        """To which this node may send: they are probed."""
        return tuple(sorted({address for one in list(self._sets.values()) for address in one.addresses}))

    def include(self, rules: Iterable[RuleIntent]) -> None:
        """These sets too, whatever else the kernel holds, until become() says what is wanted."""
        with self._changing:
            self._sets = self._sets | _sets(rules)
            self.table.include(self._rows())

    def become(self, rules: Iterable[RuleIntent]) -> None:
        with self._changing:
            self._sets = _sets(rules)
            self.table.shift(self._rows())

    def put(self, rules: Iterable[RuleIntent]) -> None:
        with self._changing:
            changed = _sets(rules)
            self._sets = self._sets | changed
            self.table.change(rows.tops(changed.values(), self.living), ())

    def delete(self, keys: Iterable[RuleKey]) -> None:
        with self._changing:
            gone = {number for kind, number, _ in keys if kind == "tops"}
            self._sets = {number: one for number, one in self._sets.items() if number not in gone}
            self.table.change({}, rows.tops_keys(gone))

    def turn_to(self, living: frozenset[str]) -> None:
        """Raises DataplaneError."""
        with self._changing:
            self.living = living
            self.table.shift(self._rows())

    def _rows(self) -> dict[Any, Any]:
        return rows.tops(self._sets.values(), self.living)


def _sets(rules: Iterable[RuleIntent]) -> dict[int, TopsIntent]:
    return {rule.number: rule for rule in rules if isinstance(rule, TopsIntent)}
