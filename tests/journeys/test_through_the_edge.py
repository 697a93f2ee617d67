"""Out of a VPC and back in: bytes out of a host into an edge, out to the internet or back to a host. All in one process.

    11 (10.7.1.5, 203.0.113.5) host A --+
    13 (10.7.2.7, 203.0.113.7) host B --+-- edge -- server 192.0.2.80
    31 (10.6.1.5, 203.0.113.31) of VPC 6, host B        tests/dataplane/plan_edge.py
"""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.formats import GatewayFlag, RouteKind, Step, Verdict
from rookery.dataplane.table import Table
from rookery.host.lines import line_of
from rookery.trace.telling import step_line
from tests.dataplane import plan, plan_edge
from tests.dataplane.edges import Region
from tests.dataplane.packets import IP, ROUTER, mac_text, steps
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_edge import SERVER, SERVER_IPV6

A, A_PUBLIC = "10.7.1.5", "203.0.113.5"
B, B_PUBLIC = "10.7.2.7", "203.0.113.7"
OTHER, OTHER_PUBLIC = "10.6.1.5", "203.0.113.31"


def syn() -> Packet:
    return TCP(sport=1111, dport=443, flags="S")


def handed_over(number: int, packet: Packet) -> bytes:
    """What instance `number` gets from its router."""
    return bytes(Ether(src=ROUTER, dst=mac_text(number)) / packet)


def test_out_and_back(whole: Region) -> None:
    out = whole.edge.outward(whole.leave(11, ip(A, SERVER) / syn()).frame)
    assert out.frame[14:] == bytes(ip(A_PUBLIC, SERVER) / syn())
    assert steps(out) == ["RECEIVED", "VERIFIED", "SOURCE_TRANSLATED", "UNWRAPPED", "SENT_OUTSIDE"]
    answer = TCP(sport=443, dport=1111, flags="SA")
    back = whole.edge.inward(ip(SERVER, A_PUBLIC) / answer)
    assert steps(back) == ["RECEIVED", "DESTINATION_TRANSLATED", "MAPPING_FOUND", "WRAPPED"]
    assert whole.arrive(back.frame).frame == handed_over(11, ip(SERVER, A) / answer)


def test_ipv6_out_and_back(whole: Region) -> None:
    own = "2001:db8:7:1::5"
    out = whole.edge.outward(whole.leave(11, ip(own, SERVER_IPV6) / syn()).frame)
    assert out.frame[14:] == bytes(ip(own, SERVER_IPV6) / syn())
    back = whole.edge.inward(ip(SERVER_IPV6, own) / UDP())
    assert whole.arrive(back.frame).frame == handed_over(11, ip(SERVER_IPV6, own) / UDP())


def test_an_edge_remembers_no_flow(whole: Region) -> None:
    """T5-12: so none of its is ever too old."""

    def known() -> list[dict]:
        return [dict(table.items()) for table in vars(whole.edge.real).values() if isinstance(table, Table)]

    before = known()
    whole.edge.outward(whole.leave(11, ip(A, SERVER) / syn()).frame)
    whole.edge.inward(ip(SERVER, A_PUBLIC) / TCP(sport=443, dport=1111, flags="SA"))
    assert len(before) > 5
    assert known() == before


def test_without_a_public_address_nothing_leaves_the_edge(whole: Region) -> None:
    """T5-01."""
    left = whole.leave(14, ip("10.7.1.8", SERVER) / syn())
    assert whole.edge.outward(left.frame).verdict is Verdict.DROP_NO_PUBLIC_ADDRESS


def test_a_public_address_of_the_vpc_is_reached_through_the_edge(whole: Region) -> None:
    """T5-05: B sees A's public address, and answers to it."""
    came = whole.travel(11, ip(A, B_PUBLIC) / syn())
    assert came.frame == handed_over(13, ip(A_PUBLIC, B) / syn())
    whole.hosts["100.64.1.11"].routes.put_many(plan_edge.default_route(1, RouteKind.INTERNET))
    answer = TCP(sport=443, dport=1111, flags="SA")
    came = whole.travel(13, ip(B, A_PUBLIC) / answer)
    assert came.frame == handed_over(11, ip(B_PUBLIC, A) / answer)


def test_the_edge_tells_both_translations(whole: Region) -> None:
    back = whole.edge.outward(whole.leave(11, ip(A, B_PUBLIC) / syn()).frame)
    assert steps(back) == ["RECEIVED", "VERIFIED", "SOURCE_TRANSLATED", "DESTINATION_TRANSLATED", "MAPPING_FOUND", "WRAPPED"]
    by_step = {event.step.name: event for event in back.events}
    assert by_step["SOURCE_TRANSLATED"].source == A_PUBLIC
    assert by_step["DESTINATION_TRANSLATED"].destination == B


def test_ones_own_public_address_leads_back_to_oneself(whole: Region) -> None:
    came = whole.travel(11, ip(A, A_PUBLIC) / syn())
    assert came.frame == handed_over(11, ip(A_PUBLIC, A) / syn())


def test_a_public_address_of_another_vpc_is_reached_the_same_way(whole: Region) -> None:
    came = whole.travel(11, ip(A, OTHER_PUBLIC) / syn())
    assert came.frame == handed_over(31, ip(A_PUBLIC, OTHER) / syn())
    answer = ip(OTHER, A_PUBLIC) / TCP(sport=443, dport=1111, flags="SA")
    assert whole.travel(31, answer).frame == handed_over(11, ip(OTHER_PUBLIC, A) / TCP(sport=443, dport=1111, flags="SA"))


def test_the_other_vpc_needs_its_gateway(whole: Region) -> None:
    left = whole.leave(11, ip(A, OTHER_PUBLIC) / syn())
    plan_edge.put_gateway(whole.edge.real, plan.PEER, formats.Gateway(GatewayFlag.EGRESS_ONLY, 0))
    assert whole.edge.outward(left.frame).verdict is Verdict.DROP_NO_GATEWAY


@pytest.mark.parametrize(("number", "private", "public"), [(13, B, B_PUBLIC), (31, OTHER, OTHER_PUBLIC)])
def test_an_error_on_the_way_back_quotes_what_its_reader_sent(whole: Region, number: int, private: str, public: str) -> None:
    """A sent A -> public; the other got A's public address -> private, and says so."""
    error, sent = ICMP(type=3, code=3), UDP(sport=1111, dport=53) / Raw(b"nobody listens")
    complaint = ip(private, A_PUBLIC) / error / Raw(bytes(ip(A_PUBLIC, private) / sent))
    came = whole.travel(number, complaint)
    assert came.frame == handed_over(11, ip(public, A) / error / Raw(bytes(ip(A, public) / sent)))


def test_fragments_turn_back_too(whole: Region) -> None:
    whole_one = IP(bytes(IP(src=A, dst=B_PUBLIC, id=5) / UDP(sport=1, dport=2) / Raw(b"x" * 2000)))
    as_seen = IP(bytes(IP(src=A_PUBLIC, dst=B, id=5) / UDP(sport=1, dport=2) / Raw(b"x" * 2000)))
    for sent, seen in zip(whole_one.fragment(1400), as_seen.fragment(1400), strict=True):
        left = whole.leave(11, IP(bytes(sent)))
        if left.verdict is Verdict.DROP_UNKNOWN_FRAGMENT:  # a what-if keeps no ports of the first one
            continue
        assert whole.edge.outward(left.frame).frame[80:] == bytes(seen)


def test_what_an_edge_turns_back_no_edge_takes_for_a_host(whole: Region) -> None:
    """Nor from another edge: what comes from outside is for hosts."""
    back = whole.edge.outward(whole.leave(11, ip(A, B_PUBLIC) / syn()).frame).frame
    redirected = back[:30] + plan_edge.EDGE_1.packed + back[34:]
    assert whole.edge.outward(redirected).verdict is Verdict.DROP_SOURCE_NOT_AT_HOST
    other = redirected[:26] + plan_edge.EDGE_2.packed + redirected[30:]
    assert whole.edge.outward(other).verdict is Verdict.DROP_SOURCE_NOT_MAPPED


def test_an_appliance_gets_what_comes_in_and_passes_it_on(whole: Region) -> None:
    """The gateway's route table leads to 16 on host C; 16 sends it on to 11, and its answers out with 11's public address."""
    whole.edge.real.routes.put_many(plan_edge.default_route(9, RouteKind.INTERFACE, target=16))
    plan_edge.put_gateway(whole.edge.real, plan.VPC, formats.Gateway(GatewayFlag.INTERNET, 9))
    whole.hosts["100.64.1.12"].routes.put_many(plan_edge.default_route(5, RouteKind.INTERNET))
    inside = ip(SERVER, A) / syn()
    came = whole.arrive(whole.edge.inward(ip(SERVER, A_PUBLIC) / syn()).frame)
    assert came.frame == handed_over(16, inside)
    assert whole.arrive(whole.leave(16, inside).frame).frame == handed_over(11, inside)
    answer = ip(A, SERVER) / TCP(sport=443, dport=1111, flags="SA")
    out = whole.edge.outward(whole.leave(16, answer).frame)
    assert out.frame[14:] == bytes(ip(A_PUBLIC, SERVER) / TCP(sport=443, dport=1111, flags="SA"))


def test_every_step_at_an_edge_is_told_in_words(whole: Region) -> None:
    left = whole.leave(11, ip(A, SERVER) / syn())
    turned = whole.edge.outward(whole.leave(11, ip(A, B_PUBLIC) / syn()).frame)
    runs = [left, whole.edge.outward(left.frame), turned, whole.arrive(turned.frame)]
    told = {
        event.step: step_line(line_of(event, host="edge-1", names={}, boot=0.0), {"100.64.1.20": "edge-1"})
        for run in runs
        for event in run.events
    }
    assert told[Step.EDGE_CHOSEN] == "edge chosen: edge-1 leads out of the VPC"
    assert told[Step.ROUTE_FOUND] == "route found: internet gateway"
    assert told[Step.SOURCE_TRANSLATED] == "source translated: seen outside as 203.0.113.5"
    assert told[Step.SENT_OUTSIDE] == "sent outside: 203.0.113.5 -> 192.0.2.80"
    assert told[Step.DESTINATION_TRANSLATED] == "destination translated: 10.7.2.7 in VPC 000007"
    assert told[Step.FROM_EDGE] == "verified: edge-1 is an edge, and speaks for the internet"
