"""The sockets at which guests reach the services, opened in a namespace of their own.

Every guest of a host reaches the same ports. So that one guest's flood fills no other's queue, a port is several sockets
(SO_REUSEPORT), each with a short queue of its own, and a filter in the kernel picks by the number of the guest's interface,
which the program on its device wrote into the source address (bpf/formats/services.h).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import NamedTuple

from rookery.dataplane.formats import Service, ServicePort
from rookery.host.instances import namespace
from rookery.host.services.caller import service_address

DATAGRAM_BUCKETS = 32
STREAM_BUCKETS = 8
QUEUE_BYTES = 64 << 10  # of one bucket; the kernel takes twice as much, and counts its own bytes, too
NAMES_QUEUE_BYTES = 768 << 10  # ... of DNS: all that an interface may ask in a second can come at once
BACKLOG = 64  # connections of one bucket that wait to be accepted

SO_ATTACH_REUSEPORT_CBPF = 51  # asm-generic/socket.h, as what follows without a name in Python
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33  # more than net.core.rmem_max
IPV6_FREEBIND = 78  # linux/in6.h
UDP_NO_CHECK6_RX = 102  # linux/udp.h

SKF_NET_OFF = -0x100000 & 0xFFFFFFFF  # linux/filter.h: offsets from here are into the network header
INTERFACE_IN_SOURCE = 8 + 4  # the source of an IPv6 packet, and `interface` in struct caller
BPF_LD_W_ABS, BPF_MOD_K, BPF_RET_A = 0x20, 0x94, 0x16


class Sockets(NamedTuple):
    dhcp: list[socket.socket]
    dhcpv6: list[socket.socket]
    time: list[socket.socket]  # receives with time stamps
    dns: list[socket.socket]
    dns_streams: list[socket.socket]
    metadata: list[socket.socket]

    def close(self) -> None:
        for opened in (one for many in self for one in many):
            opened.close()


def open_in(name: str) -> Sockets:
    """In the network namespace `name`; this thread visits it. The addresses need not be there yet. Raises OSError,
    NamespaceError."""
    with namespace.inside(name):
        stamped = _datagrams(Service.TIME, ServicePort.PORT_TIME)
        for one in stamped:
            one.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return Sockets(
            dhcp=_datagrams(Service.DHCP, ServicePort.PORT_DHCP),
            dhcpv6=_datagrams(Service.DHCPV6, ServicePort.PORT_DHCPV6),
            time=stamped,
            dns=_datagrams(Service.DNS, ServicePort.PORT_DNS, NAMES_QUEUE_BYTES),
            dns_streams=_streams(Service.DNS, ServicePort.PORT_DNS),
            metadata=_streams(Service.METADATA, ServicePort.PORT_METADATA),
        )


def _datagrams(service: Service, port: ServicePort, queue: int = QUEUE_BYTES) -> list[socket.socket]:
    buckets = _bound(socket.SOCK_DGRAM, service, port, DATAGRAM_BUCKETS)
    for bucket in buckets:
        bucket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, queue)
        bucket.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)  # IPv4 allows none, and the guest's may be that
    return buckets


def _streams(service: Service, port: ServicePort) -> list[socket.socket]:
    buckets = _bound(socket.SOCK_STREAM, service, port, STREAM_BUCKETS)
    for bucket in buckets:
        bucket.listen(BACKLOG)
    _pick_by_interface(buckets)  # before they listen they are no group
    return buckets


def _bound(kind: socket.SocketKind, service: Service, port: ServicePort, count: int) -> list[socket.socket]:
    buckets: list[socket.socket] = []
    for _ in range(count):
        bucket = socket.socket(socket.AF_INET6, kind | socket.SOCK_NONBLOCK)
        bucket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bucket.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        if kind == socket.SOCK_STREAM:  # a guest's connection from before a restart of ours must not stop us
            bucket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bucket.bind((service_address(service), int(port)))
        buckets.append(bucket)
    if kind == socket.SOCK_DGRAM:
        _pick_by_interface(buckets)
    return buckets


def _pick_by_interface(buckets: list[socket.socket]) -> None:
    """For all of the group."""
    program = (
        (BPF_LD_W_ABS, 0, 0, (SKF_NET_OFF + INTERFACE_IN_SOURCE) & 0xFFFFFFFF),
        (BPF_MOD_K, 0, 0, len(buckets)),
        (BPF_RET_A, 0, 0, 0),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    filter_program = struct.pack("@HP", len(program), ctypes.addressof(code))
    buckets[0].setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, filter_program)
