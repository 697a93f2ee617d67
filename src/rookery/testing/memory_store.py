"""A store in this process's memory, for tests: the whole interface, nothing durable.

`fail_next` makes the next calls raise, so that a test can show what happens when the store conflicts or does not answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence

from rookery.store.interface import (
    Batch,
    Change,
    Compacted,
    Compare,
    Conflict,
    Entry,
    Range,
    StoreError,
    StoreUnavailable,
)


class MemoryStore:
    """rookery.store.interface.Store."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._history: list[Batch] = []
        self._revision = 0
        self._compacted = 0
        self._changed = asyncio.Condition()
        self._closed = False
        self._failures: list[StoreError] = []

    def fail_next(self, *errors: StoreError) -> None:
        """One of them is raised by each of the next transactions."""
        self._failures.extend(errors)

    async def range(self, prefix: str) -> Range:
        self._check_open()
        entries = [entry for key, entry in sorted(self._entries.items()) if key.startswith(prefix)]
        return Range(entries, self._revision)

    async def get(self, key: str) -> Entry | None:
        self._check_open()
        return self._entries.get(key)

    async def revision(self) -> int:
        self._check_open()
        return self._revision

    async def txn(
        self, compares: Sequence[Compare], puts: Mapping[str, bytes], deletes: Sequence[str] = ()
    ) -> int:
        self._check_open()
        if puts.keys() & set(deletes):
            raise ValueError("a key both put and deleted")
        await asyncio.sleep(0)  # others may come between, as with a real store
        if self._failures:
            raise self._failures.pop(0)
        self._compare(compares)
        changes = [Change(key, value) for key, value in puts.items()]
        changes += [Change(key, None) for key in dict.fromkeys(deletes) if key in self._entries]
        if changes:
            await self._commit(Batch(self._revision + 1, sorted(changes), time.time()))
        return self._revision

    def _compare(self, compares: Sequence[Compare]) -> None:
        for key, revision in compares:
            entry = self._entries.get(key)
            if (entry.revision if entry else 0) != revision:
                raise Conflict(f"{key} is not at revision {revision}")

    async def _commit(self, batch: Batch) -> None:
        self._revision = batch.revision
        for key, value in batch.changes:
            if value is None:
                del self._entries[key]
            else:
                self._entries[key] = Entry(key, value, batch.revision, batch.time)
        self._history.append(batch)
        async with self._changed:
            self._changed.notify_all()

    async def changes_since(self, revision: int, prefix: str) -> list[Batch]:
        self._check_open()
        if revision < self._compacted:
            raise Compacted(self._compacted)
        later = self._history[revision - self._compacted :]
        cut = (
            batch._replace(changes=[c for c in batch.changes if c.key.startswith(prefix)]) for batch in later
        )
        return [batch for batch in cut if batch.changes]

    async def watch(self, prefix: str, from_revision: int) -> AsyncGenerator[Batch, None]:
        seen = from_revision
        while True:
            newest = self._revision
            for batch in await self.changes_since(seen, prefix):
                yield batch
                newest = max(newest, batch.revision)
            seen = newest
            await self._later_than(seen)

    async def _later_than(self, revision: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._revision > revision or self._closed)

    async def compact(self, revision: int) -> None:
        self._check_open()
        revision = min(revision, self._revision)
        self._history = self._history[max(0, revision - self._compacted) :]
        self._compacted = max(self._compacted, revision)

    async def close(self) -> None:
        self._closed = True
        async with self._changed:
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
