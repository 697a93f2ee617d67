"""A kernel map as a typed table: keys and values are the NamedTuples of rookery.dataplane.formats.

Many rows cost one system call (BPF_MAP_*_BATCH), so a million mappings load in about a second."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import starmap
from typing import Any, Generic, TypeVar

from rookery.dataplane import syscall
from rookery.dataplane.errors import DataplaneError, TableFull
from rookery.dataplane.formats import LAYOUTS
from rookery.dataplane.syscall import Buffer

K = TypeVar("K", bound=tuple)
V = TypeVar("V", bound=tuple)

ROWS_READ_AT_ONCE = 4096
CURSOR_BYTES = 64  # a cursor is as long as a key, at least 4
FULL = (errno.E2BIG, errno.ENOSPC, errno.ENOMEM)


class Table(Generic[K, V]):
    """Rows of one map. Not a snapshot: others may write between two calls."""

    def __init__(self, name: str, fd: int, key: type[K], value: type[V]):
        self.name = name
        self.fd = fd
        self._key: Any = key
        self._value: Any = value
        self._key_layout, self._value_layout = LAYOUTS[key], LAYOUTS[value]
        self.max_rows = syscall.map_shape(fd).max_entries
        self.after_write: Callable[[Iterable[Any]], None] | None = None  # gets the keys, also when not all could be written

    def get(self, key: K) -> V | None:
        """None: there is no such row."""
        try:
            packed = syscall.lookup(self.fd, self._key_layout.pack(*key), self._value_layout.size)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise self._refused("read", error.errno or 0) from error
        return self._value._make(self._value_layout.unpack(packed))

    def items(self) -> Iterator[tuple[K, V]]:
        """All rows, a page at a time; rows that change meanwhile may be missing or old."""
        for keys, values in self._pages(self._value_layout.size):
            found = map(self._key._make, self._key_layout.iter_unpack(keys))
            rows = map(self._value._make, self._value_layout.iter_unpack(values))
            yield from zip(found, rows, strict=True)

    def put_many(self, rows: Mapping[K, V]) -> None:
        """Add or replace. Raises TableFull; rows before the one that found no room are in."""
        if not rows:
            return
        try:
            self._put(rows)
        finally:
            if self.after_write:
                self.after_write(rows)

    def _put(self, rows: Mapping[K, V]) -> None:
        pack_key, pack_value = self._key_layout.pack, self._value_layout.pack
        keys = Buffer(b"".join(starmap(pack_key, rows)))
        values = Buffer(b"".join(starmap(pack_value, rows.values())))
        batch = syscall.update_batch(self.fd, keys, values, len(rows), (0, 0))
        if batch.error:
            raise self._refused("write", batch.error)

    def delete_many(self, keys: Iterable[K]) -> None:
        """Those that are not there are not missed."""
        wanted = list(keys)
        try:
            self._delete(wanted)
        finally:
            if self.after_write and wanted:
                self.after_write(wanted)

    def _delete(self, wanted: list[K]) -> None:
        packed = Buffer(b"".join(starmap(self._key_layout.pack, wanted)))
        start = 0
        while start < len(wanted):
            offset = start * self._key_layout.size
            batch = syscall.delete_batch(self.fd, packed, len(wanted) - start, offset)
            if batch.error not in (0, errno.ENOENT):
                raise self._refused("delete", batch.error)
            start += batch.done + 1  # past the one that was missing

    def _pages(self, value_bytes: int) -> Iterator[tuple[bytes, bytes]]:
        """Packed keys and values, a page at a time."""
        rows, cursor, key_bytes = ROWS_READ_AT_ONCE, None, self._key_layout.size
        while True:
            keys, values, following = Buffer(rows * key_bytes), Buffer(rows * value_bytes), Buffer(CURSOR_BYTES)
            batch = syscall.lookup_batch(self.fd, cursor, following, keys, values, rows)
            if batch.error == errno.ENOSPC:  # one bucket holds more rows than were asked for
                rows *= 2
                continue
            if batch.error not in (0, errno.ENOENT):
                raise self._refused("read", batch.error)
            yield keys.bytes(batch.done * key_bytes), values.bytes(batch.done * value_bytes)
            if batch.error:
                return
            cursor = following

    def _refused(self, what: str, error: int) -> DataplaneError:
        if what == "write" and error in FULL:
            return TableFull(f"{self.name} has no room: it was made for {self.max_rows} rows")
        return DataplaneError(f"cannot {what} {self.name}: {os.strerror(error)}")


class PerCpuTable(Table[K, V]):
    """Every CPU has its own value; reading adds them up, field by field."""

    def __init__(self, name: str, fd: int, key: type[K], value: type[V]):
        super().__init__(name, fd, key, value)
        self.cpus = possible_cpus()

    def items(self) -> Iterator[tuple[K, V]]:
        size = self._value_layout.size
        for keys, values in self._pages(size * self.cpus):
            for row, key in enumerate(self._key_layout.iter_unpack(keys)):
                packed = values[row * size * self.cpus : (row + 1) * size * self.cpus]
                per_cpu = self._value_layout.iter_unpack(packed)
                yield self._key._make(key), self._value._make(map(sum, zip(*per_cpu, strict=True)))

    def get(self, key: K) -> V | None:
        return dict(self.items()).get(key)

    def put_many(self, rows: Mapping[K, V]) -> None:
        """The value goes to the first CPU, the others become zero."""
        rest = self._value_layout.size * (self.cpus - 1)
        for key, value in rows.items():
            packed = self._value_layout.pack(*value) + bytes(rest)
            try:
                syscall.update(self.fd, self._key_layout.pack(*key), packed)
            except OSError as error:
                raise self._refused("write", error.errno or 0) from error


def possible_cpus() -> int:
    """As the kernel counts them for per-CPU maps."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as listing:
        last = listing.read().strip().split(",")[-1]
    return int(last.split("-")[-1]) + 1
