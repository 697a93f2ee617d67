"""A data plane of dictionaries, with what rookery.hyperplane.halves needs of CellDataplane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import CellConfig, CellConstant, FlowsHeld, Measure, RowNumber

NOTHING = (0,) * Measure.COUNTS


class FakeTable:
    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}
        self.refuses = False

    def items(self) -> Iterable[tuple[Any, Any]]:
        return list(self.rows.items())

    def get(self, key: Any) -> Any:
        return self.rows.get(key)

    def put_many(self, rows: Mapping[Any, Any]) -> None:
        if self.refuses:
            raise DataplaneError("refused")
        self.rows |= rows

    def delete_many(self, keys: Iterable[Any]) -> None:
        for key in keys:
            self.rows.pop(key, None)


class FakeMeasures:
    """rookery.dataplane.measures.Measures; `counts` and `flows` are a test's to set."""

    def __init__(self, rows: int = 16) -> None:
        self.rows = rows
        self.counts: dict[int, tuple[int, ...]] = {}
        self.flows: dict[int, FlowsHeld] = {}

    def read(self, row: int) -> tuple[int, ...]:
        return self.counts.get(row, NOTHING)

    def begin(self, row: int) -> None:
        self.counts[row] = NOTHING
        self.flows.pop(row, None)

    def held(self, rows: Iterable[int]) -> dict[int, FlowsHeld]:
        return {row: self.flows.get(row, FlowsHeld(0, 0, 0, 0)) for row in rows}


class Sizes(NamedTuple):
    services: int
    targets: int


class FakeTables:
    NAMES = ("cell_nodes", "attachments", "nat_addresses", "cell_services", "cell_choices", "cell_targets")

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.config = CellConfig(bytes(16), 0, 0, 0, 0, 0, 0, 0)
        self.measures = FakeMeasures()
        for name in self.NAMES:
            setattr(self, name, FakeTable())

    def node_row(self, half: int, place: int) -> RowNumber:
        return RowNumber(half * CellConstant.NODES_MAX + place)

    def choices_row(self, half: int, number: int) -> RowNumber:
        return RowNumber(half * self.sizes.services + number)

    def target_row(self, half: int, number: int) -> RowNumber:
        return RowNumber(half * self.sizes.targets + number)

    def switch(self, config: CellConfig) -> None:
        self.config = config

    def half(self, half: int) -> dict[str, dict[Any, Any]]:
        """Every row of a half, by table."""
        sizes = {"cell_nodes": CellConstant.NODES_MAX, "cell_choices": self.sizes.services, "cell_targets": self.sizes.targets}
        return {
            name: {
                key: row
                for key, row in getattr(self, name).rows.items()
                if (key.row // sizes[name] if name in sizes else key.half) == half
            }
            for name in self.NAMES
        }
