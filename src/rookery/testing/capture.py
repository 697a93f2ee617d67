"""Frames off the devices of a namespace, each once, as it comes in; by a ring that the kernel fills (packet(7), TPACKET_V3:
linux/if_packet.h), and when that had no room for how many.

    kernel --> ring of blocks --> a thread, which copies each block that is full --> Capture.heard, in the ring's order
"""

from __future__ import annotations

import ctypes
import mmap
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rookery.host.instances.namespace import inside

ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, PACKET_IGNORE_OUTGOING = 263, 5, 6, 10, 23
TPACKET_V3, TP_STATUS_KERNEL, TP_STATUS_USER = 2, 0, 1
SO_ATTACH_FILTER = 26  # asm-generic/socket.h
DLT_EN10MB = 1
REQUEST = struct.Struct("=7I")  # tpacket_req3
STATISTICS = struct.Struct("=3I")  # tpacket_stats_v3: packets, drops, how often it stood still
BLOCK = struct.Struct("=8xIIII")  # tpacket_block_desc: status, packets, offset of the first, bytes; after version and offset of what is private
STATUS_AT = 8
FRAME = struct.Struct("=IIIIII HH")  # tpacket3_hdr: next, seconds, nanoseconds, bytes here, bytes on the wire, status; offsets of the MAC's and the network's head
BLOCK_BYTES, BLOCKS = 1 << 20, 64
FRAME_BYTES = 2048  # the most that one takes
RETIRE_MILLISECONDS = 50  # a block that is not full is given away after so long
POLL_MILLISECONDS = 100
FINISH_SECONDS = 10.0
NOTHING = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0), 8)  # BPF_RET: no bytes


class Frame(NamedTuple):
    time: float  # seconds of the epoch
    content: bytes  # its first bytes


class Missed(NamedTuple):
    """So many frames, at some time between these two."""

    time: float
    until: float
    frames: int


class _Program(ctypes.Structure):
    """bpf_program of libpcap, which is sock_fprog of the kernel."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


class _CompiledProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


def attach_filter(one: socket.socket, expression: str, snapped: int) -> None:
    """Of what it does not name the socket hears nothing, and of the rest the first bytes. Raises RuntimeError: it is none (pcap-filter(7))."""
    pcap = ctypes.CDLL("libpcap.so.0.8")
    pcap.pcap_open_dead.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(pcap.pcap_open_dead(DLT_EN10MB, snapped))
    program = _CompiledProgram()
    try:
        if pcap.pcap_compile(handle, ctypes.byref(program), expression.encode(), 1, ctypes.c_uint(0xFFFFFFFF)):
            raise RuntimeError(f"no filter: {expression}")
        one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(_Program(program.length, program.instructions)))
        pcap.pcap_freecode(ctypes.byref(program))
    finally:
        pcap.pcap_close(handle)


def opened(block: bytes) -> Iterator[Frame]:
    _, count, at, _ = BLOCK.unpack_from(block)
    for _ in range(count):
        following, seconds, nanoseconds, here, _, _, head, _ = FRAME.unpack_from(block, at)
        yield Frame(seconds + nanoseconds / 1e9, block[at + head : at + head + here])
        at += following


class Capture:
    """`expression`: of pcap-filter(7); `snapped`: bytes of each frame that are kept. Close it."""

    def __init__(self, namespace: str, expression: str, snapped: int, blocks: int = BLOCKS):
        with inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        try:
            self._ring = self._prepare(expression, snapped, blocks)
        except BaseException:
            self._socket.close()
            raise
        self._blocks, self._next = blocks, 0
        self._full: deque[bytes | Missed] = deque()
        self._asked = time.time()
        self._ends, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _prepare(self, expression: str, snapped: int, blocks: int) -> mmap.mmap:
        one = self._socket
        one.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)  # what a switch passes on it has taken in
        one.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        attach_filter(one, expression, snapped)
        frames = BLOCK_BYTES // FRAME_BYTES * blocks
        one.setsockopt(SOL_PACKET, PACKET_RX_RING, REQUEST.pack(BLOCK_BYTES, blocks, FRAME_BYTES, frames, RETIRE_MILLISECONDS, 0, 0))
        return mmap.mmap(one.fileno(), BLOCK_BYTES * blocks, mmap.MAP_SHARED)  # what came before there was a ring is gone

    def _drain(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while not self._ends.is_set():
            poll.poll(POLL_MILLISECONDS)
            with self._lock:
                blocks = list(self._blocks_given())
                self._full.extend([*self._missed(), *blocks])  # what was missed lies before what came since

    def _blocks_given(self) -> Iterator[bytes]:
        while True:
            at = self._next * BLOCK_BYTES
            status, _, _, length = BLOCK.unpack_from(self._ring, at)
            if not status & TP_STATUS_USER:
                return
            yield self._ring[at : at + length]
            struct.pack_into("=II", self._ring, at + STATUS_AT, TP_STATUS_KERNEL, 0)
            self._next = (self._next + 1) % self._blocks

    def _missed(self) -> Iterator[Missed]:
        """Asking begins the kernel's count anew."""
        now = time.time()
        _, dropped, _ = STATISTICS.unpack(self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size))
        if dropped:
            yield Missed(self._asked, now, dropped)
        self._asked = now

    def heard(self) -> Iterator[Frame | Missed]:
        """What has come since it was asked last. In the ring's order: who passes a frame on has written it there before, so what enters a
        machine lies before what leaves it, whichever processors were at it. Their clocks do not tell that."""
        for _ in range(len(self._full)):
            one = self._full.popleft()
            if isinstance(one, Missed):
                yield one
            else:
                yield from opened(one)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Nobody makes room in the ring, as on a machine that is too busy."""
        with self._lock:
            yield

    def finish(self) -> None:
        """It hears no more. What it has heard is for `heard`, all of it. Raises RuntimeError: the kernel keeps some of it."""
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(_Program(1, ctypes.addressof(NOTHING))))
        deadline = time.monotonic() + FINISH_SECONDS
        while self._is_filling():
            if time.monotonic() > deadline:
                raise RuntimeError("a block of the ring that the kernel does not give away")
            time.sleep(RETIRE_MILLISECONDS / 1000)
        self._stop()

    def _is_filling(self) -> bool:
        """A block has been given away, or has frames and will be."""
        status, count, _, _ = BLOCK.unpack_from(self._ring, self._next * BLOCK_BYTES)
        return bool(status & TP_STATUS_USER or count)

    def _stop(self) -> None:
        self._ends.set()
        self._thread.join()

    def close(self) -> None:
        self._stop()
        self._ring.close()
        self._socket.close()
