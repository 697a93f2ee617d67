"""IPv6 packets, neighbour discovery and its answers, made with scapy (packets.py)."""

from __future__ import annotations

import ipaddress

from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.dataplane import plan_ipv6
from tests.dataplane.packets import ROUTER, mac_text

OWN = "2001:db8:7:1::5"
ALL_NODES, ALL_NODES_MAC = "ff02::1", "33:33:00:00:00:01"
ALL_ROUTERS, ALL_ROUTERS_MAC = "ff02::2", "33:33:00:00:00:02"


def ipv6_from_11(
    to: str = "2001:db8:7:1::6", through: str = "", content: Packet | None = None, **ip: object
) -> Packet:
    """From instance 11; `through` is the MAC the frame is addressed to (default: instance 12's)."""
    ethernet = Ether(src=mac_text(11), dst=through or mac_text(12))
    fields = {"src": OWN, "dst": to, **ip}
    return ethernet / IPv6(**fields) / (content or UDP(sport=1111, dport=2222) / b"penguin")


def ipv6_to_11(source: str = "2001:db8:7:1::6", to: str = OWN, content: Packet | None = None) -> Packet:
    """As instance 12's host carries it."""
    ethernet = Ether(src=mac_text(12), dst=mac_text(11))
    return ethernet / IPv6(src=source, dst=to) / (content or UDP(sport=2222, dport=1111) / b"fish")


def group_of(target: str) -> tuple[str, str]:
    """(solicited-node address, its MAC), RFC 4291 2.7.1 and RFC 2464 7."""
    last = ipaddress.IPv6Address(target).packed[13:]
    return str(ipaddress.IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + last)), f"33:33:ff:{last.hex(':')}"


def solicitation(target: str, source: str = OWN, mac: int = 11, options: Packet | None = None, **ip: object) -> Packet:
    """Who has `target`? As Linux asks, with its own MAC unless it has no address yet."""
    group, group_mac = group_of(target)
    fields = {"src": source, "dst": group, "hlim": 255, **ip}
    asked = Ether(src=mac_text(11), dst=group_mac) / IPv6(**fields) / ICMPv6ND_NS(tgt=target)
    if options is not None:
        return asked / options
    return asked if source == "::" else asked / ICMPv6NDOptSrcLLAddr(lladdr=mac_text(mac))


def advertisement(target: str, mac: str, router: bool, to: str = OWN) -> Packet:
    """The answer to `solicitation`; `to` "::": to all nodes."""
    nobody = to == "::"
    ethernet = Ether(src=mac, dst=ALL_NODES_MAC if nobody else mac_text(11))
    ip = IPv6(src=target, dst=ALL_NODES if nobody else to, hlim=255)
    told = ICMPv6ND_NA(R=int(router), S=int(not nobody), O=1, tgt=target)
    return ethernet / ip / told / ICMPv6NDOptDstLLAddr(lladdr=mac)


def router_solicitation(source: str = "fe80::5", options: Packet | None = None, **fields: object) -> Packet:
    ip = IPv6(src=source, dst=ALL_ROUTERS, **{"hlim": 255, **fields})
    asked = Ether(src=mac_text(11), dst=ALL_ROUTERS_MAC) / ip / ICMPv6ND_RS()
    return asked / options if options is not None else asked


def router_advertisement(to: str, mtu: int = 1500) -> Packet:
    nobody = to == "::"
    ethernet = Ether(src=ROUTER, dst=ALL_NODES_MAC if nobody else mac_text(11))
    ip = IPv6(src=plan_ipv6.ROUTER_LINK_LOCAL, dst=ALL_NODES if nobody else to, hlim=255)
    told = ICMPv6ND_RA(chlim=64, M=1, O=0, prf=0, routerlifetime=1800, reachabletime=0, retranstimer=0)
    prefix = ICMPv6NDOptPrefixInfo(
        prefixlen=64, L=1, A=0, validlifetime=2592000, preferredlifetime=604800, prefix="2001:db8:7:1::"
    )
    return ethernet / ip / told / ICMPv6NDOptSrcLLAddr(lladdr=ROUTER) / ICMPv6NDOptMTU(mtu=mtu) / prefix
