"""Serves host/control.py on a unix socket that only root can open: one request a connection, answered by one line, or by
lines without end for `watch`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

from rookery.host.control import ErrorReply, EventLine, Request, WatchDrops, WatchReply
from rookery.host.watchers import Watchers

LONGEST_REQUEST = 1 << 20
SLOWEST_WRITE = 5.0  # seconds for a client to take what was sent
log = logging.getLogger("rookery.host.control")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Request).decode


class CannotAnswer(Exception):
    """The request is understood and cannot be answered; the sentence goes to the client."""


Answer = Callable[[Request], Awaitable[msgspec.Struct]]


class ControlServer:
    def __init__(self, host: str, answer: Answer, watchers: Watchers):
        self._host = host
        self._answer = answer
        self._watchers = watchers

    @contextlib.asynccontextmanager
    async def at(self, path: Path) -> AsyncIterator[None]:
        """Answers until the block ends. A socket that a dead agent left is replaced."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._serve, path, limit=LONGEST_REQUEST)
        finally:
            os.umask(mask)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = _decode(await reader.readuntil())
            if isinstance(request, WatchDrops):
                with self._watchers.watching() as lines:
                    await _send(writer, WatchReply(watching=self._host))
                    await _stream(reader, writer, lines)
            else:
                await _send(writer, await self._answer(request))
        except (msgspec.DecodeError, CannotAnswer, asyncio.LimitOverrunError) as error:
            with contextlib.suppress(OSError, TimeoutError):
                await _send(writer, ErrorReply(error=str(error)))
        except (asyncio.IncompleteReadError, OSError, TimeoutError) as error:
            log.debug("a client went away: %s", error)
        finally:
            writer.close()


async def _stream(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: AsyncIterator[EventLine]
) -> None:
    """The client says nothing more; that it closes is how we learn that it left."""
    left = asyncio.create_task(reader.read())
    sending = asyncio.create_task(_send_all(writer, lines))
    try:
        await asyncio.wait({left, sending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (left, sending):
            task.cancel()
        await asyncio.gather(left, sending, return_exceptions=True)


async def _send_all(writer: asyncio.StreamWriter, lines: AsyncIterator[EventLine]) -> None:
    async for line in lines:
        await _send(writer, line)


async def _send(writer: asyncio.StreamWriter, reply: msgspec.Struct) -> None:
    writer.write(_encode(reply) + b"\n")
    await asyncio.wait_for(writer.drain(), SLOWEST_WRITE)
