"""From the services of the host: an answer in, what the guest hears out, or a drop with its reason.

    services -- [host A] -- instance 11 (10.7.1.5, 2001:db8:7:1::5; router 10.7.1.1, resolver 10.7.0.2)
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import CounterKey, Ifindex, InterfaceFlag, InterfaceNumber, Step, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.packets import IP, steps
from tests.dataplane.packets_ipv6 import OWN
from tests.dataplane.packets_services import (
    BY_EVERYBODY,
    BY_RESOLVER,
    BY_ROUTER,
    EVERYBODY,
    FROM_SERVICES,
    LINK_LOCAL,
    NOBODY,
    OWN_IPV4,
    RESOLVER,
    ROUTER_IPV4,
    answer,
    caller,
    heard_answer,
)

TWIN = 4021  # of interface 21, which has the address of 11 in another VPC
ALL = "ff:ff:ff:ff:ff:ff"
TC_ACT_REDIRECT = 7


@pytest.fixture
def host(host_a: HostDataplane) -> HostDataplane:
    """Both twins live here, and ask services."""
    twin = plan.interface_row(plan.interface(21))
    plan_ipv6.fill(host_a, {11: plan.DEVICE})
    host_a.interfaces.put_many({Ifindex(plan.DEVICE): row(), Ifindex(TWIN): twin})
    host_a.interface_devices.put_many({InterfaceNumber(11): Ifindex(plan.DEVICE), InterfaceNumber(21): Ifindex(TWIN)})
    return host_a


def row(**fields: object):
    return plan_ipv6.interface_row(11)._replace(**fields)


def hear(host: HostDataplane, packet: Packet | bytes) -> WhatIf:
    return host.what_if("host_services", bytes(packet), plan.DEVICE, 5)


def udp(port: int, to: int = 40001, content: bytes = b"penguin") -> Packet:
    return UDP(sport=port, dport=to) / Raw(content)


def tcp(port: int, to: int = 40001, content: bytes = b"penguin") -> Packet:
    return TCP(sport=port, dport=to, flags="SA") / Raw(content)


class Case(NamedTuple):
    said: Packet
    heard: Packet


CASES = {
    "metadata": Case(answer("254", caller(), tcp(80)), heard_answer("169.254.169.254", tcp(80))),
    "metadata by IPv6": Case(answer("254", caller(OWN), tcp(80)), heard_answer("fd00:ec2::254", tcp(80))),
    "dns": Case(answer("253", caller(), udp(53)), heard_answer("169.254.169.253", udp(53))),
    "dns by tcp": Case(answer("253", caller(), tcp(53)), heard_answer("169.254.169.253", tcp(53))),
    "dns by IPv6": Case(answer("253", caller(OWN), udp(53)), heard_answer("fd00:ec2::253", udp(53))),
    "the resolver": Case(answer("253", caller(asked=BY_RESOLVER), udp(53)), heard_answer(RESOLVER, udp(53))),
    "time": Case(answer("123", caller(), udp(123)), heard_answer("169.254.169.123", udp(123))),
    "time by IPv6": Case(answer("123", caller(OWN), udp(123)), heard_answer("fd00:ec2::123", udp(123))),
    "to a secondary address": Case(
        answer("254", caller("10.7.1.50"), tcp(80)), heard_answer("169.254.169.254", tcp(80), "10.7.1.50")
    ),
    "to a foreign address": Case(
        answer("254", caller("192.0.2.1"), tcp(80)), heard_answer("169.254.169.254", tcp(80), "192.0.2.1")
    ),
    "dhcp, to the address that it gives": Case(
        answer("67", caller(asked=BY_EVERYBODY), udp(67, 68)), heard_answer(ROUTER_IPV4, udp(67, 68))
    ),
    "dhcp, to everybody": Case(
        answer("67", caller(EVERYBODY, BY_EVERYBODY), udp(67, 68)), heard_answer(ROUTER_IPV4, udp(67, 68), EVERYBODY, ALL)
    ),
    "dhcp, as the router was asked": Case(
        answer("67", caller(asked=BY_ROUTER), udp(67, 68)), heard_answer(ROUTER_IPV4, udp(67, 68))
    ),
    "dhcpv6": Case(
        answer("547", caller(LINK_LOCAL), udp(547, 546)),
        heard_answer(plan_ipv6.ROUTER_LINK_LOCAL, udp(547, 546), LINK_LOCAL),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_answer_comes_from_where_the_guest_asked(host: HostDataplane, case: Case) -> None:
    outcome = hear(host, case.said)
    assert (outcome.verdict, outcome.target) == (Verdict.DELIVERED, plan.DEVICE)
    assert outcome.frame == bytes(case.heard)
    assert steps(outcome) == ["RECEIVED", "SERVICE_ANSWERED", "DELIVERED"]


def test_the_steps_name_the_service_and_the_guests_own_addresses(host: HostDataplane) -> None:
    told = hear(host, answer("254", caller(), tcp(80))).events[1]
    assert (told.step, told.detail) == (Step.SERVICE_ANSWERED, 0x254)
    assert (told.source, told.destination, told.vni, told.ifindex) == ("169.254.169.254", OWN_IPV4, plan.VPC, plan.DEVICE)


def test_a_twin_gets_its_own_answers(host: HostDataplane) -> None:
    outcome = hear(host, answer("254", caller(interface=21), tcp(80)))
    assert (outcome.verdict, outcome.target) == (Verdict.DELIVERED, TWIN)
    assert outcome.frame[:6] == plan.mac(21)


@pytest.mark.parametrize("hops", [1, 2, 64, 255])
def test_the_socket_says_how_far_an_answer_goes(host: HostDataplane, hops: int) -> None:
    """The hop limit of the metadata service (T1-18)."""
    heard = heard_answer("169.254.169.254", tcp(80), ttl=hops, tos=0x28)
    assert hear(host, answer("254", caller(), tcp(80), hlim=hops, tc=0x28, fl=0xABCDE)).frame == bytes(heard)
    heard = heard_answer("fd00:ec2::254", tcp(80), hlim=hops, tc=0x28, fl=0xABCDE)
    assert hear(host, answer("254", caller(OWN), tcp(80), hlim=hops, tc=0x28, fl=0xABCDE)).frame == bytes(heard)


@pytest.mark.parametrize("size", range(24))
def test_the_checksum_is_right_whatever_is_in_the_packet(host: HostDataplane, size: int) -> None:
    for content in (udp(53, 40000 + size, b"\xff" * size), tcp(53, 40000 + size, bytes(range(size)))):
        assert hear(host, answer("253", caller(), content)).frame == bytes(heard_answer("169.254.169.253", content))
        assert hear(host, answer("253", caller(OWN), content)).frame == bytes(heard_answer("fd00:ec2::253", content))


def test_a_tap_has_no_peer_to_hand_it_to(host: HostDataplane) -> None:
    """The device itself sends it; both ways are redirects, and the kernel counts them so."""
    frame = bytes(answer("254", caller(), tcp(80)))
    flags = InterfaceFlag.SOURCE_DEST_CHECK | InterfaceFlag.NO_PEER
    host.interfaces.put_many({Ifindex(plan.DEVICE): row(flags=int(flags))})
    assert hear(host, frame).target == plan.DEVICE
    assert host.test_run("host_services", frame, RunContext(ifindex=plan.DEVICE)).action == TC_ACT_REDIRECT


class Drop(NamedTuple):
    what: str
    packet: Packet
    reason: str = "DROP_SERVICE_REPLY"


OTHER_PREFIX = "fd53:401:0:b::a07:105"
DROPS = [
    Drop("from another address", Ether(**FROM_SERVICES) / IPv6(src="fd00:ec2::2", dst=caller()) / tcp(80)),
    Drop("from another network", Ether(**FROM_SERVICES) / IPv6(src="fd00:ec3::254", dst=caller()) / tcp(80)),
    Drop("from the guest's kind of address", Ether(**FROM_SERVICES) / IPv6(src=caller(), dst=caller()) / tcp(80)),
    Drop("from another port", answer("254", caller(), tcp(81))),
    Drop("by another protocol", answer("254", caller(), udp(80))),
    Drop("an ICMP answer", answer("254", caller(), ICMPv6EchoReply())),
    Drop("to nobody's address", answer("254", OTHER_PREFIX, tcp(80))),
    Drop("to a service", answer("254", "fd00:ec2::253", tcp(80))),
    Drop("to an interface that is not here", answer("254", caller(interface=12), tcp(80))),
    Drop("to a kind of guest that there is not", answer("254", "fd52:501:0:b::a07:105", tcp(80))),
    Drop("to a link-local guest", answer("254", caller(LINK_LOCAL), tcp(80))),
    Drop("asked nowhere", answer("254", caller(asked=0), tcp(80))),
    Drop("asked at a place that there is not", answer("254", caller(asked=5), tcp(80))),
    Drop("metadata, asked at the resolver", answer("254", caller(asked=BY_RESOLVER), tcp(80))),
    Drop("time, asked at the router", answer("123", caller(asked=BY_ROUTER), udp(123))),
    Drop("dns, asked of everybody", answer("253", caller(asked=BY_EVERYBODY), udp(53))),
    Drop("the resolver by IPv6", answer("253", caller(OWN, BY_RESOLVER), udp(53))),
    Drop("dhcp at its own address", answer("67", caller(), udp(67, 68))),
    Drop("dhcp at the resolver", answer("67", caller(asked=BY_RESOLVER), udp(67, 68))),
    Drop("dhcp to another port", answer("67", caller(asked=BY_ROUTER), udp(67, 69))),
    Drop("dhcp to no address", answer("67", caller(NOBODY, BY_EVERYBODY), udp(67, 68))),
    Drop("dhcp by IPv6", answer("67", caller(OWN, BY_ROUTER), udp(67, 68))),
    Drop("dhcpv6 to another port", answer("547", caller(LINK_LOCAL), udp(547, 547))),
    Drop("dhcpv6 to a global address", answer("547", caller(OWN), udp(547, 546))),
    Drop("dhcpv6 by IPv4", answer("547", caller(), udp(547, 546))),
    Drop("dhcpv6 of everybody", answer("547", caller(LINK_LOCAL, BY_EVERYBODY), udp(547, 546))),
    Drop("a fragment", answer("253", caller(), IPv6ExtHdrFragment(m=1, id=9) / udp(53))),
    Drop("a later fragment", answer("253", caller(), IPv6ExtHdrFragment(offset=4, nh=17) / Raw(b"x" * 64))),
    Drop("extension headers", answer("253", caller(), IPv6ExtHdrDestOpt() / udp(53))),
    Drop("IPv4", Ether(**FROM_SERVICES) / IP(src="169.254.169.254", dst=OWN_IPV4) / tcp(80)),
    Drop("IPv4 ICMP", Ether(**FROM_SERVICES) / IP(src="169.254.169.254", dst=OWN_IPV4) / ICMP()),
    Drop("ARP", Ether(**FROM_SERVICES) / ARP(), "DROP_NOT_IP"),
    Drop("a cut header", answer("253", caller(), Raw(b"x" * 4), nh=17), "DROP_TRUNCATED"),
    Drop("another version", answer("253", caller(), udp(53), version=5), "DROP_MALFORMED_IP"),
    Drop("more than the guest's MTU", answer("253", caller(), udp(53, content=b"x" * 1473)), "DROP_TOO_BIG"),
    Drop("more than the guest's MTU by IPv6", answer("253", caller(OWN), udp(53, content=b"x" * 1453)), "DROP_TOO_BIG"),
]


@pytest.mark.parametrize("drop", DROPS, ids=lambda drop: drop.what)
def test_what_is_dropped_and_why(host: HostDataplane, drop: Drop) -> None:
    assert hear(host, drop.packet).verdict is Verdict[drop.reason]
    key = CounterKey(plan.DEVICE, Verdict[drop.reason])
    before = host.counters().get(key)
    host.test_run("host_services", bytes(drop.packet), RunContext(ifindex=plan.DEVICE))
    assert host.counters()[key].packets == (before.packets if before else 0) + 1


@pytest.mark.parametrize("to", [OWN_IPV4, OWN])
def test_what_fills_the_guests_mtu_is_delivered(host: HostDataplane, to: str) -> None:
    room = 1500 - 8 - (40 if ":" in to else 20)
    content = udp(53, content=b"x" * room)
    heard = heard_answer("fd00:ec2::253" if ":" in to else "169.254.169.253", content)
    assert hear(host, answer("253", caller(to), content)).frame == bytes(heard)


def test_an_interface_that_went_gets_nothing(host: HostDataplane) -> None:
    host.interfaces.delete_many([Ifindex(plan.DEVICE)])
    assert hear(host, answer("254", caller(), tcp(80))).verdict is Verdict.DROP_SERVICE_REPLY


def test_a_device_that_another_interface_got_meanwhile_gets_nothing(host: HostDataplane) -> None:
    host.interfaces.put_many({Ifindex(plan.DEVICE): row(interface=14)})
    assert hear(host, answer("254", caller(), tcp(80))).verdict is Verdict.DROP_SERVICE_REPLY


def test_a_subnet_without_ipv6_has_no_caller_with_one(host: HostDataplane) -> None:
    host.interfaces.put_many({Ifindex(plan.DEVICE): row(router_ipv6=bytes(16))})
    assert hear(host, answer("254", caller(OWN), tcp(80))).verdict is Verdict.DROP_SERVICE_REPLY
    assert hear(host, answer("547", caller(LINK_LOCAL), udp(547, 546))).verdict is Verdict.DROP_SERVICE_REPLY


def test_an_answer_is_counted_at_the_guests_device(host: HostDataplane) -> None:
    key = CounterKey(TWIN, Verdict.DELIVERED)
    before = host.counters().get(key)
    frame = bytes(answer("254", caller(interface=21), tcp(80)))
    host.test_run("host_services", frame, RunContext(ifindex=plan.DEVICE))
    assert host.counters()[key].packets == (before.packets if before else 0) + 1
    host.forget_counters(TWIN)
