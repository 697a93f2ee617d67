"""Every five seconds: what the nodes of each cell counted becomes minutes of metrics.

    nodes --measures--> object store --> differences --> minutes --> file <-- API (CloudWatch, Prometheus)

It keeps nothing that is not in the file: what each node said last is committed with what was made of it. So it may die at any time: the
next one goes on where the file ends. Nodes say totals, so what is read late is not lost; what a node counted since it last said something
dies with it. What they counted before the file was made is in no minute of it: totals begin where they are found.

The time of day may be set, or be wrong at a node: what came since the last look was counted since then, whatever it says of itself, and
who is alive is told by reports that come."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from rookery.hyperplane.cell_file import CellFile, Damaged
from rookery.hyperplane.cell_file import decode as decode_file
from rookery.hyperplane.controller import StateReader
from rookery.hyperplane.measured import NodeMeasures
from rookery.hyperplane.measured import decode as decode_measures
from rookery.hyperplane.measured import encode as encode_measures
from rookery.hyperplane.object_store import ObjectStore, StoreAway, file_key, measures_prefix
from rookery.hyperplane.report_book import ReportBook
from rookery.intent.cell import AttachmentIntent
from rookery.intent.state import State
from rookery.metrics.catalogue import ENDPOINTS_OF_SERVICE, ZONE_HEALTH
from rookery.metrics.folding import Key, Minutes, differences, levels
from rookery.metrics.resources import Measured, endpoints_found, hosts_found, measured_by, zones_found
from rookery.metrics.series import Series, SeriesAway
from rookery.model.codec import decode as decode_thing
from rookery.model.keys import target_health_key
from rookery.model.objects import Cell, TargetHealth
from rookery.store.interface import Store, StoreUnavailable

TICK_SECONDS = 5.0
REMEMBERED_SECONDS = 300  # rows are read again from the file after that
TRIM_SECONDS = 600.0
NOTHING = (0, 0, 0, 0)  # held

log = logging.getLogger("rookery.metrics")


class _Gathered(NamedTuple):
    """Of a cell."""

    file: CellFile
    told: dict[str, NodeMeasures]  # by node
    living: list[NodeMeasures]
    health: TargetHealth | None


class _Look(NamedTuple):
    """When everything was looked at, by both clocks."""

    time: float
    ticked: float


class Collector:
    """`series` is its own to write. `clock`: the time of day. `ticking`: seconds that go on whatever becomes of that."""

    def __init__(
        self,
        store: Store,
        objects: ObjectStore,
        series: Series,
        mtu: int,
        *,
        clock: Callable[[], float] = time.time,
        ticking: Callable[[], float] = time.monotonic,
    ):
        self._store = store
        self._objects = objects
        self._series = series
        self._reader = StateReader(store, mtu)
        self._clock = clock
        self._ticking = ticking
        self._minutes = Minutes(series.row)
        self._read: dict[str, tuple[str, NodeMeasures | None]] = {}  # by key: tag, and what it says
        self._books: dict[str, ReportBook] = {}  # by cell
        self._said: dict[str, NodeMeasures] | None = None  # by node; None: what the file says is to be read
        self._attachments: dict[Key, AttachmentIntent] = {}
        self._looked: _Look | None = None
        self._trimmed = -TRIM_SECONDS

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            started = time.monotonic()
            await self.tick()
            await asyncio.sleep(max(0.0, started + TICK_SECONDS - time.monotonic()))

    async def tick(self) -> None:
        """All cells once."""
        try:
            if await asyncio.to_thread(self._series.make_if_deleted) or self._said is None:
                self._go_on()
            state = await self._reader.read()
            cells = [found for cell in list(state.cells.values()) if (found := await self._gathered(cell))]
            await asyncio.to_thread(self._fold, state, cells)
            await asyncio.to_thread(self._trim)
        except SeriesAway as error:
            log.warning("nothing is kept: %s", error)
            self._said = None
        except (StoreUnavailable, StoreAway, Damaged, msgspec.DecodeError) as error:
            log.warning("nothing was collected: %s", error)

    def _go_on(self) -> None:
        """Where the file ends. Raises SeriesAway, msgspec.DecodeError."""
        self._minutes = Minutes(self._series.row)
        self._said = {node: decode_measures(packed) for node, packed in self._series.seen().items()}

    async def _gathered(self, cell: Cell) -> _Gathered | None:
        """None: the cell has no file yet."""
        packed = await self._objects.get(file_key(cell.name))
        if packed is None:
            return None
        told = await self._told(cell.name)
        living = await self._living(cell.name)
        entry = await self._store.get(target_health_key(cell.name))
        health = decode_thing(TargetHealth, entry.value) if entry else None
        return _Gathered(decode_file(packed), told, [told[node] for node in told if node in living], health)

    async def _told(self, cell: str) -> dict[str, NodeMeasures]:
        """By node; what cannot be read is not there. What did not change is not read again."""
        tags = await self._objects.tags(measures_prefix(cell))
        for key, tag in tags.items():
            if self._read.get(key, ("", None))[0] != tag:
                self._read[key] = (tag, self._decoded(key, await self._objects.get(key)))
        return {one.node: one for key in tags if (one := self._read[key][1])}

    def _decoded(self, key: str, packed: bytes | None) -> NodeMeasures | None:
        try:
            return decode_measures(packed or b"")
        except msgspec.DecodeError as error:
            log.warning("%s: %s", key, error)
            return None

    async def _living(self, cell: str) -> set[str]:
        """Nodes that have reported lately. What another holds, others hold now."""
        book = self._books.setdefault(cell, ReportBook(self._objects, cell, self._ticking, self._clock))
        return set(book.fresh(await book.newest()))

    def _fold(self, state: State, cells: Sequence[_Gathered]) -> None:
        """Raises SeriesAway; then all of it is done again."""
        assert self._said is not None
        told = {node: one for cell in cells for node, one in cell.told.items()}
        new = {node: one for node, one in told.items() if self._said.get(node) != one}
        self._know(cells, told.values())
        whose = _Whose(state, self._attachments)
        now = _Look(self._clock(), self._ticking())
        earliest = self._earliest(now)
        for node, one in new.items() if self._series.is_begun else ():
            for key, counts in differences(self._said.get(node), one):
                for measured in whose.of(key):
                    self._minutes.count(measured, min(max(one.time, earliest), now.time), counts)
        self._look(state, cells, whose, now.time)
        rows, totals = self._minutes.taken()
        self._series.put(rows, totals, {node: encode_measures(one) for node, one in new.items()})
        self._said |= new
        self._looked = now
        self._minutes.forget_before(now.time - REMEMBERED_SECONDS)

    def _earliest(self, now: _Look) -> float:
        """When what is new can have been counted. The first look may find something that nobody has read for long."""
        if self._looked is None:
            return 0.0
        if now.time < self._looked.time:  # ten seconds that come again are others
            self._minutes.end_windows()
        return now.time - (now.ticked - self._looked.ticked)

    def _look(self, state: State, cells: Sequence[_Gathered], whose: _Whose, now: float) -> None:
        """At everything that is there, whether something happened or not."""
        held = levels([one for cell in cells for one in cell.living], whose.of)
        there = {measured for cell in cells for one in cell.file.intent.attachments for measured in whose.of(one.key)}
        for measured in there:
            self._minutes.look(measured, now, held.get(measured, NOTHING))
        for cell in cells:
            for measured, hosts in hosts_found(state, cell.file.intent, cell.health).items():
                self._minutes.look(measured, now, hosts)
        intents, health = [cell.file.intent for cell in cells], [cell.health for cell in cells if cell.health]
        for measured, value in zones_found(state, intents, health):
            self._minutes.observe(measured, now, ZONE_HEALTH, value)
        for measured, value in endpoints_found(state):
            self._minutes.observe(measured, now, ENDPOINTS_OF_SERVICE, value)

    def _know(self, cells: Sequence[_Gathered], told: Iterable[NodeMeasures]) -> None:
        """Whose each attachment is, also for as long as nodes still tell of one that has gone."""
        wanted = {(one.vni, one.interface) for node in told for one in node.attachments}
        kept = {key: one for key, one in self._attachments.items() if key in wanted}
        self._attachments = kept | {one.key: one for cell in cells for one in cell.file.intent.attachments}

    def _trim(self) -> None:
        if self._ticking() - self._trimmed < TRIM_SECONDS:
            return
        self._trimmed = self._ticking()
        if gone := self._series.trim(self._clock()):
            log.info("%d minutes were too old, or too many", gone)


class _Whose:
    """Each attachment looked up once."""

    def __init__(self, state: State, attachments: dict[Key, AttachmentIntent]):
        self._state = state
        self._attachments = attachments
        self._found: dict[Key, tuple[Measured, ...]] = {}

    def of(self, key: Key) -> tuple[Measured, ...]:
        if key not in self._found:
            one = self._attachments.get(key)
            self._found[key] = measured_by(self._state, one) if one else ()
        return self._found[key]

