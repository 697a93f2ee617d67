"""Generated from bpf/formats by `python -m rookery.dataplane.generate`. Do not edit.

`bytes` are in network order: see rookery.dataplane.addresses."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from struct import Struct
from typing import NamedTuple


class InterfaceConfig(NamedTuple):
    vni: int
    interface: int
    subnet: int
    route_table: int
    router: bytes
    primary: bytes
    mac: bytes
    router_mac: bytes
    mtu: int
    flags: int

    LAYOUT = Struct("=IIII16s16s6s6sHH")  # type: ignore[misc]


class MappingKey(NamedTuple):
    vni: int
    address: bytes

    LAYOUT = Struct("=I16s")  # type: ignore[misc]


class Mapping(NamedTuple):
    host: bytes
    interface: int
    subnet: int
    mac: bytes
    kind: int
    flags: int
    issued: int
    generation: int

    LAYOUT = Struct("=4sII6sBBIQ")  # type: ignore[misc]


class LocalInterfaceKey(NamedTuple):
    vni: int
    interface: int

    LAYOUT = Struct("=II")  # type: ignore[misc]


class LocalInterface(NamedTuple):
    ifindex: int
    mtu: int
    flags: int
    mac: bytes
    router_mac: bytes
    subnet: int

    LAYOUT = Struct("=IHH6s6sI")  # type: ignore[misc]


class RouteKey(NamedTuple):
    prefix_length: int
    table: int
    destination: bytes

    LAYOUT = Struct("=II16s")  # type: ignore[misc]


class Route(NamedTuple):
    kind: int
    target: int

    LAYOUT = Struct("=II")  # type: ignore[misc]


class SubstrateConfig(NamedTuple):
    address: bytes
    network: bytes
    netmask: bytes
    gateway: bytes
    ifindex: int
    mtu: int

    LAYOUT = Struct("=4s4s4s4sII")  # type: ignore[misc]


class CounterKey(NamedTuple):
    ifindex: int
    verdict: int

    LAYOUT = Struct("=II")  # type: ignore[misc]


class SubstratePort(NamedTuple):
    address: bytes
    mac: bytes
    padding: int
    ifindex: int
    refused_packets: int
    refused_bytes: int

    LAYOUT = Struct("=4s6sHIQQ")  # type: ignore[misc]


class Traffic(NamedTuple):
    packets: int
    bytes: int

    LAYOUT = Struct("=QQ")  # type: ignore[misc]


class Event(NamedTuple):
    time: int
    detail: int
    trace: int
    ifindex: int
    vni: int
    length: int
    source: bytes
    destination: bytes
    outer_source: bytes
    outer_destination: bytes
    source_port: bytes
    destination_port: bytes
    protocol: int
    program: int
    step: int
    verdict: int

    LAYOUT = Struct("=QQIIII16s16s4s4s2s2sBBBB")  # type: ignore[misc]


class InterfaceFlag(IntFlag):
    SOURCE_DEST_CHECK = 1
    NO_PEER = 2


class MappingKind(IntEnum):
    INTERFACE = 1


class RouteKind(IntEnum):
    LOCAL = 1
    BLACKHOLE = 2


class RouteConstant(IntEnum):
    TABLE_BITS = 32
    IPV4_BITS = 96


class Verdict(IntEnum):
    CONTINUE = 0
    SENT = 1
    DELIVERED = 2
    ANSWERED = 3
    NOT_OURS = 4
    DROP_NOT_CONFIGURED = 16
    DROP_TRUNCATED = 17
    DROP_NOT_IP = 18
    DROP_MALFORMED_IP = 19
    DROP_MALFORMED_ARP = 20
    DROP_ARP_UNANSWERED = 21
    DROP_MULTICAST = 22
    DROP_SOURCE_MAC = 23
    DROP_SOURCE_ADDRESS = 24
    DROP_NO_ROUTE = 25
    DROP_BLACKHOLE = 26
    DROP_NO_MAPPING = 27
    DROP_WRONG_SUBNET = 28
    DROP_TOO_BIG = 29
    DROP_ENCAPSULATION = 30
    DROP_MALFORMED_GENEVE = 31
    DROP_UNKNOWN_OPTION = 32
    DROP_SOURCE_NOT_MAPPED = 33
    DROP_SOURCE_NOT_AT_HOST = 34
    DROP_DESTINATION_NOT_HERE = 35
    DROP_DECAPSULATION = 36
    DROP_LINK_LOCAL = 37
    VERDICTS = 64


class Program(IntEnum):
    HOST_EGRESS = 1
    HOST_INGRESS = 2


class Step(IntEnum):
    RECEIVED = 1
    ARP_ANSWERED = 2
    SOURCE_CHECKED = 3
    SAME_SUBNET = 4
    ROUTE_FOUND = 5
    MAPPING_FOUND = 6
    WRAPPED = 7
    UNWRAPPED = 8
    VERIFIED = 9
    DELIVERED = 10
    DROPPED = 11
    FRAGMENTATION_NEEDED = 12
    NOT_OURS = 13


class WhatIfMark(IntEnum):
    MARK = 1464401920
    MASK = 4294901760


class WhatIfOutcome(IntEnum):
    VERDICT = 0
    TARGET = 1
