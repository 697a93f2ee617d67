"""What a node counts in the name of each attachment: rows of `measures`, every CPU's added up, and of `flows_held`."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from rookery.dataplane import syscall
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import LAYOUTS, FlowsHeld, Measure
from rookery.dataplane.table import possible_cpus

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
ROW = struct.Struct("=I")
COUNTS = int(Measure.COUNTS)
NOTHING_HELD = FlowsHeld(0, 0, 0, 0)

Counts = tuple[int, ...]  # by Measure; since the row is its owner's


class Measures:
    """Rows are given to attachments by the agent (rookery.hyperplane.measured); row 0 is nobody's."""

    def __init__(self, counts_fd: int, held_fd: int):
        self._counts, self._held = counts_fd, held_fd
        self.rows = syscall.map_shape(counts_fd).max_entries
        self._cpus = possible_cpus()
        self._stride = (8 * COUNTS + 7) // 8 * 8
        self._cpu = struct.Struct(f"={COUNTS}Q")

    @property
    def began(self) -> str:
        """Of these rows and no others: they are lost when the machine is started anew, or their pins are removed."""
        return f"{BOOT_ID.read_text(encoding='ascii').strip()}.{syscall.map_id(self._counts)}"

    def read(self, row: int) -> Counts:
        """Raises DataplaneError."""
        packed = self._asked(self._counts, row, self._stride * self._cpus)
        per_cpu = (self._cpu.unpack_from(packed, cpu * self._stride) for cpu in range(self._cpus))
        return tuple(map(sum, zip(*per_cpu, strict=True)))

    def begin(self, row: int) -> None:
        """For a new owner. Raises DataplaneError."""
        self._write(self._counts, row, bytes(self._stride * self._cpus))
        self.forget_held([row])

    def held(self, rows: Iterable[int]) -> Mapping[int, FlowsHeld]:
        """As the last sweep found them. Raises DataplaneError."""
        layout = LAYOUTS[FlowsHeld]
        return {row: FlowsHeld._make(layout.unpack(self._asked(self._held, row, layout.size))) for row in rows}

    def forget_held(self, rows: Collection[int]) -> None:
        """Before a sweep, which adds to them. Raises DataplaneError."""
        for row in rows:
            self._write(self._held, row, LAYOUTS[FlowsHeld].pack(*NOTHING_HELD))

    def _asked(self, fd: int, row: int, size: int) -> bytes:
        try:
            return syscall.lookup(fd, ROW.pack(row), size)
        except OSError as error:
            raise DataplaneError(f"cannot read row {row} of the measures: {os.strerror(error.errno or 0)}") from error

    def _write(self, fd: int, row: int, packed: bytes) -> None:
        try:
            syscall.update(fd, ROW.pack(row), packed)
        except OSError as error:
            raise DataplaneError(f"cannot write row {row} of the measures: {os.strerror(error.errno or 0)}") from error
