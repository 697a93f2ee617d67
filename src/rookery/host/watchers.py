"""Who watches the drops: each client its own queue; one that does not keep up is cut, so that it slows nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from rookery.host.control import EventLine

BACKLOG = 1000  # lines


class Watchers:
    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[EventLine | None]] = set()

    def publish(self, line: EventLine) -> None:
        for queue in list(self._queues):
            try:
                queue.put_nowait(line)
            except asyncio.QueueFull:
                self._cut(queue)

    def _cut(self, queue: asyncio.Queue[EventLine | None]) -> None:
        self._queues.discard(queue)
        queue.get_nowait()
        queue.put_nowait(None)

    @contextmanager
    def watching(self) -> Iterator[AsyncIterator[EventLine]]:
        """Every line that is published inside the block; they end when the reader is cut."""
        queue: asyncio.Queue[EventLine | None] = asyncio.Queue(BACKLOG)
        self._queues.add(queue)
        try:
            yield _until_cut(queue)
        finally:
            self._queues.discard(queue)

    def __len__(self) -> int:
        return len(self._queues)


async def _until_cut(queue: asyncio.Queue[EventLine | None]) -> AsyncIterator[EventLine]:
    while (line := await queue.get()) is not None:
        yield line
