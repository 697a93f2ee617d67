"""A program repeated by the kernel, each time on a packet as it was: what its code costs when a busy device keeps it in the caches.

Under TC only for a program that leaves its packet an IPv4 packet of whole frames: the kernel makes it longer and shorter again."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType

from rookery.dataplane import syscall
from rookery.dataplane.libbpf import BpfObject, library
from rookery.dataplane.node import XDP_BUILD

FRAME = struct.Struct("=I272s")  # struct measured_frame
ROUND = struct.Struct("=2I")
MOST_FRAMES, FIRST = 1 << 16, bytes(4)


class Hot:
    """Runs one subject after the other."""

    def __init__(self, objects: Path, build: str = XDP_BUILD):
        """`build`: of the subjects, "" for TC."""
        self._xdp = build == XDP_BUILD
        self._object = BpfObject(objects / f"measured{build}.bpf.o")
        self._measured = self._object.load("measured")
        found = library().bpf_object__find_program_by_name(self._object.handle, b"nothing")
        self.nothing = library().bpf_program__fd(found)

    def __enter__(self) -> Hot:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._object.close()

    def give(self, frames: list[bytes]) -> None:
        """From now on these, one after the other. All are equally long, at most 272 bytes."""
        for number, frame in enumerate(frames[:MOST_FRAMES]):
            syscall.update(self._object.map_fd("frames"), number.to_bytes(4, "little"), FRAME.pack(len(frame), frame))
        self._first, self._frames = frames[0], min(len(frames), MOST_FRAMES)

    def nanoseconds(self, program_fd: int, ifindex: int, repeat: int) -> int:
        """Mean of so many packets, with putting each back as it was; `nothing` says what that costs."""
        syscall.update(self._object.map_fd("subject"), FIRST, program_fd.to_bytes(4, "little"))
        syscall.update(self._object.map_fd("rounds"), FIRST, ROUND.pack(0, self._frames))
        context = syscall.RunContext(ifindex=ifindex, xdp=self._xdp)
        return syscall.test_run(self._measured, self._first, context, repeat).nanoseconds
