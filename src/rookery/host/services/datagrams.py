"""One UDP port of the services: takes what guests send from its buckets in turn, and sends answers.

No request ends the process: what fails is told (complaints.py), and the guest hears nothing.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rookery.host.services.caller import Caller, NotACaller, address_of, caller
from rookery.host.services.complaints import Complaints
from rookery.host.services.sockets import SO_TIMESTAMPNS

LARGEST = 4096  # bytes; none of the services takes a longer datagram
AT_ONCE = 8  # datagrams of one bucket before the others' turn
TIMESPEC = struct.Struct("@qq")
ANCILLARY = socket.CMSG_SPACE(TIMESPEC.size)
NANOSECONDS = 1_000_000_000


class Datagram(NamedTuple):
    payload: bytes
    caller: Caller
    port: int
    received: int  # unix nanoseconds
    bucket: socket.socket

    def answer(self, payload: bytes, to: Caller | None = None, port: int = 0) -> None:
        """To who asked, or elsewhere. What the network does not take is lost, as it may be on any wire. Raises OSError."""
        address = address_of(to or self.caller)
        try:
            self.bucket.sendto(payload, (address, port or self.port))
        except BlockingIOError:
            return


Take = Callable[[Datagram], None]


class DatagramPort:
    """`take` gets each datagram that a guest sent; what it raises is told."""

    def __init__(self, name: str, buckets: Iterable[socket.socket], take: Take):
        self._name = name
        self._buckets = list(buckets)
        self._take = take
        self._complaints = Complaints(logging.getLogger("rookery.host.services"))

    def open(self) -> None:
        loop = asyncio.get_running_loop()
        for bucket in self._buckets:
            loop.add_reader(bucket, functools.partial(self._ready, bucket))

    def close(self) -> None:
        """The sockets stay their owner's."""
        for bucket in self._buckets:
            asyncio.get_running_loop().remove_reader(bucket)

    def _ready(self, bucket: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                received = bucket.recvmsg(LARGEST, ANCILLARY)
            except BlockingIOError:
                return
            except OSError as error:  # an answer from before could not be delivered
                self._complaints.tell(self._name, error)
                continue
            self._one(bucket, *received)

    def _one(
        self, bucket: socket.socket, payload: bytes, ancillary: list[tuple[int, int, bytes]], flags: int, source: tuple
    ) -> None:
        if flags & socket.MSG_TRUNC:
            return
        try:
            who = caller(source[0])
        except NotACaller:
            return
        try:
            self._take(Datagram(payload, who, source[1], _stamp(ancillary), bucket))
        except Exception as error:  # noqa: BLE001 - a fault that one guest can cause must not be everybody's
            self._complaints.tell(self._name, error, who.interface)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    """When the kernel took it, where the socket asks for that."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = TIMESPEC.unpack_from(value)
            return seconds * NANOSECONDS + nanoseconds
    return time.time_ns()
