"""Which attachment has which row of the node's measures, and what a node tells of them.

A row is an attachment's for as long as that is in the cell's file, and somewhat longer: what was counted last is still told. Who had
which row stands in the kernel beside the attachments, so a new agent goes on from there.

`measures/<cell>/<node>` in the object store: totals, not differences. Who reads them late, or twice, misses and adds nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from rookery.dataplane.formats import FlowsHeld
from rookery.hyperplane.cell_file import CellFile
from rookery.hyperplane.object_store import ObjectStore, StoreAway, measures_key

KEPT_SECONDS = 60.0  # of an attachment that has gone

log = logging.getLogger("rookery.hyperplane")

Key = tuple[int, int]  # VNI, number of the interface


class MeasureRows(Protocol):
    """The data plane's (rookery.dataplane.measures.Measures)."""

    @property
    def rows(self) -> int: ...

    def read(self, row: int) -> tuple[int, ...]: ...

    def begin(self, row: int) -> None: ...

    def held(self, rows: Iterable[int]) -> Mapping[int, FlowsHeld]: ...


class AttachmentCounts(msgspec.Struct, frozen=True, array_like=True):
    vni: int
    interface: int
    counts: tuple[int, ...]  # by Measure, since `began`
    held: FlowsHeld


class NodeMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """`began` tells one set of rows from the next: what a rebooted node counted before is not in them."""

    node: str
    began: str
    time: float  # unix seconds, by its clock
    attachments: tuple[AttachmentCounts, ...] = ()


def encode(measures: NodeMeasures) -> bytes:
    return msgspec.msgpack.encode(measures)


def decode(packed: bytes) -> NodeMeasures:
    """Raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(packed, type=NodeMeasures)


class MeasuredRows:
    """`held`: row of each attachment, as the kernel says it."""

    def __init__(self, rows: MeasureRows, held: Mapping[Key, int], clock: Callable[[], float] = time.monotonic):
        self._rows = rows
        self._clock = clock
        self._row_of = {key: row for key, row in held.items() if row}
        self._gone: dict[Key, float] = {}

    def become(self, file: CellFile) -> None:
        """Every attachment of the file has a row, where there is one. Raises DataplaneError."""
        now, wanted = self._clock(), {one.key for one in file.intent.attachments}
        for key in self._row_of.keys() - wanted:
            self._gone.setdefault(key, now)
        for key in [key for key, since in self._gone.items() if key in wanted or now - since > KEPT_SECONDS]:
            del self._gone[key]
            if key not in wanted:
                del self._row_of[key]
        for key in sorted(wanted - self._row_of.keys()):
            self._give(key)

    def _give(self, key: Key) -> None:
        taken = set(self._row_of.values())
        row = next((row for row in range(1, self._rows.rows) if row not in taken), 0)
        if row:
            self._rows.begin(row)
            self._row_of[key] = row

    def row_of(self, key: Key) -> int:
        """0: none is free, and nothing is counted."""
        return self._row_of.get(key, 0)

    @property
    def given(self) -> list[int]:
        return list(self._row_of.values())

    def read(self) -> tuple[AttachmentCounts, ...]:
        """Raises DataplaneError."""
        held = self._rows.held(self.given)
        return tuple(
            AttachmentCounts(*key, self._rows.read(row), held[row]) for key, row in sorted(self._row_of.items())
        )


class Teller:
    """Puts what a node has counted where the metrics are made of it, when it changed."""

    def __init__(self, objects: ObjectStore, cell: str, node: str, began: str):
        self._objects = objects
        self._cell, self._node, self._began = cell, node, began
        self._told: tuple[AttachmentCounts, ...] | None = None

    async def tell(self, attachments: tuple[AttachmentCounts, ...]) -> None:
        if attachments == self._told:
            return
        now = NodeMeasures(node=self._node, began=self._began, time=time.time(), attachments=attachments)
        try:
            await self._objects.put(measures_key(self._cell, self._node), encode(now))
        except StoreAway as error:
            log.warning("nobody hears what it has counted: %s", error)
            return
        self._told = attachments
