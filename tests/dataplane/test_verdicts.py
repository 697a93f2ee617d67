"""Every verdict and every step: a packet in, a packet out, or a drop with its reason. Test runs of the real programs.

    instance 11 (10.7.1.5) -- [host A] -- substrate -- host B with instances 12 (10.7.1.6) and 13 (10.7.2.7)

Appliances and peers: plan.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

import pytest
from scapy.packet import Packet

from rookery.dataplane.formats import Ifindex, PeeringKey, Step, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.node import WhatIf
from rookery.dataplane.syscall import RunContext
from rookery.host.lines import line_of
from rookery.trace.telling import step_line
from rookery.trace.words import STEPS, VERDICTS
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.model import Forwarder, Host, Route
from tests.dataplane.packets import (
    GATES,
    ICMP,
    IP,
    ROUTER,
    TCP,
    UDP,
    Ether,
    Raw,
    RookeryGeneve,
    arp_from_11,
    frame_from_11,
    frame_to_11,
    mac_text,
    steps,
    wrapped,
)
from tests.dataplane.packets_ipv6 import router_solicitation, solicitation
from tests.dataplane.packets_services import answer, caller, question, udp

EGRESS, INGRESS, SERVICES = "host_egress", "host_ingress", "host_services"
ANY_TRACE = 5


class Drop(NamedTuple):
    sentence: str
    verdict: str
    program: str
    packet: Packet | bytes


def cut(packet: Packet, length: int) -> bytes:
    return bytes(packet)[:length]


def with_options(options: bytes) -> bytes:
    """A wrapped packet whose options are these."""
    whole = bytes(wrapped(frame_to_11()))
    inner = whole[66:]
    head = bytearray(whole[:50])
    head[42] = len(options) // 4
    total = len(whole) - 14 - 16 + len(options)
    head[16:18], head[38:40] = total.to_bytes(2, "big"), (total - 20).to_bytes(2, "big")
    return bytes(head) + options + inner


ORIGIN = bytes.fromhex("ff520103" "0000000c" "00000700" "00000000")
PEER, THIRD, TWIN = {"origin_vni": plan.PEER}, {"origin_vni": plan.THIRD}, {"origin_vni": plan.TWIN}
BIG = UDP(sport=1, dport=2) / Raw(b"x" * 1500)
DROPS = [
    Drop("a frame cut in the UDP header", "DROP_TRUNCATED", EGRESS, frame_from_11(content=UDP() / b"", len=24)),
    Drop("a TCP header that the packet is too short for", "DROP_TRUNCATED", EGRESS, frame_from_11(content=Raw(b"x" * 12), proto=6)),
    Drop("a frame cut within IP options", "DROP_TRUNCATED", EGRESS, cut(frame_from_11(ihl=15, len=60), 40)),
    Drop("a short ARP packet", "DROP_TRUNCATED", EGRESS, cut(arp_from_11("10.7.1.6"), 41)),
    Drop("an inner frame that is cut off", "DROP_TRUNCATED", INGRESS, wrapped(Raw(b"x" * 13))),
    Drop("options that reach beyond the packet", "DROP_TRUNCATED", INGRESS, cut(wrapped(Raw(b""), option_words=60), 66)),
    Drop("an outer packet that is cut off", "DROP_TRUNCATED", INGRESS, cut(wrapped(frame_to_11()), 100)),
    Drop("MPLS", "DROP_NOT_IP", EGRESS, Ether(src=mac_text(11), dst=ROUTER, type=0x8847) / (b"\x60" + b"\0" * 59)),
    Drop("a VLAN", "DROP_NOT_IP", EGRESS, Ether(src=mac_text(11), dst=ROUTER, type=0x8100) / Raw(b"\0" * 60)),
    Drop("ARP over the substrate", "DROP_NOT_IP", INGRESS, wrapped(arp_from_11("10.7.1.6"))),
    Drop("IP version 5", "DROP_MALFORMED_IP", EGRESS, frame_from_11(version=5)),
    Drop("a header length of 16", "DROP_MALFORMED_IP", EGRESS, frame_from_11(ihl=4)),
    Drop("a total length beyond the frame", "DROP_MALFORMED_IP", EGRESS, frame_from_11(len=1400)),
    Drop("a total length below the header's", "DROP_MALFORMED_IP", EGRESS, frame_from_11(len=19)),
    Drop("ARP about another hardware", "DROP_MALFORMED_ARP", EGRESS, arp_from_11("10.7.1.6", hwtype=6)),
    Drop("reverse ARP", "DROP_MALFORMED_ARP", EGRESS, arp_from_11("10.7.1.6", op=3)),
    Drop("ARP for an address that nobody has", "DROP_ARP_UNANSWERED", EGRESS, arp_from_11("10.7.1.99")),
    Drop("ARP for an address in another subnet", "DROP_ARP_UNANSWERED", EGRESS, arp_from_11("10.7.2.7")),
    Drop("gratuitous ARP", "DROP_ARP_UNANSWERED", EGRESS, arp_from_11("10.7.1.5")),
    Drop("an unasked ARP reply", "DROP_ARP_UNANSWERED", EGRESS, arp_from_11("10.7.1.6", op=2)),
    Drop("a probe for one's own address", "DROP_ARP_UNANSWERED", EGRESS, arp_from_11("10.7.1.5", psrc="0.0.0.0")),
    Drop("a probe for one's own secondary address", "DROP_ARP_UNANSWERED", EGRESS, arp_from_11("10.7.1.50", psrc="0.0.0.0")),
    Drop("limited broadcast", "DROP_MULTICAST", EGRESS, frame_from_11("255.255.255.255", "ff:ff:ff:ff:ff:ff")),
    Drop("multicast", "DROP_MULTICAST", EGRESS, frame_from_11("224.0.0.251", "01:00:5e:00:00:fb")),
    Drop("a multicast address to the router's MAC", "DROP_MULTICAST", EGRESS, frame_from_11("239.1.2.3", ROUTER)),
    Drop("another MAC", "DROP_SOURCE_MAC", EGRESS, Ether(src=mac_text(12), dst=ROUTER) / IP(src="10.7.1.5", dst="10.7.1.6")),
    Drop("ARP in another MAC's name", "DROP_SOURCE_MAC", EGRESS, arp_from_11("10.7.1.6", hwsrc=mac_text(12))),
    Drop("a neighbour's address", "DROP_SOURCE_ADDRESS", EGRESS, frame_from_11(src="10.7.1.8")),
    Drop("an address of nobody", "DROP_SOURCE_ADDRESS", EGRESS, frame_from_11(src="192.0.2.1")),
    Drop("ARP in a neighbour's name", "DROP_SOURCE_ADDRESS", EGRESS, arp_from_11("10.7.1.6", psrc="10.7.1.8")),
    Drop("a destination outside the VPC", "DROP_NO_ROUTE", EGRESS, frame_from_11("192.0.2.1", ROUTER)),
    Drop("a black hole", "DROP_BLACKHOLE", EGRESS, frame_from_11("10.7.66.5", ROUTER)),
    Drop("an address of nobody, routed", "DROP_NO_MAPPING", EGRESS, frame_from_11("10.7.1.99", ROUTER)),
    Drop("a route that is no route", "DROP_NO_ROUTE", EGRESS, frame_from_11("198.51.100.250", ROUTER)),
    Drop("an appliance that lives nowhere", "DROP_NO_FORWARDER", EGRESS, frame_from_11("198.51.100.200", ROUTER)),
    Drop("an address that the peer has not", "DROP_NO_MAPPING", EGRESS, frame_from_11("10.6.1.99", ROUTER)),
    Drop("a peer of the peer", "DROP_NO_MAPPING", EGRESS, frame_from_11("10.5.1.5", ROUTER)),
    Drop("a peer past the router", "DROP_NO_MAPPING", EGRESS, frame_from_11("10.6.1.5")),
    Drop("a longer prefix than the black hole's", "DROP_NO_MAPPING", EGRESS, frame_from_11("10.7.66.200", ROUTER)),
    Drop("the router itself", "DROP_NO_MAPPING", EGRESS, frame_from_11("10.7.1.1", ROUTER)),
    Drop("past the router into another subnet", "DROP_WRONG_SUBNET", EGRESS, frame_from_11("10.7.2.7", mac_text(13))),
    Drop("too big, and may be fragmented", "DROP_TOO_BIG", EGRESS, frame_from_11(content=BIG, flags=0)),
    Drop("a later fragment, too big", "DROP_TOO_BIG", EGRESS, frame_from_11(content=BIG, frag=100, proto=47)),
    Drop("a later fragment of what nobody saw", "DROP_UNKNOWN_FRAGMENT", EGRESS, frame_from_11(content=Raw(b"x" * 64), proto=17, frag=9)),
    Drop("an ICMP error, too big", "DROP_TOO_BIG", EGRESS, frame_from_11(content=ICMP(type=3, code=1) / Raw(b"x" * 1500))),
    Drop("too big for the receiver", "DROP_TOO_BIG", INGRESS, wrapped(frame_to_11(content=BIG))),
    Drop("a host outside the substrate, and no gateway", "DROP_NOT_CONFIGURED", EGRESS, frame_from_11("10.7.2.9", ROUTER)),
    Drop("another version of Geneve", "DROP_MALFORMED_GENEVE", INGRESS, wrapped(frame_to_11(), version=1)),
    Drop("a control packet", "DROP_MALFORMED_GENEVE", INGRESS, wrapped(frame_to_11(), control=1)),
    Drop("something else than Ethernet inside", "DROP_MALFORMED_GENEVE", INGRESS, wrapped(frame_to_11(), protocol=0x0800)),
    Drop("no origin", "DROP_MALFORMED_GENEVE", INGRESS, with_options(b"")),
    Drop("two origins", "DROP_MALFORMED_GENEVE", INGRESS, with_options(ORIGIN * 2)),
    Drop("an origin of another size", "DROP_MALFORMED_GENEVE", INGRESS, with_options(bytes.fromhex("ff52010100000000"))),
    Drop("an origin of older hosts", "DROP_MALFORMED_GENEVE", INGRESS, with_options(bytes.fromhex("ff520102") + bytes(8))),
    Drop("an option longer than the options", "DROP_MALFORMED_GENEVE", INGRESS, with_options(ORIGIN + bytes.fromhex("0100001f"))),
    Drop("a critical option", "DROP_UNKNOWN_OPTION", INGRESS, with_options(ORIGIN + bytes.fromhex("01008000"))),
    Drop("an inner source of nobody", "DROP_SOURCE_NOT_MAPPED", INGRESS, wrapped(frame_to_11("10.7.1.99"))),
    Drop("a VPC that does not exist", "DROP_SOURCE_NOT_MAPPED", INGRESS, wrapped(frame_to_11(), vni=9)),
    Drop("a source that lives elsewhere", "DROP_SOURCE_NOT_AT_HOST", INGRESS, wrapped(frame_to_11(), sender="100.64.1.12")),
    Drop("a source that lives here", "DROP_SOURCE_NOT_AT_HOST", INGRESS, wrapped(frame_to_11("10.7.1.8"))),
    Drop("a packet in this host's own name", "DROP_SOURCE_NOT_AT_HOST", INGRESS, wrapped(frame_to_11("10.7.1.8"), sender=str(plan.HOST_A))),
    Drop("another interface of the right host", "DROP_SOURCE_NOT_AT_HOST", INGRESS, wrapped(frame_to_11(), interface=13)),
    Drop("an interface that does not exist", "DROP_SOURCE_NOT_AT_HOST", INGRESS, wrapped(frame_to_11(), interface=777)),
    Drop("an appliance with its check on", "DROP_SOURCE_NOT_AT_HOST", INGRESS, wrapped(frame_to_11("10.7.4.9"), interface=17)),
    Drop("an appliance of another host", "DROP_SOURCE_NOT_AT_HOST", INGRESS, wrapped(frame_to_11("10.7.4.9"), interface=16)),
    Drop("a stranger's source through a checked appliance", "DROP_SOURCE_NOT_MAPPED", INGRESS, wrapped(frame_to_11("192.0.2.1"), interface=17)),
    Drop("a VPC that is no peer", "DROP_NOT_PEERED", INGRESS, wrapped(frame_to_11("10.5.1.5"), interface=41, **THIRD)),
    Drop("a twin that is no peer", "DROP_NOT_PEERED", INGRESS, wrapped(frame_to_11("10.7.1.5"), interface=21, **TWIN)),
    Drop("a source of this VPC in a peer's name", "DROP_SOURCE_NOT_MAPPED", INGRESS, wrapped(frame_to_11(), **PEER)),
    Drop("a peer's source in this VPC's name", "DROP_SOURCE_NOT_MAPPED", INGRESS, wrapped(frame_to_11("10.6.1.5"), interface=31)),
    Drop("a route to an interface with its check on", "DROP_DESTINATION_CHECK", INGRESS, wrapped(frame_to_11(to="198.51.100.9"), target=11)),
    Drop("a neighbour's packet, led here", "DROP_DESTINATION_CHECK", INGRESS, wrapped(frame_to_11(to="10.7.1.8"), target=11)),
    Drop("a route to an interface that is not here", "DROP_DESTINATION_NOT_HERE", INGRESS, wrapped(frame_to_11(), target=12)),
    Drop("a route across a peering", "DROP_DESTINATION_CHECK", INGRESS, wrapped(frame_to_11("10.6.1.5", "198.51.100.9"), interface=31, target=18, **PEER)),
    Drop("a destination that lives elsewhere", "DROP_DESTINATION_NOT_HERE", INGRESS, wrapped(frame_to_11(to="10.7.2.7"))),
    Drop("a destination of nobody", "DROP_DESTINATION_NOT_HERE", INGRESS, wrapped(frame_to_11(to="10.7.1.99"))),
    Drop("the metadata service at another port", "DROP_LINK_LOCAL", EGRESS, frame_from_11("169.254.169.254", ROUTER)),
]  # fmt: skip
TESTED_ELSEWHERE = {
    "CONTINUE": "no outcome",
    "VERDICTS": "no outcome",
    "SENT": "test_a_packet_to_another_host_is_wrapped",
    "DELIVERED": "test_a_packet_from_another_host_is_delivered",
    "ANSWERED": "test_the_router_answers_arp_for_itself",
    "NOT_OURS": "test_other_packets_of_the_substrate_are_left_alone",
    "DROP_ENCAPSULATION": "test_what_the_kernel_refuses_to_wrap_is_dropped",
    "DROP_DECAPSULATION": "test_what_the_kernel_refuses_to_unwrap_is_dropped",
}

TESTED_ON_OTHER_PAGES = {  # where there are rules, IPv6, or services
    "DROP_SECURITY_GROUP_EGRESS": "test_security_groups",
    "DROP_SECURITY_GROUP_INGRESS": "test_security_groups",
    "DROP_NETWORK_ACL_EGRESS": "test_network_acl",
    "DROP_NETWORK_ACL_INGRESS": "test_network_acl",
    "DROP_CONNECTIONS_FULL": "test_connections",
    "DROP_ALLOWANCE_EXCEEDED": "test_connections",
    "DROP_MALFORMED_NEIGHBOUR": "test_neighbour_discovery",
    "DROP_NEIGHBOUR_UNANSWERED": "test_neighbour_discovery",
    "SERVED": "test_services",
    "DROP_SERVICE_ALLOWANCE": "test_services",
    "DROP_SERVICE_FRAGMENT": "test_services",
    "DROP_SERVICE_OPTIONS": "test_services",
    "DROP_SERVICE_REPLY": "test_service_answers",
    "DROP_NO_EDGE": "test_host_and_edges",
    "DROP_NO_GATEWAY": "test_host_and_edges",
    "DROP_NOT_AN_EDGE": "test_host_and_edges",
    "DROP_UNASKED": "test_host_and_edges",
    "DROP_NO_PUBLIC_ADDRESS": "test_edge_drops",
    "DROP_UNKNOWN_PUBLIC_ADDRESS": "test_edge_drops",
    "DROP_PRIVATE_DESTINATION": "test_edge_drops",
    "DROP_PRIVATE_SOURCE": "test_edge_drops",
    "DROP_TRANSLATION": "test_edge_drops",
    "DROP_PROBE_UNANSWERED": "test_edge_drops",
    "DEFERRED": "test_edge_xdp",
    "DROP_NO_TOP": "test_cells_host",
    "KEPT": "test_cell_chain",
    "DROP_NO_ATTACHMENT": "test_cell_chain",
    "DROP_PORTS_EXHAUSTED": "test_cell_chain",
    "DROP_FLOWS_FULL": "test_cell_chain",
    "DROP_CONFLICT": "test_cell_chain",
    "DROP_CHAIN": "test_cell_chain",
    "DROP_NO_FLOW": "test_cell_nat",
    "DROP_PROTOCOL": "test_cell_nat",
    "DROP_HOP_LIMIT": "test_cell_nat",
    "DROP_CELL_FRAGMENT": "test_cell_nat",
    "DROP_NO_SERVICE": "test_cell_balancer",
    "DROP_NO_TARGET": "test_cell_balancer",
    "CHECKED": "test_cell_checks",
    "DROP_NO_CHECK": "test_cell_checks",
    "DROP_NOT_A_CHECK": "test_cell_checks",
    "DROP_PROXY_PROTOCOL": "test_cell_proxy",
}
STEPS_OF_CELLS = {  # told in test_cell_chain.py, test_cell_proxy.py and test_cell_nat64.py, but what hosts tell of cells
    Step.TOP_CHOSEN, Step.FROM_TOP, Step.ATTACHMENT_FOUND, Step.DIRECTIVE_CACHED, Step.ASKED, Step.TRACKED, Step.DECIDED, Step.STORED,
    Step.TOLD, Step.PASSED_ON, Step.RESET, Step.HEADER_SENT, Step.FAMILY_TRANSLATED,
}  # fmt: skip
STEPS_OF_CHECKS = {Step.CHECK_FOUND, Step.CHECK_ANSWERED}  # told in test_cell_checks.py
STEPS_OF_EDGES = {  # told in tests/journeys/test_through_the_edge.py
    Step.EDGE_CHOSEN, Step.SOURCE_TRANSLATED, Step.DESTINATION_TRANSLATED, Step.SENT_OUTSIDE, Step.FROM_EDGE,
}  # fmt: skip


def ask(host: HostDataplane, packet: Packet | bytes, program: str = EGRESS) -> WhatIf:
    return host.what_if(program, bytes(packet), plan.DEVICE, ANY_TRACE)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", DROPS, ids=lambda case: case.sentence.replace(" ", "-"))
def test_is_dropped_for_its_reason(host_a: HostDataplane, case: Drop) -> None:
    packet = bytes(case.packet)
    outcome = ask(host_a, packet, case.program)
    assert outcome.verdict.name == case.verdict
    assert outcome.events[-1].verdict.name == case.verdict
    assert (outcome.events[-1].step, outcome.target) == (Step.DROPPED, 0)


def test_every_verdict_has_a_case_and_a_sentence() -> None:
    here = {case.verdict for case in DROPS} | TESTED_ELSEWHERE.keys() | TESTED_ON_OTHER_PAGES.keys()
    assert here == {verdict.name for verdict in Verdict}
    assert all(name in globals() or name == "no outcome" for name in TESTED_ELSEWHERE.values())
    assert VERDICTS.keys() == set(Verdict) - {Verdict.VERDICTS}
    assert all(VERDICTS.values())
    assert STEPS.keys() == set(Step)


def test_every_step_is_told_in_words(host_a: HostDataplane) -> None:
    """The packets of this page, once more: together they take every step."""
    told = {}
    packets = [(frame_from_11("198.51.100.9", ROUTER), EGRESS), (frame_from_11("10.6.1.5", ROUTER), EGRESS),
               (wrapped(frame_to_11("192.0.2.1"), sender="100.64.1.12", interface=16), INGRESS),
               (frame_from_11(), EGRESS), (frame_from_11("10.7.2.7", ROUTER), EGRESS), (arp_from_11("10.7.1.1"), EGRESS),
               (frame_from_11(content=BIG), EGRESS), (wrapped(frame_to_11()), INGRESS),
               (frame_from_11("10.7.1.99"), EGRESS), (Ether(dst="ff:ff:ff:ff:ff:ff") / IP(), INGRESS)]  # fmt: skip
    ping = frame_from_11(content=ICMP(type=8, id=3))
    host_a.test_run(EGRESS, bytes(ping), RunContext(ifindex=plan.DEVICE))
    packets += [(ping, EGRESS), (frame_from_11(content=ICMP(type=8, id=4)), EGRESS),
                (wrapped(frame_to_11(content=ICMP(type=3, code=1) / ping[IP])), INGRESS)]  # fmt: skip
    plan_ipv6.fill(host_a, {11: plan.DEVICE})
    packets += [(solicitation("2001:db8:7:1::6"), EGRESS), (router_solicitation(), EGRESS)]
    packets += [(question("169.254.169.253", udp(53)), EGRESS), (answer("253", caller(), udp(9, 53)), SERVICES)]
    for packet, program in packets:
        for event in ask(host_a, packet, program).events:
            told[event.step] = step_line(line_of(event, host="host-1", names={}, boot=0.0), hosts={})
    assert told.keys() == set(Step) - STEPS_OF_EDGES - STEPS_OF_CELLS - STEPS_OF_CHECKS
    assert told[Step.ARP_ANSWERED] == "ARP answered by the host: 10.7.1.1 is at 02:00:00:00:00:01"
    assert told[Step.MAPPING_FOUND] == "mapping found: 10.7.1.6 lives at 100.64.1.11 (generation 5)"
    assert told[Step.DROPPED] == "dropped: nobody in this VPC has the destination's address"


def expected_wrapping(outcome: WhatIf, inner: Packet, receiver: int, host: str = "100.64.1.11", **fields: int) -> Packet:
    """As docs/wire-format.md draws it. The source port only has a range."""
    port = int.from_bytes(outcome.frame[34:36], "big")
    assert port >= 0xC000
    inner[Ether].dst = mac_text(receiver)
    outer = Ether(dst="00:00:00:00:00:00", src="00:00:00:00:00:00") / IP(
        src="100.64.1.10", dst=host, flags="DF", id=0, ttl=64
    )
    geneve = RookeryGeneve(**{"vni": plan.VPC, "interface": 11, **fields})
    return outer / UDP(sport=port, dport=6081, chksum=0) / geneve / inner


def test_a_packet_to_another_host_is_wrapped(host_a: HostDataplane) -> None:
    outcome = ask(host_a, frame_from_11())
    assert outcome.frame == bytes(expected_wrapping(outcome, frame_from_11(), 12))
    assert (outcome.verdict, outcome.target) == (Verdict.SENT, 77)
    assert steps(outcome) == ["RECEIVED", "SOURCE_CHECKED", "MAPPING_FOUND", "SAME_SUBNET", "WRAPPED"]


def test_a_packet_to_the_router_is_wrapped_for_the_real_destination(host_a: HostDataplane) -> None:
    outcome = ask(host_a, frame_from_11("10.7.2.7", ROUTER))
    assert outcome.frame == bytes(expected_wrapping(outcome, frame_from_11("10.7.2.7", ROUTER), 13))
    assert steps(outcome) == ["RECEIVED", "SOURCE_CHECKED", "ROUTE_FOUND", "MAPPING_FOUND", "WRAPPED"]


def test_the_address_decides_where_a_frame_with_an_old_mac_goes(host_a: HostDataplane) -> None:
    outcome = ask(host_a, frame_from_11("10.7.1.6", "02:00:00:00:09:99"))
    assert outcome.frame == bytes(expected_wrapping(outcome, frame_from_11("10.7.1.6"), 12))


def test_a_secondary_address_may_speak(host_a: HostDataplane) -> None:
    assert ask(host_a, frame_from_11(src="10.7.1.50")).verdict is Verdict.SENT


def test_without_the_check_any_source_may_speak_but_no_link_local_one(host_a: HostDataplane) -> None:
    host_a.interfaces.put_many({Ifindex(plan.DEVICE): plan.interface_row(plan.interface(11, source_check=False))})
    assert ask(host_a, frame_from_11(src="192.0.2.1")).verdict is Verdict.SENT
    assert ask(host_a, frame_from_11(src="169.254.169.254")).verdict is Verdict.DROP_LINK_LOCAL


def test_fragments_take_one_way(host_a: HostDataplane) -> None:
    first = frame_from_11(content=UDP(sport=1, dport=2) / Raw(b"x" * 64), flags="MF")
    host_a.test_run(EGRESS, bytes(first), RunContext(ifindex=plan.DEVICE))
    first = ask(host_a, first)
    later = ask(host_a, frame_from_11(content=Raw(b"y" * 64), proto=17, flags=0, frag=9))
    assert first.frame[34:36] == later.frame[34:36]


def test_a_far_host_is_reached_through_the_gateway(host_a: HostDataplane, model_a: object) -> None:
    config = host_a.substrate._replace(gateway=bytes((100, 64, 0, 1)))
    host_a.configure_substrate(config)
    outcome = ask(host_a, frame_from_11("10.7.2.9", ROUTER))
    assert outcome.verdict is Verdict.SENT
    assert IP(outcome.frame[14:]).dst == "203.0.113.9"


def test_a_packet_from_another_host_is_delivered(host_a: HostDataplane) -> None:
    outcome = ask(host_a, wrapped(frame_to_11()), INGRESS)
    assert outcome.frame == bytes(frame_to_11())
    assert (outcome.verdict, outcome.target) == (Verdict.DELIVERED, plan.DEVICE)
    assert steps(outcome) == ["RECEIVED", "VERIFIED", "UNWRAPPED", "DELIVERED"]


def test_the_macs_inside_are_not_believed(host_a: HostDataplane) -> None:
    forged = frame_to_11()
    forged[Ether].src, forged[Ether].dst = "02:66:66:66:66:66", "ff:ff:ff:ff:ff:ff"
    assert ask(host_a, wrapped(forged), INGRESS).frame == bytes(frame_to_11())


def test_from_another_subnet_the_router_hands_it_over(host_a: HostDataplane) -> None:
    expected = frame_to_11("10.7.2.7")
    expected[Ether].src = ROUTER
    assert ask(host_a, wrapped(frame_to_11("10.7.2.7"), interface=13), INGRESS).frame == bytes(expected)


@pytest.mark.parametrize("to", ["198.51.100.9", "10.7.4.9"], ids=["outside", "a sibling subnet"])
def test_a_route_leads_to_an_appliance(host_a: HostDataplane, to: str) -> None:
    """10.7.4.0/24 is a whole subnet of the VPC, more specific than the local route."""
    outcome = ask(host_a, frame_from_11(to, ROUTER))
    expected = expected_wrapping(outcome, frame_from_11(to, ROUTER), 16, host="100.64.1.12", target=16)
    assert outcome.frame == bytes(expected)
    assert steps(outcome) == ["RECEIVED", "SOURCE_CHECKED", "ROUTE_FOUND", "FORWARDER_FOUND", "WRAPPED"]
    assert outcome.events[3].detail == 16


@pytest.mark.parametrize(("to", "appliance"), [("198.51.100.63", 16), ("198.51.100.64", 17), ("198.51.100.127", 17)])
def test_the_longest_prefix_decides_which_appliance(host_a: HostDataplane, to: str, appliance: int) -> None:
    outcome = ask(host_a, frame_from_11(to, ROUTER))
    assert RookeryGeneve(outcome.frame[42:]).target == appliance


def test_a_row_that_keeps_a_longer_family_out_is_no_route(host_a: HostDataplane) -> None:
    assert steps(ask(host_a, frame_from_11("198.51.100.250", ROUTER))) == ["RECEIVED", "SOURCE_CHECKED", "DROPPED"]


def test_within_a_subnet_no_route_leads_away(host_a: HostDataplane, model_a: Host) -> None:
    """A route for the sender's own subnet moves what goes through the router, and nothing else."""
    model_a.routes[1, IPv4Network("10.7.1.0/24")] = Route("interface", 16)
    plan.fill(host_a, model_a)
    near, routed = ask(host_a, frame_from_11()), ask(host_a, frame_from_11(through=ROUTER))
    assert [RookeryGeneve(outcome.frame[42:]).target for outcome in (near, routed)] == [0, 16]


def test_the_local_route_may_lead_to_an_appliance_and_back(host_a: HostDataplane, model_a: Host) -> None:
    targets = []
    for route in (Route("interface", 16), Route("local")):
        model_a.routes[1, IPv4Network("10.7.0.0/16")] = route
        plan.fill(host_a, model_a)
        targets.append(RookeryGeneve(ask(host_a, frame_from_11("10.7.2.7", ROUTER)).frame[42:]).target)
    assert targets == [16, 0]


def test_a_route_to_the_destinations_own_interface_leads_there(host_a: HostDataplane) -> None:
    to_11 = wrapped(frame_to_11(), target=11)
    assert ask(host_a, to_11, INGRESS).verdict is Verdict.DELIVERED


def test_what_an_appliance_passes_on_is_verified_by_its_own_place(host_a: HostDataplane) -> None:
    """From another subnet: the router hands it over."""
    passed_on = wrapped(frame_to_11("192.0.2.1"), sender="100.64.1.12", interface=16)
    outcome = ask(host_a, passed_on, INGRESS)
    expected = frame_to_11("192.0.2.1")
    expected[Ether].src = ROUTER
    assert (outcome.verdict, outcome.frame) == (Verdict.DELIVERED, bytes(expected))
    assert steps(outcome) == ["RECEIVED", "FORWARDED", "UNWRAPPED", "DELIVERED"]
    assert outcome.events[1].detail == 16


def test_an_appliance_of_the_same_subnet_hands_it_over_itself(host_a: HostDataplane, model_a: Host) -> None:
    """Whosever packet it was."""
    model_a.forwarders[plan.VPC, 13] = Forwarder(plan.HOST_B, 1, plan.mac(13), source_check=False)
    plan.fill(host_a, model_a)
    outcome = ask(host_a, wrapped(frame_to_11("10.7.4.9"), interface=13), INGRESS)
    expected = frame_to_11("10.7.4.9")
    expected[Ether].src = mac_text(13)
    assert outcome.frame == bytes(expected)


def test_an_address_that_moved_away_reaches_nobody_here(host_a: HostDataplane, model_a: Host) -> None:
    """The interface may still be there: the mapping decides. Led to it, it would not be its own either."""
    here = model_a.mappings[plan.VPC, IPv4Address("10.7.1.5")]
    model_a.mappings[plan.VPC, IPv4Address("10.7.1.5")] = replace(here, host=plan.HOST_C)
    plan.fill(host_a, model_a)
    assert ask(host_a, wrapped(frame_to_11()), INGRESS).verdict is Verdict.DROP_DESTINATION_NOT_HERE
    assert ask(host_a, wrapped(frame_to_11(), target=11), INGRESS).verdict is Verdict.DROP_DESTINATION_CHECK


def test_an_appliance_on_the_same_host_passes_both_gates(host_a: HostDataplane) -> None:
    outcome = ask(host_a, frame_from_11("198.51.100.130", ROUTER))
    assert outcome.frame == bytes(Ether(src=ROUTER, dst=mac_text(18)) / frame_from_11("198.51.100.130").payload)
    assert (outcome.verdict, outcome.target) == (Verdict.DELIVERED, plan.LOCAL_APPLIANCE)
    assert steps(outcome)[-3:] == ["FORWARDER_FOUND", "VERIFIED", "DELIVERED"]


def test_a_route_to_a_local_interface_with_its_check_on_ends_there(host_a: HostDataplane, model_a: Host) -> None:
    model_a.local[plan.VPC, 18] = replace(model_a.local[plan.VPC, 18], source_check=True)
    plan.fill(host_a, model_a)
    assert ask(host_a, frame_from_11("198.51.100.130", ROUTER)).verdict is Verdict.DROP_DESTINATION_CHECK
    model_a.routes[1, IPv4Network("10.7.3.0/24")] = Route("interface", 18)
    plan.fill(host_a, model_a)
    assert ask(host_a, frame_from_11("10.7.3.12", ROUTER)).verdict is Verdict.DELIVERED


def test_a_peers_packet_carries_both_vpcs(host_a: HostDataplane) -> None:
    outcome = ask(host_a, frame_from_11("10.6.1.5", ROUTER))
    expected = expected_wrapping(outcome, frame_from_11("10.6.1.5", ROUTER), 31, vni=plan.PEER)
    assert outcome.frame == bytes(expected)
    assert steps(outcome) == ["RECEIVED", "SOURCE_CHECKED", "ROUTE_FOUND", "PEER_FOUND", "MAPPING_FOUND", "WRAPPED"]
    assert outcome.events[3].detail == plan.PEER
    assert {event.vni for event in outcome.events} == {plan.VPC}


def test_a_peers_packet_is_handed_over_by_the_router(host_a: HostDataplane) -> None:
    outcome = ask(host_a, wrapped(frame_to_11("10.6.1.5"), interface=31, **PEER), INGRESS)
    expected = frame_to_11("10.6.1.5")
    expected[Ether].src = ROUTER
    assert (outcome.verdict, outcome.frame) == (Verdict.DELIVERED, bytes(expected))


def test_a_peer_whose_subnet_has_the_same_number_is_no_neighbour(host_a: HostDataplane, model_a: Host) -> None:
    place = model_a.mappings[plan.PEER, IPv4Address("10.6.1.5")]
    model_a.mappings[plan.PEER, IPv4Address("10.6.1.5")] = replace(place, subnet=1)
    plan.fill(host_a, model_a)
    outcome = ask(host_a, wrapped(frame_to_11("10.6.1.5"), interface=31, **PEER), INGRESS)
    assert Ether(outcome.frame).src == ROUTER


def test_an_instance_of_a_peer_on_the_same_host_is_reached(host_a: HostDataplane) -> None:
    outcome = ask(host_a, frame_from_11("10.6.1.6", ROUTER))
    assert outcome.frame == bytes(Ether(src=ROUTER, dst=mac_text(32)) / frame_from_11("10.6.1.6").payload)
    assert (outcome.verdict, outcome.target) == (Verdict.DELIVERED, plan.LOCAL_OF_PEER)
    mine = [event.vni for event in outcome.events if event.step not in GATES]
    assert mine == [plan.VPC] * 5 + [plan.PEER] * 2


def test_a_peer_on_the_same_host_must_admit_the_packet_too(host_a: HostDataplane) -> None:
    host_a.peerings.delete_many([PeeringKey(plan.PEER, plan.VPC)])
    assert ask(host_a, frame_from_11("10.6.1.6", ROUTER)).verdict is Verdict.DROP_NOT_PEERED


def test_a_peering_that_ended_is_refused_before_the_source_is_asked_for(host_a: HostDataplane) -> None:
    host_a.peerings.delete_many([PeeringKey(plan.VPC, plan.PEER)])
    for source in ("10.6.1.5", "192.0.2.1"):
        forged = wrapped(frame_to_11(source), interface=31, **PEER)
        assert ask(host_a, forged, INGRESS).verdict is Verdict.DROP_NOT_PEERED


def test_a_delegated_prefix_may_speak_and_no_address_beside_it(host_a: HostDataplane) -> None:
    verdicts = {a: ask(host_a, frame_from_11(src=a)).verdict.name for a in ("10.7.1.15", "10.7.1.16", "10.7.1.31", "10.7.1.32")}
    refused = "DROP_SOURCE_ADDRESS"
    assert verdicts == {"10.7.1.15": refused, "10.7.1.16": "SENT", "10.7.1.31": "SENT", "10.7.1.32": refused}


def test_a_delegated_prefix_is_reached(host_a: HostDataplane) -> None:
    away = ask(host_a, frame_from_11("10.7.1.40"))
    assert away.frame == bytes(expected_wrapping(away, frame_from_11("10.7.1.40"), 12))
    here = ask(host_a, wrapped(frame_to_11("10.7.1.40", "10.7.1.20")), INGRESS)
    assert here.frame == bytes(frame_to_11("10.7.1.40", "10.7.1.20"))
    near = ask(host_a, frame_from_11("10.7.1.70"))
    assert (near.verdict, near.target) == (Verdict.DELIVERED, plan.LOCAL_PEER)


def test_a_peer_on_the_same_host_passes_both_gates(host_a: HostDataplane) -> None:
    outcome = ask(host_a, frame_from_11("10.7.1.8", mac_text(14)))
    assert outcome.frame == bytes(frame_from_11("10.7.1.8", mac_text(14)))
    assert (outcome.verdict, outcome.target) == (Verdict.DELIVERED, plan.LOCAL_PEER)
    assert steps(outcome)[-2:] == ["VERIFIED", "DELIVERED"]


def test_unknown_options_that_are_not_critical_are_skipped(host_a: HostDataplane) -> None:
    before, after = bytes.fromhex("01007f0100000000"), bytes.fromhex("ff520200")
    outcome = ask(host_a, with_options(before + ORIGIN + after), INGRESS)
    assert outcome.frame == bytes(frame_to_11())


@pytest.mark.parametrize(("asked", "mac"), [("10.7.1.6", mac_text(12)), ("10.7.1.8", mac_text(14)), ("10.7.1.40", mac_text(12)), ("10.7.1.1", ROUTER)])
def test_arp_is_answered_at_the_host(host_a: HostDataplane, asked: str, mac: str) -> None:
    answer = Ether(src=mac, dst=mac_text(11)) / arp_from_11(asked).payload
    answer.payload.op = 2
    answer.payload.hwsrc, answer.payload.psrc = mac, asked
    answer.payload.hwdst, answer.payload.pdst = mac_text(11), "10.7.1.5"
    outcome = ask(host_a, arp_from_11(asked))
    assert outcome.frame == bytes(answer)
    assert (outcome.verdict, outcome.target) == (Verdict.ANSWERED, plan.DEVICE)


def test_the_router_answers_arp_for_itself(host_a: HostDataplane) -> None:
    assert ask(host_a, arp_from_11("10.7.1.1", psrc="0.0.0.0")).verdict is Verdict.ANSWERED


def test_what_does_not_fit_is_refused_with_the_mtu(host_a: HostDataplane) -> None:
    frame = frame_from_11(content=BIG)
    outcome = ask(host_a, frame)
    quoted = bytes(frame)[14:142]
    answer = Ether(src=ROUTER, dst=mac_text(11)) / IP(src="10.7.1.1", dst="10.7.1.5", ttl=64, id=0)
    assert outcome.frame == bytes(answer / ICMP(type=3, code=4, nexthopmtu=1500) / Raw(quoted))
    assert steps(outcome)[-1] == "FRAGMENTATION_NEEDED"
    assert outcome.events[-1].detail == 1500


def test_the_substrate_may_be_the_narrow_part(host_a: HostDataplane) -> None:
    host_a.configure_substrate(host_a.substrate._replace(mtu=1466))
    outcome = ask(host_a, frame_from_11(content=UDP() / Raw(b"x" * 1400)))
    assert (outcome.verdict, outcome.events[-1].detail) == (Verdict.ANSWERED, 1400)
    assert ask(host_a, frame_from_11(content=UDP() / Raw(b"x" * 1372))).verdict is Verdict.SENT


def test_jumbo_frames_cross_where_the_substrate_carries_them(host_a: HostDataplane) -> None:
    """As large as a test run takes; 9,001 bytes cross in tests/netns."""
    host_a.configure_substrate(host_a.substrate._replace(mtu=9216))
    host_a.interfaces.put_many({Ifindex(plan.DEVICE): plan.interface_row(plan.interface(11, device_mtu=9001))})
    payload = UDP(sport=1, dport=2) / Raw(b"x" * (3200 - 28))
    outcome = ask(host_a, frame_from_11(content=payload))
    assert outcome.frame == bytes(expected_wrapping(outcome, frame_from_11(content=payload), 12))


def test_a_super_packet_is_measured_by_its_segments(host_a: HostDataplane) -> None:
    """3,000 bytes of TCP, cut at 1,448 or at 1,500: only the latter does not fit. Test runs can not wrap either."""
    frame = bytes(frame_from_11(content=TCP(sport=1, dport=2) / Raw(b"x" * 3000)))
    verdicts = {}
    for size in (1448, 1500):
        context = RunContext(mark=0x57490000, ifindex=plan.DEVICE, gso_segments=3, gso_size=size)
        verdicts[size] = Verdict(host_a.test_run(EGRESS, frame, context).cb[0])
    assert verdicts == {1448: Verdict.DROP_ENCAPSULATION, 1500: Verdict.ANSWERED}


def test_what_the_kernel_refuses_to_wrap_is_dropped(host_a: HostDataplane) -> None:
    context = RunContext(mark=0x57490000, ifindex=plan.DEVICE, gso_segments=2, gso_size=3)
    result = host_a.test_run(EGRESS, bytes(frame_from_11()), context)
    assert Verdict(result.cb[0]) is Verdict.DROP_ENCAPSULATION


def test_what_the_kernel_refuses_to_unwrap_is_dropped(host_a: HostDataplane) -> None:
    context = RunContext(mark=0x57490000, ifindex=plan.DEVICE, gso_segments=2, gso_size=3)
    result = host_a.test_run(INGRESS, bytes(wrapped(frame_to_11())), context)
    assert Verdict(result.cb[0]) is Verdict.DROP_DECAPSULATION


OTHERS = {
    "tcp": Ether(dst="ff:ff:ff:ff:ff:ff") / IP(dst="100.64.1.10") / TCP(dport=4581),
    "dns": Ether(dst="ff:ff:ff:ff:ff:ff") / IP(dst="100.64.1.10") / UDP(dport=53),
    "another host's": Ether(dst="ff:ff:ff:ff:ff:ff") / IP(dst="100.64.1.99") / UDP(dport=6081) / Raw(b"x" * 60),
    "arp": Ether(type=0x0806) / Raw(b"x" * 46),
    "ipv6": Ether(type=0x86DD) / Raw(b"x" * 60),
    "later fragment": Ether(dst="ff:ff:ff:ff:ff:ff") / IP(dst="100.64.1.10", frag=4) / UDP(dport=6081) / Raw(b"x" * 60),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_other_packets_of_the_substrate_are_left_alone(host_a: HostDataplane, other: Packet) -> None:
    outcome = ask(host_a, other, INGRESS)
    assert (outcome.verdict, outcome.frame) == (Verdict.NOT_OURS, bytes(other))


def test_nobody_speaks_without_a_configuration(host_a: HostDataplane) -> None:
    host_a.interfaces.delete_many([Ifindex(plan.DEVICE)])
    assert ask(host_a, frame_from_11()).verdict is Verdict.DROP_NOT_CONFIGURED


@pytest.fixture
def unconfigured(open_dataplane: Callable[[], HostDataplane]) -> HostDataplane:
    """Host A before anybody told it who it is."""
    real = open_dataplane()
    plan.fill(real, replace(plan.host_a(), substrate=None))
    return real


def test_without_a_substrate_nothing_leaves(unconfigured: HostDataplane) -> None:
    assert ask(unconfigured, frame_from_11()).verdict is Verdict.DROP_NOT_CONFIGURED


def test_without_a_substrate_no_overlay_packet_comes_in(unconfigured: HostDataplane) -> None:
    outcome = ask(unconfigured, wrapped(frame_to_11()), INGRESS)
    assert outcome.verdict is Verdict.DROP_NOT_CONFIGURED
    assert outcome.events[-1].outer_source == str(plan.HOST_B)


@pytest.mark.parametrize("other", [name for name in OTHERS if name != "another host's"])
def test_without_a_substrate_the_host_can_be_reached(unconfigured: HostDataplane, other: str) -> None:
    """Or nobody could configure it. Whose an overlay packet is, it can not say."""
    outcome = ask(unconfigured, OTHERS[other], INGRESS)
    assert (outcome.verdict, outcome.frame) == (Verdict.NOT_OURS, bytes(OTHERS[other]))


@pytest.mark.parametrize("program", [EGRESS, INGRESS])
def test_a_packet_cut_anywhere_is_never_passed_on(host_a: HostDataplane, program: str) -> None:
    """A test run takes no IPv4 frame below 34 bytes: those are in tests/netns."""
    whole = bytes(frame_from_11()) if program == EGRESS else bytes(wrapped(frame_to_11()))
    for length in range(34, len(whole)):
        outcome = ask(host_a, whole[:length], program)
        allowed = {Verdict.DROP_TRUNCATED, Verdict.DROP_MALFORMED_IP}
        assert outcome.verdict in allowed or (program == INGRESS and length < 42), length
