"""Flows of numbered datagrams, and the longest silence on any of them: how long the way was gone, without TCP's timers. Runs inside
instances, with nothing but Python.

    datagrams.py receive ADDRESS PORT FLOWS     says "listening"; a line on stdin is answered by a line of JSON (Heard.tell), and counts begin
                                                anew; ends with its stdin
    datagrams.py reflect ADDRESS PORT FLOWS     the same, and sends all of it back, its first bits turned
    datagrams.py send ADDRESS PORT FLOWS FROM   on each flow, by a port of its own, one every five milliseconds until its stdin ends
    datagrams.py ask ADDRESS PORT FLOWS FROM    the same, and tells of what comes back as `receive` does; says "listening"
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import time

EVERY = 0.005
BUFFER = 8 << 20
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
NUMBER = struct.Struct("!8sII")  # whose, flow, number


def opened(address: str, port: int, flows: int, source: str) -> list[socket.socket]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(flows)]
    for one in sockets:
        one.bind((source, 0))
        one.connect((address, port))
    return sockets


def send(sockets: list[socket.socket], whose: bytes, number: int) -> None:
    for flow, one in enumerate(sockets):
        with contextlib.suppress(OSError):  # an ICMP error came back: what is lost is what we count
            one.send(NUMBER.pack(whose, flow, number))


def keep_sending(address: str, port: int, flows: int, source: str) -> None:
    sockets, whose = opened(address, port, flows, source), os.urandom(8)
    number, due = 0, time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        send(sockets, whose, number)
        number, due = number + 1, due + EVERY


class Heard:
    """What has arrived on all flows."""

    def __init__(self, flows: int):
        self.last: list[tuple[int, float] | None] = [None] * flows  # number of each flow's newest, and when it came
        self.begin_anew()

    def begin_anew(self) -> None:
        self.received, self.lost, self.silence = 0, 0, 0.0

    def take(self, datagram: bytes, now: float) -> None:
        _, flow, number = NUMBER.unpack(datagram)
        before = self.last[flow]
        if before is not None:
            self.lost += max(0, number - before[0] - 1)
            self.silence = max(self.silence, now - before[1])
        self.last[flow] = number, now
        self.received += 1

    def tell(self) -> None:
        """A silence that lasts counts as long as it has lasted."""
        heard = [one for one in self.last if one is not None]
        lasting = max((time.monotonic() - when for _, when in heard), default=0.0)
        told = {"received": self.received, "lost": self.lost, "silence": max(self.silence, lasting)}
        told["never"] = len(self.last) - len(heard)  # flows of which nothing ever arrived
        print(json.dumps(told), flush=True)
        self.begin_anew()


def receive(address: str, port: int, flows: int, reflects: bool) -> None:
    heard = Heard(flows)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inward:
        inward.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)  # no packet is lost because this program waits for its turn
        inward.bind((address, port))
        print("listening", flush=True)
        while True:
            readable = select.select([inward, sys.stdin], [], [])[0]
            if inward in readable:
                datagram, sender = inward.recvfrom(64)
                heard.take(datagram, time.monotonic())
                if reflects:
                    inward.sendto(turned(datagram), sender)
            if sys.stdin in readable:
                if not sys.stdin.readline():
                    return
                heard.tell()


def turned(datagram: bytes) -> bytes:
    """An answer that nobody who looks at the wire takes for the question."""
    return bytes([datagram[0] ^ 0xFF]) + datagram[1:]


def ask(address: str, port: int, flows: int, source: str) -> None:
    sockets, whose, heard = opened(address, port, flows, source), os.urandom(8), Heard(flows)
    number, due = 0, time.monotonic()
    print("listening", flush=True)
    while True:
        readable = select.select([*sockets, sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]
        if sys.stdin in readable:
            if not sys.stdin.readline():
                return
            heard.tell()
        for one in sockets:
            if one in readable:
                with contextlib.suppress(OSError):
                    heard.take(one.recv(64), time.monotonic())
        if time.monotonic() >= due:
            send(sockets, whose, number)
            number, due = number + 1, due + EVERY


if __name__ == "__main__":
    role, its_address, its_port, its_flows, *its_source = sys.argv[1:]
    if role in ("send", "ask"):
        {"send": keep_sending, "ask": ask}[role](its_address, int(its_port), int(its_flows), *its_source)
    else:
        receive(its_address, int(its_port), int(its_flows), reflects=role == "reflect")
