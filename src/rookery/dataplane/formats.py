"""Generated from bpf/formats by `python -m rookery.dataplane.generate`. Do not edit.

`bytes` are in network order: see rookery.dataplane.addresses."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from struct import Struct
from typing import Any, NamedTuple


class Ifindex(NamedTuple):
    """Key of `interfaces`, the host's side of an instance's device: a bare number in C, hence no struct in BTF. And what
    `interface_devices` says."""

    ifindex: int


class InterfaceNumber(NamedTuple):
    """Key of `allowances`, `service_budgets` and `interface_devices`: a bare number in C too."""

    interface: int


class VpcNumber(NamedTuple):
    """Key of `gateways`: a bare number in C too."""

    vni: int


class EdgeAddress(NamedTuple):
    """Key of `edge_nodes`: a bare substrate address in C."""

    address: bytes


class TopsNumber(NamedTuple):
    """Key of `tops`: a bare number in C too, in the place of a host's address in the row of what lives at a cell."""

    number: int


class RowNumber(NamedTuple):
    """Key of `cell_nodes`, `cell_choices` and `cell_targets`: a row of an array. And what `check_slots` and `check_numbers` call a slot."""

    row: int


class TenantNumber(NamedTuple):
    """Key of `tenants`: a bare number in C too."""

    tenant: int


class InterfaceConfig(NamedTuple):
    vni: int
    interface: int
    subnet: int
    route_table: int
    router: bytes
    router_ipv6: bytes
    resolver: bytes
    primary: bytes
    mac: bytes
    router_mac: bytes
    mtu: int
    flags: int
    policy: int
    acl: int
    tcp_established: int
    udp_stream: int
    udp: int
    open_egress: int
    open_ingress: int
    padding: int


class Gates(NamedTuple):
    policy: int
    acl: int
    tcp_established: int
    udp_stream: int
    udp: int
    open_egress: int
    open_ingress: int
    padding: int


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
    group_set: int


class DelegatedKey(NamedTuple):
    prefix_length: int
    vni: int
    address: bytes


class ForwarderKey(NamedTuple):
    vni: int
    interface: int


class Forwarder(NamedTuple):
    host: bytes
    subnet: int
    mac: bytes
    flags: int
    group_set: int


class PeeringKey(NamedTuple):
    vni: int
    peer: int


class Peering(NamedTuple):
    admitted: int


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
    policy: int
    acl: int
    tcp_established: int
    udp_stream: int
    udp: int
    open_egress: int
    open_ingress: int
    padding: int


class RouteKey(NamedTuple):
    prefix_length: int
    table: int
    destination: bytes


class Route(NamedTuple):
    kind: int
    target: int


class RuleBits(NamedTuple):
    word: bytes


class RuleAddressKey(NamedTuple):
    prefix_length: int
    direction: int
    list: int
    remote: bytes


class RuleGroupKey(NamedTuple):
    list: int
    group_set: int
    direction: int
    padding: int


class RulePortKey(NamedTuple):
    prefix_length: int
    direction: int
    list: int
    protocol: bytes
    port: bytes
    padding: int


class RulePorts(NamedTuple):
    rules: bytes
    anywhere: int
    open: int
    opposite_open: int
    padding: int


class ConnectionKey(NamedTuple):
    interface: int
    protocol: int
    local_port: bytes
    remote_port: bytes
    padding: int
    local: bytes
    remote: bytes


class Connection(NamedTuple):
    deadline: int
    list: int
    rule: int
    state: int
    opened: int
    attachment: int


class SweepOutcome(NamedTuple):
    held: int
    forgotten: int


class Allowance(NamedTuple):
    tracked: int
    allowed: int


class FragmentKey(NamedTuple):
    vni: int
    identification: int
    source: bytes
    destination: bytes
    protocol: int
    direction: int


class FragmentPorts(NamedTuple):
    source: bytes
    destination: bytes
    seen: int


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
    rule: int
    direction: int
    attachment: int


class EdgeSet(NamedTuple):
    living: int
    address: bytes


class EdgeNode(NamedTuple):
    admitted: int


class Gateway(NamedTuple):
    flags: int
    route_table: int


class PublicKey(NamedTuple):
    address: bytes


class Public(NamedTuple):
    vni: int
    interface: int
    private: bytes


class Translation(NamedTuple):
    public: bytes
    interface: int


class BlockKey(NamedTuple):
    prefix_length: int
    address: bytes


class Block(NamedTuple):
    vni: int


class UplinkConfig(NamedTuple):
    ifindex: int
    mtu: int
    mac: bytes
    flags: int


class TopSet(NamedTuple):
    living: int
    members: int
    address: bytes


class CellNode(NamedTuple):
    address: bytes
    flags: int
    seed: int


class CellPresence(NamedTuple):
    came: int
    left: int


class CellConfig(NamedTuple):
    key: bytes
    ring_since: int
    epoch: int
    half: int
    number: int
    self: int
    services: int
    targets: int


class AttachmentKey(NamedTuple):
    half: int
    vni: int
    interface: int


class Attachment(NamedTuple):
    tenant: int
    subnet: int
    route_table: int
    kind: int
    flags: int
    primary: bytes
    mac: bytes
    router_mac: bytes
    mtu: int
    addresses: int
    measured: int
    reserved: int
    group_set: int
    policy: int
    acl: int
    tcp_established: int
    udp_stream: int
    udp: int
    open_egress: int
    open_ingress: int
    padding: int
    endpoint: bytes
    primary_ipv6: bytes


class FlowsHeld(NamedTuple):
    connections: int
    opening: int
    datagrams: int
    others: int


class NatAddressKey(NamedTuple):
    half: int
    vni: int
    interface: int
    place: int


class NatAddress(NamedTuple):
    address: bytes


class CellServiceKey(NamedTuple):
    half: int
    vni: int
    interface: int
    protocol: int
    port: bytes


class CellService(NamedTuple):
    number: int
    flags: int
    idle_seconds: int
    exit_vni: int
    exit_interface: int
    padding: int


class CellTarget(NamedTuple):
    address: bytes
    vni: int
    interface: int
    port: bytes
    flags: int
    generation: int


class FlowKey(NamedTuple):
    vni: int
    interface: int
    protocol: int
    source_port: bytes
    destination_port: bytes
    padding: int
    source: bytes
    destination: bytes


class Directive(NamedTuple):
    source: bytes
    destination: bytes
    source_port: bytes
    destination_port: bytes
    vni: int
    interface: int
    flags: int
    target: int
    target_generation: int
    idle_seconds: int
    initial_sequence: int
    padding: int
    version: int


class CellChoices(NamedTuple):
    target: bytes
    padding: bytes


class Tracker(NamedTuple):
    source: bytes
    destination: bytes
    source_port: bytes
    destination_port: bytes
    vni: int
    interface: int
    flags: int
    target: int
    target_generation: int
    idle_seconds: int
    initial_sequence: int
    padding: int
    version: int
    deadline: int
    tenant: int
    decider: int
    tail: int
    pending: int


class CachedDirective(NamedTuple):
    source: bytes
    destination: bytes
    source_port: bytes
    destination_port: bytes
    vni: int
    interface: int
    flags: int
    target: int
    target_generation: int
    idle_seconds: int
    initial_sequence: int
    padding: int
    version: int
    seen: int
    told: int
    header_sent: int
    acknowledged: bytes
    leased: int


class LeavingKey(NamedTuple):
    vni: int
    interface: int
    address: bytes


class Leaving(NamedTuple):
    flows: int


class FlowSweepOutcome(NamedTuple):
    held: int
    closed: int
    forgotten: int
    cached: int
    leaving: int


class RestSearch(NamedTuple):
    slices: int
    slice: int
    found: int
    left: int


class CheckWay(NamedTuple):
    vni: int
    interface: int
    address: bytes


class ChecksConfig(NamedTuple):
    ifindex: int
    mac: bytes
    node_mac: bytes


class Caller(NamedTuple):
    prefix: bytes
    source: int
    asked: int
    interface: bytes
    identifier: bytes


class ServicesConfig(NamedTuple):
    ifindex: int
    mac: bytes
    host_mac: bytes


class ServiceBudget(NamedTuple):
    second_and_packets: int


class WhatIfNote(NamedTuple):
    mark: int
    verdict: int
    target: int


LAYOUTS: dict[type[tuple[Any, ...]], Struct] = {
    Ifindex: Struct("=I"),
    InterfaceNumber: Struct("=I"),
    VpcNumber: Struct("=I"),
    EdgeAddress: Struct("=4s"),
    TopsNumber: Struct("=I"),
    RowNumber: Struct("=I"),
    TenantNumber: Struct("=I"),
    InterfaceConfig: Struct("=IIII16s16s16s16s6s6sHHQQIIIBBH"),
    Gates: Struct("=QQIIIBBH"),
    MappingKey: Struct("=I16s"),
    Mapping: Struct("=4sII6sBBIQQ"),
    DelegatedKey: Struct("=II16s"),
    ForwarderKey: Struct("=II"),
    Forwarder: Struct("=4sI6sHQ"),
    PeeringKey: Struct("=II"),
    Peering: Struct("=I"),
    LocalInterfaceKey: Struct("=II"),
    LocalInterface: Struct("=IHH6s6sIQQIIIBBH"),
    RouteKey: Struct("=II16s"),
    Route: Struct("=II"),
    RuleBits: Struct("=128s"),
    RuleAddressKey: Struct("=IIQ16s"),
    RuleGroupKey: Struct("=QQII"),
    RulePortKey: Struct("=IIQ2s2sI"),
    RulePorts: Struct("=128sHBBI"),
    ConnectionKey: Struct("=IH2s2sH16s16s"),
    Connection: Struct("=QQHBBI"),
    SweepOutcome: Struct("=II"),
    Allowance: Struct("=II"),
    FragmentKey: Struct("=II16s16sHH"),
    FragmentPorts: Struct("=2s2sI"),
    SubstrateConfig: Struct("=4s4s4s4sII"),
    CounterKey: Struct("=II"),
    SubstratePort: Struct("=4s6sHIQQ"),
    Traffic: Struct("=QQ"),
    BusyCounter: Struct("=IIQQ"),
    Event: Struct("=QQIIII16s16s4s4s2s2sBBBBHHI"),
    EdgeSet: Struct("=I64s"),
    EdgeNode: Struct("=I"),
    Gateway: Struct("=II"),
    PublicKey: Struct("=16s"),
    Public: Struct("=II16s"),
    Translation: Struct("=16sI"),
    BlockKey: Struct("=I16s"),
    Block: Struct("=I"),
    UplinkConfig: Struct("=II6sH"),
    TopSet: Struct("=HH64s"),
    CellNode: Struct("=4sIQ"),
    CellPresence: Struct("=QQ"),
    CellConfig: Struct("=16sQIIIIII"),
    AttachmentKey: Struct("=III"),
    Attachment: Struct("=IIIHH16s6s6sHHIIQQQIIIBBH24s16s"),
    FlowsHeld: Struct("=IIII"),
    NatAddressKey: Struct("=IIII"),
    NatAddress: Struct("=16s"),
    CellServiceKey: Struct("=IIIH2s"),
    CellService: Struct("=IIIIII"),
    CellTarget: Struct("=16sII2sHI"),
    FlowKey: Struct("=IIH2s2sH16s16s"),
    Directive: Struct("=16s16s2s2sIIHHIIIIQ"),
    CellChoices: Struct("=8186s6s"),
    Tracker: Struct("=16s16s2s2sIIHHIIIIQQIBBH"),
    CachedDirective: Struct("=16s16s2s2sIIHHIIIIQQQI4sQ"),
    LeavingKey: Struct("=II16s"),
    Leaving: Struct("=I"),
    FlowSweepOutcome: Struct("=IIIII"),
    RestSearch: Struct("=IIII"),
    CheckWay: Struct("=II16s"),
    ChecksConfig: Struct("=I6s6s"),
    Caller: Struct("=2sBB4s8s"),
    ServicesConfig: Struct("=I6s6s"),
    ServiceBudget: Struct("=Q"),
    WhatIfNote: Struct("=III"),
}


class EdgeConstant(IntEnum):
    EDGES_MAX = 16
    INTERNET_MTU = 1500


class GatewayFlag(IntFlag):
    INTERNET = 1
    EGRESS_ONLY = 2


class UplinkFlag(IntFlag):
    CLOSING = 1
    FILLED = 2


class MeasureWay(IntEnum):
    OUTWARD = 0
    INWARD = 1


class MeasureProtocol(IntEnum):
    TCP = 0
    UDP = 1
    OTHER = 2
    PROTOCOLS = 3


class Measure(IntEnum):
    PASSED = 0
    DROPPED = 24
    RESETS_OUTWARD = 25
    RESETS_INWARD = 26
    RESETS_OWN = 27
    FLOWS = 28
    REFUSED = 31
    ESTABLISHED = 34
    IDLE = 35
    NO_PORT = 36
    NO_TARGET = 37
    GROUPS_INWARD = 40
    GROUPS_OUTWARD = 43
    UNHEALTHY = 46
    COUNTS = 47


class CellConstant(IntEnum):
    NODES_MAX = 16
    HALVES = 2
    CHOICES = 4093
    PORT_FIRST = 1024
    PORT_BLOCK = 64
    PORT_BLOCKS = 1008
    NO_TARGET = 65535
    MTU = 8500
    OVERHEAD = 160
    PROVISIONAL_SECONDS = 30
    REST_SECONDS = 120
    CLOSED_SECONDS = 10
    YOUNG_SECONDS = 30
    DOUBT_SECONDS = 5
    ABSENCE_SECONDS = 60
    LEASE_SECONDS = 1
    SETTLED_SECONDS = 3
    COPIED_SECONDS = 2
    NAT_IDLE_SECONDS = 350
    EPOCHS_APART = 8
    NAT_MSS = 8460
    NAT64_MSS = 8440
    CHECK_PORT_FIRST = 1024
    CHECK_PORTS = 64
    CHECK_BLOCKS = 16
    CHECK_NETWORK = 240
    CHECK_SELF = 16777214
    PROXY_HEADER = 100
    ENDPOINT_ID = 22
    EVERYBODY = 0
    SHORTCUT_BITS = 13
    SHORTCUT_CPUS = 128


class CellNodeFlag(IntFlag):
    CURRENT = 1
    PREVIOUS = 2
    DECIDES = 4


class AttachmentKind(IntEnum):
    NAT = 1
    BALANCER = 2
    ENDPOINT = 3


class AttachmentFlag(IntFlag):
    PRIVATE = 1
    CLOSED = 2
    GROUPS_SEE_CLIENT = 4
    SHUT_OUT = 8


class ServiceFlag(IntFlag):
    PRESERVE_CLIENT = 1
    STICKY = 2
    PROXY_PROTOCOL = 4
    ENDPOINT = 8
    TO_IPV6 = 16


class TargetFlag(IntFlag):
    HEALTHY = 1
    DRAINING = 2
    TERMINATES = 4


class DirectiveFlag(IntFlag):
    OUTWARD = 1
    PROVISIONAL = 2
    PROXY_PROTOCOL = 4
    CLOSING = 8


class ChainStep(IntEnum):
    ASK = 1
    DECIDE = 2
    ANSWERS_FIRST = 3
    ANSWERS_SECOND = 4
    SECOND = 5
    TELL = 6
    BEAT_FIRST = 7
    BEAT_SECOND = 8
    BEAT_ANSWERS_FIRST = 9
    BEAT_ANSWERS_SECOND = 10
    CHECK = 11
    COPY = 12
    END = 13


class ChainFlag(IntFlag):
    HANDED_OUT = 1
    OWN_ADDRESS = 2
    TAKEN = 4
    UNKNOWN = 8
    KEPT = 16
    TARGET_GONE = 32
    HELD = 64


class InterfaceFlag(IntFlag):
    SOURCE_DEST_CHECK = 1
    NO_PEER = 2
    AT_CELL = 4


class Direction(IntEnum):
    EGRESS = 1
    INGRESS = 2


class RuleConstant(IntEnum):
    WORDS = 16
    BITS = 1024
    LIST_BITS = 96
    IPV4_BITS = 96
    PROTOCOL_BITS = 16
    NONE = 65535


class OpenFamily(IntEnum):
    IPV4 = 1
    IPV6 = 2


class EchoSide(IntEnum):
    ASKED_HERE = 1
    ASKED_THERE = 2


class ConnectionState(IntEnum):
    NEW = 1
    ANSWERED = 2
    STREAM = 3
    CLOSING = 4


class IdleSeconds(IntEnum):
    TCP_NEW = 60
    TCP_CLOSING = 30
    ICMP = 30
    OTHER = 600


class MappingKind(IntEnum):
    INTERFACE = 1


class RouteKind(IntEnum):
    NONE = 0
    LOCAL = 1
    BLACKHOLE = 2
    INTERFACE = 3
    PEER = 4
    INTERNET = 5
    EGRESS_ONLY = 6


class RouteConstant(IntEnum):
    TABLE_BITS = 32
    IPV4_BITS = 96


class BusyConstant(IntEnum):
    DEVICES = 1024
    VERDICTS = 4


class MemberConstant(IntEnum):
    MEMBER_MAC = 594
    MEMBERS_MAX = 4096


class Service(IntEnum):
    DHCP = 103
    TIME = 291
    DNS = 595
    METADATA = 596
    DHCPV6 = 1351


class ServicePort(IntEnum):
    PORT_DNS = 53
    PORT_DHCP = 67
    PORT_DHCP_CLIENT = 68
    PORT_METADATA = 80
    PORT_TIME = 123
    PORT_DHCPV6_CLIENT = 546
    PORT_DHCPV6 = 547


class CallerSource(IntEnum):
    IPV4 = 4
    IPV6 = 6
    LINK_LOCAL = 7


class AskedAt(IntEnum):
    SERVICE = 1
    RESOLVER = 2
    ROUTER = 3
    EVERYBODY = 4


class CallerConstant(IntEnum):
    PREFIX = 64850


class ServiceLimit(IntEnum):
    PACKETS = 1024


class Verdict(IntEnum):
    CONTINUE = 0
    SENT = 1
    DELIVERED = 2
    ANSWERED = 3
    NOT_OURS = 4
    SERVED = 5
    DEFERRED = 6
    KEPT = 7
    CHECKED = 8
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
    DROP_SECURITY_GROUP_EGRESS = 38
    DROP_SECURITY_GROUP_INGRESS = 39
    DROP_NETWORK_ACL_EGRESS = 40
    DROP_NETWORK_ACL_INGRESS = 41
    DROP_CONNECTIONS_FULL = 42
    DROP_ALLOWANCE_EXCEEDED = 43
    DROP_UNKNOWN_FRAGMENT = 44
    DROP_NOT_PEERED = 45
    DROP_DESTINATION_CHECK = 46
    DROP_NO_FORWARDER = 47
    DROP_MALFORMED_NEIGHBOUR = 48
    DROP_NEIGHBOUR_UNANSWERED = 49
    DROP_SERVICE_ALLOWANCE = 50
    DROP_SERVICE_FRAGMENT = 51
    DROP_SERVICE_REPLY = 52
    DROP_SERVICE_OPTIONS = 53
    DROP_NO_EDGE = 54
    DROP_NO_GATEWAY = 55
    DROP_NO_PUBLIC_ADDRESS = 56
    DROP_UNKNOWN_PUBLIC_ADDRESS = 57
    DROP_PRIVATE_DESTINATION = 58
    DROP_PRIVATE_SOURCE = 59
    DROP_NOT_AN_EDGE = 60
    DROP_UNASKED = 61
    DROP_TRANSLATION = 62
    DROP_NO_TOP = 63
    DROP_NO_ATTACHMENT = 64
    DROP_NO_SERVICE = 65
    DROP_NO_TARGET = 66
    DROP_PORTS_EXHAUSTED = 67
    DROP_NO_FLOW = 68
    DROP_PROTOCOL = 69
    DROP_HOP_LIMIT = 70
    DROP_FLOWS_FULL = 71
    DROP_CONFLICT = 72
    DROP_CHAIN = 73
    DROP_CELL_FRAGMENT = 74
    DROP_PROBE_UNANSWERED = 75
    DROP_NO_CHECK = 78
    DROP_NOT_A_CHECK = 79
    DROP_PROXY_PROTOCOL = 80
    VERDICTS = 96


class Program(IntEnum):
    HOST_EGRESS = 1
    HOST_INGRESS = 2
    HOST_SERVICES = 3
    BLACKFOOT_OUTWARD = 4
    BLACKFOOT_INWARD = 5
    HYPERPLANE_TOP = 6
    HYPERPLANE_CHAIN = 7
    HYPERPLANE_CHECKS = 8


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
    CONNECTION_FOUND = 14
    CONNECTION_MADE = 15
    UNTRACKED = 16
    ACL_ALLOWED = 17
    FORWARDER_FOUND = 18
    PEER_FOUND = 19
    NEIGHBOUR_ANSWERED = 20
    ROUTER_ADVERTISED = 21
    RELATED = 22
    FORWARDED = 23
    SERVED = 24
    SERVICE_ANSWERED = 25
    EDGE_CHOSEN = 26
    SOURCE_TRANSLATED = 27
    DESTINATION_TRANSLATED = 28
    SENT_OUTSIDE = 29
    FROM_EDGE = 30
    TOP_CHOSEN = 31
    FROM_TOP = 32
    ATTACHMENT_FOUND = 33
    DIRECTIVE_CACHED = 34
    ASKED = 35
    TRACKED = 36
    DECIDED = 37
    STORED = 38
    TOLD = 39
    PASSED_ON = 40
    RESET = 41
    FAMILY_TRANSLATED = 42
    CHECK_FOUND = 44
    CHECK_ANSWERED = 45
    HEADER_SENT = 46


class WhatIfMark(IntEnum):
    MARK = 1464401920
    MASK = 4294901760


class WhatIfOutcome(IntEnum):
    VERDICT = 0
    TARGET = 1
