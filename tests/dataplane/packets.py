"""Packets made with scapy, and the wire format as a scapy layer: written by hand from docs/wire-format.md, so that it is
somebody else's opinion than the generated code's."""

from __future__ import annotations

from scapy.fields import BitField, IntField, XByteField, XShortField
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw, bind_layers

from rookery.dataplane.formats import Step
from rookery.dataplane.node import WhatIf
from tests.dataplane import plan

GENEVE_PORT = 6081


class RookeryGeneve(Packet):
    """Geneve with exactly the origin option."""

    name = "Geneve with origin"
    fields_desc = [
        BitField("version", 0, 2),
        BitField("option_words", 4, 6),
        BitField("control", 0, 1),
        BitField("critical", 0, 1),
        BitField("reserved", 0, 6),
        XShortField("protocol", 0x6558),
        BitField("vni", 0, 24),
        BitField("reserved2", 0, 8),
        XShortField("option_class", 0xFF52),
        XByteField("option_type", 1),
        BitField("option_reserved", 0, 3),
        BitField("option_length", 3, 5),
        IntField("interface", 0),
        BitField("origin_vni", plan.VPC, 24),
        BitField("reserved3", 0, 8),
        IntField("target", 0),
    ]


bind_layers(RookeryGeneve, Ether)
__all__ = ["ARP", "ICMP", "IP", "TCP", "UDP", "Ether", "Raw", "RookeryGeneve"]


def mac_text(number: int) -> str:
    return plan.mac(number).hex(":")


ROUTER = plan.ROUTER_MAC.hex(":")


def frame_from_11(to: str = "10.7.1.6", through: str = "", content: Packet | None = None, **ip: object) -> Packet:
    """From instance 11; `through` is the MAC the frame is addressed to (default: instance 12's)."""
    ethernet = Ether(src=mac_text(11), dst=through or mac_text(12))
    fields = {"src": "10.7.1.5", "dst": to, "flags": "DF", **ip}
    return ethernet / IP(**fields) / (content or UDP(sport=1111, dport=2222) / b"penguin")


def arp_from_11(asked: str, **fields: object) -> Packet:
    question = {"hwsrc": mac_text(11), "psrc": "10.7.1.5", "pdst": asked, **fields}
    return Ether(src=mac_text(11), dst="ff:ff:ff:ff:ff:ff") / ARP(**question)


def wrapped(inner: Packet, vni: int = plan.VPC, sender: str = str(plan.HOST_B), **fields: object) -> Packet:
    """As a host would send it to host A."""
    geneve = RookeryGeneve(**{"vni": vni, "origin_vni": vni, "interface": 12, **fields})
    outer = Ether(dst="00:00:00:00:00:00", src="00:00:00:00:00:00") / IP(
        src=sender, dst=str(plan.HOST_A), flags="DF", id=0
    )
    return outer / UDP(sport=50000, dport=GENEVE_PORT, chksum=0) / geneve / inner


def frame_to_11(source: str = "10.7.1.6", to: str = "10.7.1.5", content: Packet | None = None) -> Packet:
    """As instance 12's host carries it."""
    return (
        Ether(src=mac_text(12), dst=mac_text(11))
        / IP(src=source, dst=to, flags="DF")
        / (content or UDP(sport=2222, dport=1111) / b"fish")
    )


GATES = {Step.CONNECTION_FOUND, Step.CONNECTION_MADE, Step.UNTRACKED, Step.RELATED, Step.ACL_ALLOWED}


def steps(outcome: WhatIf) -> list[str]:
    """But those of security groups and network ACLs: they have tests of their own."""
    return [event.step.name for event in outcome.events if event.step not in GATES]
