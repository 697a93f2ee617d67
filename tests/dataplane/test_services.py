"""To the services of the host: a guest's packet in, what the services see out, or a drop with its reason.

    instance 11 (10.7.1.5, 2001:db8:7:1::5; router 10.7.1.1, resolver 10.7.0.2) -- [host A] -- services
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import pytest
from scapy.layers.inet import ICMP, UDP, IPOption_NOP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.packet import Packet, Raw

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    CounterKey,
    Ifindex,
    InterfaceConfig,
    InterfaceNumber,
    RouteKey,
    ServiceBudget,
    Step,
    Verdict,
)
from rookery.dataplane.formats import Route as RouteRow
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.packets import ROUTER, arp_from_11, mac_text, steps
from tests.dataplane.packets_ipv6 import OWN
from tests.dataplane.packets_services import (
    AGENTS,
    BY_EVERYBODY,
    BY_RESOLVER,
    BY_ROUTER,
    EVERYBODY,
    LINK_LOCAL,
    NOBODY,
    RESOLVER,
    ROUTER_IPV4,
    asked_question,
    caller,
    question,
    tcp,
    udp,
)

ALL = "ff:ff:ff:ff:ff:ff"
AGENTS_MAC = "33:33:00:01:00:02"
REAL = RunContext(ifindex=plan.DEVICE)
METADATA, DNS, TIME = "169.254.169.254", "169.254.169.253", "169.254.169.123"
METADATA_IPV6, DNS_IPV6, TIME_IPV6 = "fd00:ec2::254", "fd00:ec2::253", "fd00:ec2::123"


@pytest.fixture
def host(host_a: HostDataplane) -> HostDataplane:
    plan_ipv6.fill(host_a, {11: plan.DEVICE})
    host_a.interfaces.put_many({Ifindex(plan.DEVICE): row()})
    return host_a


def row(source_check: bool = True, **fields: object) -> InterfaceConfig:
    return plan_ipv6.interface_row(11, source_check=source_check)._replace(**fields)


def ask(host: HostDataplane, packet: Packet | bytes) -> WhatIf:
    return host.what_if("host_egress", bytes(packet), plan.DEVICE, 5)


class Case(NamedTuple):
    asked: Packet
    seen: Packet


CASES = {
    "metadata": Case(question(METADATA, tcp(80)), asked_question("254", caller(), tcp(80))),
    "metadata by IPv6": Case(question(METADATA_IPV6, tcp(80)), asked_question("254", caller(OWN), tcp(80))),
    "dns": Case(question(DNS, udp(53)), asked_question("253", caller(), udp(53))),
    "dns by tcp": Case(question(DNS, tcp(53)), asked_question("253", caller(), tcp(53))),
    "dns by IPv6": Case(question(DNS_IPV6, udp(53)), asked_question("253", caller(OWN), udp(53))),
    "dns by tcp and IPv6": Case(question(DNS_IPV6, tcp(53)), asked_question("253", caller(OWN), tcp(53))),
    "the resolver": Case(question(RESOLVER, udp(53)), asked_question("253", caller(asked=BY_RESOLVER), udp(53))),
    "the resolver by tcp": Case(question(RESOLVER, tcp(53)), asked_question("253", caller(asked=BY_RESOLVER), tcp(53))),
    "time": Case(question(TIME, udp(123)), asked_question("123", caller(), udp(123))),
    "time by IPv6": Case(question(TIME_IPV6, udp(123)), asked_question("123", caller(OWN), udp(123))),
    "from a secondary address": Case(
        question(METADATA, tcp(80), "10.7.1.50"), asked_question("254", caller("10.7.1.50"), tcp(80))
    ),
    "from a delegated prefix": Case(
        question(METADATA, tcp(80), "10.7.1.20"), asked_question("254", caller("10.7.1.20"), tcp(80))
    ),
    "from a secondary address of IPv6": Case(
        question(TIME_IPV6, udp(123), "2001:db8:7:1::50"),
        asked_question("123", caller("2001:db8:7:1::50"), udp(123)),
    ),
    "dhcp, discover": Case(
        question(EVERYBODY, udp(67, 68), NOBODY, ALL), asked_question("67", caller(NOBODY, BY_EVERYBODY), udp(67, 68))
    ),
    "dhcp, rebind": Case(
        question(EVERYBODY, udp(67, 68), mac=ALL), asked_question("67", caller(asked=BY_EVERYBODY), udp(67, 68))
    ),
    "dhcp, renew": Case(question(ROUTER_IPV4, udp(67, 68)), asked_question("67", caller(asked=BY_ROUTER), udp(67, 68))),
    "dhcpv6": Case(
        question(AGENTS, udp(547, 546), LINK_LOCAL, AGENTS_MAC),
        asked_question("547", caller(LINK_LOCAL), udp(547, 546)),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_service_sees_ipv6_whose_source_says_who_asks(host: HostDataplane, case: Case) -> None:
    outcome = ask(host, case.asked)
    assert (outcome.verdict, outcome.target) == (Verdict.SERVED, plan.SERVICES.ifindex)
    assert outcome.frame == bytes(case.seen)
    assert steps(outcome) == ["RECEIVED", "SOURCE_CHECKED", "SERVED"]


def test_the_step_names_the_service(host: HostDataplane) -> None:
    last = ask(host, question(METADATA, tcp(80))).events[-1]
    assert (last.step, last.verdict, last.detail) == (Step.SERVED, Verdict.SERVED, 0x254)
    assert (last.source, last.destination) == ("10.7.1.5", METADATA)


@pytest.mark.parametrize("ttl", [1, 64, 255])
def test_ttl_and_traffic_class_stay(host: HostDataplane, ttl: int) -> None:
    seen = asked_question("253", caller(), udp(53), hlim=ttl, tc=0xBA)
    assert ask(host, question(DNS, udp(53), ttl=ttl, tos=0xBA)).frame == bytes(seen)
    seen = asked_question("253", caller(OWN), udp(53), hlim=ttl, tc=0xBA, fl=0xBEEF5)
    assert ask(host, question(DNS_IPV6, udp(53), hlim=ttl, tc=0xBA, fl=0xBEEF5)).frame == bytes(seen)


@pytest.mark.parametrize("size", range(24))
def test_the_checksum_is_right_whatever_is_in_the_packet(host: HostDataplane, size: int) -> None:
    for content in (udp(53, 40000 + size, b"\xff" * size), tcp(53, 40000 + size, bytes(range(size)))):
        assert ask(host, question(DNS, content)).frame == bytes(asked_question("253", caller(), content))
        assert ask(host, question(DNS_IPV6, content)).frame == bytes(asked_question("253", caller(OWN), content))


def test_udp_without_a_checksum_stays_without(host: HostDataplane) -> None:
    content = UDP(sport=4000, dport=53, chksum=0) / Raw(b"x")
    assert ask(host, question(DNS, content)).frame == bytes(asked_question("253", caller(), content))


def test_a_udp_checksum_never_becomes_none(host: HostDataplane) -> None:
    """Of a packet whose sum for the services happens to be 0: it is written as 0xffff (RFC 768)."""
    seen = asked_question("253", caller(), udp(53, content=b"\0\0"))
    sum_without = int.from_bytes(bytes(seen)[60:62], "big")
    content = udp(53, content=sum_without.to_bytes(2, "big"))
    assert ask(host, question(DNS, content)).frame[60:62] == b"\xff\xff"


def test_padding_of_a_short_frame_is_not_counted_as_content(host: HostDataplane) -> None:
    content = udp(53, content=b"")
    frame = bytes(question(DNS, content)).ljust(60, b"\0")
    assert ask(host, frame).frame == bytes(asked_question("253", caller(), content)).ljust(80, b"\0")


def test_a_service_is_asked_in_the_router_or_in_anybody(host: HostDataplane) -> None:
    """As everywhere, the address decides and not the frame's MAC."""
    assert ask(host, question(METADATA, tcp(80), mac=mac_text(12))).verdict is Verdict.SERVED


def test_no_rule_and_no_route_is_asked(host: HostDataplane) -> None:
    """T1-13, T1-21: gates that admit nothing, a route for 169.0.0.0/8, and a table without any."""
    shut = row(policy=0, acl=0, route_table=99)
    route = RouteKey(32 + 96 + 8, 99, address_bytes("169.0.0.0"))
    host.interfaces.put_many({Ifindex(plan.DEVICE): shut})
    host.routes.put_many({route: RouteRow(2, 0)})
    try:
        for case in CASES.values():
            assert ask(host, case.asked).frame == bytes(case.seen)
    finally:
        host.routes.delete_many([route])


def test_nothing_is_tracked(host: HostDataplane) -> None:
    before = dict(host.connections.items())
    host.test_run("host_egress", bytes(question(METADATA, tcp(80))), REAL)
    assert dict(host.connections.items()) == before


@pytest.mark.parametrize("source", ["192.0.2.1", "10.7.1.6", NOBODY])
def test_without_the_check_any_ipv4_source_is_answered_at_its_interface(host: HostDataplane, source: str) -> None:
    host.interfaces.put_many({Ifindex(plan.DEVICE): row(source_check=False)})
    for asked, number in ((METADATA, 1), (RESOLVER, 2)):
        content = tcp(80) if asked == METADATA else udp(53)
        service = "254" if asked == METADATA else "253"
        outcome = ask(host, question(asked, content, source))
        assert outcome.frame == bytes(asked_question(service, caller(source, number), content))


def test_other_ports_of_the_resolver_are_an_address_that_nobody_has(host: HostDataplane) -> None:
    assert ask(host, question(RESOLVER, tcp(80))).verdict is Verdict.DROP_NO_MAPPING
    assert ask(host, question(RESOLVER, ICMP())).verdict is Verdict.DROP_NO_MAPPING


def test_a_vpc_without_a_resolver_asks_none(host: HostDataplane) -> None:
    host.interfaces.put_many({Ifindex(plan.DEVICE): row(resolver=bytes(16))})
    assert ask(host, question(RESOLVER, udp(53))).verdict is Verdict.DROP_NO_MAPPING


class Drop(NamedTuple):
    what: str
    reason: str
    packet: Packet
    source_check: bool = True


ECHO = ICMP(id=7) / b"penguin"
DROPS = [
    Drop("an echo request to the metadata service", "LINK_LOCAL", question(METADATA, ECHO)),
    Drop("an echo request by IPv6", "LINK_LOCAL", question(METADATA_IPV6, ICMPv6EchoRequest())),
    Drop("metadata at another port", "LINK_LOCAL", question(METADATA, tcp(443))),
    Drop("metadata by udp", "LINK_LOCAL", question(METADATA, udp(80))),
    Drop("time by tcp", "LINK_LOCAL", question(TIME, tcp(123))),
    Drop("dns by another protocol", "LINK_LOCAL", question(DNS, Raw(b"x" * 20), proto=132)),
    Drop("the neighbour of a service", "LINK_LOCAL", question("169.254.169.252", udp(53))),
    Drop("a service's number in another /24", "LINK_LOCAL", question("169.254.168.254", tcp(80))),
    Drop("a service's number in another /64", "LINK_LOCAL", question("fd00:ec2:0:1::254", tcp(80))),
    Drop("dhcp's own address", "LINK_LOCAL", question("fd00:ec2::67", udp(67, 68))),
    Drop("dhcpv6's own address", "LINK_LOCAL", question("fd00:ec2::547", udp(547, 546))),
    Drop("a router's link-local address", "LINK_LOCAL", question("fe80:ec2::1", udp(53))),
    Drop("a link-local source", "LINK_LOCAL", question(METADATA, tcp(80), "169.254.1.1"), False),
    Drop("a link-local source of IPv6", "LINK_LOCAL", question(METADATA_IPV6, tcp(80), LINK_LOCAL), False),
    Drop("a service's address as the source", "LINK_LOCAL", question(DNS_IPV6, udp(53), METADATA_IPV6), False),
    Drop("a neighbour's address", "SOURCE_ADDRESS", question(METADATA, tcp(80), "10.7.1.6")),
    Drop("no address", "SOURCE_ADDRESS", question(METADATA, tcp(80), NOBODY)),
    Drop("a neighbour's address of IPv6", "SOURCE_ADDRESS", question(METADATA_IPV6, tcp(80), "2001:db8:7:1::6")),
    Drop("an address that eight bytes do not name", "SOURCE_ADDRESS", question(METADATA_IPV6, tcp(80), "2001:db8:9::5"), False),
    Drop("dhcp as a neighbour", "SOURCE_ADDRESS", question(EVERYBODY, udp(67, 68), "10.7.1.6", ALL)),
    Drop("dhcp as a neighbour, unchecked", "SOURCE_ADDRESS", question(EVERYBODY, udp(67, 68), "10.7.1.6", ALL), False),
    Drop("dhcp as a stranger, to the router", "SOURCE_ADDRESS", question(ROUTER_IPV4, udp(67, 68), "192.0.2.1"), False),
    Drop("dhcpv6 from a global address", "SOURCE_ADDRESS", question(AGENTS, udp(547, 546), OWN, AGENTS_MAC)),
    Drop("dhcpv6 as the router", "SOURCE_ADDRESS", question(AGENTS, udp(547, 546), plan_ipv6.ROUTER_LINK_LOCAL, AGENTS_MAC)),
    Drop("dhcpv6 as the router's MAC", "SOURCE_ADDRESS", question(AGENTS, udp(547, 546), plan_ipv6.ROUTER_MADE, AGENTS_MAC)),
    Drop("dhcpv6 from outside of fe80::/64", "SOURCE_ADDRESS", question(AGENTS, udp(547, 546), "fe80:1::5", AGENTS_MAC)),
    Drop("dhcp from another port", "MULTICAST", question(EVERYBODY, udp(67, 69), NOBODY, ALL)),
    Drop("dhcp by tcp", "MULTICAST", question(EVERYBODY, tcp(67, 68), NOBODY, ALL)),
    Drop("dhcp to a neighbour's broadcast address", "MULTICAST", question("10.7.1.6", udp(67, 68), mac=ALL)),
    Drop("dhcpv6 from another port", "MULTICAST", question(AGENTS, udp(547, 547), LINK_LOCAL, AGENTS_MAC)),
    Drop("dhcpv6 to another group", "MULTICAST", question("ff05::1:3", udp(547, 546), LINK_LOCAL, AGENTS_MAC)),
    Drop("dhcp to the resolver", "NO_MAPPING", question(RESOLVER, udp(67, 68))),
    Drop("a first fragment", "SERVICE_FRAGMENT", question(DNS, udp(53), flags="MF")),
    Drop("a later fragment", "SERVICE_FRAGMENT", question(DNS, Raw(b"x" * 64), proto=17, frag=3)),
    Drop("a first fragment to the resolver", "SERVICE_FRAGMENT", question(RESOLVER, udp(53), flags="MF")),
    Drop("a later fragment to the resolver", "UNKNOWN_FRAGMENT", question(RESOLVER, Raw(b"x" * 64), proto=17, frag=3)),
    Drop("a later fragment of another protocol", "LINK_LOCAL", question(DNS, Raw(b"x" * 64), proto=1, frag=3)),
    Drop("a later fragment to no service", "LINK_LOCAL", question("169.254.1.1", Raw(b"x" * 64), proto=17, frag=3)),
    Drop("a first fragment of dhcp", "SERVICE_FRAGMENT", question(EVERYBODY, udp(67, 68), NOBODY, ALL, flags="MF")),
    Drop("a fragment of IPv6", "SERVICE_FRAGMENT", question(DNS_IPV6, IPv6ExtHdrFragment(m=1, id=9) / udp(53))),
    Drop("a later fragment of IPv6", "SERVICE_FRAGMENT", question(DNS_IPV6, IPv6ExtHdrFragment(offset=4, nh=17) / Raw(b"x" * 64))),
    Drop("ip options", "SERVICE_OPTIONS", question(DNS, udp(53), options=[IPOption_NOP()] * 4)),
    Drop("ip options in dhcp", "SERVICE_OPTIONS", question(EVERYBODY, udp(67, 68), NOBODY, ALL, options=[IPOption_NOP()] * 4)),
    Drop("extension headers", "SERVICE_OPTIONS", question(DNS_IPV6, IPv6ExtHdrDestOpt() / udp(53))),
    Drop("a fragment header around a whole packet", "SERVICE_OPTIONS", question(DNS_IPV6, IPv6ExtHdrFragment(id=9) / udp(53))),
    Drop("extension headers in dhcpv6", "SERVICE_OPTIONS", question(AGENTS, IPv6ExtHdrHopByHop() / udp(547, 546), LINK_LOCAL, AGENTS_MAC)),
    Drop("more than the interface's MTU", "TOO_BIG", question(DNS, udp(53, content=b"x" * 1473))),
    Drop("more than the interface's MTU by IPv6", "TOO_BIG", question(DNS_IPV6, udp(53, content=b"x" * 1453))),
]  # fmt: skip


@pytest.mark.parametrize("drop", DROPS, ids=lambda drop: drop.what)
def test_what_is_dropped_and_why(host: HostDataplane, drop: Drop) -> None:
    host.interfaces.put_many({Ifindex(plan.DEVICE): row(drop.source_check)})
    assert ask(host, drop.packet).verdict is Verdict[f"DROP_{drop.reason}"]
    key = CounterKey(plan.DEVICE, Verdict[f"DROP_{drop.reason}"])
    before = host.counters().get(key)
    host.test_run("host_egress", bytes(drop.packet), REAL)
    assert host.counters()[key].packets == (before.packets if before else 0) + 1


def test_the_largest_packet_passes(host: HostDataplane) -> None:
    content = udp(53, content=b"x" * 1472)
    assert ask(host, question(DNS, content)).frame == bytes(asked_question("253", caller(), content))


def test_a_forged_mac_asks_nothing(host: HostDataplane) -> None:
    forged = question(EVERYBODY, udp(67, 68), NOBODY, ALL)
    forged.src = mac_text(12)
    assert ask(host, forged).verdict is Verdict.DROP_SOURCE_MAC


def test_a_subnet_without_ipv6_reaches_services_by_ipv4_only(host_a: HostDataplane) -> None:
    assert ask(host_a, question(METADATA, tcp(80))).verdict is Verdict.SERVED
    unchecked = plan.interface_row(plan.interface(11, source_check=False))
    host_a.interfaces.put_many({Ifindex(plan.DEVICE): unchecked})
    assert ask(host_a, question(METADATA_IPV6, tcp(80))).verdict is Verdict.DROP_NO_ROUTE
    dhcp = question(AGENTS, udp(547, 546), LINK_LOCAL, AGENTS_MAC)
    assert ask(host_a, dhcp).verdict is Verdict.DROP_MULTICAST


def test_a_host_without_services_says_so(host: HostDataplane) -> None:
    host.configure_services(plan.services_row(None))
    for case in CASES.values():
        assert ask(host, case.asked).verdict is Verdict.DROP_NOT_CONFIGURED
    assert ask(host, question(METADATA, tcp(443))).verdict is Verdict.DROP_LINK_LOCAL


class Asked(NamedTuple):
    what: str
    address: str
    router: str = ROUTER_IPV4


@pytest.mark.parametrize(
    "asked",
    [
        Asked("the metadata service", METADATA),
        Asked("dns", DNS),
        Asked("time", TIME),
        Asked("the resolver in its subnet", RESOLVER, "10.7.0.1"),
    ],
    ids=lambda asked: asked.what,
)
def test_arp_for_a_service_is_answered_with_the_routers_mac(host: HostDataplane, asked: Asked) -> None:
    host.interfaces.put_many({Ifindex(plan.DEVICE): row(router=address_bytes(asked.router))})
    outcome = ask(host, arp_from_11(asked.address))
    assert (outcome.verdict, steps(outcome)) == (Verdict.ANSWERED, ["RECEIVED", "SOURCE_CHECKED", "ARP_ANSWERED"])
    assert outcome.frame[22:32].hex() == (ROUTER.replace(":", "") + address_bytes(asked.address)[12:].hex())


@pytest.mark.parametrize("address", [RESOLVER, "169.254.169.252", "169.254.1.1"])
def test_arp_for_what_is_no_neighbour_is_not_answered(host: HostDataplane, address: str) -> None:
    assert ask(host, arp_from_11(address)).verdict is Verdict.DROP_ARP_UNANSWERED


SECOND, PACKETS = 1 << 32, 1024
NUMBER = InterfaceNumber(11)
LONG_AGO, FAR_AHEAD = 1, (1 << 32) - 1  # seconds of the host's clock: whichever it shows lies between them


def really_ask(host: HostDataplane, packet: Packet, segments: int = 0, size: int = 0) -> Verdict:
    """As traffic, which is counted: the verdict whose counter moved."""
    before = {key: row.packets for key, row in host.counters().items()}
    context = RunContext(ifindex=plan.DEVICE, gso_segments=segments, gso_size=size)
    host.test_run("host_egress", bytes(packet), context)
    moved = [key for key, row in host.counters().items() if row.packets != before.get(key, 0)]
    return Verdict(moved[0].verdict)


def spent(host: HostDataplane) -> tuple[int, int]:
    """(second, packets)."""
    found = host.service_budgets.get(NUMBER)
    assert found
    return divmod(found.second_and_packets, SECOND)


def give(host: HostDataplane, second: int, packets: int) -> None:
    host.service_budgets.put_many({NUMBER: ServiceBudget(second * SECOND + packets)})


def test_a_packet_more_than_the_budget_is_dropped(host: HostDataplane) -> None:
    """A second that never ends: the clock that the row shows is ahead of the host's."""
    give(host, FAR_AHEAD, PACKETS - 2)
    asked = question(METADATA, tcp(80))
    verdicts = [really_ask(host, asked).name for _ in range(4)]
    assert verdicts == ["SERVED", "SERVED", "DROP_SERVICE_ALLOWANCE", "DROP_SERVICE_ALLOWANCE"]
    assert spent(host) == (FAR_AHEAD, PACKETS + 2)


def test_a_new_second_begins_anew(host: HostDataplane) -> None:
    give(host, LONG_AGO, 5 * PACKETS)
    assert really_ask(host, question(METADATA, tcp(80))) is Verdict.SERVED
    second, packets = spent(host)
    assert second > LONG_AGO
    assert packets == 1


def test_all_services_have_one_budget(host: HostDataplane) -> None:
    give(host, FAR_AHEAD, 0)
    assert {really_ask(host, case.asked) for case in CASES.values()} == {Verdict.SERVED}
    assert spent(host) == (FAR_AHEAD, len(CASES))
    give(host, FAR_AHEAD, PACKETS)
    assert {really_ask(host, case.asked) for case in CASES.values()} == {Verdict.DROP_SERVICE_ALLOWANCE}


def test_each_interface_has_its_own(host: HostDataplane) -> None:
    give(host, FAR_AHEAD, PACKETS)
    other = row()._replace(interface=14)
    host.interfaces.put_many({Ifindex(plan.DEVICE): other})
    host.service_budgets.put_many({InterfaceNumber(14): ServiceBudget(FAR_AHEAD * SECOND)})
    assert really_ask(host, question(METADATA, tcp(80))) is Verdict.SERVED
    assert spent(host) == (FAR_AHEAD, PACKETS)


@pytest.mark.parametrize("verdict", ["DROP_LINK_LOCAL", "DROP_SERVICE_FRAGMENT", "DROP_SOURCE_ADDRESS"])
def test_what_is_no_question_costs_nothing(host: HostDataplane, verdict: str) -> None:
    give(host, FAR_AHEAD, 7)
    for drop in DROPS:
        if verdict == f"DROP_{drop.reason}" and drop.source_check:
            assert really_ask(host, drop.packet) is Verdict[verdict]
    assert spent(host) == (FAR_AHEAD, 7)


def test_a_what_if_is_not_counted_but_told_the_truth(host: HostDataplane) -> None:
    give(host, FAR_AHEAD, PACKETS - 1)
    assert ask(host, question(METADATA, tcp(80))).verdict is Verdict.SERVED
    assert ask(host, question(METADATA, tcp(80))).verdict is Verdict.SERVED
    give(host, FAR_AHEAD, PACKETS)
    assert ask(host, question(METADATA, tcp(80))).verdict is Verdict.DROP_SERVICE_ALLOWANCE
    give(host, LONG_AGO, PACKETS)
    assert ask(host, question(METADATA, tcp(80))).verdict is Verdict.SERVED
    assert spent(host) == (LONG_AGO, PACKETS)


def test_a_super_packet_counts_as_its_segments(host: HostDataplane) -> None:
    give(host, FAR_AHEAD, PACKETS - 3)
    packet = question(METADATA, tcp(80, content=b"x" * 3000))
    really_ask(host, packet, segments=3, size=1000)
    assert spent(host) == (FAR_AHEAD, PACKETS)
    assert really_ask(host, packet, segments=3, size=1000) is Verdict.DROP_SERVICE_ALLOWANCE


def test_without_a_budget_nothing_is_asked(host: HostDataplane) -> None:
    host.service_budgets.delete_many([NUMBER])
    assert ask(host, question(METADATA, tcp(80))).verdict is Verdict.DROP_NOT_CONFIGURED
    assert really_ask(host, question(METADATA, tcp(80))) is Verdict.DROP_NOT_CONFIGURED


def test_two_cpus_count_together(host: HostDataplane) -> None:
    """As many as the budget pass, whoever comes first."""
    give(host, FAR_AHEAD, 0)
    before = host.counters().get(CounterKey(plan.DEVICE, Verdict.SERVED))
    frame = bytes(question(METADATA, tcp(80)))

    def flood() -> None:
        for _ in range(PACKETS):
            host.test_run("host_egress", frame, REAL)

    both = [threading.Thread(target=flood) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    served = host.counters()[CounterKey(plan.DEVICE, Verdict.SERVED)].packets - (before.packets if before else 0)
    assert (served, spent(host)) == (PACKETS, (FAR_AHEAD, 2 * PACKETS))
