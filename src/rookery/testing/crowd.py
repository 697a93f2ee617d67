"""Many TCP connections at once that know whether what arrives is what was sent, and how late the latest was. Runs inside instances,
with nothing but Python.

    crowd.py serve ADDRESS PORT COUNT     says "listening", takes COUNT connections, says "complete"
    crowd.py call ADDRESS PORT COUNT      makes them, says "complete"

Then both ends send a block on every connection four times a second. A line on stdin: "tell" is answered by a line of JSON (Told), and what
is latest counts anew; "end" sends no more, waits until all is read, tells, and ends.

Block: number, 8 bytes; when it was sent, nanoseconds of the machine's clock, 8 bytes; 16 of noise; SHA-256 of all that. A block that is
not the next one, or not whole, breaks its connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import struct
import sys
import time
from collections.abc import Callable

HEAD = struct.Struct("!QQ16s")
BLOCK = HEAD.size + 32
TICK, TICKS = 0.01, 25  # in each tick one connection of 25 sends
AT_ONCE = 100
PATIENCE = 30.0


class Crowd:
    """What all connections of one end have seen."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.ending = False
        self.broken, self.sent, self.received, self.latest = 0, 0, 0, 0
        self.noise = os.urandom(16)

    def tell(self) -> None:
        told = {"connections": len(self.members), "broken": self.broken, "sent": self.sent, "received": self.received}
        print(json.dumps(told | {"latest": self.latest / 1e9}), flush=True)
        self.latest = 0

    async def keep_sending(self) -> None:
        turn = 0
        while not self.ending:
            for member in self.members[turn % TICKS :: TICKS]:
                member.send()
            turn += 1
            await asyncio.sleep(TICK)
        for member in self.members:
            member.finish()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(TICK)


class Member(asyncio.Protocol):
    """One connection's end."""

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd):
        self.crowd, self.number, self.expected, self.buffer = crowd, 0, 0, b""
        self.ended = False  # the other end sends no more, as was told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.crowd.members.append(self)

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
        self.expected += 1
        self.crowd.received += 1
        self.crowd.latest = max(self.crowd.latest, time.monotonic_ns() - sent)

    def eof_received(self) -> bool:
        self.ended = self.buffer == b""
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.broken += not self.ended
        self.ended = True


async def gather(crowd: Crowd, role: str, address: str, port: int, count: int) -> asyncio.Server | None:
    loop = asyncio.get_running_loop()
    if role == "serve":
        server = await loop.create_server(lambda: Member(crowd), address, port, backlog=2 * count)
        print("listening", flush=True)
        await crowd.until(lambda: len(crowd.members) == count)
        return server
    for first in range(0, count, AT_ONCE):
        batch = range(first, min(first + AT_ONCE, count))
        await asyncio.gather(*(loop.create_connection(lambda: Member(crowd), address, port) for _ in batch))
    return None


async def main(role: str, address: str, port: int, count: int) -> None:
    crowd, words = Crowd(), asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    server = await gather(crowd, role, address, port, count)
    print("complete", flush=True)
    sending = asyncio.create_task(crowd.keep_sending())
    while await words.readline() == b"tell\n":
        crowd.tell()
    crowd.ending = True
    await sending
    await crowd.until(lambda: all(member.ended for member in crowd.members))
    crowd.tell()
    if server is not None:
        server.close()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
