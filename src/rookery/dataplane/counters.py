"""Counters of one host: `counters`, found by search and bounded, and in front of it `busy_counters`, a row for each thing that
every packet counts. Whoever reads sees one table.

A row of `busy_counters` belongs to one device from `claim` to `forget`. Two devices whose numbers share a row: the second one is
counted in `counters`, so nothing is lost or mixed up."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from rookery.dataplane import syscall
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import LAYOUTS, BusyConstant, BusyCounter, CounterKey, Traffic, Verdict
from rookery.dataplane.table import PerCpuTable, possible_cpus

OVERFLOW_DEVICE = 0
BUSY_VERDICTS = [verdict for verdict in Verdict if Verdict.CONTINUE < verdict < BusyConstant.VERDICTS]
ROWS = BusyConstant.DEVICES * BusyConstant.VERDICTS
CURSOR_BYTES = 64
LAYOUT = LAYOUTS[BusyCounter]
OWNER = struct.Struct("=I")  # how every BusyCounter begins


def _row_number(ifindex: int, verdict: int) -> bytes:
    return struct.pack("=I", ifindex % BusyConstant.DEVICES * BusyConstant.VERDICTS + verdict)


class BusyCounters:
    """Rows of `busy_counters`. All CPUs agree on a row's owner."""

    def __init__(self, fd: int):
        self.fd = fd
        self.cpus = possible_cpus()
        self._row_bytes = LAYOUT.size * self.cpus
        self._owners = struct.Struct(f"{OWNER.format}{self._row_bytes - OWNER.size}x")  # of many rows, most of them nobody's

    def claim(self, ifindex: int) -> None:
        """Give the device those of its rows that are nobody's. Idempotent."""
        for verdict in BUSY_VERDICTS:
            if self._owner(ifindex, verdict) == 0:
                self._write(ifindex, verdict, owner=ifindex)

    def release_unused(self, ifindex: int) -> None:
        """Rows that never counted; the others wait for forget()."""
        for verdict in BUSY_VERDICTS:
            owner, traffic = self._read(ifindex, verdict)
            if owner == ifindex and not traffic.packets:
                self._write(ifindex, verdict, owner=0)

    def forget(self, ifindex: int) -> None:
        for verdict in BUSY_VERDICTS:
            if self._owner(ifindex, verdict) == ifindex:
                self._write(ifindex, verdict, owner=0)

    def items(self) -> Iterator[tuple[CounterKey, Traffic]]:
        """Rows that belong to somebody, added up over the CPUs."""
        numbers, values = syscall.Buffer(4 * ROWS), syscall.Buffer(self._row_bytes * ROWS)
        batch = syscall.lookup_batch(self.fd, None, syscall.Buffer(CURSOR_BYTES), numbers, values, ROWS)
        if batch.done != ROWS:
            raise DataplaneError(f"cannot read busy_counters: {os.strerror(batch.error)}")
        content = values.bytes()
        for number, (owner,) in enumerate(self._owners.iter_unpack(content)):
            if owner:
                packed = content[number * self._row_bytes : (number + 1) * self._row_bytes]
                yield CounterKey(owner, number % BusyConstant.VERDICTS), self._unpack(packed)[1]

    def of(self, ifindex: int, verdict: int) -> Traffic:
        """Of one device: no search, and no other row is read."""
        owner, traffic = self._read(ifindex, verdict)
        return traffic if owner == ifindex else Traffic(0, 0)

    def _unpack(self, packed: bytes) -> tuple[int, Traffic]:
        owner = OWNER.unpack_from(packed)[0]
        if not owner:
            return 0, Traffic(0, 0)
        per_cpu = [BusyCounter._make(row) for row in LAYOUT.iter_unpack(packed)]
        return owner, Traffic(sum(row.packets for row in per_cpu), sum(row.bytes for row in per_cpu))

    def _read(self, ifindex: int, verdict: int) -> tuple[int, Traffic]:
        try:
            return self._unpack(syscall.lookup(self.fd, _row_number(ifindex, verdict), self._row_bytes))
        except OSError as error:
            raise DataplaneError(f"cannot read busy_counters: {error.strerror}") from error

    def _owner(self, ifindex: int, verdict: int) -> int:
        return self._read(ifindex, verdict)[0]

    def _write(self, ifindex: int, verdict: int, owner: int) -> None:
        packed = LAYOUT.pack(owner, 0, 0, 0) * self.cpus
        try:
            syscall.update(self.fd, _row_number(ifindex, verdict), packed)
        except OSError as error:
            raise DataplaneError(f"cannot write busy_counters: {error.strerror}") from error


class Counters:
    """(device, verdict) -> packets, bytes."""

    def __init__(self, fd: int, busy_fd: int):
        self._all = PerCpuTable("counters", fd, CounterKey, Traffic)
        self._busy = BusyCounters(busy_fd)
        self.claim, self.release_unused = self._busy.claim, self._busy.release_unused
        self._make_room_for_overflow()

    def rare(self) -> dict[CounterKey, Traffic]:
        """As `read`, without what every packet counts (verdicts below BUSY_VERDICTS, of most devices): a hundredth of the work."""
        return {key: traffic for key, traffic in self._all.items() if traffic.packets}

    def read_of(self, ifindex: int) -> dict[CounterKey, Traffic]:
        """As `read`, of one device: quick."""
        found = {key: traffic for key, traffic in self.rare().items() if key.ifindex == ifindex}
        for verdict in BUSY_VERDICTS:
            self._add(found, CounterKey(ifindex, verdict), self._busy.of(ifindex, verdict))
        return found

    def read(self) -> dict[CounterKey, Traffic]:
        """Rows that never counted are left out. Device 0: what found no room."""
        found = self.rare()
        for key, traffic in self._busy.items():
            self._add(found, key, traffic)
        return found

    @staticmethod
    def _add(found: dict[CounterKey, Traffic], key: CounterKey, traffic: Traffic) -> None:
        before = found.get(key, Traffic(0, 0))
        total = Traffic(before.packets + traffic.packets, before.bytes + traffic.bytes)
        if total.packets:
            found[key] = total

    def forget(self, ifindex: int) -> None:
        """Of a device that is gone."""
        self._busy.forget(ifindex)
        self._all.delete_many([key for key, _traffic in self._all.items() if key.ifindex == ifindex])

    def _make_room_for_overflow(self) -> None:
        there = dict(self._all.items())
        rows = [CounterKey(OVERFLOW_DEVICE, verdict) for verdict in Verdict if verdict < Verdict.VERDICTS]
        self._all.put_many({key: Traffic(0, 0) for key in rows if key not in there})
