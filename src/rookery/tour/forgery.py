"""A lie on the substrate: a host sends a packet whose inner source lives elsewhere. What a broken or captured host could
do, and what the receiver's verification must stop. The bytes are those of docs/wire-format.md."""

from __future__ import annotations

import socket
import struct

from rookery.host.instances.namespace import inside
from rookery.region.layout import Layout
from rookery.trace.packet import Probe, ipv4_frame

GENEVE_PORT = 6081
SO_NO_CHECK = 11  # socket(7); Python names it not
TRANSPARENT_ETHERNET = 0x6558
OPTION_CLASS, ORIGIN, ORIGIN_WORDS = 0xFF52, 0x01, 3


def forge(vni: int, interface: int, inner: bytes) -> bytes:
    """The UDP payload: Geneve, the origin option, the inner frame."""
    option = struct.pack("!HBBIII", OPTION_CLASS, ORIGIN, ORIGIN_WORDS, interface, vni << 8, 0)
    return struct.pack("!BBHI", len(option) // 4, 0, TRANSPARENT_ETHERNET, vni << 8) + option + inner


def ping_frame(source_mac: str, router_mac: str, source: str, destination: str) -> bytes:
    return ipv4_frame(source_mac, router_mac, source, destination, Probe.of(None, None))


def send_from(plan: Layout, liar: str, receiver: str, payload: bytes) -> None:
    """From the host `liar`'s own address, to the substrate address `receiver`."""
    with inside(plan.host_namespace(liar)):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)  # as hosts send: a liar would not stand out by that
    with sender:
        sender.sendto(payload, (receiver, GENEVE_PORT))
