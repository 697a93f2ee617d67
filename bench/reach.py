"""When each of many new instances can be reached by name from one that runs already.

    reachable("rookery-bench-i-1", {"i-2": "10.0.0.5"}, "ec2.internal", began) -> {"i-2": 0.31}    seconds since `began`

An instance counts when the resolver gave its address for its IP name and for its resource name, and it answered a ping.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass, field

from bench.service_loads import question
from rookery.host.instances import namespace

RESOLVER = "169.254.169.253"
PATIENCE = 60.0
PING_EVERY = 0.02  # seconds
ASK_EVERY = 0.4  # two questions for each of a hundred stay within what an interface may send to the services
ECHO, ECHO_REPLY, IDENTIFIER = 8, 0, 0x7E57
IP_HEADER = 20  # bytes; none of ours has options
ADDRESS = 4  # bytes; the only record's end is the answer's end


@dataclass
class Sought:
    identity: str
    address: bytes
    names: list[str]
    missing: set[int] = field(default_factory=lambda: {0, 1})  # positions in `names`
    answers: bool = False  # a ping
    found: float = 0.0

    def look(self, now: float) -> None:
        if not self.found and self.answers and not self.missing:
            self.found = now


def checksum(data: bytes) -> int:
    """RFC 1071; an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(number: int) -> bytes:
    head = struct.pack("!BBHHH", ECHO, 0, 0, IDENTIFIER, number)
    return struct.pack("!BBHHH", ECHO, 0, checksum(head), IDENTIFIER, number)


class Seeker:
    """Sockets in the namespace of the instance that looks."""

    def __init__(self, where: str, sought: list[Sought]):
        self._sought = sought
        with namespace.inside(where):
            self._asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._pinging = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._asking.connect((RESOLVER, 53))
        self._ready = select.epoll()
        for one in (self._asking, self._pinging):
            one.setblocking(False)
            self._ready.register(one, select.EPOLLIN)
        self._asked = 0.0

    def close(self) -> None:
        for one in (self._asking, self._pinging, self._ready):
            one.close()

    def look(self) -> None:
        """Asks for what is missing, and listens for a while."""
        now = time.monotonic()
        if now - self._asked > ASK_EVERY:
            self._asked = now
            self._ask()
        for number, one in enumerate(self._sought):
            if not one.answers:
                self._pinging.sendto(echo_request(number), (socket.inet_ntoa(one.address), 0))
        until = now + PING_EVERY
        while (left := until - time.monotonic()) > 0:
            for descriptor, _ in self._ready.poll(left):
                self._hear(descriptor == self._asking.fileno())

    def _ask(self) -> None:
        for number, one in enumerate(self._sought):
            for position in one.missing:
                self._asking.send(question(one.names[position], number << 1 | position))

    def _hear(self, resolver: bool) -> None:
        try:
            while True:
                heard = (self._asking if resolver else self._pinging).recv(2048)
                (self._resolved if resolver else self._answered)(heard)
        except BlockingIOError:
            return

    def _resolved(self, answer: bytes) -> None:
        identifier, flags, _, records = struct.unpack_from("!4H", answer)
        one = self._sought[identifier >> 1]
        if not flags & 15 and records == 1 and answer[-ADDRESS:] == one.address:
            one.missing.discard(identifier & 1)
            one.look(time.monotonic())

    def _answered(self, packet: bytes) -> None:
        kind, _, _, identifier, number = struct.unpack_from("!BBHHH", packet, IP_HEADER)
        if (kind, identifier) == (ECHO_REPLY, IDENTIFIER):
            one = self._sought[number]
            one.answers = packet[12:16] == one.address or one.answers
            one.look(time.monotonic())


def reachable(where: str, addresses: dict[str, str], domain: str, began: float) -> dict[str, float]:
    """Seconds since `began` (of time.monotonic) by instance. Raises TimeoutError."""
    sought = [
        Sought(identity, socket.inet_aton(address), [f"ip-{address.replace('.', '-')}.{domain}", f"{identity}.{domain}"])
        for identity, address in addresses.items()
    ]
    seeker = Seeker(where, sought)
    try:
        while not all(one.found for one in sought):
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError(f"not reached: {[one for one in sought if not one.found][:3]}")
            seeker.look()
    finally:
        seeker.close()
    return {one.identity: one.found - began for one in sought}
