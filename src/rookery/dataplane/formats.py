"""Generated from bpf/formats by `python -m rookery.dataplane.generate`. Do not edit.

`bytes` are in network order: see rookery.dataplane.addresses."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from struct import Struct
from typing import Any, NamedTuple


class Ifindex(NamedTuple):
    """Key of `interfaces`, the host's side of an instance's device: a bare number in C, hence no struct in BTF."""

    ifindex: int


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


class MappingKey(NamedTuple):
    vni: int
    address: bytes


class Mapping(NamedTuple):
    host: bytes
    interface: int
    subnet: int
    mac: bytes
    kind: int
    flags: int
    issued: int
    generation: int


class LocalInterfaceKey(NamedTuple):
    vni: int
    interface: int


class LocalInterface(NamedTuple):
    ifindex: int
    mtu: int
    flags: int
    mac: bytes
    router_mac: bytes
    subnet: int


class RouteKey(NamedTuple):
    prefix_length: int
    table: int
    destination: bytes


class Route(NamedTuple):
    kind: int
    target: int


class SubstrateConfig(NamedTuple):
    address: bytes
    network: bytes
    netmask: bytes
    gateway: bytes
    ifindex: int
    mtu: int


class CounterKey(NamedTuple):
    ifindex: int
    verdict: int


class SubstratePort(NamedTuple):
    address: bytes
    mac: bytes
    padding: int
    ifindex: int
    refused_packets: int
    refused_bytes: int


class Traffic(NamedTuple):
    packets: int
    bytes: int


class BusyCounter(NamedTuple):
    ifindex: int
    padding: int
    packets: int
    bytes: int


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


LAYOUTS: dict[type[tuple[Any, ...]], Struct] = {
    Ifindex: Struct("=I"),
    InterfaceConfig: Struct("=IIII16s16s6s6sHH"),
    MappingKey: Struct("=I16s"),
    Mapping: Struct("=4sII6sBBIQ"),
    LocalInterfaceKey: Struct("=II"),
    LocalInterface: Struct("=IHH6s6sI"),
    RouteKey: Struct("=II16s"),
    Route: Struct("=II"),
    SubstrateConfig: Struct("=4s4s4s4sII"),
    CounterKey: Struct("=II"),
    SubstratePort: Struct("=4s6sHIQQ"),
    Traffic: Struct("=QQ"),
    BusyCounter: Struct("=IIQQ"),
    Event: Struct("=QQIIII16s16s4s4s2s2sBBBB"),
}


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


class BusyConstant(IntEnum):
    DEVICES = 1024
    VERDICTS = 4


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
