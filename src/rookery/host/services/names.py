"""DNS at its port, over UDP and TCP: what dns/server.py answers, brought to who asked."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
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
QUESTIONS = 1024  # of one guest in a second over TCP, where a packet may hold many
IDLE_SECONDS = 10.0  # RFC 7766 section 6.2.3: "in the order of a few seconds"
LENGTH_BYTES = 2

log = logging.getLogger("rookery.host.services.names")


class Resolver(Protocol):
    def quick(self, guest: Guest, query: bytes, over_tcp: bool) -> bytes | None:
        """None: it takes a while, ask slow()."""

    async def slow(self, guest: Guest, query: bytes, over_tcp: bool) -> bytes | None:
        """None: nothing is said to that."""


class Full(Exception):
    """A guest has as many as it may. Caught here: what is too much is dropped."""


class Places:
    """So many for each guest: those of one are no other's."""

    def __init__(self, each: int):
        self._each = each
        self._taken: Counter[int] = Counter()

    @contextmanager
    def one(self, interface: int) -> Iterator[None]:
        """Raises Full."""
        if self._taken[interface] >= self._each:
            raise Full
        self._taken[interface] += 1
        try:
            yield
        finally:
            self._taken[interface] -= 1
            if not self._taken[interface]:
                del self._taken[interface]


class Pace:
    """So many in each second of the clock for each guest."""

    def __init__(self, each: int):
        self._each = each
        self._second = 0
        self._taken: Counter[int] = Counter()

    async def one(self, interface: int) -> None:
        """Returns when its turn has come, and never without having let others have theirs."""
        await asyncio.sleep(0)
        while not self._take(interface, time.monotonic()):
            await asyncio.sleep(1 - time.monotonic() % 1)

    def _take(self, interface: int, now: float) -> bool:
        if int(now) != self._second:
            self._second = int(now)
            self._taken.clear()
        if self._taken[interface] >= self._each:
            return False
        self._taken[interface] += 1
        return True


class Names:
    def __init__(self, view: View, resolver: Resolver):
        self._view = view
        self._resolver = resolver
        self._complaints = Complaints(log)
        self._slow = Places(SLOW_AT_ONCE)
        self._connections = Places(CONNECTIONS)
        self._pace = Pace(QUESTIONS)
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
            self._complaints.tell("dns", error, asked.caller.interface)

    async def listen(self, buckets: list[socket.socket]) -> list[asyncio.Server]:
        for bucket in buckets:  # what is set on a listener, its connections inherit
            bucket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(IDLE_SECONDS * 1000))
        return [await asyncio.start_server(self._connected, sock=bucket, limit=1 << 16) for bucket in buckets]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        interface = 0
        try:
            interface = caller(writer.get_extra_info("peername")[0]).interface
            with self._connections.one(interface):
                await self._converse(reader, writer, interface)
        except EOFError:  # the guest has asked all it wants to ask, and gets what is still on its way
            writer.close()
            return
        except (NotACaller, Full, TimeoutError, ConnectionError):
            pass  # it is hung up on, which says it all
        except Exception as error:  # noqa: BLE001 - as in datagrams.py
            self._complaints.tell("dns over TCP", error, interface)
        writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, interface: int) -> None:
        """One question after the other. Raises TimeoutError when the guest is silent, or does not take its answer."""
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
                query = await reader.readexactly(length)
            await self._pace.one(interface)
            guest = self._view.guest(interface)
            if guest is None:
                return
            answer = self._resolver.quick(guest, query, True) or await self._resolver.slow(guest, query, True)
            if answer is None:
                return
            writer.write(len(answer).to_bytes(LENGTH_BYTES, "big") + answer)
            async with asyncio.timeout(IDLE_SECONDS):
                await writer.drain()
