"""What the mapping service writes into the store: what hosts report of their instances, and how far the hosts are.

Both are kept until the store takes them; a newer word replaces an older one that still waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rookery.mapping.index import Index
from rookery.model.codec import decode, encode
from rookery.model.keys import LIVE, OBSERVED_INSTANCES, instance_status_key
from rookery.model.objects import InstanceStatus, Live
from rookery.store.interface import Compare, Conflict, Store, StoreError, StoreUnavailable

STATES = ("running", "stopped", "terminated", "failed")
LONGEST_MESSAGE = 1_000
DEBOUNCE_SECONDS = 0.010
RETRY_SECONDS = 0.5

log = logging.getLogger("rookery.mapping.observed")


class Reports:
    """Statuses of instances on their way into the store."""

    def __init__(self, store: Store, index: Index):
        self._store = store
        self._index = index
        self._written: dict[str, InstanceStatus] = {}
        self._waiting: dict[str, InstanceStatus] = {}
        self._something = asyncio.Event()

    def take(self, host: str, statuses: list[InstanceStatus]) -> None:
        """A host can only speak of what is its own: the rest is dropped and logged."""
        for status in statuses:
            if self._index.host_of(status.id) != host:
                log.warning("%s reports of %s, which is not its own: dropped", host, status.id)
            elif status.state not in STATES or len(status.message) > LONGEST_MESSAGE:
                log.warning("%s reports nonsense of %s: dropped", host, status.id)
            elif self._written.get(status.id) != status or status.id in self._waiting:
                self._waiting[status.id] = status
                self._something.set()

    async def write(self) -> None:
        """For ever."""
        while await self._something.wait():
            self._something.clear()
            statuses, self._waiting = self._waiting, {}
            try:
                puts = {instance_status_key(status.id): encode(status) for status in statuses.values()}
                await self._store.txn([], puts)
                self._written |= statuses
            except StoreUnavailable as error:
                log.warning("reports wait: %s", error)
                self._waiting = statuses | self._waiting
                await asyncio.sleep(RETRY_SECONDS)
                self._something.set()

    async def forget_the_gone(self) -> None:
        """Deletes what was observed of instances that exist no more. Raises StoreUnavailable."""
        found = await self._store.range(OBSERVED_INSTANCES)
        for entry in found.entries:
            instance = entry.key.removeprefix(OBSERVED_INSTANCES)
            if self._index.host_of(instance) is None and entry.revision <= self._index.generation:
                self._written.pop(instance, None)
                try:
                    await self._store.txn([Compare(entry.key, entry.revision)], {}, [entry.key])
                except Conflict:
                    log.info("%s was reported of again", instance)


async def read_live(store: Store) -> Live:
    """Raises StoreUnavailable."""
    entry = await store.get(LIVE)
    return decode(Live, entry.value) if entry else Live(generation=0)


class LiveWriter:
    """Writes `observed/live` a moment after something moved, and only what differs."""

    def __init__(self, store: Store, current: Callable[[], Live]):
        self._store = store
        self._current = current
        self._written = Live(generation=0)
        self._moved = asyncio.Event()

    async def read(self) -> Live:
        """What an earlier service wrote, from which this one goes on. Raises StoreUnavailable."""
        self._written = await read_live(self._store)
        return self._written

    def moved(self) -> None:
        self._moved.set()

    async def write(self) -> None:
        """For ever."""
        while await self._moved.wait():
            await asyncio.sleep(DEBOUNCE_SECONDS)
            self._moved.clear()
            await self._write_one(self._never_back(self._current()))

    def _never_back(self, live: Live) -> Live:
        """What was live stays live: a host that comes anew does not take back what was said."""
        return Live(generation=max(live.generation, self._written.generation), hosts=live.hosts)

    async def _write_one(self, live: Live) -> None:
        if live == self._written:
            return
        try:
            await self._store.txn([], {LIVE: encode(live)})
            self._written = live
        except StoreError as error:
            log.warning("how far the hosts are is not written: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
            self._moved.set()
