"""The agent's end of the feed: every process that connects to the socket hears all that the services must know, and then each
change, until it reads too slowly. What it hears is in services/feed.py."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from rookery.host.services.feed import (
    NAME_ROWS,
    Change,
    FeedError,
    NameRow,
    Snapshot,
    framed,
    from_services,
)
from rookery.intent.host import HostIntent, InstanceIntent, NameIntent, RuleIntent, ZoneIntent
from rookery.mapping.client import Update
from rookery.mapping.protocol import Delta

PART_ROWS = 1000  # of a snapshot: encoding one part must not hold up the agent
BACKLOG = 16 << 20  # bytes of changes that may wait for a reader
SLOWEST_WRITE = 5.0  # seconds for a reader to take what was sent
NOBODY = "not connected to the agent"
SILENCE = 10.0  # seconds after which a reader that should say something every two counts as stuck

T = TypeVar("T")
log = logging.getLogger("rookery.host.feed")


class _Whole(NamedTuple):
    instances: list[InstanceIntent]
    rows: list[NameRow]


class _TooSlow(Exception):
    """A reader has so much to read that it had better begin anew."""


class _Reader:
    """What waits to be sent to one of them."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[_Whole | bytes] = asyncio.Queue()
        self._bytes = 0

    def begin(self, whole: _Whole) -> None:
        """What waits already is older than this."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._bytes = 0
        self._waiting.put_nowait(whole)

    def add(self, frame: bytes) -> None:
        self._bytes += len(frame)
        self._waiting.put_nowait(frame)

    async def next(self) -> _Whole | bytes:
        """Raises _TooSlow."""
        if self._bytes > BACKLOG:
            raise _TooSlow(f"{self._bytes} bytes wait for it")
        found = await self._waiting.get()
        self._bytes -= len(found) if isinstance(found, bytes) else 0
        return found


class ServicesFeed:
    def __init__(self) -> None:
        self._said = NOBODY
        self._heard = 0.0
        self._intent: HostIntent | None = None
        self._readers: set[_Reader] = set()
        self._over = asyncio.Event()

    @property
    def problem(self) -> str:
        """Why guests cannot reach this host's services, as the services tell; empty: they can."""
        silent = time.monotonic() - self._heard
        if self._readers and silent > SILENCE:
            return f"stuck: it has said nothing for {silent:.0f} seconds"
        return self._said

    def publish(self, update: Update) -> None:
        """At once, before anybody awaits: the dictionaries of an intent change with the next update."""
        self._intent = update.intent
        if update.delta is None:
            for reader in self._readers:
                reader.begin(_whole(update.intent))
        elif frame := _change(update.delta):
            for reader in self._readers:
                reader.add(frame)

    @contextlib.asynccontextmanager
    async def at(self, path: Path) -> AsyncIterator[None]:
        """Serves until the block ends. A socket that a dead agent left is replaced."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._serve, path)
        finally:
            os.umask(mask)
        try:
            yield
        finally:
            self._over.set()
            server.close()
            path.unlink(missing_ok=True)

    async def _serve(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        reader = _Reader()
        self._readers.add(reader)
        self._heard = time.monotonic()
        if self._intent is not None:
            reader.begin(_whole(self._intent))
        ways_to_end = (_send(reader, outgoing), self._listen(incoming), self._over.wait())
        tasks = [asyncio.create_task(way) for way in ways_to_end]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._readers.discard(reader)
            if not self._readers:
                self._said = NOBODY
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            _tell_end(ends)
            outgoing.transport.abort()

    async def _listen(self, incoming: asyncio.StreamReader) -> None:
        while True:
            self._said = (await from_services(incoming)).problem
            self._heard = time.monotonic()


def _tell_end(ends: Iterable[object]) -> None:
    for end in ends:
        if isinstance(end, asyncio.IncompleteReadError | OSError):
            log.info("a reader went away: %s", end or type(end).__name__)
        elif isinstance(end, FeedError | _TooSlow | TimeoutError):
            log.warning("a reader is cut and may begin anew: %s", end or "it takes nothing")
        elif isinstance(end, Exception):
            log.error("a reader is cut by our own fault", exc_info=end)


async def _send(reader: _Reader, outgoing: asyncio.StreamWriter) -> None:
    """For ever. Raises _TooSlow, TimeoutError, OSError."""
    while True:
        found = await reader.next()
        for frame in (found,) if isinstance(found, bytes) else _frames(found):
            outgoing.write(frame)
            await asyncio.wait_for(outgoing.drain(), SLOWEST_WRITE)


def _whole(intent: HostIntent) -> _Whole:
    return _Whole(list(intent.instances.values()), _names(intent.rules.values()))


def _names(rules: Iterable[RuleIntent]) -> list[NameRow]:
    return [rule for rule in rules if isinstance(rule, NameIntent | ZoneIntent)]


def _change(delta: Delta) -> bytes:
    """Empty: nothing in it is the services' concern."""
    change = Change(
        put_instances=delta.put_instances,
        delete_instances=delta.delete_instances,
        put_rows=_names(delta.put_rules),
        delete_rows=[key for key in delta.delete_rules if key[0] in NAME_ROWS],
    )
    return b"" if change == Change() else framed(change)


def _frames(whole: _Whole) -> Iterator[bytes]:
    """Of a snapshot, one by one."""
    parts = [Snapshot(first=False, last=False, instances=some) for some in _parts(whole.instances)]
    yield framed(Snapshot(first=True, last=False))
    for part in parts:
        yield framed(part)
    for rows in _parts(whole.rows):
        yield framed(Snapshot(first=False, last=False, rows=rows))
    yield framed(Snapshot(first=False, last=True))


def _parts(rows: list[T]) -> Iterator[list[T]]:
    return (rows[start : start + PART_ROWS] for start in range(0, len(rows), PART_ROWS))
