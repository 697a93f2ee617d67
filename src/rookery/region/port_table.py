"""Which port of the substrate's switch a member hangs on: the table by which frames between members go past the bridge (bpf/stages/straight.h).

One map a substrate, pinned beside the ports' own. Rows are devices to the kernel, which takes one out when the device goes: a table that nobody tends
sends to the bridge, and to no wrong member.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from rookery.dataplane import pins, syscall
from rookery.dataplane.addresses import mac_text, substrate_bytes
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import MemberConstant
from rookery.dataplane.libbpf import BpfObject
from rookery.region.errors import CannotStart
from rookery.region.layout import BPF_OBJECTS, Layout

PROGRAM, MAP = "substrate_port", "ports"
IFINDEX = Struct("=I")


class PortTable(NamedTuple):
    descriptor: int
    is_new: bool  # no port's program has it yet

    def lead(self, address: str, ifindex: int) -> None:
        """Frames for who has `address` go to that port, a device of this thread's network namespace. Raises OSError."""
        syscall.update(self.descriptor, substrate_bytes(address), IFINDEX.pack(ifindex))

    def leave_to_bridge(self, address: str) -> None:
        with suppress(FileNotFoundError):
            syscall.delete(self.descriptor, substrate_bytes(address))

    def port_of(self, address: str) -> int:
        """Its ifindex; 0: the bridge's."""
        try:
            return IFINDEX.unpack(syscall.lookup(self.descriptor, substrate_bytes(address), IFINDEX.size))[0]
        except FileNotFoundError:
            return 0


def mac_of(address: str) -> str:
    """Of the member with that address on the substrate."""
    return mac_text(MemberConstant.MEMBER_MAC.to_bytes(2, "big") + substrate_bytes(address))


@contextmanager
def opened(plan: Layout) -> Iterator[PortTable]:
    """Makes it where there is none. Raises CannotStart."""
    try:
        found = pins.open_pinned(pin_of(plan))
        table = PortTable(_make(pin_of(plan)), True) if found is None else PortTable(found, False)
    except (DataplaneError, OSError) as error:
        raise CannotStart(f"the table of the substrate's ports: {error}") from error
    try:
        yield table
    finally:
        os.close(table.descriptor)


def pin_of(plan: Layout) -> Path:
    return plan.pins / "substrate" / MAP


def _make(pin: Path) -> int:
    """As the ports' program declares it, and pinned. Returns a descriptor."""
    pins.mount_bpffs()
    declared = BpfObject(BPF_OBJECTS / f"{PROGRAM}.bpf.o")
    try:
        declared.load(PROGRAM)
        pin.parent.mkdir(parents=True, exist_ok=True)
        syscall.pin(declared.map_fd(MAP), pin)
    finally:
        declared.close()
    return syscall.pinned(pin)
