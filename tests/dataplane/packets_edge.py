"""Packets as hosts send them to edges, and edges to hosts (packets.py)."""

from __future__ import annotations

from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from tests.dataplane import plan, plan_edge
from tests.dataplane.edges import HOME, NOWHERE
from tests.dataplane.packets import GENEVE_PORT, IP, ROUTER, UDP, Ether, RookeryGeneve, mac_text

INSIDE = {"10.7.1.5": 11, "10.7.1.50": 11, "10.7.1.6": 12, "10.7.1.8": 14, "10.7.2.7": 13, "10.5.1.5": 41, "10.6.1.5": 31,
          "2001:db8:7:1::5": 11, "2001:db8:7:1::6": 12, "2001:db8:7:1::8": 14, "2001:db8:7:2::7": 13, "2001:db8:6:1::5": 31}  # fmt: skip


def to_edge(packet: Packet, sender: str = "", **geneve: object) -> bytes:
    """As the host of the packet's source wraps it. `sender`: another outer source."""
    source = packet.src
    number = INSIDE.get(source, 11)
    vni = geneve.pop("vni", {31: plan.PEER, 41: plan.THIRD}.get(number, plan.VPC))
    claim = RookeryGeneve(**{"vni": vni, "origin_vni": vni, "interface": number, **geneve})
    outer = IP(src=sender or HOME[number], dst=str(plan_edge.EDGE_1), flags="DF", id=0)
    frame = Ether(src=NOWHERE, dst=plan_edge.SUBSTRATE_MAC) / outer / UDP(sport=50000, dport=GENEVE_PORT, chksum=0) / claim
    return bytes(frame / Ether(src=mac_text(number), dst=ROUTER) / packet)


def from_edge(packet: Packet, sender: str = str(plan_edge.EDGE_1), to: str = str(plan.HOST_A), **geneve: object) -> bytes:
    """As an edge wraps what comes from outside."""
    claim = RookeryGeneve(**{"vni": plan.VPC, "origin_vni": plan.VPC, "interface": 0, **geneve})
    outer = IP(src=sender, dst=to, flags="DF", id=0) / UDP(sport=50000, dport=GENEVE_PORT, chksum=0)
    return bytes(Ether(src=NOWHERE, dst=NOWHERE) / outer / claim / Ether(src=plan_edge.ROUTER_MAC, dst=NOWHERE) / packet)


def ip(source: str, destination: str, **fields: object) -> Packet:
    """The header alone."""
    if ":" in source:
        return IPv6(src=source, dst=destination, **fields)
    return IP(**{"src": source, "dst": destination, "flags": "DF", **fields})


def packet_in(frame: bytes) -> bytes:
    """The IP packet that a wrapped frame carries."""
    return frame[80:]


def claim_of(frame: bytes) -> RookeryGeneve:
    return RookeryGeneve(frame[42:66])
