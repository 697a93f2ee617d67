"""What enters and leaves a cell, off the substrate's wire (docs/wire-format.md), for rookery.testing.history.

    hosts, edges --enters--> nodes --leaves--> hosts, edges            between nodes, probes, bare acknowledgements: not looked at
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Set
from ipaddress import IPv4Address

from rookery.dataplane.formats import CellConstant
from rookery.testing.capture import Capture
from rookery.testing.history import TCP, UDP, Ends, Seen

SNAPPED = 200  # bytes: heads, and a datagram's first words
# Geneve's flags: no critical option, no control bit; and of the connections no acknowledgement that carries nothing: half of all packets.
LOOKED_AT = "udp port 6081 and udp[9] & 0xc0 = 0 and not (udp[55] = 6 and udp[48:2] <= 52 and udp[79] = 0x10)"
OUTER, GENEVE = 14, 14 + 20 + 8
ADDRESSES, PORTS, STREAM = struct.Struct("!II"), struct.Struct("!HH"), struct.Struct("!HHIIBB")
MARKED = 16  # bytes of a datagram: whose it is, flow, number


def captured(substrate_namespace: str, nodes: Set[str]) -> Capture:
    """What comes in at the switch of the substrate, from or to these addresses. Close it."""
    whom = " or ".join(f"host {node}" for node in sorted(nodes))
    return Capture(substrate_namespace, f"{LOOKED_AT} and ({whom})", SNAPPED)


def is_of_check(port: int) -> bool:
    """A port of a balancer's own address from which nodes check targets."""
    return CellConstant.CHECK_PORT_FIRST <= port < CellConstant.CHECK_PORT_FIRST + CellConstant.NODES_MAX * CellConstant.CHECK_PORTS


class Reader:
    """`nodes`: addresses of the cell's, living or not; `balancers`: (VNI, address) of their interfaces, by which nodes check targets."""

    def __init__(self, nodes: Set[str], balancers: Set[tuple[int, int]]):
        self._nodes = {int(IPv4Address(node)) for node in nodes}
        self._balancers = balancers

    def read(self, when: float, frame: bytes) -> Iterator[Seen]:
        """None, but for the TCP and UDP of instances; twice what goes from node to node unchained. Checks are the cell's own."""
        sender, receiver = ADDRESSES.unpack_from(frame, OUTER + 12)
        found = opened(frame)
        if found is None:
            return
        ends, flags, sequence, acknowledged, mark = found
        if self._checks(ends.vni, ends.source, ends.source_port) or self._checks(ends.vni, ends.destination, ends.destination_port):
            return
        if sender in self._nodes:
            yield Seen(when, True, ends, flags, sequence, mark, sender, acknowledged)
        if receiver in self._nodes:
            yield Seen(when, False, ends, flags, sequence, mark, receiver, acknowledged)

    def _checks(self, vni: int, address: int, port: int) -> bool:
        return (vni, address) in self._balancers and is_of_check(port)


def opened(frame: bytes) -> tuple[Ends, int, int, int, tuple] | None:
    """Ends, TCP's flags, sequence and acknowledgement number, and the mark by which it is known again."""
    ip = GENEVE + 8 + 4 * (frame[GENEVE] & 0x3F) + 14
    if len(frame) < ip + 28 or frame[ip - 2 : ip] != b"\x08\x00":
        return None
    protocol, transport = frame[ip + 9], ip + 4 * (frame[ip] & 0x0F)
    if protocol not in (TCP, UDP) or int.from_bytes(frame[ip + 6 : ip + 8], "big") & 0x1FFF:
        return None
    vni = int.from_bytes(frame[GENEVE + 4 : GENEVE + 7], "big")
    source, destination = ADDRESSES.unpack_from(frame, ip + 12)
    length = int.from_bytes(frame[ip + 2 : ip + 4], "big")
    if protocol == UDP:
        source_port, destination_port = PORTS.unpack_from(frame, transport)
        flags, sequence, acknowledged = 0, 0, 0
        mark: tuple = (UDP, length, frame[transport + 8 : transport + 8 + MARKED])
    else:
        source_port, destination_port, sequence, acknowledged, _, flags = STREAM.unpack_from(frame, transport)
        mark = (TCP, length, frame[ip + 4 : ip + 6], sequence, acknowledged, flags)
    return Ends(vni, protocol, source, source_port, destination, destination_port), flags, sequence, acknowledged, mark
