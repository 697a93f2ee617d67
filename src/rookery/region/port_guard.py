"""The substrate's ingress filter: whoever hangs on a port speaks with that port's addresses and no others (BCP 38).

A data centre's switches do this; here the switch is ours. The program is bpf/substrate_port.bpf.c, one instance and one map a
port, so that nothing is shared between hosts. The map is pinned to be read; the filter itself keeps the program alive.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from rookery.dataplane import pins, syscall
from rookery.dataplane.addresses import mac_bytes, substrate_bytes
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import LAYOUTS, SubstratePort
from rookery.dataplane.libbpf import BpfObject, clsact_attach, clsact_program
from rookery.host.instances.namespace import NamespaceError, inside
from rookery.region.errors import CannotStart
from rookery.region.layout import BPF_OBJECTS, Layout

PROGRAM, MAP = "substrate_port", "port"
ROW = bytes(4)  # the array's only key
LAYOUT = LAYOUTS[SubstratePort]


def guard(plan: Layout, port: str, address: str, mac: str) -> None:
    """From now on only `address` and `mac` come in through `port`, a device of the substrate's namespace. Again: nothing
    to do, unless the cable is a new one. Raises CannotStart."""
    try:
        with inside(plan.substrate_namespace):
            ifindex = socket.if_nametoindex(port)
            wanted = _row(address, mac, ifindex)
            if not _stands(wanted, read(plan, port), ifindex):
                _attach(pin_of(plan, port), wanted, ifindex)
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


def _row(address: str, mac: str, ifindex: int) -> SubstratePort:
    return SubstratePort(
        address=substrate_bytes(address),
        mac=mac_bytes(mac),
        padding=0,
        ifindex=ifindex,
        refused_packets=0,
        refused_bytes=0,
    )


def _stands(wanted: SubstratePort, found: SubstratePort | None, ifindex: int) -> bool:
    return found is not None and found[:4] == wanted[:4] and clsact_program(ifindex) != 0


def _attach(pin: Path, row: SubstratePort, ifindex: int) -> None:
    pins.mount_bpffs()
    guardian = BpfObject(BPF_OBJECTS / f"{PROGRAM}.bpf.o")
    try:
        program = guardian.load(PROGRAM)
        syscall.update(guardian.map_fd(MAP), ROW, LAYOUT.pack(*row))
        clsact_attach(program, ifindex)
        pin.parent.mkdir(parents=True, exist_ok=True)
        pin.unlink(missing_ok=True)
        syscall.pin(guardian.map_fd(MAP), pin)
    finally:
        guardian.close()
