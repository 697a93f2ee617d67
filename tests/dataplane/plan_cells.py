"""Interfaces at a cell, on top of the plan (plan.py, plan_edge.py).

    hosts A, B, C, edges -- substrate -- nodes 1 100.64.1.30 and 2 .31: of the set; 3 .32 drains; 4 .33 is of no set

    VPC 7, subnet 2 10.7.2.0/24: .60 interface 60, a balancer (groups 0x60)     10.7.2.61 interface 61, a NAT gateway, 203.0.113.61 outside
           subnet 1 10.7.1.0/24: .62 interface 62, an endpoint: its check is on
    VPC 6, subnet 5 10.6.1.0/24: .60 interface 63, a balancer of a peer
    VPC 8, subnet 3 10.7.1.0/24: .60 interface 64, a balancer of a stranger
"""

from __future__ import annotations

from ipaddress import IPv4Address

from scapy.packet import Packet

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.edge import EdgeDataplane
from rookery.dataplane.formats import CellConstant, InterfaceFlag, MappingKey, PublicKey, TopSet, TopsNumber
from rookery.dataplane.node import NodeDataplane
from tests.dataplane import plan
from tests.dataplane.packets import GENEVE_PORT, IP, UDP, Ether, RookeryGeneve

NODE_1, NODE_2, DRAINING, STRANGER = (IPv4Address(f"100.64.1.{n}") for n in (30, 31, 32, 33))
SET, OTHERS_SET = 0x0A0B0C0D, 0x11
BALANCER, NAT, ENDPOINT, OF_PEER, OF_TWIN = 60, 61, 62, 63, 64
BALANCER_GROUPS = 0x60
NAT_PUBLIC = "203.0.113.61"
PLACES = {  # interface: (vni, address, subnet, checked, groups)
    BALANCER: (plan.VPC, "10.7.2.60", 2, False, BALANCER_GROUPS),
    NAT: (plan.VPC, "10.7.2.61", 2, False, 0),
    ENDPOINT: (plan.VPC, "10.7.1.62", 1, True, 0x62),
    OF_PEER: (plan.PEER, "10.6.1.60", 5, False, 0x63),
    OF_TWIN: (plan.TWIN, "10.7.1.60", 3, False, 0x64),
}
ADDRESS = {number: place[1] for number, place in PLACES.items()}
BALANCER_IPV6 = "2001:db8:7:2::60"  # where a test says so
OTHERS = (OF_TWIN,)  # a stranger's, and so is the set


def number_bytes(number: int) -> bytes:
    """As a row says it in the place of a host."""
    return formats.LAYOUTS[TopsNumber].pack(number)


def flags(checked: bool) -> int:
    return plan.flags(checked) | InterfaceFlag.AT_CELL


def set_of(interface: int) -> int:
    return OTHERS_SET if interface in OTHERS else SET


def top_set(*living: IPv4Address, others: tuple[IPv4Address, ...] = ()) -> TopSet:
    packed = b"".join(node.packed for node in (*living, *others))
    return TopSet(len(living), len(living) + len(others), packed.ljust(4 * CellConstant.NODES_MAX, b"\0"))


def mapping_rows() -> dict[MappingKey, formats.Mapping]:
    return {
        MappingKey(vni, address_bytes(address)): formats.Mapping(
            number_bytes(set_of(n)), n, subnet, plan.mac(n), 1, flags(checked), 1_700_000_000, 5, groups
        )
        for n, (vni, address, subnet, checked, groups) in PLACES.items()
    }


def balancer_ipv6() -> dict[MappingKey, formats.Mapping]:
    rows = mapping_rows()
    return {MappingKey(plan.VPC, address_bytes(BALANCER_IPV6)): rows[MappingKey(plan.VPC, address_bytes(ADDRESS[BALANCER]))]}


def forwarder_rows() -> dict[formats.ForwarderKey, formats.Forwarder]:
    return {
        formats.ForwarderKey(vni, n): formats.Forwarder(
            number_bytes(set_of(n)), subnet, plan.mac(n), flags(checked), groups
        )
        for n, (vni, _, subnet, checked, groups) in PLACES.items()
    }


def fill(node: NodeDataplane) -> None:
    node.mappings.put_many(mapping_rows())
    node.forwarders.put_many(forwarder_rows())
    node.tops.put_many(
        {
            TopsNumber(SET): top_set(NODE_1, NODE_2, others=(DRAINING,)),
            TopsNumber(OTHERS_SET): top_set(STRANGER),
        }
    )


def fill_edge(edge: EdgeDataplane) -> None:
    """And the NAT gateway's public address."""
    fill(edge)
    private = address_bytes(ADDRESS[NAT])
    edge.publics.put_many({PublicKey(address_bytes(NAT_PUBLIC)): formats.Public(plan.VPC, NAT, private)})
    edge.translations.put_many(
        {MappingKey(plan.VPC, private): formats.Translation(address_bytes(NAT_PUBLIC), NAT)}
    )


def from_node(
    packet: Packet,
    attachment: int,
    to: IPv4Address = plan.HOST_A,
    sender: IPv4Address = NODE_1,
    vni: int = plan.VPC,
    **geneve: object,
) -> bytes:
    """As a node emits it in the name of an interface at its cell."""
    origin = PLACES[attachment][0]
    claim = RookeryGeneve(**{"vni": vni, "origin_vni": origin, "interface": attachment, **geneve})
    outer = IP(src=str(sender), dst=str(to), flags="DF", id=0) / UDP(sport=50000, dport=GENEVE_PORT, chksum=0)
    nowhere = "00:00:00:00:00:00"
    inner = Ether(src=plan.mac(attachment).hex(":"), dst=nowhere) / packet
    return bytes(Ether(src=nowhere, dst=nowhere) / outer / claim / inner)
