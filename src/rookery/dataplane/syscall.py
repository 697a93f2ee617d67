"""bpf(2), asked directly: maps, batches, pins, links, test runs. Layouts are those of `union bpf_attr` in linux/bpf.h."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import NamedTuple

from rookery.dataplane.formats import LAYOUTS, WhatIfNote
from rookery.dataplane.libbpf import MapShape

BPF_CALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280}[os.uname().machine]
MAP_LOOKUP, MAP_UPDATE, MAP_DELETE = 1, 2, 3
OBJECT_PIN, OBJECT_GET = 6, 7
TEST_RUN = 10
OBJECT_INFO = 15
MAP_LOOKUP_BATCH, MAP_UPDATE_BATCH, MAP_DELETE_BATCH = 24, 26, 27
LINK_CREATE, LINK_UPDATE = 28, 29
XDP, TCX_INGRESS = 37, 46
ATTRIBUTE_BYTES = 128
OUTPUT_ROOM = 256
PROGRAM_INFO_BYTES = 232
CONTEXT = struct.Struct("=192x")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class Buffer:
    """Bytes that the kernel reads or writes at `address`."""

    def __init__(self, content: bytes | int):
        self.memory = ctypes.create_string_buffer(content, content if isinstance(content, int) else len(content))
        self.address = ctypes.addressof(self.memory)

    def bytes(self, length: int | None = None) -> bytes:
        return self.memory.raw[:length]


def call(command: int, attribute: bytearray) -> int:
    """`attribute` may be written to. Raises OSError."""
    block = (ctypes.c_char * len(attribute)).from_buffer(attribute)
    result = _libc.syscall(ctypes.c_long(BPF_CALL), ctypes.c_int(command), block, ctypes.c_uint(len(attribute)))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _attribute(layout: str, *fields: int) -> bytearray:
    packed = struct.pack("=" + layout, *fields)
    return bytearray(packed.ljust(ATTRIBUTE_BYTES, b"\0"))


def lookup(fd: int, key: bytes, value_bytes: int) -> bytes:
    """Raises OSError; ENOENT: no such row."""
    asked, value = Buffer(key), Buffer(value_bytes)
    call(MAP_LOOKUP, _attribute("IIQQQ", fd, 0, asked.address, value.address, 0))
    return value.bytes()


def update(fd: int, key: bytes, value: bytes) -> None:
    asked, given = Buffer(key), Buffer(value)
    call(MAP_UPDATE, _attribute("IIQQQ", fd, 0, asked.address, given.address, 0))


def delete(fd: int, key: bytes) -> None:
    asked = Buffer(key)
    call(MAP_DELETE, _attribute("IIQQQ", fd, 0, asked.address, 0, 0))


class Batch(NamedTuple):
    """`done` rows were handled; `error` is an errno, 0: all of them."""

    done: int
    error: int


def _batch(command: int, attribute: bytearray) -> Batch:
    error = 0
    try:
        call(command, attribute)
    except OSError as refused:
        error = refused.errno or 0
    return Batch(struct.unpack_from("=I", attribute, 32)[0], error)


def update_batch(fd: int, keys: Buffer, values: Buffer, rows: int, at: tuple[int, int]) -> Batch:
    """`at`: byte offsets of the first row in both buffers."""
    where = (keys.address + at[0], values.address + at[1])
    return _batch(MAP_UPDATE_BATCH, _attribute("QQQQIIQQ", 0, 0, *where, rows, fd, 0, 0))


def delete_batch(fd: int, keys: Buffer, rows: int, offset: int) -> Batch:
    return _batch(MAP_DELETE_BATCH, _attribute("QQQQIIQQ", 0, 0, keys.address + offset, 0, rows, fd, 0, 0))


def lookup_batch(  # noqa: PLR0917 - one argument for each field of the kernel's
    fd: int, cursor: Buffer | None, following: Buffer, keys: Buffer, values: Buffer, rows: int
) -> Batch:
    """Rows after `cursor` (None: from the start); the next cursor is left in `following`."""
    start = cursor.address if cursor else 0
    fields = (start, following.address, keys.address, values.address, rows, fd, 0, 0)
    return _batch(MAP_LOOKUP_BATCH, _attribute("QQQQIIQQ", *fields))


def pin(fd: int, path: Path) -> None:
    name = Buffer(os.fsencode(path) + b"\0")
    call(OBJECT_PIN, _attribute("QII", name.address, fd, 0))


def pinned(path: Path) -> int:
    """A new descriptor. Raises OSError; ENOENT: nothing pinned there."""
    name = Buffer(os.fsencode(path) + b"\0")
    return call(OBJECT_GET, _attribute("QII", name.address, 0, 0))


def map_shape(fd: int) -> MapShape:
    info = Buffer(80)
    call(OBJECT_INFO, _attribute("IIQ", fd, 80, info.address))
    kind, _id, key, value, rows, flags = struct.unpack_from("=6I", info.bytes())
    return MapShape(kind, key, value, rows, flags)


def map_id(fd: int) -> int:
    """Unique since the machine was started."""
    info = Buffer(80)
    call(OBJECT_INFO, _attribute("IIQ", fd, 80, info.address))
    return struct.unpack_from("=2I", info.bytes())[1]


def program_id(fd: int) -> int:
    info = Buffer(64)
    call(OBJECT_INFO, _attribute("IIQ", fd, 64, info.address))
    return struct.unpack_from("=2I", info.bytes())[1]


def function_types(fd: int) -> list[int]:
    """Numbers in the program's BTF of its functions, in the order of their code."""
    info = Buffer(PROGRAM_INFO_BYTES)
    call(OBJECT_INFO, _attribute("IIQ", fd, PROGRAM_INFO_BYTES, info.address))
    (count,) = struct.unpack_from("=I", info.bytes(), 144)
    rows = Buffer(max(8 * count, 8))
    asked = Buffer(struct.pack("=132xIQI", 8, rows.address, count).ljust(PROGRAM_INFO_BYTES, b"\0"))
    call(OBJECT_INFO, _attribute("IIQ", fd, PROGRAM_INFO_BYTES, asked.address))
    return [number for _offset, number in struct.iter_unpack("=II", rows.bytes(8 * count))]


class LinkInfo(NamedTuple):
    program_id: int
    ifindex: int  # 0: the device is gone


def link_info(fd: int) -> LinkInfo:
    """Of a tcx or an XDP link."""
    info = Buffer(64)
    call(OBJECT_INFO, _attribute("IIQ", fd, 64, info.address))
    _type, _id, program, _pad, ifindex, _attach = struct.unpack_from("=6I", info.bytes())
    return LinkInfo(program, ifindex)


def tcx_link(program_fd: int, ifindex: int) -> int:
    """A descriptor; the program is detached when it is closed, unless it is pinned. EINVAL: no tcx here."""
    return call(LINK_CREATE, _attribute("IIII", program_fd, ifindex, TCX_INGRESS, 0))


def xdp_link(program_fd: int, ifindex: int) -> int:
    """As tcx_link. By the device's driver where that knows XDP, else by the kernel, in front of everything else."""
    return call(LINK_CREATE, _attribute("IIII", program_fd, ifindex, XDP, 0))


def update_link(link_fd: int, program_fd: int) -> None:
    """Swap the program in one step. ENOLINK: the device is gone."""
    call(LINK_UPDATE, _attribute("IIII", link_fd, program_fd, 0, 0))


class RunContext(NamedTuple):
    """What a test run tells the program beside the bytes: `struct __sk_buff`, or `struct xdp_md` and what stands in front of the
    frame."""

    mark: int = 0
    ifindex: int = 0  # 0: the loopback device
    gso_segments: int = 0
    gso_size: int = 0
    xdp: bool = False  # of such a program; it knows no super-packets


class RunResult(NamedTuple):
    action: int  # TC_ACT_*, signed; XDP_*
    frame: bytes
    nanoseconds: int
    cb: tuple[int, ...]  # of XDP: what a what-if noted


CONTEXT_MARK, CONTEXT_IFINDEX, CONTEXT_CB = 8, 40, 48
CONTEXT_GSO_SEGMENTS, CONTEXT_GSO_SIZE = 164, 176
XDP_CONTEXT = struct.Struct("=6I")  # struct xdp_md: offsets of data, its end and metadata; ingress device and queue; egress device
NOTE = LAYOUTS[WhatIfNote]


def _context(asked: RunContext, frame_bytes: int) -> bytes:
    if asked.xdp:
        note = NOTE.size if asked.mark else 0
        return XDP_CONTEXT.pack(note, note + frame_bytes, 0, asked.ifindex, 0, 0)
    packed = bytearray(CONTEXT.size)
    struct.pack_into("=I", packed, CONTEXT_MARK, asked.mark)
    struct.pack_into("=I", packed, CONTEXT_IFINDEX, asked.ifindex)
    struct.pack_into("=I", packed, CONTEXT_GSO_SEGMENTS, asked.gso_segments)
    struct.pack_into("=I", packed, CONTEXT_GSO_SIZE, asked.gso_size)
    return bytes(packed)


TEST_RUN_LAYOUT = "IIIIQQIIIIQQIII"


def run(program_fd: int, context: bytes) -> bytes:
    """A program of type "syscall", once, in this thread; `context` as it leaves it. Raises OSError."""
    given = Buffer(context)
    none = (0, 0, 0, 0, 0, 0)
    call(
        TEST_RUN,
        _attribute(TEST_RUN_LAYOUT, program_fd, 0, *none, len(context), 0, given.address, 0, 0, 0, 0),
    )
    return given.bytes()


class PreparedRun:
    """A test run whose Python work is done beforehand: for measurements, which want nothing else between two runs."""

    def __init__(self, program_fd: int, frame: bytes, asked: RunContext):
        context = _context(asked, len(frame))
        self._given, self._context = Buffer(frame), Buffer(context)
        sizes = (len(frame), 0, self._given.address, 0, 1, 0)
        ends = (len(context), 0, self._context.address, 0, 0, 0, 0)
        self._attribute = Buffer(bytes(_attribute(TEST_RUN_LAYOUT, program_fd, 0, *sizes, *ends)))
        words = (BPF_CALL, TEST_RUN, self._attribute.address, ATTRIBUTE_BYTES)
        self._words = tuple(map(ctypes.c_long, words))

    def run(self) -> None:
        if _libc.syscall(*self._words) < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    @property
    def nanoseconds(self) -> int:
        """Of the last run."""
        return struct.unpack_from("=I", self._attribute.bytes(), 36)[0]


def test_run(program_fd: int, frame: bytes, asked: RunContext, repeat: int = 1) -> RunResult:
    """Run the program on `frame`; nothing is really sent. `ifindex` is looked up in this thread's network namespace.

    Raises OSError (ENODEV: no such device; EINVAL: shorter than an Ethernet header or too large)."""
    context, noted = _context(asked, len(frame)), NOTE.pack(asked.mark, 0, 0) if asked.xdp and asked.mark else b""
    given, result = Buffer(noted + frame), Buffer(len(noted) + len(frame) + OUTPUT_ROOM)
    asked_for, left = Buffer(context), Buffer(len(context))
    sizes = (len(noted) + len(frame), len(result.memory), given.address, result.address, repeat, 0)
    attribute = _attribute(
        TEST_RUN_LAYOUT, program_fd, 0, *sizes, len(context), len(context), asked_for.address, left.address, 0, 0, 0
    )
    call(TEST_RUN, attribute)
    action, _in, length = struct.unpack_from("=iII", attribute, 4)
    duration = struct.unpack_from("=I", attribute, 36)[0]
    told = result.bytes(length)
    if not asked.xdp:
        return RunResult(action, told, duration, struct.unpack_from("=5I", left.bytes(), CONTEXT_CB))
    cb = NOTE.unpack_from(told)[1:] if noted else ()
    return RunResult(action, told[len(noted) :], duration, cb)
