"""A host by itself: its tables filled as the agent fills them, nothing attached, and the packets of its one instance.

    10.0.0.5 -- [this host] -- substrate -- another host with 10.1.0.0 and as many more as are mapped
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes, substrate_bytes
from rookery.dataplane.formats import Direction, Ifindex, InterfaceNumber
from rookery.dataplane.host import HostDataplane
from rookery.host.rule_lists import CompiledList, compile_acl, compile_policy
from rookery.intent.host import AclEntryIntent, AclIntent, GroupRuleIntent, PolicyIntent

DEVICE, VPC, SMALL, INTERFACE, PEER_PORT = 1, 7, 1000, 5, 2222
HERE, THERE = "100.64.1.10", "100.64.1.11"
OWN_MAC, PEER_MAC, ROUTER_MAC = (bytes((2, 0, 0, 0, 0, n)) for n in (5, 6, 1))
OWN = bytes((10, 0, 0, 5))
ANYWHERE, PEERS = "0.0.0.0/0", "10.0.0.0/8"
ALL, UDP = -1, 17
HOUR = 3600 * 1_000_000_000


def peer(number: int) -> bytes:
    return (0x0A010000 + number).to_bytes(4, "big")


def udp_packet(source: bytes, destination: bytes, ports: tuple[int, int]) -> bytes:
    payload = b"x" * 64
    udp = struct.pack("!HHHH", *ports, 8 + len(payload), 0)
    total = 20 + len(udp) + len(payload)
    return (
        struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0x4000, 64, 17, 0, source, destination)
        + udp
        + payload
    )


def leaving(number: int, port: int = 1111) -> bytes:
    """To a peer, from one of the instance's ports."""
    return ROUTER_MAC + OWN_MAC + b"\x08\x00" + udp_packet(OWN, peer(number), (port, PEER_PORT))


def arriving(number: int, port: int = 1111) -> bytes:
    """The same flow's other direction."""
    inner = OWN_MAC + PEER_MAC + b"\x08\x00" + udp_packet(peer(number), OWN, (PEER_PORT, port))
    geneve = struct.pack("!BBHI", 4, 0, 0x6558, VPC << 8) + struct.pack("!HBBIII", 0xFF52, 1, 3, 6, VPC << 8, 0)
    udp = struct.pack("!HHHH", 50000, 6081, 8 + len(geneve) + len(inner), 0)
    ends = substrate_bytes(THERE), substrate_bytes(HERE)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp + geneve + inner), 0, 0x4000, 64, 17, 0, *ends)
    return bytes(12) + b"\x08\x00" + head + udp + geneve + inner


def flow(number: int) -> tuple[int, int]:
    """(peer, the instance's port), different for each number."""
    return number % SMALL, 1024 + number // SMALL


def leaving_flow(number: int) -> bytes:
    return leaving(*flow(number))


def arriving_flow(number: int) -> bytes:
    return arriving(*flow(number))


def arp_question(_number: int) -> bytes:
    arp = b"\x00\x01\x08\x00\x06\x04\x00\x01" + OWN_MAC + OWN + bytes(6) + bytes((10, 0, 0, 1))
    return b"\xff" * 6 + OWN_MAC + b"\x08\x06" + arp


def _rule(number: int, egress: bool, protocol: int, ports: tuple[int, int], cidr: str) -> GroupRuleIntent:
    return GroupRuleIntent(
        id=f"sgr-{number:017}", of="sg-1", egress=egress, protocol=protocol, from_port=ports[0], to_port=ports[1],
        cidrs=(cidr,),
    )


def policy(count: int, last: str) -> CompiledList:
    """`count` rules each way, of which only the last is about this traffic."""
    rules = []
    for egress in (True, False):
        for n in range(count - 1):
            port = 10_000 + n
            rules.append(_rule(n, egress, UDP, (port, port), f"203.{n >> 8}.{n & 255}.0/24"))
        rules.append(_rule(count, egress, ALL, (-1, -1), last))
    return compile_policy(PolicyIntent(vni=VPC, group_set=1, groups=("sg-1",), rules=tuple(rules)))


def open_acl() -> CompiledList:
    """As a VPC has it from its beginning."""
    entries = tuple(
        AclEntryIntent(number=100, egress=egress, allow=True, protocol=ALL, cidr=ANYWHERE, from_port=-1, to_port=-1)
        for egress in (True, False)
    )
    return compile_acl(AclIntent(number=1, vni=VPC, id="acl-1", entries=entries))


def put_list(real: HostDataplane, compiled: CompiledList) -> int:
    """Its number."""
    real.rule_addresses.put_many(compiled.addresses)
    real.rule_ports.put_many(compiled.ports)
    return compiled.number


def configure(real: HostDataplane, policy_list: int, acl: CompiledList) -> None:
    """The peers are in another subnet; what the ACL admits whole is not asked."""
    network = substrate_bytes("100.64.0.0"), substrate_bytes("255.255.0.0"), bytes(4)
    real.configure_substrate(formats.SubstrateConfig(substrate_bytes(HERE), *network, ifindex=2, mtu=1700))
    ends = address_bytes("10.0.0.1"), bytes(16), bytes(16), address_bytes("10.0.0.5"), OWN_MAC, ROUTER_MAC
    gates = formats.Gates(
        policy_list, acl.number, 432_000, 180, 30, acl.open[Direction.EGRESS], acl.open[Direction.INGRESS], padding=0
    )
    real.reserve_counters(DEVICE)
    real.interfaces.put_many({Ifindex(DEVICE): formats.InterfaceConfig(VPC, INTERFACE, 1, 1, *ends, 1500, 1, *gates)})
    local = formats.LocalInterface(DEVICE, 1500, 1, OWN_MAC, ROUTER_MAC, 1, *gates)
    real.local_interfaces.put_many({formats.LocalInterfaceKey(VPC, INTERFACE): local})
    route = formats.RouteKey(32 + 96 + 8, 1, address_bytes("10.0.0.0"))
    real.routes.put_many({route: formats.Route(formats.RouteKind.LOCAL, 0)})
    own = formats.Mapping(substrate_bytes(HERE), INTERFACE, 1, OWN_MAC, 1, 1, 0, 1, group_set=0)
    real.mappings.put_many({formats.MappingKey(VPC, address_bytes("10.0.0.5")): own})
    real.allowances.put_many({InterfaceNumber(INTERFACE): formats.Allowance(0, 1 << 30)})


def map_peers(real: HostDataplane, first: int, last: int) -> None:
    place = formats.Mapping(substrate_bytes(THERE), 6, 2, PEER_MAC, 1, 1, 0, 1, group_set=0)
    prefix = address_bytes("0.0.0.0")[:12]
    real.mappings.put_many({formats.MappingKey(VPC, prefix + peer(n)): place for n in range(first, last)})


def connection_keys(numbers: Iterable[int]) -> list[formats.ConnectionKey]:
    prefix = address_bytes("0.0.0.0")[:12]
    return [
        formats.ConnectionKey(
            INTERFACE, UDP, port.to_bytes(2, "big"), PEER_PORT.to_bytes(2, "big"), 0, prefix + OWN, prefix + peer(n)
        )
        for n, port in map(flow, numbers)
    ]


def hold_flows(real: HostDataplane, first: int, last: int) -> None:
    """As if the instance had opened them, and both ends had spoken."""
    row = formats.Connection(
        time.monotonic_ns() + HOUR, 0, 0, formats.ConnectionState.STREAM, Direction.EGRESS, attachment=0
    )
    real.connections.put_many(dict.fromkeys(connection_keys(range(first, last)), row))


def forget_flows(real: HostDataplane) -> None:
    real.connections.delete_many([key for key, _ in real.connections.items()])
    real.allowances.put_many({InterfaceNumber(INTERFACE): formats.Allowance(0, 1 << 30)})
