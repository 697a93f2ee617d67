"""What the mapping service writes into the store: what hosts report of their instances, and how far the hosts are.

Both are kept until the store takes them; a newer word replaces an older one that still waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rookery.mapping.index import Index
from rookery.model.codec import decode, encode
from rookery.model.keys import LIVE, OBSERVED_CONSOLES, OBSERVED_INSTANCES, console_key, instance_status_key
from rookery.model.objects import ConsoleOutput, InstanceStatus, Live
from rookery.store.interface import Compare, Conflict, Entry, Store, StoreError, StoreUnavailable

STATES = ("running", "stopped", "terminated", "failed")
LONGEST_MESSAGE = 1_000
LONGEST_CONSOLE = 64 * 1024  # bytes
DEBOUNCE_SECONDS = 0.010
RETRY_SECONDS = 0.5

log = logging.getLogger("rookery.mapping.observed")


class Reports:
    """What hosts say of instances on its way into the store: their statuses, and the ends of their consoles."""

    def __init__(self, store: Store, index: Index):
        self._store = store
        self._index = index
        self._written: dict[str, InstanceStatus] = {}
        self._waiting: dict[str, InstanceStatus | ConsoleOutput] = {}  # by store key
        self._something = asyncio.Event()

    def take(self, host: str, statuses: list[InstanceStatus]) -> None:
        """A host can only speak of what is its own: the rest is dropped and logged."""
        for status in statuses:
            key = instance_status_key(status.id)
            if not self._speaks_of_its_own(host, status.id):
                continue
            if status.state not in STATES or len(status.message) > LONGEST_MESSAGE:
                log.warning("%s reports nonsense of %s: dropped", host, status.id)
            elif self._written.get(key) != status or key in self._waiting:
                self._wait(key, status)

    def take_consoles(self, host: str, outputs: list[ConsoleOutput]) -> None:
        for output in outputs:
            if not self._speaks_of_its_own(host, output.id):
                continue
            if len(output.output) > LONGEST_CONSOLE:
                log.warning("%s tells too much of the console of %s: dropped", host, output.id)
            else:
                self._wait(console_key(output.id), output)

    def _speaks_of_its_own(self, host: str, instance: str) -> bool:
        if self._index.host_of(instance) == host:
            return True
        log.warning("%s reports of %s, which is not its own: dropped", host, instance)
        return False

    def _wait(self, key: str, word: InstanceStatus | ConsoleOutput) -> None:
        self._waiting[key] = word
        self._something.set()

    async def write(self) -> None:
        """For ever."""
        while await self._something.wait():
            self._something.clear()
            words, self._waiting = self._waiting, {}
            try:
                await self._store.txn([], {key: encode(word) for key, word in words.items()})
                self._written |= {key: word for key, word in words.items() if isinstance(word, InstanceStatus)}
            except StoreUnavailable as error:
                log.warning("reports wait: %s", error)
                self._waiting = words | self._waiting
                await asyncio.sleep(RETRY_SECONDS)
                self._something.set()

    async def forget_the_gone(self) -> None:
        """Deletes what was observed of instances that exist no more. Raises StoreUnavailable."""
        for prefix in (OBSERVED_INSTANCES, OBSERVED_CONSOLES):
            for entry in (await self._store.range(prefix)).entries:
                gone = self._index.host_of(entry.key.removeprefix(prefix)) is None
                if gone and entry.revision <= self._index.generation:
                    await self._forget(entry)

    async def _forget(self, entry: Entry) -> None:
        self._written.pop(entry.key, None)
        try:
            await self._store.txn([Compare(entry.key, entry.revision)], {}, [entry.key])
        except Conflict:
            log.info("%s was reported of again", entry.key)


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
