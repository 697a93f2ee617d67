"""The substrate's ingress filter: whoever hangs on a port speaks with that port's addresses and no others (BCP 38).

A data centre's switches do this; here the switch is ours. The program is bpf/substrate_port.bpf.c, one instance and one map a
port, so that nothing is shared between hosts but whom the switch knows (rookery.region.port_table). The map is pinned to be read;
the filter itself keeps the program alive.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NamedTuple

from rookery.dataplane import pins, syscall
from rookery.dataplane.addresses import mac_bytes, substrate_bytes
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import LAYOUTS, SubstratePort
from rookery.dataplane.libbpf import BpfObject, clsact_attach, clsact_program
from rookery.host.instances.namespace import NamespaceError, inside
from rookery.region import port_table
from rookery.region.errors import CannotStart
from rookery.region.layout import BPF_OBJECTS, Layout
from rookery.region.port_table import PortTable

PROGRAM, MAP = "substrate_port", "port"
ROW = bytes(4)  # the array's only key
LAYOUT = LAYOUTS[SubstratePort]


class Plugged(NamedTuple):
    """A member of the substrate, as it hangs on its port."""

    address: str
    mac: str
    runs_xdp: bool  # on its device: a frame that goes straight to it would pass that by

    @property
    def goes_straight(self) -> bool:
        return self.mac == port_table.mac_of(self.address) and not self.runs_xdp


def guard(plan: Layout, table: PortTable, port: str, member: Plugged) -> None:
    """From now on only the member's address and MAC come in through `port`, a device of the substrate's namespace, and what others send to the
    member goes straight to it, or by the bridge. Again: nothing to do, unless the cable is a new one. Raises CannotStart."""
    try:
        with inside(plan.substrate_namespace):
            ifindex = socket.if_nametoindex(port)
            wanted = _row(member, ifindex)
            if table.is_new or not _stands(wanted, read(plan, port), ifindex):
                _attach(pin_of(plan, port), wanted, ifindex, table)
            if member.goes_straight:
                table.lead(member.address, ifindex)
            else:
                table.leave_to_bridge(member.address)
    except (DataplaneError, NamespaceError, OSError) as error:
        raise CannotStart(f"the substrate's port {port} cannot be guarded: {error}") from error


def read(plan: Layout, port: str) -> SubstratePort | None:
    """None: the port has no guard. Raises DataplaneError, OSError."""
    fd = pins.open_pinned(pin_of(plan, port))
    if fd is None:
        return None
    try:
        return SubstratePort._make(LAYOUT.unpack(syscall.lookup(fd, ROW, LAYOUT.size)))
    finally:
        os.close(fd)


def refused(plan: Layout, port: str) -> int:
    """Packets that bore an address of somebody else; 0 also where there is no guard to ask."""
    try:
        row = read(plan, port)
    except (DataplaneError, OSError):
        return 0
    return row.refused_packets if row else 0


def pin_of(plan: Layout, port: str) -> Path:
    return plan.pins / "substrate" / port


def _row(member: Plugged, ifindex: int) -> SubstratePort:
    return SubstratePort(
        address=substrate_bytes(member.address),
        mac=mac_bytes(member.mac),
        padding=0,
        ifindex=ifindex,
        refused_packets=0,
        refused_bytes=0,
    )


def _stands(wanted: SubstratePort, found: SubstratePort | None, ifindex: int) -> bool:
    return found is not None and found[:4] == wanted[:4] and clsact_program(ifindex) != 0


def _attach(pin: Path, row: SubstratePort, ifindex: int, table: PortTable) -> None:
    guardian = BpfObject(BPF_OBJECTS / f"{PROGRAM}.bpf.o")
    try:
        guardian.reuse({port_table.MAP: table.descriptor})
        program = guardian.load(PROGRAM)
        syscall.update(guardian.map_fd(MAP), ROW, LAYOUT.pack(*row))
        clsact_attach(program, ifindex)
        pin.parent.mkdir(parents=True, exist_ok=True)
        pin.unlink(missing_ok=True)
        syscall.pin(guardian.map_fd(MAP), pin)
    finally:
        guardian.close()
