"""Neighbour discovery is answered at the host, and only there: a question in, a whole answer or a drop out.

    instance 11 (2001:db8:7:1::5) -- [host A]    neighbours ::6 (host B) and ::8 (host A), router ::1
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from scapy.layers.inet6 import (
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_Redirect,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6NDOptUnknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import Ifindex, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.packets import ROUTER, mac_text, steps, wrapped
from tests.dataplane.packets_ipv6 import (
    OWN,
    advertisement,
    ipv6_from_11,
    ipv6_to_11,
    router_advertisement,
    router_solicitation,
    solicitation,
)

NONCE = ICMPv6NDOptUnknown(type=14, len=1, data=b"\x01" * 6)
MINE = ICMPv6NDOptSrcLLAddr(lladdr=mac_text(11))
ROUTER_ADDRESSES = ("2001:db8:7:1::1", plan_ipv6.ROUTER_LINK_LOCAL, plan_ipv6.ROUTER_MADE)


@pytest.fixture
def host(host_a: HostDataplane) -> HostDataplane:
    plan_ipv6.fill(host_a, {11: plan.DEVICE})
    return host_a


def ask(host: HostDataplane, packet: Packet, program: str = "host_egress") -> WhatIf:
    return host.what_if(program, bytes(packet), plan.DEVICE, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", ROUTER_ADDRESSES)
def test_the_router_is_found_under_each_of_its_addresses(host: HostDataplane, asked: str) -> None:
    outcome = ask(host, solicitation(asked))
    assert outcome.frame == bytes(advertisement(asked, ROUTER, router=True))
    assert (outcome.verdict, outcome.target) == (Verdict.ANSWERED, plan.DEVICE)
    assert steps(outcome) == ["RECEIVED", "SOURCE_CHECKED", "NEIGHBOUR_ANSWERED"]
    assert outcome.events[-1].destination == asked
    assert outcome.events[-1].detail == int.from_bytes(plan.ROUTER_MAC, "big")


@pytest.mark.parametrize(("asked", "number"), [("2001:db8:7:1::6", 12), ("2001:db8:7:1::8", 14)])
def test_a_neighbour_is_found_wherever_it_lives(host: HostDataplane, asked: str, number: int) -> None:
    outcome = ask(host, solicitation(asked))
    assert outcome.frame == bytes(advertisement(asked, mac_text(number), router=False))


def test_a_known_neighbour_is_asked_directly(host: HostDataplane) -> None:
    asked = solicitation("2001:db8:7:1::6", dst="2001:db8:7:1::6")
    asked[Ether].dst = mac_text(12)
    assert ask(host, asked).frame == bytes(advertisement("2001:db8:7:1::6", mac_text(12), router=False))


def test_who_asks_with_a_link_local_address_is_answered_there(host: HostDataplane) -> None:
    outcome = ask(host, solicitation("2001:db8:7:1::6", source="fe80::abcd"))
    assert outcome.frame == bytes(advertisement("2001:db8:7:1::6", mac_text(12), router=False, to="fe80::abcd"))


@pytest.mark.parametrize("options", [NONCE, MINE / NONCE, NONCE / NONCE / NONCE / MINE])
def test_options_that_mean_nothing_here_are_skipped(host: HostDataplane, options: Packet) -> None:
    outcome = ask(host, solicitation("2001:db8:7:1::6", options=options))
    assert outcome.frame == bytes(advertisement("2001:db8:7:1::6", mac_text(12), router=False))


@pytest.mark.parametrize("asked", ["2001:db8:7:1::6", "2001:db8:7:1::1"])
def test_an_address_that_somebody_has_is_not_free(host: HostDataplane, asked: str) -> None:
    router = asked.endswith("::1")
    outcome = ask(host, solicitation(asked, source="::", options=NONCE))
    assert outcome.frame == bytes(advertisement(asked, ROUTER if router else mac_text(12), router, to="::"))


def test_a_longer_frame_than_the_question_is_answered(host: HostDataplane) -> None:
    outcome = ask(host, solicitation("2001:db8:7:1::6", source="::") / Raw(b"") / Raw(b""))
    assert outcome.verdict is Verdict.ANSWERED


@pytest.mark.parametrize("source", ["fe80::5", "::", OWN])
def test_a_router_solicitation_is_answered_with_the_subnet(host: HostDataplane, source: str) -> None:
    outcome = ask(host, router_solicitation(source, options=None if source == "::" else MINE))
    assert outcome.frame == bytes(router_advertisement(source))
    assert (outcome.verdict, outcome.target) == (Verdict.ANSWERED, plan.DEVICE)
    assert steps(outcome) == ["RECEIVED", "SOURCE_CHECKED", "ROUTER_ADVERTISED"]


def test_the_router_advertises_the_interfaces_own_mtu(host: HostDataplane) -> None:
    host.interfaces.put_many({Ifindex(plan.DEVICE): plan_ipv6.interface_row(11, mtu=9001)})
    assert ask(host, router_solicitation()).frame == bytes(router_advertisement("fe80::5", mtu=9001))


class Drop(NamedTuple):
    sentence: str
    verdict: str
    packet: Packet


def damaged(packet: Packet) -> Packet:
    raw = bytearray(bytes(packet))
    raw[56] ^= 1
    return Ether(bytes(raw))


UNASKED = Ether(src=mac_text(11), dst=mac_text(12)) / IPv6(src=OWN, dst="2001:db8:7:1::6", hlim=255) / ICMPv6ND_NA(
    tgt="2001:db8:7:1::6", S=1, O=1
) / ICMPv6NDOptDstLLAddr(lladdr=mac_text(11))  # fmt: skip
REDIRECT = Ether(src=mac_text(11), dst=mac_text(12)) / IPv6(src=OWN, dst="2001:db8:7:1::6", hlim=255) / ICMPv6ND_Redirect(
    tgt=OWN, dst="2001:db8:7:2::7"
)  # fmt: skip
TO_6 = "2001:db8:7:1::6"
DROPS = [
    Drop("an address that nobody has", "NEIGHBOUR_UNANSWERED", solicitation("2001:db8:7:1::99")),
    Drop("an address in another subnet", "NEIGHBOUR_UNANSWERED", solicitation("2001:db8:7:2::7")),
    Drop("a link-local address of nobody", "NEIGHBOUR_UNANSWERED", solicitation("fe80::6")),
    Drop("ones own address, as a question", "NEIGHBOUR_UNANSWERED", solicitation(OWN)),
    Drop("whether ones own address is free", "NEIGHBOUR_UNANSWERED", solicitation(OWN, source="::", options=NONCE)),
    Drop("whether ones link-local address is free", "NEIGHBOUR_UNANSWERED", solicitation("fe80::5", source="::")),
    Drop("an advertisement of a guest", "NEIGHBOUR_UNANSWERED", UNASKED),
    Drop("a router advertisement of a guest", "NEIGHBOUR_UNANSWERED", ipv6_from_11(content=router_advertisement("::")[IPv6].payload)),
    Drop("a redirect", "NEIGHBOUR_UNANSWERED", REDIRECT),
    Drop("a question that a router passed on", "MALFORMED_NEIGHBOUR", solicitation(TO_6, hlim=254)),
    Drop("another code", "MALFORMED_NEIGHBOUR", Ether(bytes(solicitation(TO_6)).replace(b"\x87\x00", b"\x87\x01", 1))),
    Drop("a wrong checksum", "MALFORMED_NEIGHBOUR", damaged(solicitation(TO_6))),
    Drop("a wrong checksum of a router solicitation", "MALFORMED_NEIGHBOUR", damaged(router_solicitation())),
    Drop("a question without a target", "MALFORMED_NEIGHBOUR", ipv6_from_11(content=Raw(b"\x87" + b"\0" * 15), nh=58, hlim=255)),
    Drop("an option of no length", "MALFORMED_NEIGHBOUR", solicitation(TO_6, options=Raw(b"\x0e\0" + b"\0" * 6))),
    Drop("an option beyond the end", "MALFORMED_NEIGHBOUR", solicitation(TO_6, options=Raw(b"\x0e\x02" + b"\0" * 6))),
    Drop("half an option", "MALFORMED_NEIGHBOUR", solicitation(TO_6, options=Raw(b"\x0e\x01\0\0"))),
    Drop("more options than there is room for", "MALFORMED_NEIGHBOUR", solicitation(TO_6, options=NONCE / NONCE / NONCE / NONCE / NONCE)),
    Drop("a MAC of twice the length", "MALFORMED_NEIGHBOUR", solicitation(TO_6, options=Raw(b"\x01\x02" + b"\0" * 14))),
    Drop("a MAC of who has no address", "MALFORMED_NEIGHBOUR", solicitation(TO_6, source="::", options=MINE)),
    Drop("a MAC of who asks for routers without an address", "MALFORMED_NEIGHBOUR", router_solicitation("::", options=MINE)),
    Drop("a probe that is not for the group", "MALFORMED_NEIGHBOUR", solicitation(TO_6, source="::", dst=TO_6)),
    Drop("a question to another group", "MALFORMED_NEIGHBOUR", solicitation(TO_6, dst="ff02::1:ff00:7")),
    Drop("a question about a group", "MALFORMED_NEIGHBOUR", solicitation("ff02::1")),
    Drop("a question behind an extension header", "MALFORMED_NEIGHBOUR",
         Ether(src=mac_text(11), dst=ROUTER) / IPv6(src=OWN, dst="2001:db8:7:1::6", hlim=255) / IPv6ExtHdrDestOpt() / solicitation(TO_6)[IPv6].payload),
    Drop("a question in fragments", "MALFORMED_NEIGHBOUR",
         Ether(src=mac_text(11), dst=ROUTER) / IPv6(src=OWN, dst="2001:db8:7:1::6", hlim=255) / IPv6ExtHdrFragment(m=1, nh=58) / solicitation(TO_6)[IPv6].payload),
    Drop("another MAC as the senders", "SOURCE_MAC", solicitation(TO_6, mac=12)),
    Drop("another MAC as the senders behind a nonce", "SOURCE_MAC", solicitation(TO_6, options=NONCE / ICMPv6NDOptSrcLLAddr(lladdr=mac_text(12)))),
    Drop("another MAC for the router", "SOURCE_MAC", router_solicitation(options=ICMPv6NDOptSrcLLAddr(lladdr=mac_text(12)))),
    Drop("a neighbours address", "SOURCE_ADDRESS", solicitation(TO_6, source="2001:db8:7:1::8")),
    Drop("an address of nobody as the sender", "SOURCE_ADDRESS", solicitation(TO_6, source="2001:db8:9::1")),
    Drop("the routers address as the sender", "SOURCE_ADDRESS", solicitation(TO_6, source=plan_ipv6.ROUTER_LINK_LOCAL)),
    Drop("the routers other address as the sender", "SOURCE_ADDRESS", router_solicitation(plan_ipv6.ROUTER_MADE)),
    Drop("a report of groups", "MULTICAST", Ether(src=mac_text(11), dst="33:33:00:00:00:16") / IPv6(src="fe80::5", dst="ff02::16", hlim=1) / ICMPv6MLReport2()),
]  # fmt: skip


@pytest.mark.parametrize("case", DROPS, ids=lambda case: case.sentence.replace(" ", "-"))
def test_has_no_effect(host: HostDataplane, case: Drop) -> None:
    outcome = ask(host, case.packet)
    assert outcome.verdict.name == f"DROP_{case.verdict}"
    assert outcome.target == 0


@pytest.mark.parametrize("question", [solicitation(TO_6), solicitation("2001:db8:7:1::1"), router_solicitation()])
def test_a_subnet_without_ipv6_answers_nothing(host: HostDataplane, question: Packet) -> None:
    host.interfaces.put_many({Ifindex(plan.DEVICE): plan.interface_row(plan.interface(11))})
    assert ask(host, question).verdict is Verdict.DROP_NEIGHBOUR_UNANSWERED


def test_no_neighbour_discovery_comes_over_the_substrate(host: HostDataplane) -> None:
    forged = ipv6_to_11(content=UNASKED[IPv6].payload)
    assert ask(host, wrapped(forged), "host_ingress").verdict is Verdict.DROP_NEIGHBOUR_UNANSWERED
