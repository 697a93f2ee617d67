"""IPv6 through the same stages as IPv4: a packet in, a whole packet out, or a drop with its reason.

    instance 11 (2001:db8:7:1::5) -- [host A] -- substrate -- host B with 12 (::6) and 13 (2001:db8:7:2::7)
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import Ifindex, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.packets import IP, ROUTER, RookeryGeneve, mac_text, steps, wrapped
from tests.dataplane.packets_ipv6 import OWN, ipv6_from_11, ipv6_to_11

EGRESS, INGRESS = "host_egress", "host_ingress"
OPTIONS = IPv6ExtHdrDestOpt()
CHAIN = IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(addresses=["2001:db8::1"]) / IPv6ExtHdrDestOpt()
BIG = UDP(sport=1, dport=2) / Raw(b"x" * 1500)


@pytest.fixture
def host(host_a: HostDataplane) -> HostDataplane:
    plan_ipv6.fill(host_a, {11: plan.DEVICE})
    return host_a


def ask(host: HostDataplane, packet: Packet | bytes, program: str = EGRESS) -> WhatIf:
    return host.what_if(program, bytes(packet), plan.DEVICE, 5)  # type: ignore[arg-type]


def expected_wrapping(outcome: WhatIf, inner: Packet, receiver: int) -> Packet:
    """As docs/wire-format.md draws it: IPv6 inside the same IPv4. The source port only has a range."""
    port = int.from_bytes(outcome.frame[34:36], "big")
    assert port >= 0xC000
    inner[Ether].dst = mac_text(receiver)
    outer = Ether(dst="00:00:00:00:00:00", src="00:00:00:00:00:00") / IP(
        src="100.64.1.10", dst="100.64.1.11", flags="DF", id=0, ttl=64
    )
    return outer / UDP(sport=port, dport=6081, chksum=0) / RookeryGeneve(vni=7, interface=11) / inner


CONTENTS = {
    "udp": UDP(sport=1111, dport=2222) / b"penguin",
    "empty udp": UDP(sport=1111, dport=2222),
    "tcp": TCP(sport=1111, dport=2222),
    "echo": ICMPv6EchoRequest(id=77) / b"penguin",
    "another protocol": Raw(b"x" * 3),
    "extension headers": CHAIN / UDP(sport=1111, dport=2222) / b"penguin",
    "a whole packet that calls itself a fragment": IPv6ExtHdrFragment(id=9) / UDP(sport=1111, dport=2222) / b"x",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_packet_to_another_host_is_wrapped(host: HostDataplane, content: Packet) -> None:
    extra = {"nh": 99} if type(content) is Raw else {}
    outcome = ask(host, ipv6_from_11(content=content, **extra))
    assert outcome.frame == bytes(expected_wrapping(outcome, ipv6_from_11(content=content, **extra), 12))
    assert (outcome.verdict, outcome.target) == (Verdict.SENT, 77)
    assert steps(outcome) == ["RECEIVED", "SOURCE_CHECKED", "MAPPING_FOUND", "SAME_SUBNET", "WRAPPED"]


@pytest.mark.parametrize("name", ["udp", "tcp", "extension headers", "a whole packet that calls itself a fragment"])
def test_ports_are_found_behind_extension_headers(host: HostDataplane, name: str) -> None:
    event = ask(host, ipv6_from_11(content=CONTENTS[name])).events[-1]
    assert (event.source, event.destination) == (OWN, "2001:db8:7:1::6")
    assert (event.source_port, event.destination_port) == (1111, 2222)
    assert event.protocol == (6 if name == "tcp" else 17)


def test_an_echo_has_its_identifier_and_hop_limits_stay(host: HostDataplane) -> None:
    outcome = ask(host, ipv6_from_11(content=ICMPv6EchoRequest(id=77), hlim=1))
    assert outcome.events[-1].source_port == 77
    assert outcome.frame[-48 + 7] == 1


def test_a_packet_to_the_router_is_wrapped_for_the_real_destination(host: HostDataplane) -> None:
    outcome = ask(host, ipv6_from_11("2001:db8:7:2::7", ROUTER))
    assert outcome.frame == bytes(expected_wrapping(outcome, ipv6_from_11("2001:db8:7:2::7", ROUTER), 13))
    assert steps(outcome) == ["RECEIVED", "SOURCE_CHECKED", "ROUTE_FOUND", "MAPPING_FOUND", "WRAPPED"]


def test_another_of_its_addresses_may_speak(host: HostDataplane) -> None:
    assert ask(host, ipv6_from_11(src="2001:db8:7:1::50")).verdict is Verdict.SENT


def test_a_packet_from_another_host_is_delivered(host: HostDataplane) -> None:
    outcome = ask(host, wrapped(ipv6_to_11()), INGRESS)
    assert outcome.frame == bytes(ipv6_to_11())
    assert (outcome.verdict, outcome.target) == (Verdict.DELIVERED, plan.DEVICE)
    assert steps(outcome) == ["RECEIVED", "VERIFIED", "UNWRAPPED", "DELIVERED"]


def test_from_another_subnet_the_router_hands_it_over(host: HostDataplane) -> None:
    expected = ipv6_to_11("2001:db8:7:2::7")
    expected[Ether].src = ROUTER
    outcome = ask(host, wrapped(ipv6_to_11("2001:db8:7:2::7"), interface=13), INGRESS)
    assert (outcome.verdict, outcome.frame) == (Verdict.DELIVERED, bytes(expected))


def test_a_peer_on_the_same_host_passes_both_gates(host: HostDataplane) -> None:
    outcome = ask(host, ipv6_from_11("2001:db8:7:1::8", mac_text(14)))
    assert outcome.frame == bytes(ipv6_from_11("2001:db8:7:1::8", mac_text(14)))
    assert (outcome.verdict, outcome.target) == (Verdict.DELIVERED, plan.LOCAL_PEER)
    assert steps(outcome)[-2:] == ["VERIFIED", "DELIVERED"]


def test_fragments_take_one_way(host: HostDataplane) -> None:
    begun = ipv6_from_11(content=IPv6ExtHdrFragment(m=1, id=5) / UDP(sport=1, dport=2) / Raw(b"x" * 64))
    host.test_run(EGRESS, bytes(begun), RunContext(ifindex=plan.DEVICE))
    first = ask(host, begun)
    later = ask(host, ipv6_from_11(content=IPv6ExtHdrFragment(offset=9, id=5, nh=17) / Raw(b"y")))
    assert (first.verdict, later.verdict) == (Verdict.SENT, Verdict.SENT)
    assert first.frame[34:36] == later.frame[34:36]


def test_what_stands_in_a_later_fragment_is_no_header(host: HostDataplane) -> None:
    later = ipv6_from_11(content=IPv6ExtHdrFragment(offset=9, id=5, nh=60) / Raw(b"\xff" * 8))
    assert ask(host, later).verdict is Verdict.SENT


class Drop(NamedTuple):
    sentence: str
    verdict: str
    program: str
    packet: Packet | bytes


def chain(headers: int) -> Packet:
    content: Packet = IPv6ExtHdrDestOpt()
    for _ in range(headers - 1):
        content = content / IPv6ExtHdrDestOpt()
    return content / UDP(sport=1, dport=2)


def cut(packet: Packet, length: int) -> bytes:
    return bytes(packet)[:length]


DROPS = [
    Drop("a header cut off", "TRUNCATED", INGRESS, wrapped(Ether(cut(ipv6_to_11(), 53)))),
    Drop("UDP shorter than its header", "TRUNCATED", EGRESS, ipv6_from_11(content=Raw(b"x" * 7), nh=17)),
    Drop("TCP shorter than its header", "TRUNCATED", EGRESS, ipv6_from_11(content=Raw(b"x" * 19), nh=6)),
    Drop("ICMP shorter than its header", "TRUNCATED", EGRESS, ipv6_from_11(content=Raw(b"x" * 7), nh=58)),
    Drop("an extension header beyond the packet", "TRUNCATED", EGRESS, ipv6_from_11(content=Raw(b"\x11\x01" + b"x" * 6), nh=60)),
    Drop("an extension header that is cut", "TRUNCATED", EGRESS, ipv6_from_11(content=Raw(b"\x11\0xx"), nh=60)),
    Drop("a fragment header that is cut", "TRUNCATED", EGRESS, ipv6_from_11(content=Raw(b"\x11\0\0\0"), nh=44)),
    Drop("a first fragment without its transport", "TRUNCATED", EGRESS, ipv6_from_11(content=IPv6ExtHdrFragment(m=1, nh=17) / Raw(b"x"))),
    Drop("nothing behind a header", "TRUNCATED", EGRESS, ipv6_from_11(content=Raw(b""), nh=0)),
    Drop("nine extension headers", "MALFORMED_IP", EGRESS, ipv6_from_11(content=chain(9))),
    Drop("hop-by-hop options behind others", "MALFORMED_IP", EGRESS, ipv6_from_11(content=OPTIONS / IPv6ExtHdrHopByHop() / UDP())),
    Drop("version 5", "MALFORMED_IP", EGRESS, ipv6_from_11(version=5)),
    Drop("a length beyond the frame", "MALFORMED_IP", EGRESS, ipv6_from_11(plen=1400)),
    Drop("IPv4s form as the source", "MALFORMED_IP", EGRESS, ipv6_from_11(src="::ffff:10.7.1.5")),
    Drop("IPv4s form as the destination", "MALFORMED_IP", EGRESS, ipv6_from_11("::ffff:10.7.1.6")),
    Drop("IPv4s forms over the substrate", "MALFORMED_IP", INGRESS, wrapped(ipv6_to_11("::ffff:10.7.1.6", "::ffff:10.7.1.5"))),
    Drop("multicast", "MULTICAST", EGRESS, ipv6_from_11("ff02::fb", "33:33:00:00:00:fb")),
    Drop("multicast to the routers MAC", "MULTICAST", EGRESS, ipv6_from_11("ff0e::1", ROUTER)),
    Drop("a neighbours address", "SOURCE_ADDRESS", EGRESS, ipv6_from_11(src="2001:db8:7:1::8")),
    Drop("no address", "SOURCE_ADDRESS", EGRESS, ipv6_from_11(src="::")),
    Drop("the loopback address", "SOURCE_ADDRESS", EGRESS, ipv6_from_11(src="::1")),
    Drop("a link-local source", "SOURCE_ADDRESS", EGRESS, ipv6_from_11(src="fe80::5")),
    Drop("a link-local destination", "LINK_LOCAL", EGRESS, ipv6_from_11("fe80::6")),
    Drop("the last link-local destination", "LINK_LOCAL", EGRESS, ipv6_from_11("febf::6")),
    Drop("the metadata service", "LINK_LOCAL", EGRESS, ipv6_from_11("fd00:ec2::254", ROUTER)),
    Drop("a destination outside the VPC", "NO_ROUTE", EGRESS, ipv6_from_11("2001:db8:9::1", ROUTER)),
    Drop("a black hole", "BLACKHOLE", EGRESS, ipv6_from_11("2001:db8:7:66::5", ROUTER)),
    Drop("an address of nobody", "NO_MAPPING", EGRESS, ipv6_from_11("2001:db8:7:1::99", ROUTER)),
    Drop("the router itself", "NO_MAPPING", EGRESS, ipv6_from_11("2001:db8:7:1::1", ROUTER)),
    Drop("past the router into another subnet", "WRONG_SUBNET", EGRESS, ipv6_from_11("2001:db8:7:2::7", mac_text(13))),
    Drop("an ICMP error, too big", "TOO_BIG", EGRESS, ipv6_from_11(content=ICMPv6DestUnreach() / Raw(b"x" * 1500))),
    Drop("a later fragment, too big", "TOO_BIG", EGRESS, ipv6_from_11(content=IPv6ExtHdrFragment(offset=9, nh=47) / Raw(b"x" * 1500))),
    Drop("a later fragment of what nobody saw", "UNKNOWN_FRAGMENT", EGRESS, ipv6_from_11(content=IPv6ExtHdrFragment(offset=9, nh=17) / Raw(b"x" * 64))),
    Drop("another interface of the right host", "SOURCE_NOT_AT_HOST", INGRESS, wrapped(ipv6_to_11("2001:db8:7:2::7"))),
    Drop("too big for the receiver", "TOO_BIG", INGRESS, wrapped(ipv6_to_11(content=BIG))),
    Drop("an inner source of nobody", "SOURCE_NOT_MAPPED", INGRESS, wrapped(ipv6_to_11("2001:db8:7:1::99"))),
    Drop("a source that lives elsewhere", "SOURCE_NOT_AT_HOST", INGRESS, wrapped(ipv6_to_11(), sender="100.64.1.12")),
    Drop("a destination that lives elsewhere", "DESTINATION_NOT_HERE", INGRESS, wrapped(ipv6_to_11(to="2001:db8:7:2::7"))),
]  # fmt: skip


@pytest.mark.parametrize("case", DROPS, ids=lambda case: case.sentence.replace(" ", "-"))
def test_is_dropped_for_its_reason(host: HostDataplane, case: Drop) -> None:
    outcome = ask(host, case.packet, case.program)
    assert outcome.verdict.name == f"DROP_{case.verdict}"
    assert outcome.target == 0


def test_eight_extension_headers_are_walked(host: HostDataplane) -> None:
    assert ask(host, ipv6_from_11(content=chain(8))).verdict is Verdict.SENT


def test_a_packet_cut_anywhere_is_never_passed_on(host: HostDataplane) -> None:
    """A test run takes no IPv6 frame below 54 bytes."""
    whole = bytes(ipv6_from_11(content=CHAIN / UDP(sport=1, dport=2) / b"penguin"))
    for length in range(54, len(whole)):
        assert ask(host, whole[:length]).verdict is Verdict.DROP_MALFORMED_IP, length


def test_what_does_not_fit_is_refused_with_the_mtu(host: HostDataplane) -> None:
    frame = ipv6_from_11(content=BIG)
    outcome = ask(host, frame)
    quoted = bytes(frame)[14 : 14 + 504]
    answer = Ether(src=ROUTER, dst=mac_text(11)) / IPv6(src="2001:db8:7:1::1", dst=OWN, hlim=64)
    assert outcome.frame == bytes(answer / ICMPv6PacketTooBig(mtu=1500) / Raw(quoted))
    assert (outcome.verdict, steps(outcome)[-1]) == (Verdict.ANSWERED, "FRAGMENTATION_NEEDED")
    assert outcome.events[-1].detail == 1500


def test_a_super_packet_is_measured_by_its_segments(host: HostDataplane) -> None:
    """3,000 bytes of TCP, cut at 1,440 or at 1,441: only the latter does not fit. Test runs can not wrap either."""
    frame = bytes(ipv6_from_11(content=TCP(sport=1, dport=2) / Raw(b"x" * 3000)))
    verdicts = {}
    for size in (1440, 1441):
        context = RunContext(mark=0x57490000, ifindex=plan.DEVICE, gso_segments=3, gso_size=size)
        verdicts[size] = Verdict(host.test_run(EGRESS, frame, context).cb[0])
    assert verdicts == {1440: Verdict.DROP_ENCAPSULATION, 1441: Verdict.ANSWERED}


@pytest.mark.parametrize("source_check", [True, False])
def test_a_subnet_without_ipv6_carries_none(host: HostDataplane, source_check: bool) -> None:
    row = plan.interface_row(plan.interface(11, source_check=source_check))
    host.interfaces.put_many({Ifindex(plan.DEVICE): row})
    outcome = ask(host, ipv6_from_11(src="2001:db8:9::1"))
    assert outcome.verdict is (Verdict.DROP_SOURCE_ADDRESS if source_check else Verdict.DROP_NO_ROUTE)


def test_without_the_check_any_source_may_speak_but_no_link_local_one(host: HostDataplane) -> None:
    host.interfaces.put_many({Ifindex(plan.DEVICE): plan_ipv6.interface_row(11, source_check=False)})
    assert ask(host, ipv6_from_11(src="2001:db8:9::1")).verdict is Verdict.SENT
    assert ask(host, ipv6_from_11(src="fe80::5")).verdict is Verdict.DROP_LINK_LOCAL
    assert ask(host, ipv6_from_11(src="fd00:ec2::254")).verdict is Verdict.DROP_LINK_LOCAL


def test_icmp_of_the_other_family_is_a_protocol_like_any_other(host: HostDataplane) -> None:
    assert ask(host, ipv6_from_11(content=Raw(b"\x08"), nh=1)).verdict is Verdict.SENT
