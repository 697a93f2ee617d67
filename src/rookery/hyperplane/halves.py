"""The tables of a cell's file in the kernel: one half is read, the other is filled, and then they change places. Every time all of it,
whether something changed or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from rookery.dataplane.formats import AttachmentKey, CellConfig, CellNode, CellNodeFlag, Gates
from rookery.host.ports import Table
from rookery.hyperplane import rows
from rookery.hyperplane.cell_file import CellFile
from rookery.intent.cell import AttachmentIntent

HASHED = ("attachments", "nat_addresses", "cell_services")


class Sizes(Protocol):
    @property
    def services(self) -> int: ...

    @property
    def targets(self) -> int: ...


class CellTables(rows.Numbering, Protocol):
    """The dataplane's (rookery.dataplane.cell.CellDataplane)."""

    @property
    def sizes(self) -> Sizes: ...

    @property
    def config(self) -> CellConfig: ...

    @property
    def attachments(self) -> Table[Any, Any]: ...

    @property
    def cell_nodes(self) -> Table[Any, Any]: ...

    def switch(self, config: CellConfig) -> None: ...


class Halves:
    def __init__(self, tables: CellTables, number: int, clock: Callable[[], int] = time.monotonic_ns):
        """`number`: of the cell; `clock`: CLOCK_MONOTONIC in nanoseconds, as the programs have it."""
        self._tables = tables
        self._number = number
        self._clock = clock

    @property
    def epoch(self) -> int:
        """Of the file in the kernel, whoever wrote it; 0: there is none."""
        return self._tables.config.epoch

    def gates_of(self, key: tuple[int, int]) -> Gates | None:
        """Those of an attachment (VNI, number of its interface) in the half that is read, whoever wrote it. None: it has none there."""
        row = self._tables.attachments.get(AttachmentKey(self._tables.config.half, *key))
        return Gates(*(getattr(row, name) for name in Gates._fields)) if row else None

    @property
    def route_tables(self) -> set[int]:
        """Which attachments of the half that is read ask."""
        return set(self.tables_by_attachment().values())

    def tables_by_attachment(self) -> dict[tuple[int, int], int]:
        """By attachment (VNI, number of its interface) of the half that is read the route table that it asks."""
        held = self._tables.config
        rows = self._tables.attachments.items() if held.epoch else ()
        return {(key.vni, key.interface): row.route_table for key, row in rows if key.half == held.half}

    def rows_measured(self) -> dict[tuple[int, int], int]:
        """By attachment (VNI, number of its interface), whoever wrote it; in the half that is read, what it says there."""
        found = sorted(self._tables.attachments.items(), key=lambda item: item[0].half == self._tables.config.half)
        return {(key.vni, key.interface): row.measured for key, row in found}

    def become(
        self,
        file: CellFile,
        place: int,
        gates: Callable[[AttachmentIntent], Gates],
        measured: Callable[[tuple[int, int]], int] = lambda _: 0,
    ) -> None:
        """`place`: this node's; `measured`: row of an attachment in the measures. Raises DataplaneError; then the half that is read is as it was. Blocks, some tens of milliseconds."""
        held = self._tables.config
        half = 1 - held.half if held.epoch else 0
        sizes = (self._tables.sizes.services, self._tables.sizes.targets)
        made = rows.half_of(file, half, self._tables, sizes, gates, measured)
        for name, wanted in rows.rows_of(made).items():
            self._fill(getattr(self._tables, name), name, half, wanted)
        self._tables.switch(
            CellConfig(
                key=file.key,
                ring_since=self._ring_since(held, made.nodes),
                epoch=file.epoch,
                half=half,
                number=self._number,
                self=place,
                services=0,
                targets=0,
            )
        )

    def _fill(self, table: Table[Any, Any], name: str, half: int, wanted: Mapping[Any, Any]) -> None:
        if name in HASHED:
            table.delete_many(_gone(table, half, wanted))
        table.put_many(wanted)

    def _ring_since(self, held: CellConfig, nodes: Mapping[Any, CellNode]) -> int:
        """Since when the current ring is used here: now, when the half that is read has another."""
        if not held.epoch:
            return self._clock()
        before = (self._tables.cell_nodes.get(self._tables.node_row(held.half, place)) for place in range(len(nodes)))
        return held.ring_since if _ring(before) == _ring(nodes.values()) else self._clock()


def _ring(nodes: Iterable[CellNode | None]) -> list[int]:
    return [place for place, node in enumerate(nodes) if node and node.flags & CellNodeFlag.CURRENT]


def _gone(table: Table[Any, Any], half: int, wanted: Mapping[Any, Any]) -> Iterable[Any]:
    return [key for key, _ in table.items() if key.half == half and key not in wanted]

