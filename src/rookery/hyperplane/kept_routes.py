"""Routes of a node. The intent comes at once, and the cell's file, which says what table an attachment asks, with a tick: what an attachment
still asks stays until it asks another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set

from rookery.dataplane.formats import Route, RouteKey
from rookery.host.kept_table import KeptTable
from rookery.host.ports import Table
from rookery.host.reconcile import TableChange

Rows = dict[RouteKey, Route]


class KeptRoutes(KeptTable[RouteKey, Route]):
    """A table of which the intent has no route any more is one that no subnet uses; the last rows of it stay as long as it is `asked`."""

    def __init__(self, table: Table[RouteKey, Route], asked: Callable[[], Set[int]]):
        """`asked`: by attachments of the half that is read."""
        super().__init__(table)
        self._asked = asked
        self._left: Rows = {}

    @property
    def told(self) -> set[int]:
        """Tables of the intent."""
        return {key.table for key in self.wanted if key not in self._left}

    def become(self, wanted: Rows) -> TableChange[RouteKey, Route]:
        self._left = self._kept_of(dict(self._table.items()), wanted)
        return super().become(wanted | self._left)

    def change(self, put: Mapping[RouteKey, Route], delete: Iterable[RouteKey]) -> None:
        gone = set(delete)
        back = {key.table for key in put}
        returned = {key for key in self._left if key.table in back}
        self._left = {key: row for key, row in self._left.items() if key not in returned}
        if gone:
            stays = {key: row for key, row in self.wanted.items() if key not in gone and key not in self._left and key not in returned}
            self._left |= self._kept_of({key: self.wanted[key] for key in gone if key in self.wanted}, stays | dict(put))
        super().change(put, (gone | returned) - self._left.keys())

    def _kept_of(self, held: Mapping[RouteKey, Route], wanted: Mapping[RouteKey, Route]) -> Rows:
        tables = self._asked() - {key.table for key in wanted}
        return {key: row for key, row in held.items() if key.table in tables}

    def release(self) -> None:
        """What nobody asks any more: a new file is in."""
        if not self._left:
            return
        asked = self._asked()
        free = [key for key in self._left if key.table not in asked]
        self._left = {key: row for key, row in self._left.items() if key.table in asked}
        super().change({}, free)
