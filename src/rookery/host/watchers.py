"""Who watches the drops: each client its own queue; one that does not keep up is cut, so that it slows nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

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

    async def lines(self) -> AsyncIterator[EventLine]:
        """Everything from now on; ends when the reader is cut."""
        queue: asyncio.Queue[EventLine | None] = asyncio.Queue(BACKLOG)
        self._queues.add(queue)
        try:
            while (line := await queue.get()) is not None:
                yield line
        finally:
            self._queues.discard(queue)

    def __len__(self) -> int:
        return len(self._queues)
