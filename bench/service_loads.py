"""The programs that ask a host's services from many guests at once: one process, a socket in the network namespace of each.

    python -m bench.service_loads KIND SECONDS    JSON on stdin: the fields of Asked

dns         as many questions as the guests' budgets and the server allow: answers a second
dns-one     one guest, one question at a time, slowly: microseconds
metadata    a connection for each guest, one request at a time on each: answers a second
metadata-one  one guest as an SDK that just started: a token, then a value, each on a connection of its own: microseconds

An answer that is none (an error, no records, a status that is not 200) ends the program: speed without answers is nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.load import IoVector, MessageHeader, MultiMessage, libc
from rookery.host.instances import namespace

WINDOW = 8  # questions of one guest under way
LOST_AFTER = 0.5  # seconds without an answer: its questions are not under way any more
PAUSE = 0.003  # seconds between two questions of a guest who asks slowly
LONG_PAUSE = 0.03  # where asking once takes some fifteen packets
REQUESTS_A_GUEST = 300  # a second: a request is three packets, the answer's acknowledgement among them
METADATA = "169.254.169.254"
DONT_WAIT = 0x40  # MSG_DONTWAIT
BUFFER = 512
HEAD = 12  # bytes of a DNS message
RCODE, NO_ANSWERS = 0x0F, b"\0\0"


class Asked(NamedTuple):
    namespaces: list[str]
    server: str
    names: list[str]  # with an address each
    budget: int  # packets that one guest may send to the services in a second


def question(name: str, identifier: int) -> bytes:
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
    return struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def refuse_bad(answer: bytes) -> None:
    """Raises RuntimeError."""
    if answer[3] & RCODE or answer[6:8] == NO_ANSWERS:
        raise RuntimeError(f"not what was asked for: {answer.hex()}")


class Messages:
    """`WINDOW` datagrams for one call of the kernel."""

    def __init__(self, size: int):
        self.buffers = [ctypes.create_string_buffer(size) for _ in range(WINDOW)]
        self.heads = [memoryview(one).cast("B")[:HEAD] for one in self.buffers]
        self._vectors = [IoVector(ctypes.addressof(one), size) for one in self.buffers]
        self.array = (MultiMessage * WINDOW)()
        for message, vector in zip(self.array, self._vectors, strict=True):
            message.header = MessageHeader(vectors=ctypes.pointer(vector), vector_count=1)

    def fill(self, payloads: list[bytes]) -> None:
        for buffer, vector, payload in zip(self.buffers, self._vectors, payloads, strict=True):
            ctypes.memmove(buffer, payload, len(payload))
            vector.length = len(payload)


class Guest:
    """Asks for names in turn, `WINDOW` at a time at most."""

    def __init__(self, asked: Asked, number: int):
        with namespace.inside(asked.namespaces[number]):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.connect((asked.server, 53))
        self.socket.setblocking(False)
        self._out = Messages(BUFFER)
        self._out.fill([question(asked.names[(number + n) % len(asked.names)], n) for n in range(WINDOW)])
        self._budget = asked.budget
        self._under_way = self.asked = self.answered = self.lost = 0
        self._heard = 0.0

    def ask(self, now: float, gone: float) -> None:
        """`gone`: seconds since the beginning."""
        if self._under_way and now - self._heard > LOST_AFTER:
            self.lost += self._under_way
            self._under_way = 0
        room = min(WINDOW - self._under_way, int(gone * self._budget) - self.asked)
        if room <= 0:
            return
        sent = libc.sendmmsg(self.socket.fileno(), self._out.array, room, DONT_WAIT)
        if sent > 0:
            if not self._under_way:
                self._heard = now
            self._under_way += sent
            self.asked += sent

    def hear(self, into: Messages, now: float) -> None:
        got = libc.recvmmsg(self.socket.fileno(), into.array, WINDOW, DONT_WAIT, None)
        for number in range(max(0, got)):
            refuse_bad(into.heads[number].tobytes())
        if got > 0:
            self._under_way -= min(got, self._under_way)
            self.answered += got
            self._heard = now


def dns(asked: Asked, seconds: float) -> dict[str, float]:
    guests = [Guest(asked, number) for number in range(len(asked.namespaces))]
    ready, into = select.epoll(), Messages(BUFFER)
    by_descriptor = {guest.socket.fileno(): guest for guest in guests}
    for descriptor in by_descriptor:
        ready.register(descriptor, select.EPOLLIN)
    began = now = time.monotonic()
    while (gone := now - began) < seconds:
        for guest in guests:
            guest.ask(now, gone)
        for descriptor, _ in ready.poll(0.002):
            by_descriptor[descriptor].hear(into, now)
        now = time.monotonic()
    answered = sum(guest.answered for guest in guests)
    lost = sum(guest.lost for guest in guests)
    return {"answered": answered, "per_second": answered / (now - began), "lost": lost}


def dns_one(asked: Asked, seconds: float) -> dict[str, float]:
    with namespace.inside(asked.namespaces[0]):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.connect((asked.server, 53))
    asking.settimeout(2)
    queries = [question(name, number) for number, name in enumerate(asked.names)]

    def once(number: int) -> None:
        asking.send(queries[number % len(queries)])
        refuse_bad(asking.recv(BUFFER))

    return _one_by_one(once, seconds, PAUSE)


def _one_by_one(once: Callable[[int], None], seconds: float, pause: float) -> dict[str, float]:
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        once(len(times))
        times.append((time.perf_counter() - began) * 1e6)
        time.sleep(pause)
    times.sort()
    return {"p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100], "count": len(times)}


def connected(name: str) -> socket.socket:
    """To the metadata service, from the guest."""
    with namespace.inside(name):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.settimeout(3)
    made.connect((METADATA, 80))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def token(connection: socket.socket) -> bytes:
    connection.sendall(
        b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token-ttl-seconds: 300\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    return body(connection)


def get(path: str, given: bytes) -> bytes:
    return (
        f"GET /latest/meta-data/{path} HTTP/1.1\r\nHost: 169.254.169.254\r\n".encode()
        + b"X-aws-ec2-metadata-token: "
        + given
        + b"\r\n\r\n"
    )


def body(connection: socket.socket) -> bytes:
    """Of a small answer, which comes in one piece. Raises RuntimeError."""
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the metadata service says {answer[:80]!r}")
    return answer.partition(b"\r\n\r\n")[2]


def metadata(asked: Asked, seconds: float) -> dict[str, float]:
    connections = {one.fileno(): one for one in map(connected, asked.namespaces)}
    requests = {number: get("instance-id", token(one)) for number, one in connections.items()}
    answered, idle = dict.fromkeys(connections, 0), set(connections)
    ready = select.epoll()
    for number in connections:
        ready.register(number, select.EPOLLIN)
    began = now = time.monotonic()
    while (gone := now - began) < seconds:
        for number in [n for n in idle if answered[n] < gone * REQUESTS_A_GUEST]:
            connections[number].send(requests[number])
            idle.discard(number)
        for number, _ in ready.poll(0.002):
            body(connections[number])
            answered[number] += 1
            idle.add(number)
        now = time.monotonic()
    total = sum(answered.values())
    return {"answered": total, "per_second": total / (now - began)}


def metadata_one(asked: Asked, seconds: float) -> dict[str, float]:
    def once(_: int) -> None:
        with contextlib.closing(connected(asked.namespaces[0])) as first:
            given = token(first)
        with contextlib.closing(connected(asked.namespaces[0])) as second:
            second.sendall(get("instance-id", given))
            body(second)

    return _one_by_one(once, seconds, LONG_PAUSE)


KINDS: dict[str, Callable[[Asked, float], dict[str, Any]]] = {
    "dns": dns, "dns-one": dns_one, "metadata": metadata, "metadata-one": metadata_one,
}  # fmt: skip


def main() -> None:
    kind, seconds = sys.argv[1], float(sys.argv[2])
    print(json.dumps(KINDS[kind](Asked(**json.load(sys.stdin)), seconds)))


if __name__ == "__main__":
    main()
