"""`python -m rookery.hyperplane.controller`: follows the store, and every two seconds writes the file of each cell; sooner when the
state changed, or a node's word on a target.

    store --watch--> state --cell_intent--> file --> object store --> nodes
    nodes --reports--> object store --> rings; observed/cell/* (how far a cell is); observed/health/* (what it found of its targets);
                                        shards that lost a node

It keeps nothing that is not in the store or in the file that it wrote last, which it reads before it writes the next: an epoch never goes
back, and two controllers at once take turns, each going on from the other's file.

Every cell has a turn of its own, at its own pace: what is wrong with the file, the rows or the nodes of one, and however long the object
store takes over it, delays no other."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from rookery.hyperplane.beside_cells import begin, options
from rookery.hyperplane.cell_file import CellFile, Damaged, Head, OtherVersion, TooLarge, decode, encode
from rookery.hyperplane.drained import drained
from rookery.hyperplane.health import Words, cell_words
from rookery.hyperplane.membership import living_nodes
from rookery.hyperplane.next_file import StateBehind, next_file
from rookery.hyperplane.object_store import ObjectStore, StoreAway, file_key
from rookery.hyperplane.pace import LOOK_SECONDS, keep_pace
from rookery.hyperplane.report import NodeReport
from rookery.hyperplane.report_book import ReportBook, news_of, words_of
from rookery.hyperplane.room import Fitted, fitted
from rookery.hyperplane.shards import rebalanced
from rookery.intent.cell import CellIntent
from rookery.intent.cell_whole import PRODUCTS, Product, cell_intent
from rookery.intent.state import State
from rookery.model.codec import decode as decode_thing
from rookery.model.codec import encode as encode_thing
from rookery.model.defaults import INSTANCE_MTU
from rookery.model.keys import cell_status_key, shard_key, target_health_key
from rookery.model.objects import Cell, CellStatus, Shard, TargetHealth
from rookery.store.interface import Compacted, Compare, Conflict, Store, StoreUnavailable

WATCHED = "in"  # intended/ and infrastructure/, in one read

log = logging.getLogger("rookery.hyperplane.controller")


class StateReader:
    """The newest state. Only what changed is decoded."""

    def __init__(self, store: Store, mtu: int):
        self._store = store
        self._mtu = mtu
        self._state: State | None = None
        self._reading = asyncio.Lock()  # cells ask at once
        self.reached = 0  # the store's revision whose state is at least known: what others write of cells raises it, too

    async def read(self) -> State:
        """Raises StoreUnavailable, msgspec.DecodeError."""
        async with self._reading:
            return await self._newest()

    async def _newest(self) -> State:
        newest = await self._store.revision()
        if self._state is None:
            await self._read_all()
        elif newest != self.reached:
            try:
                await self._catch_up()
            except Compacted:
                await self._read_all()
        assert self._state is not None
        self.reached = max(newest, self._state.generation)
        return self._state

    async def _read_all(self) -> None:
        found = await self._store.range(WATCHED)
        self._state = State(found.entries, found.revision, self._mtu)

    async def _catch_up(self) -> None:
        assert self._state is not None
        batches = await self._store.changes_since(self.reached, WATCHED)
        if batches:
            self._state = self._state.after(batches)


class Controller:
    """`products`: what may be at a cell. `clock`: by which reports grow old (ReportBook)."""

    def __init__(
        self,
        store: Store,
        objects: ObjectStore,
        mtu: int = INSTANCE_MTU,
        products: Sequence[Product] = PRODUCTS,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._store = store
        self._objects = objects
        self._reader = StateReader(store, mtu)
        self._products = products
        self._clock = clock
        self._told: dict[str, CellStatus] = {}
        self._books: dict[str, ReportBook] = {}
        self._seen: dict[str, dict[str, tuple[int, Words]]] = {}  # by cell: the news that its file knows of
        self._generation: dict[str, int] = {}  # by cell: of the state that its last file was made of
        self._left_out: dict[str, tuple[str, ...]] = {}  # by cell: what its file has no room for
        self._read: dict[str, CellFile] = {}  # should the newest be damaged

    async def run(self) -> None:
        """Until cancelled."""
        turns: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                names = await self._names(turns)
                for name in names - turns.keys():
                    turns[name] = group.create_task(keep_pace(partial(self._turn, name), partial(self._has_news, name)))
                for name in turns.keys() - names:
                    turns.pop(name).cancel()
                    self._forget(name)
                await asyncio.sleep(LOOK_SECONDS)

    async def _names(self, known: Iterable[str]) -> set[str]:
        """Of the cells that there are; without the store those that were there."""
        try:
            return set((await self._reader.read()).cells)
        except (StoreUnavailable, msgspec.DecodeError):
            return set(known)  # their turns say why

    def _forget(self, cell: str) -> None:
        """Another may come under its name."""
        for of_cells in (self._told, self._books, self._seen, self._generation, self._left_out, self._read):
            of_cells.pop(cell, None)

    async def _has_news(self, cell: str) -> bool:
        """Of the state, or of one of its nodes."""
        try:
            state = await self._reader.read()
            if state.generation != self._generation.get(cell, 0):
                return True
            return news_of(await self._book(cell).newest()) != self._seen.get(cell)
        except (StoreUnavailable, StoreAway, msgspec.DecodeError):
            return False  # the next turn says so

    def _book(self, cell: str) -> ReportBook:
        if cell not in self._books:
            self._books[cell] = ReportBook(self._objects, cell, self._clock)
        return self._books[cell]

    async def tick(self, early: bool = False) -> None:
        """All cells once."""
        for name in sorted(await self._names(())):
            await self._turn(name, early)

    async def _turn(self, name: str, early: bool) -> None:
        try:
            state = await self._reader.read()
            reached = self._reader.reached  # now: the next who reads raises it
            self._generation[name] = state.generation
            if name in state.cells:
                await self._keep(state, reached, state.cells[name], early)
        except (StoreAway, StoreUnavailable, StateBehind, TooLarge, Damaged, msgspec.DecodeError) as error:
            log.warning("%s keeps its file: %s", name, error)
        except Exception:  # a fault that one cell's rows cause must not be everybody's
            log.exception("%s keeps its file", name)

    async def _keep(self, state: State, reached: int, cell: Cell, early: bool) -> None:
        reports = await self._book(cell.name).newest()
        self._seen[cell.name] = news_of(reports)
        members = {name for name in cell.nodes if name}
        speaking = self._book(cell.name).fresh(reports)
        living = living_nodes(speaking) & members
        present = {name: one for name, one in speaking.items() if name in living}
        held, other = await self._held(cell.name)
        before = await self._health(cell.name)
        intent = cell_intent(state, cell, before, self._products)
        health = health_of(cell.name, intent, before, present)
        if health != before:
            intent = cell_intent(state, cell, health, self._products)
        known = {name: one for name, one in reports.items() if name in members}
        following = partial(
            next_file, held, state=state, reached=reached, reports=known, living=living, early=early, other=other
        )
        file, packed, left_out = packed_file(following, intent, lambda: fitted(intent, held, state))
        self._note_left_out(cell.name, left_out)
        await self._objects.put(file_key(cell.name), packed)
        self._read[cell.name] = file
        if health is not None and health != before:
            await self._store.txn([], {target_health_key(cell.name): encode_thing(health)})
        await self._level_shards(state, cell)
        await self._tell(cell.name, file, present)

    async def _held(self, cell: str) -> tuple[CellFile | None, Head | None]:
        """The file before; or what is known of one of another version. Raises Damaged when it is, and nobody remembers what was in it."""
        packed = await self._objects.get(file_key(cell))
        if packed is None:
            return self._read.get(cell), None
        try:
            return decode(packed), None
        except OtherVersion as error:
            log.warning("%s: %s: writing it anew above epoch %d", cell, error, error.head.epoch)
            return self._read.get(cell), error.head
        except Damaged as error:
            if cell not in self._read:
                raise
            log.error("%s: %s: writing it anew", cell, error)
            return self._read[cell], None

    def _note_left_out(self, cell: str, left_out: tuple[str, ...]) -> None:
        if left_out == self._left_out.get(cell, ()):
            return
        if left_out:
            log.error("%s has no room for %d things, which nobody serves: %s", cell, len(left_out), "; ".join(left_out))
        else:
            log.warning("%s has room for all again", cell)
        self._left_out[cell] = left_out

    async def _health(self, cell: str) -> TargetHealth | None:
        entry = await self._store.get(target_health_key(cell))
        return decode_thing(TargetHealth, entry.value) if entry else None

    async def _level_shards(self, state: State, cell: Cell) -> None:
        """Accounts whose nodes drain or are gone get others; a node that is new gets its share."""
        there = [name for name in cell.nodes if name and name not in cell.draining]
        held = {account: shard.nodes for (name, account), shard in state.shards.items() if name == cell.name}
        wanted = rebalanced(held, there, cell.shard_size) if there else held
        for account, nodes in wanted.items():
            if nodes != held[account]:
                await self._put_shard(Shard(cell=cell.name, account=account, nodes=nodes), held[account])

    async def _put_shard(self, shard: Shard, before: tuple[str, ...]) -> None:
        key = shard_key(shard.cell, shard.account)
        entry = await self._store.get(key)
        if entry is None or decode_thing(Shard, entry.value).nodes != before:
            return  # somebody else was quicker: the next tick looks again
        try:
            await self._store.txn([Compare(key, entry.revision)], {key: encode_thing(shard)})
        except Conflict:
            return
        log.info("%s serves %s by %s, not by %s", shard.cell, shard.account, ", ".join(shard.nodes), ", ".join(before))

    async def _tell(self, cell: str, file: CellFile, living: Mapping[str, NodeReport]) -> None:
        """How far the cell is, when that changed: every revision of the store wakes others."""
        status = msgspec.structs.replace(
            status_of(cell, living), left_out=self._left_out.get(cell, ()), drained=drained(file, living)
        )
        if cell in self._told and _news(status) == _news(self._told[cell]):
            return
        await self._store.txn([], {cell_status_key(cell): encode_thing(status)})
        self._told[cell] = status


def health_of(cell: str, intent: CellIntent, before: TargetHealth | None, present: Mapping[str, NodeReport]) -> TargetHealth | None:
    """`before`, where nothing changed: every revision of the store wakes others."""
    found = cell_words(intent.targets, words_of(present), before.targets if before else {})
    return TargetHealth(cell=cell, targets=found) if found != (before.targets if before else {}) else before


def packed_file(
    following: Callable[..., CellFile], intent: CellIntent, fit: Callable[[], Fitted]
) -> tuple[CellFile, bytes, tuple[str, ...]]:
    """The next file, its bytes, and what was left out of it: nothing, but where the cell has no room for all of the intent."""
    try:
        file = following(intent=intent)
        return file, encode(file), ()
    except TooLarge:
        less, left_out = fit()
        file = following(intent=less)
        return file, encode(file), left_out


def _news(status: CellStatus) -> tuple[object, ...]:
    """What somebody waits for: epochs alone are none."""
    return (status.generation, status.nodes.keys(), status.left_out, status.drained)


def status_of(cell: str, living: Mapping[str, NodeReport]) -> CellStatus:
    """Epoch and generation by which every living node works; 0: there is none, or one has no file yet."""
    return CellStatus(
        name=cell,
        epoch=min((report.epoch for report in living.values()), default=0),
        generation=min((report.generation for report in living.values()), default=0),
        nodes={name: report.epoch for name, report in sorted(living.items())},
    )


def main() -> int:
    what = options("rookery.hyperplane.controller", "Writes the files of cells.")
    return begin(what, _run, log, "told to end; nodes go on by the files that they have")


async def _run(arguments: argparse.Namespace, store: Store, objects: ObjectStore) -> None:
    await Controller(store, objects, arguments.mtu).run()


if __name__ == "__main__":
    sys.exit(main())
