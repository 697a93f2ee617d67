"""The switch under the peers of a measurement: a bridge whose ports lead straight to whom a frame is for, as a region's do (rookery.region.substrate),
so that no switch is measured. Its ports ask nobody who he is; a region's do."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rookery.dataplane.libbpf import BpfObject, clsact_attach
from rookery.host.instances.namespace import inside
from rookery.region import port_table
from rookery.region.port_table import PortTable

PROGRAM = "substrate_switch"
OBJECT = Path(__file__).resolve().parents[1] / "build" / "bpf" / f"{PROGRAM}.bpf.o"


def lead_straight(centre: str, members: Mapping[str, tuple[str, str]]) -> None:
    """`members`: by their ports, devices of the namespace `centre`: the namespace in which u0 is, and its address on the substrate."""
    program = BpfObject(OBJECT)
    try:
        descriptor = program.load(PROGRAM)
        table = PortTable(program.map_fd(port_table.MAP), is_new=True)
        for namespace, address in members.values():
            subprocess.run(["ip", "-n", namespace, "link", "set", "u0", "address", port_table.mac_of(address)], check=True)
        with inside(centre):
            for port, (_, address) in members.items():
                clsact_attach(descriptor, socket.if_nametoindex(port))
                table.lead(address, socket.if_nametoindex(port))
    finally:
        program.close()
