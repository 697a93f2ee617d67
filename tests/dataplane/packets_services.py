"""Packets to services and from them, and how each looks on the other side: written by hand from docs/wire-format.md."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.dataplane import plan
from tests.dataplane.packets import ROUTER, mac_text
from tests.dataplane.packets_ipv6 import OWN

OWN_IPV4 = "10.7.1.5"
RESOLVER, ROUTER_IPV4, EVERYBODY, NOBODY = "10.7.0.2", "10.7.1.1", "255.255.255.255", "0.0.0.0"
LINK_LOCAL, AGENTS = "fe80::ff:fe00:10b", "ff02::1:2"
SERVICE, BY_RESOLVER, BY_ROUTER, BY_EVERYBODY = 1, 2, 3, 4
TO_SERVICES = {"src": plan.SERVICES.host_mac.hex(":"), "dst": plan.SERVICES.mac.hex(":")}
FROM_SERVICES = {"src": plan.SERVICES.mac.hex(":"), "dst": plan.SERVICES.host_mac.hex(":")}
FROM_ROUTER = {"src": ROUTER, "dst": mac_text(11)}


def caller(address: str = OWN_IPV4, asked: int = SERVICE, interface: int = 11) -> str:
    guest = IPv4Address(address) if "." in address else IPv6Address(address)
    source = 4 if guest.version == 4 else 7 if guest.is_link_local else 6
    identifier = guest.packed[-8:].rjust(8, b"\0")
    return str(IPv6Address(bytes((0xFD, 0x52, source, asked)) + interface.to_bytes(4, "big") + identifier))


def question(to: str, content: Packet, source: str = "", mac: str = ROUTER, **ip: object) -> Packet:
    """From instance 11, of the family of `to`."""
    ethernet = Ether(src=mac_text(11), dst=mac)
    if ":" in to:
        return ethernet / IPv6(src=source or OWN, dst=to, **ip) / content
    return ethernet / IP(src=source or OWN_IPV4, dst=to, **ip) / content


def asked_question(service: str, who: str, content: Packet, **ip: object) -> Packet:
    """What the services see of it."""
    return Ether(**TO_SERVICES) / IPv6(src=who, dst=f"fd00:ec2::{service}", **ip) / content


def answer(service: str, whom: str, content: Packet, **ip: object) -> Packet:
    """What a service says."""
    return Ether(**FROM_SERVICES) / IPv6(src=f"fd00:ec2::{service}", dst=whom, **ip) / content


def heard_answer(source: str, content: Packet, to: str = "", mac: str = "", **ip: object) -> Packet:
    """What the guest gets of it."""
    ethernet = Ether(src=ROUTER, dst=mac or mac_text(11))
    if ":" in source:
        return ethernet / IPv6(src=source, dst=to or OWN, **ip) / content
    return ethernet / IP(src=source, dst=to or OWN_IPV4, **{"flags": "DF", "id": 0, **ip}) / content


def udp(port: int, source: int = 40001, content: bytes = b"penguin") -> Packet:
    return UDP(sport=source, dport=port) / Raw(content)


def tcp(port: int, source: int = 40001, content: bytes = b"penguin") -> Packet:
    return TCP(sport=source, dport=port, flags="PA") / Raw(content)
