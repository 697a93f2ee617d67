"""What every store must do, held against a plain dictionary and a list. One suite for all of them.

A `Kind` opens handles on one and the same store: with SQLite several, as several processes would hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rookery.store.interface import Change, Compacted, Compare, Conflict, Store, StoreUnavailable
from rookery.store.sqlite import SqliteStore
from rookery.testing.memory_store import MemoryStore


def sqlite_handles(directory: Path) -> list[Store]:
    return [SqliteStore.open(directory / "store.db") for _ in range(2)]


def memory_handles(_directory: Path) -> list[Store]:
    return [MemoryStore()]


@dataclass(frozen=True)
class Kind:
    name: str
    handles: Callable[[Path], list[Store]]
    durable: bool


SQLITE = Kind("sqlite", sqlite_handles, durable=True)
MEMORY = Kind("memory", memory_handles, durable=False)
KINDS = (SQLITE, MEMORY)

# "0" is the character behind "/", and the last ones are where a careless end of a range lies
KEYS = ("a", "a/", "a/b", "a/b/c", "a0", "ab", "b", "a/\U0010ffff", "a/\ud7ff", "\u00e9/x")
PREFIXES = ("", "a", "a/", "a/b", "b", "c", "a/\U0010ffff", "a/\ud7ff", "\u00e9")

keys = st.sampled_from(KEYS)
prefixes = st.sampled_from(PREFIXES)
values = st.sampled_from((b"", b"x", b"\x00\xff", b"y" * 5_000))


@dataclass
class Model:
    """The oracle: what the store must hold, in the plainest words."""

    entries: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    history: list[tuple[int, dict[str, bytes | None]]] = field(default_factory=list)
    revision: int = 0
    compacted: int = 0

    def revision_of(self, key: str) -> int:
        return self.entries[key][1] if key in self.entries else 0

    def commit(self, puts: dict[str, bytes], deletes: list[str]) -> int:
        changes: dict[str, bytes | None] = {key: None for key in deletes if key in self.entries} | puts
        if changes:
            self.revision += 1
            self.history.append((self.revision, changes))
        for key, value in changes.items():
            self.entries.pop(key, None)
            if value is not None:
                self.entries[key] = (value, self.revision)
        return self.revision

    def range(self, prefix: str) -> list[tuple[str, bytes, int]]:
        return [(key, *self.entries[key]) for key in sorted(self.entries) if key.startswith(prefix)]

    def since(self, revision: int, prefix: str) -> list[tuple[int, list[Change]]]:
        found = []
        for number, changes in self.history:
            touched = [Change(key, changes[key]) for key in sorted(changes) if key.startswith(prefix)]
            if number > revision and touched:
                found.append((number, touched))
        return found


class Watcher:
    """Collects what one watch yields."""

    def __init__(self, store: Store, prefix: str, revision: int):
        self.prefix = prefix
        self.start = revision
        self.seen: list[tuple[int, list[Change]]] = []
        self.error: Exception | None = None
        self._moved = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(store))

    async def _run(self, store: Store) -> None:
        try:
            async for batch in store.watch(self.prefix, self.start):
                self.seen.append((batch.revision, batch.changes))
                self._moved.set()
        except (Compacted, StoreUnavailable) as error:
            self.error = error
            self._moved.set()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.seen) < count and self.error is None:
                self._moved.clear()
                await self._moved.wait()

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


class StoreAgainstModel(RuleBasedStateMachine):
    kind: Kind

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory(prefix="rookery-t-store-")
        self.model = Model()
        self.watchers: list[Watcher] = []
        self.handles: list[Store] = []
        self.turn = 0

    @initialize()
    def opened(self) -> None:
        self.handles = self._call(self._open())

    @rule(puts=st.dictionaries(keys, values, max_size=4), deletes=st.lists(keys, max_size=3))
    def transaction(self, puts: dict, deletes: list) -> None:
        gone = [key for key in deletes if key not in puts]
        assert self._call(self._handle().txn([], puts, gone)) == self.model.commit(puts, gone)

    @rule(
        puts=st.dictionaries(keys, values, max_size=2),
        compared=st.dictionaries(keys, st.booleans(), min_size=1),
    )
    def transaction_with_compares(self, puts: dict, compared: dict[str, bool]) -> None:
        compares = [Compare(key, self._revision(key, right)) for key, right in compared.items()]
        if all(compared.values()):
            assert self._call(self._handle().txn(compares, puts)) == self.model.commit(puts, [])
        else:
            with pytest.raises(Conflict):
                self._call(self._handle().txn(compares, puts))

    @rule(prefix=prefixes)
    def range(self, prefix: str) -> None:
        found = self._call(self._handle().range(prefix))
        assert [(e.key, e.value, e.revision) for e in found.entries] == self.model.range(prefix)
        assert found.revision == self.model.revision

    @rule(key=keys)
    def get(self, key: str) -> None:
        entry = self._call(self._handle().get(key))
        assert (entry and (entry.value, entry.revision)) == self.model.entries.get(key)

    @rule()
    def revision(self) -> None:
        assert self._call(self._handle().revision()) == self.model.revision

    @rule(prefix=prefixes, back=st.integers(0, 8))
    def changes_since(self, prefix: str, back: int) -> None:
        revision = max(0, self.model.revision - back)
        if revision < self.model.compacted:
            with pytest.raises(Compacted):
                self._call(self._handle().changes_since(revision, prefix))
        else:
            found = self._call(self._handle().changes_since(revision, prefix))
            assert [(batch.revision, batch.changes) for batch in found] == self.model.since(revision, prefix)

    @precondition(lambda self: len(self.watchers) < 4)
    @rule(prefix=prefixes, back=st.integers(0, 3))
    def a_watch_begins(self, prefix: str, back: int) -> None:
        async def begin() -> None:
            start = max(self.model.compacted, self.model.revision - back)
            self.watchers.append(Watcher(self._handle(), prefix, start))
            await asyncio.sleep(0)  # it looks before the history may be compacted

        self._call(begin())

    @rule()
    def watchers_have_seen_everything(self) -> None:
        for watcher in self.watchers:
            expected = [batch for batch in self._all_since(watcher)]
            self._call(watcher.wait_for(len(expected)))
            assert watcher.error is None
            assert watcher.seen == expected

    @rule(back=st.integers(0, 5))
    def compaction(self, back: int) -> None:
        self.watchers_have_seen_everything()  # else they may miss something, as they should
        revision = max(0, self.model.revision - back)
        self._call(self._handle().compact(revision))
        self.model.compacted = max(self.model.compacted, revision)

    @precondition(lambda self: self.kind.durable)
    @rule()
    def closed_and_opened_again(self) -> None:
        self._call(self._close())
        self.handles = self._call(self._open())

    def teardown(self) -> None:
        if self.handles:
            self.watchers_have_seen_everything()
            self._call(self._close())
        self.runner.close()
        self.directory.cleanup()

    def _all_since(self, watcher: Watcher) -> list:
        return self.model.since(watcher.start, watcher.prefix)

    def _revision(self, key: str, right: bool) -> int:
        """Of the key, or one that it is not at."""
        found = self.model.revision_of(key)
        return found if right else found + 1

    def _handle(self) -> Store:
        self.turn += 1
        return self.handles[self.turn % len(self.handles)]

    def _call(self, work):
        return self.runner.run(work)

    async def _open(self) -> list[Store]:
        return self.kind.handles(Path(self.directory.name))

    async def _close(self) -> None:
        for watcher in self.watchers:
            await watcher.stop()
        self.watchers = []
        for handle in self.handles:
            await handle.close()


class SqliteAgainstModel(StoreAgainstModel):
    kind = SQLITE


class MemoryAgainstModel(StoreAgainstModel):
    kind = MEMORY


TestSqliteAgainstModel = SqliteAgainstModel.TestCase
TestSqliteAgainstModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestMemoryAgainstModel = MemoryAgainstModel.TestCase
TestMemoryAgainstModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def run(request, tmp_path):
    """Runs a scene: a coroutine function that is given two handles on one new store."""

    def run_scene(scene) -> None:
        async def whole() -> None:
            handles = request.param.handles(tmp_path)
            try:
                await scene(handles[0], handles[-1])
            finally:
                for handle in handles:
                    await handle.close()

        asyncio.run(whole())

    return run_scene


def test_of_many_transactions_on_one_key_exactly_one_wins(run):
    async def scene(one: Store, two: Store) -> None:
        claims = [
            store.txn([Compare("key", 0)], {"key": b"%d" % n}) for n in range(20) for store in (one, two)
        ]
        results = await asyncio.gather(*claims, return_exceptions=True)
        assert sum(isinstance(result, int) for result in results) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 39
        assert await one.revision() == 1

    run(scene)


def test_revisions_of_concurrent_transactions_are_consecutive(run):
    async def scene(one: Store, two: Store) -> None:
        puts = [(one, two)[n % 2].txn([], {f"key/{n}": b""}) for n in range(50)]
        assert sorted(await asyncio.gather(*puts)) == list(range(1, 51))
        assert [batch.revision for batch in await two.changes_since(0, "key/")] == list(range(1, 51))

    run(scene)


def test_a_conflict_writes_nothing_of_the_transaction(run):
    async def scene(one: Store, two: Store) -> None:
        await one.txn([], {"a": b"1"})
        with pytest.raises(Conflict):
            await two.txn([Compare("a", 1), Compare("b", 1)], {"a": b"2", "c": b"2"}, ["a2"])
        assert [tuple(entry)[:3] for entry in (await one.range("")).entries] == [("a", b"1", 1)]

    run(scene)


def test_a_key_that_was_deleted_and_made_again_is_not_what_it_was(run):
    async def scene(one: Store, _two: Store) -> None:
        await one.txn([], {"a": b"1"})
        await one.txn([], {}, ["a"])
        await one.txn([Compare("a", 0)], {"a": b"1"})
        with pytest.raises(Conflict):
            await one.txn([Compare("a", 1)], {"a": b"2"})

    run(scene)


def test_a_key_both_put_and_deleted_is_refused(run):
    async def scene(one: Store, _two: Store) -> None:
        with pytest.raises(ValueError, match="both put and deleted"):
            await one.txn([], {"a": b"1"}, ["a"])
        assert await one.revision() == 0

    run(scene)


def test_a_watch_too_late_for_the_history_says_so(run):
    async def scene(one: Store, two: Store) -> None:
        for _ in range(5):
            await one.txn([], {"a": b""})
        await one.compact(3)
        with pytest.raises(Compacted) as told:
            await anext(two.watch("", 2))
        later = [batch.revision for batch in await two.changes_since(told.value.oldest, "")]
        assert later == [n for n in (4, 5) if n > told.value.oldest]
        assert [batch.revision for batch in await two.changes_since(3, "")] == [4, 5]

    run(scene)


def test_times_are_those_of_the_commit(run):
    async def scene(one: Store, two: Store) -> None:
        before = time.time()
        await one.txn([], {"a": b""})
        after = time.time()
        entry = await two.get("a")
        [batch] = await two.changes_since(0, "")
        assert before <= entry.time == batch.time <= after

    run(scene)


def test_a_closed_store_is_unavailable_to_all_who_use_it(run):
    async def scene(one: Store, _two: Store) -> None:
        watcher = Watcher(one, "", 0)
        await asyncio.sleep(0)
        await one.close()
        await watcher.wait_for(1)
        assert isinstance(watcher.error, StoreUnavailable)
        for call in (one.txn([], {"a": b""}), one.range(""), one.get("a"), one.revision(), one.compact(0)):
            with pytest.raises(StoreUnavailable):
                await call

    run(scene)
