"""A node of a cell as hosts and edges see it: what they send there comes back in the name of an interface at the cell, rewritten by the
test. Bytes in, bytes out; what a real node's programs do is tested elsewhere (tests/netns)."""

from __future__ import annotations

from ipaddress import IPv4Address

from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from tests.dataplane import plan_cells
from tests.dataplane.packets import IP, RookeryGeneve
from tests.dataplane.packets_edge import claim_of, packet_in


class FakeNode:
    """It knows where it was sent something: at its own address, and for which interface."""

    def __init__(self, wire: bytes):
        self.address = IPv4Address(IP(wire[14:34]).dst)
        self.claim: RookeryGeneve = claim_of(wire)
        inner = packet_in(wire)
        self.packet = IPv6(inner) if inner[0] >> 4 == 6 else IP(inner)
        assert self.address in (plan_cells.NODE_1, plan_cells.NODE_2)

    def emit(self, attachment: int, to: IPv4Address, **changed: object) -> bytes:
        """The packet with other addresses or ports (src, dst, sport, dport)."""
        return plan_cells.from_node(self.rewritten(**changed), attachment, to=to, sender=self.address)

    def rewritten(self, **changed: object) -> Packet:
        packet = self.packet.copy()
        for name, value in changed.items():
            setattr(packet if name in ("src", "dst") else packet.payload, name, value)
        packet.fields.pop("chksum", None)
        del packet.payload.chksum
        return packet.__class__(bytes(packet))
