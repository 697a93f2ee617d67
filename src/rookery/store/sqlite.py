"""The store of one machine: a SQLite file that several processes open (API, mapping service, CLI).

Reads run at once on the caller's thread: in write-ahead mode nothing blocks them. Writes go through the process's writer
thread. Watchers read the history from where they are; a doorbell wakes them, and a look each second covers a lost ring.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw

from rookery.store import tables
from rookery.store.doorbell import Doorbell
from rookery.store.interface import Batch, Compare, Conflict, Entry, Range, StoreUnavailable
from rookery.store.writer import Work, Writer

BUSY_MILLISECONDS = 5_000  # another process's commit takes some, a bulk load some hundred
POLL_SECONDS = 1.0
REVISIONS_A_READ = 1_000
SWEEP_REVISIONS = 2_000  # in one transaction: others write in between
KEEP_REVISIONS = 50_000
KEEP_SECONDS = 900.0

T = TypeVar("T")


class SqliteStore:
    """rookery.store.interface.Store over one file."""

    def __init__(self, path: Path, reader: apsw.Connection, writer: Writer):
        self._reader = reader
        self._writer = writer
        self._bells = _bells(path)
        self._bell: Doorbell | None = None
        self._waiting: set[asyncio.Event] = set()
        self._closed = False

    @classmethod
    def open(cls, path: Path | str, busy_milliseconds: int = BUSY_MILLISECONDS) -> SqliteStore:
        """Makes the file (0600) and its directory (0700) where missing. Raises StoreUnavailable."""
        path = Path(path)
        writer = Writer(tables.connect(path, busy_milliseconds), _bells(path))
        return cls(path, tables.connect(path, busy_milliseconds), writer)

    async def range(self, prefix: str) -> Range:
        with self._reading() as connection:
            return tables.read_range(connection, prefix)

    async def get(self, key: str) -> Entry | None:
        with self._answering():
            return tables.read_entry(self._reader, key)

    async def revision(self) -> int:
        with self._answering():
            return tables.newest(self._reader)

    async def changes_since(self, revision: int, prefix: str) -> list[Batch]:
        batches: list[Batch] = []
        upto = -1
        while upto != revision:
            upto = revision
            more, revision = self._history(revision, prefix)
            batches += more
        return batches

    async def txn(
        self, compares: Sequence[Compare], puts: Mapping[str, bytes], deletes: Sequence[str] = ()
    ) -> int:
        """When the caller is cancelled while it waits, the transaction is done or not done, but never half."""
        _check(puts, deletes)
        return await self._write(partial(_transact, tuple(compares), dict(puts), tuple(deletes)))

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[Batch, None]:
        revision = from_revision
        with self._rung() as rung:
            while True:
                rung.clear()
                batches, upto = self._history(revision, prefix)
                for batch in batches:
                    yield batch
                if upto == revision:
                    await _wait(rung, POLL_SECONDS)
                else:
                    await asyncio.sleep(0)  # a long history must not keep the loop for itself
                revision = upto

    async def compact(self, revision: int) -> None:
        await self._write(partial(_mark_compacted, revision))
        while await self._write(_sweep):
            pass

    async def trim(self, keep_revisions: int = KEEP_REVISIONS, keep_seconds: float = KEEP_SECONDS) -> None:
        """Keeps the history bounded: compacts what is older than either."""
        with self._reading() as connection:
            by_number = tables.newest(connection) - keep_revisions
            by_age = tables.last_revision_before(connection, time.time() - keep_seconds)
        await self.compact(max(0, by_number, by_age))

    async def close(self) -> None:
        """What was submitted is still written; watchers end with StoreUnavailable."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        await asyncio.to_thread(self._writer.close)
        self._reader.close()

    async def _write(self, work: Work) -> Any:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return await asyncio.wrap_future(self._writer.submit(work))

    def _history(self, revision: int, prefix: str) -> tuple[list[Batch], int]:
        with self._answering():
            if revision == tables.newest(self._reader):
                return [], revision
        with self._reading() as connection:
            return tables.read_history(connection, revision, prefix, REVISIONS_A_READ)

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        try:
            yield
        except apsw.Error as error:
            raise StoreUnavailable(f"the store cannot read: {error}") from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        """Everything inside sees one revision."""
        with self._answering():
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                self._reader.execute("COMMIT")

    @contextlib.contextmanager
    def _rung(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever somebody committed."""
        event = asyncio.Event()
        self._waiting.add(event)
        self._listen()
        try:
            yield event
        finally:
            self._waiting.discard(event)
            self._stop_listening()

    def _listen(self) -> None:
        if self._bell is None:
            self._bell = Doorbell(self._bells)
            asyncio.get_running_loop().add_reader(self._bell, self._wake)

    def _stop_listening(self) -> None:
        if self._bell is not None and not self._waiting:
            asyncio.get_running_loop().remove_reader(self._bell)
            self._bell.close()
            self._bell = None

    def _wake(self) -> None:
        if self._bell is not None:
            self._bell.drain()
        for event in self._waiting:
            event.set()


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    """Closed at the end of the block. Raises StoreUnavailable."""
    store = SqliteStore.open(path)
    try:
        yield store
    finally:
        await store.close()


def _bells(path: Path) -> Path:
    return path.with_name(path.name + "-watchers")


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _check(puts: Mapping[str, bytes], deletes: Sequence[str]) -> None:
    both = puts.keys() & set(deletes)
    if both:
        raise ValueError(f"both put and deleted: {sorted(both)}")
    for key, value in puts.items():
        key.encode()  # lone surrogates are no characters: ValueError
        if not isinstance(value, bytes):
            raise TypeError(f"the value of {key} is {type(value).__name__}, not bytes")


def _transact(
    compares: Sequence[Compare],
    puts: Mapping[str, bytes],
    deletes: Sequence[str],
    connection: apsw.Connection,
    now: float,
) -> tuple[int, bool]:
    failed = tables.failed_compare(connection, compares)
    if failed is not None:
        raise Conflict(f"{failed.key} is not at revision {failed.revision}")
    return tables.write(connection, puts, deletes, now)


def _mark_compacted(revision: int, connection: apsw.Connection, _now: float) -> tuple[None, bool]:
    tables.mark_compacted(connection, revision)
    return None, False


def _sweep(connection: apsw.Connection, _now: float) -> tuple[bool, bool]:
    return tables.sweep(connection, SWEEP_REVISIONS), False
