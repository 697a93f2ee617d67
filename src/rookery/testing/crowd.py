"""Many TCP connections at once that know whether what arrives is what was sent, and how late the latest was. Runs inside instances,
with nothing but Python.

    crowd.py serve ADDRESS PORT EVERY           says "listening", takes connections until it is told to end
    crowd.py call ADDRESS PORT EVERY COUNT      makes so many, says "complete"
    crowd.py visit ADDRESS PORT EVERY RATE      makes so many a second, which end at once when each has been answered; says "complete"

Both ends send a block on every connection each EVERY seconds. A line on stdin: "tell" is answered by a line of JSON (Crowd.tell), and what
is latest counts anew; "end" sends no more, waits until all is read, tells, and ends.

Block: number, 8 bytes; when it was sent, nanoseconds of the machine's clock, 8 bytes; 16 of noise; SHA-256 of all that. A block that is
not the next one, or not whole, breaks its connection. Who connects and says nothing is not counted by who serves.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import statistics
import struct
import sys
import time
from collections import deque
from collections.abc import Callable

HEAD = struct.Struct("!QQ16s")
BLOCK = HEAD.size + 32
TICK = 0.01
PACE = 1000.0  # connections that one end begins in a second: a machine that does nothing else is heard by nobody
PATIENCE = 30.0
THREE_TRIES = 3.5  # seconds: a kernel sends a SYN again after one and three


class Crowd:
    """What all connections of one end have seen."""

    def __init__(self, every: float) -> None:
        self.turns: list[set[Member]] = [set() for _ in range(max(1, round(every / TICK)))]
        self.ending = False
        self.connections, self.broken, self.sent, self.received, self.latest = 0, 0, 0, 0, 0
        self.lost: list[int] = []  # local ports of those that broke
        self.reset = 0  # of these
        self.failed = 0  # visits that were not answered
        self.knocking: set[float] = set()  # when visits began that are not connected yet
        self.waits: deque[float] = deque(maxlen=100)  # of the latest others, for their connections, in seconds
        self.noise = os.urandom(16)

    def join(self, member: Member) -> None:
        self.turns[self.connections % len(self.turns)].add(member)
        self.connections += 1

    @property
    def members(self) -> list[Member]:
        return [member for turn in self.turns for member in turn]

    def tell(self) -> None:
        quiet = max((time.monotonic_ns() - member.heard for member in self.members if not member.ended), default=0)
        told = {
            "connections": self.connections,
            "broken": self.broken,
            "reset": self.reset,
            "failed": self.failed,
            "sent": self.sent,
            "received": self.received,
            "lost": self.lost,
            "latest": self.latest / 1e9,
            "quiet": quiet / 1e9,
            "knocks": time.monotonic() - min(self.knocking, default=time.monotonic()),  # for so long the one that began first
            "waited": statistics.median(self.waits) if self.waits else 0.0,
        }
        print(json.dumps(told), flush=True)
        self.latest = 0

    async def keep_sending(self) -> None:
        turn, due = 0, time.monotonic()
        while not self.ending:
            for member in self.turns[turn % len(self.turns)]:
                member.send()
            turn, due = turn + 1, max(due + TICK, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        for turn_of_members in self.turns:  # not all at once, either
            for member in list(turn_of_members):
                member.finish()
            await asyncio.sleep(TICK)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(TICK)


class Member(asyncio.Protocol):
    """One connection's end."""

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd, calls: bool):
        self.crowd, self.calls, self.number, self.expected, self.buffer = crowd, calls, 0, 0, b""
        self.joined, self.heard = False, time.monotonic_ns()
        self.ended = False  # the other end sends no more, as was told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]
        if self.calls:
            self.join()

    def join(self) -> None:
        self.joined = True
        self.crowd.join(self)

    def send(self) -> None:
        if self.ended:
            return
        body = HEAD.pack(self.number, time.monotonic_ns(), self.crowd.noise)
        self.transport.write(body + hashlib.sha256(body).digest())
        self.number += 1
        self.crowd.sent += 1

    def finish(self) -> None:
        if not self.transport.is_closing():
            self.transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= BLOCK:
            block, self.buffer = self.buffer[:BLOCK], self.buffer[BLOCK:]
            self.take(block[:-32], block[-32:])

    def take(self, body: bytes, digest: bytes) -> None:
        number, sent, _ = HEAD.unpack(body)
        if number != self.expected or hashlib.sha256(body).digest() != digest:
            self.transport.abort()
            return
        if not self.joined:
            self.join()
        self.expected += 1
        self.crowd.received += 1
        self.heard = time.monotonic_ns()
        self.crowd.latest = max(self.crowd.latest, self.heard - sent)

    def eof_received(self) -> bool:
        self.ended = self.buffer == b""
        if not self.calls:
            self.transport.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.joined and not self.ended:
            self.crowd.broken += 1
            self.crowd.lost.append(self.port)
            self.crowd.reset += isinstance(exc, ConnectionResetError)
        self.ended = True
        for turn in self.crowd.turns:
            turn.discard(self)


class Visitor(Member):
    """Sends one block, is answered by one, and leaves."""

    def __init__(self, crowd: Crowd):
        super().__init__(crowd, calls=True)
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.send()

    def take(self, body: bytes, digest: bytes) -> None:
        super().take(body, digest)
        self.finish()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.over.done():
            self.over.set_result(None)

    def eof_received(self) -> bool:
        super().eof_received()
        self.transport.close()
        return True


async def visit(crowd: Crowd, address: str, port: int) -> None:
    loop, began = asyncio.get_running_loop(), time.monotonic()
    visitor: Visitor | None = None
    crowd.knocking.add(began)
    try:
        async with asyncio.timeout(THREE_TRIES):
            _, visitor = await loop.create_connection(lambda: Visitor(crowd), address, port)
        crowd.knocking.discard(began)
        crowd.waits.append(time.monotonic() - began)
        async with asyncio.timeout(PATIENCE):
            await visitor.over
    except (OSError, TimeoutError):
        crowd.failed += 1
        crowd.knocking.discard(began)
        if visitor is not None:
            visitor.transport.abort()


async def keep_visiting(crowd: Crowd, address: str, port: int, rate: float) -> None:
    visits: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while not crowd.ending:
        one = asyncio.create_task(visit(crowd, address, port))
        visits.add(one)
        one.add_done_callback(visits.discard)
        due = max(due + 1 / rate, time.monotonic() - 1)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await asyncio.gather(*visits)


async def gather(crowd: Crowd, address: str, port: int, count: int) -> None:
    loop, began = asyncio.get_running_loop(), time.monotonic()
    making = []
    for number in range(count):
        making.append(asyncio.create_task(loop.create_connection(lambda: Member(crowd, calls=True), address, port)))
        ahead = number / PACE - (time.monotonic() - began)
        if ahead > TICK:
            await asyncio.sleep(ahead)
    await asyncio.gather(*making)


async def main(role: str, address: str, port: int, every: float, many: float) -> None:
    crowd, words = Crowd(every), asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    works = [asyncio.create_task(crowd.keep_sending())] if role != "visit" else []
    if role == "serve":
        await loop.create_server(lambda: Member(crowd, calls=False), address, port, backlog=1 << 14)
    elif role == "visit":
        works.append(asyncio.create_task(keep_visiting(crowd, address, port, many)))
    else:
        await gather(crowd, address, port, int(many))
    print("listening" if role == "serve" else "complete", flush=True)
    while (word := await words.readline()) == b"tell\n":
        crowd.tell()
    if not word:
        return  # nobody listens any more
    crowd.ending = True
    await asyncio.gather(*works)
    await crowd.until(lambda: all(member.ended for member in crowd.members))
    crowd.tell()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    role, its_address, its_port, its_every, *its_number = sys.argv[1:]
    asyncio.run(main(role, its_address, int(its_port), float(its_every), float(its_number[0]) if its_number else 0))
