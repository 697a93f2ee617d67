"""DNS at its port, over UDP and TCP: what dns/server.py answers, brought to who asked."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rookery.host.services.caller import NotACaller, caller
from rookery.host.services.complaints import Complaints
from rookery.host.services.datagrams import Datagram
from rookery.host.services.view import Guest, View

SLOW_AT_ONCE = 128  # questions of one guest that wait for an upstream
CONNECTIONS = 8  # of one guest at once
ALL_CONNECTIONS = 1024
IDLE_SECONDS = 10.0  # RFC 7766 section 6.2.3: "in the order of a few seconds"
LENGTH_BYTES = 2

log = logging.getLogger("rookery.host.services.names")


class Resolver(Protocol):
    def quick(self, guest: Guest, query: bytes, over_tcp: bool) -> bytes | None:
        """None: it takes a while, ask slow()."""

    async def slow(self, guest: Guest, query: bytes, over_tcp: bool) -> bytes | None:
        """None: nothing is said to that."""


class Full(Exception):
    """A guest, or all of them, has as many as it may. Caught here: what is too much is dropped."""


class Places:
    """So many for each guest, and so many for all."""

    def __init__(self, each: int, together: int):
        self._each = each
        self._together = together
        self._taken: Counter[int] = Counter()

    @contextmanager
    def one(self, interface: int) -> Iterator[None]:
        """Raises Full."""
        if self._taken[interface] >= self._each or self._taken.total() >= self._together:
            raise Full
        self._taken[interface] += 1
        try:
            yield
        finally:
            self._taken[interface] -= 1
            if not self._taken[interface]:
                del self._taken[interface]


class Names:
    def __init__(self, view: View, resolver: Resolver):
        self._view = view
        self._resolver = resolver
        self._complaints = Complaints(log)
        self._slow = Places(SLOW_AT_ONCE, 16 * SLOW_AT_ONCE)
        self._connections = Places(CONNECTIONS, ALL_CONNECTIONS)
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, asked: Datagram) -> None:
        guest = self._view.guest(asked.caller.interface)
        if guest is None:
            return
        if answer := self._resolver.quick(guest, asked.payload, False):
            asked.answer(answer)
            return
        task = asyncio.create_task(self._take_slowly(asked, guest))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_slowly(self, asked: Datagram, guest: Guest) -> None:
        try:
            with self._slow.one(asked.caller.interface):
                if answer := await self._resolver.slow(guest, asked.payload, False):
                    asked.answer(answer)
        except Full:
            return
        except Exception as error:  # noqa: BLE001 - as in datagrams.py
            self._complaints.tell(f"dns, interface {asked.caller.interface:#x}", error)

    async def listen(self, buckets: list[socket.socket]) -> list[asyncio.Server]:
        return [await asyncio.start_server(self._connected, sock=bucket, limit=1 << 16) for bucket in buckets]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        interface = 0
        try:
            interface = caller(writer.get_extra_info("peername")[0]).interface
            with self._connections.one(interface):
                await self._converse(reader, writer, interface)
        except (NotACaller, Full, EOFError, TimeoutError, ConnectionError):
            return  # it is hung up on, which says it all
        except Exception as error:  # noqa: BLE001 - as in datagrams.py
            self._complaints.tell(f"dns over TCP, interface {interface:#x}", error)
        finally:
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, interface: int) -> None:
        """One question after the other. Raises TimeoutError when the guest is silent, or does not take its answer."""
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
                query = await reader.readexactly(length)
            guest = self._view.guest(interface)
            if guest is None:
                return
            answer = self._resolver.quick(guest, query, True) or await self._resolver.slow(guest, query, True)
            if answer is None:
                return
            writer.write(len(answer).to_bytes(LENGTH_BYTES, "big") + answer)
            async with asyncio.timeout(IDLE_SECONDS):
                await writer.drain()
