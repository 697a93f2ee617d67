"""NAT64: an instance that speaks IPv6 reaches servers that speak IPv4, through a NAT gateway at a cell of four nodes, of both builds, and of one.

    instance 11 (2001:db8:7:1::5) -- host A -- cell, NAT gateway 10.7.8.10 (203.0.113.51) and 10.7.8.11 -- edge -- server 192.0.2.80
                sends to 64:ff9b::192.0.2.80                                               tests/dataplane/plan_cell.py
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror, UDPerror
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPerror6,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.packet import Packet, Raw

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import Direction, FlowKey, Step, Verdict
from rookery.dataplane.syscall import RunContext
from rookery.host.lines import line_of
from rookery.trace.telling import step_line
from tests.dataplane import cells, model_cell, model_nat64, plan, plan_cell, plan_edge, rule_rows
from tests.dataplane.cells import Cell, Journey, from_outside, to_top
from tests.dataplane.guarded_gateway import legs
from tests.dataplane.model_nat64 import beside
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import NAT, NAT_ADDRESS, NAT_SECOND
from tests.dataplane.plan_edge import SERVER

CLIENT, OTHER = "2001:db8:7:1::5", "2001:db8:7:1::8"  # instances 11 and 14
OWN = (NAT_ADDRESS, NAT_SECOND)
THERE = beside(SERVER)
ROUTER = "198.51.100.9"  # on the way outside


one_cell = cells.shared(cells.kinds(4, always=(4,)))


def tcp(flags: str = "S", sport: int = 1111, dport: int = 443, **fields: object) -> Packet:
    return TCP(sport=sport, dport=dport, flags=flags, **fields)


def udp(data: bytes = b"penguins", **fields: object) -> Packet:
    return UDP(sport=1111, dport=53, **fields) / Raw(data)


def asks(cell: Cell, content: Packet, source: str = CLIENT, to: str = THERE, top: int = 0, **fields: object) -> Journey:
    number = {CLIENT: 11, OTHER: 14}[source]
    return cell.travel(to_top(IPv6(src=source, dst=to, **fields) / content, top % len(cell.nodes), led_to=NAT, interface=number))


def back(cell: Cell, content: Packet, to: str, source: str = SERVER, top: int = 0, **fields: object) -> Journey:
    return cell.travel(from_outside(ip(source, to, **fields) / content, top % len(cell.nodes)))


def as_sent(packet: Packet) -> bytes:
    """With checksums that scapy computes; what an error quotes is left as it is."""
    again = packet.__class__(bytes(packet))
    for layer in (again, again.payload):
        for name in ("chksum", "cksum"):
            if name in layer.fields:
                delattr(layer, name)
    return bytes(again)


def test_a_connection_leaves_with_the_gateways_ipv4_address(cell: Cell) -> None:
    """T6-18."""
    asked = IPv6(src=CLIENT, dst=THERE, tc=0x28, hlim=64, fl=0x12345) / tcp(options=[("MSS", 1440)])
    went = asks(cell, asked.payload, tc=0x28, hlim=64, fl=0x12345)
    assert went.verdict is Verdict.SENT and went.host == str(plan_edge.EDGE_1)
    sent = went.packet
    assert sent.src in OWN and sent.sport >= 1024
    assert bytes(sent) == model_nat64.to_ipv4(asked, sent.src, SERVER, (sent.sport, 443), sent.id)
    assert (went.claim.vni, went.claim.interface, went.claim.target) == (plan.VPC, NAT, 0)


def test_the_answer_comes_from_behind_the_prefix(cell: Cell) -> None:
    sent = asks(cell, tcp()).packet
    answer = ip(SERVER, sent.src, tos=0x10, ttl=50) / tcp("SA", 443, sent.sport)
    for top in range(len(cell.nodes)):
        came = back(cell, answer.payload, sent.src, top=top, tos=0x10, ttl=50)
        assert came.host == str(plan.HOST_A)
        assert bytes(came.packet) == model_nat64.to_ipv6(answer, THERE, CLIENT, (443, 1111))


def test_both_directions_are_kept_by_two_nodes_before_anything_leaves(cell: Cell) -> None:
    sent = asks(cell, tcp()).packet
    places = range(len(cell.nodes))
    outward = FlowKey(plan.VPC, NAT, 6, (1111).to_bytes(2, "big"), (443).to_bytes(2, "big"), 0, address_bytes(CLIENT), address_bytes(THERE))
    inward = FlowKey(plan.VPC, NAT, 6, (443).to_bytes(2, "big"), sent.sport.to_bytes(2, "big"), 0, address_bytes(SERVER), address_bytes(sent.src))
    assert set(cell.keepers(outward)) >= set(model_cell.keepers(plan_cell.SECRET, outward, places)[1:])
    assert cell.keepers(inward) == sorted(model_cell.keepers(plan_cell.SECRET, inward, places, handed_out=True))


def test_a_known_flow_needs_no_hop_and_no_shortcut_takes_it_elsewhere(cell: Cell) -> None:
    sent = asks(cell, tcp()).packet
    back(cell, tcp("SA", 443, sent.sport), sent.src)
    for _ in range(3):
        assert asks(cell, tcp("A")).path == [0]
        came = back(cell, tcp("A", 443, sent.sport), sent.src)
        assert (came.packet.src, came.packet.dst) == (THERE, CLIENT)


def test_a_port_is_one_flows_whatever_family_its_client_speaks(cell: Cell) -> None:
    """T6-02: the ports are of the same blocks."""
    sent = {(one.src, one.sport) for one in (asks(cell, tcp()).packet, asks(cell, tcp(), OTHER).packet)}
    old = cell.travel(to_top(ip("10.7.1.5", SERVER) / tcp(), led_to=NAT)).packet
    assert len({*sent, (old.src, old.sport)}) == 3


CONTENTS = {
    "TCP": tcp("PA", seq=7, ack=9) / Raw(b"penguin"),
    "UDP": udp(b"penguin"),
    "echo": ICMPv6EchoRequest(id=77, seq=3, data=b"penguins"),
}


@pytest.mark.parametrize("content", [udp(b"odd"), udp(b"x" * 1232), udp(b"x" * 1233), udp(b"x" * 1452)], ids=["odd", "1260", "1261", "1480"])
def test_only_what_is_larger_than_any_path_of_ipv6_must_not_be_cut(alone: Cell, content: Packet) -> None:
    sent = asks(alone, content).packet
    asked = IPv6(src=CLIENT, dst=THERE, nh=17) / content
    assert bytes(sent) == model_nat64.to_ipv4(asked, sent.src, SERVER, (sent.sport, 53), sent.id)


def test_an_echo_is_answered_under_its_own_identifier(cell: Cell) -> None:
    asked = IPv6(src=CLIENT, dst=THERE) / CONTENTS["echo"]
    sent = asks(cell, CONTENTS["echo"]).packet
    assert bytes(sent) == model_nat64.to_ipv4(asked, sent.src, SERVER, (sent[ICMP].id, 0), sent.id)
    answer = ip(SERVER, sent.src) / ICMP(type=0, id=sent[ICMP].id, seq=3) / Raw(b"penguins")
    got = back(cell, answer.payload, sent.src, top=1).packet
    assert bytes(got) == model_nat64.to_ipv6(answer, THERE, CLIENT, (0, 77))


@pytest.mark.parametrize("size", [0, 1, 504, 505, 1472, 1473, 3000])  # a kernel's test run takes no more
def test_a_datagram_without_a_checksum_gets_one(alone: Cell, size: int) -> None:
    """IPv6 wants one (RFC 8200, 8.1)."""
    sent = asks(alone, udp()).packet
    data = bytes(range(256)) * 12
    answer = ip(SERVER, sent.src) / UDP(sport=53, dport=sent.sport, chksum=0) / Raw(data[:size])
    got = back(alone, answer.payload, sent.src).packet
    assert got[UDP].chksum and bytes(got) == model_nat64.to_ipv6(answer, THERE, CLIENT, (53, 1111))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["TCP", "UDP", "UDP without a checksum", "echo"]), data=st.binary(max_size=1400),
    ports=st.tuples(st.integers(1, 65535), st.integers(1, 65535)), hops=st.integers(2, 255), tos=st.integers(0, 255),
    ends=st.tuples(st.sampled_from([CLIENT, OTHER]), st.ip_addresses(v=4, network="192.0.2.0/24")),
)  # fmt: skip
def test_there_and_back_the_payload_stays_and_every_checksum_is_right(alone: Cell, **drawn: Any) -> None:
    kind, data, hops, tos = (drawn[name] for name in ("kind", "data", "hops", "tos"))
    (sport, dport), (client, server) = drawn["ports"], drawn["ends"]
    content = {
        "TCP": TCP(sport=sport, dport=dport, flags="S") / Raw(data), "echo": ICMPv6EchoRequest(id=sport, seq=dport, data=data),
    }.get(kind, UDP(sport=sport, dport=dport) / Raw(data))  # fmt: skip
    asked = IPv6(src=client, dst=beside(str(server)), hlim=hops, tc=tos) / content
    asked = IPv6(bytes(asked))
    sent = asks(alone, content, client, beside(str(server)), hlim=hops, tc=tos).packet
    new = sent[ICMP].id if kind == "echo" else sent.sport
    assert bytes(sent) == model_nat64.to_ipv4(asked, sent.src, str(server), (new, dport), sent.id)
    answered = {
        "TCP": TCP(sport=dport, dport=new, flags="SA") / Raw(data), "echo": ICMP(type=0, id=new, seq=dport) / Raw(data),
        "UDP": UDP(sport=dport, dport=new) / Raw(data), "UDP without a checksum": UDP(sport=dport, dport=new, chksum=0) / Raw(data),
    }[kind]  # fmt: skip
    answer = IP(src=str(server), dst=sent.src, ttl=hops, tos=tos, flags="DF") / answered
    got = back(alone, answered, sent.src, str(server), ttl=hops, tos=tos).packet
    assert bytes(got) == model_nat64.to_ipv6(answer, beside(str(server)), client, (dport, sport))


# Errors

ERRORS = [(kind, code, now) for (kind, code), now in model_nat64.TO_IPV6.items()]


@pytest.mark.parametrize(("kind", "code", "now"), ERRORS, ids=[f"{kind}/{code}" for kind, code, _ in ERRORS])
def test_an_error_from_outside_says_the_same_in_ipv6(alone: Cell, kind: int, code: int, now: tuple[int, int] | None) -> None:
    """The whole table of RFC 7915, 4.2."""
    sent = asks(alone, udp()).packet
    error = ICMP(type=kind, code=code, nexthopmtu=1400) if kind == 3 else ICMP(type=kind, code=code, ptr=9) if kind == 12 else ICMP(type=kind, code=code)
    came = back(alone, error / Raw(bytes(sent)[:28]), sent.src, source=ROUTER)
    if now is None:
        assert came.verdict is Verdict.DROP_PROTOCOL
        return
    got = came.packet
    assert (came.host, got.src, got.dst) == (str(plan.HOST_A), beside(ROUTER), CLIENT)
    assert (bytes(got)[40], bytes(got)[41]) == now
    rest = int.from_bytes(bytes(got)[44:48], "big")
    assert rest == {(2, 0): 1420, (4, 1): 6, (4, 0): 6}.get(now, 0)
    quoted = got[IPerror6]
    assert (quoted.src, quoted.dst, quoted[UDPerror].sport, quoted[UDPerror].dport) == (CLIENT, THERE, 1111, 53)
    assert as_sent(got) == bytes(got)


ERRORS_BACK = [(kind, code, now) for (kind, code), now in model_nat64.TO_IPV4.items()]
IPV6_ERRORS = {1: ICMPv6DestUnreach, 2: ICMPv6PacketTooBig, 3: ICMPv6TimeExceeded, 4: ICMPv6ParamProblem}


@pytest.mark.parametrize(("kind", "code", "now"), ERRORS_BACK, ids=[f"{kind}/{code}" for kind, code, _ in ERRORS_BACK])
def test_an_error_from_inside_says_the_same_in_ipv4(alone: Cell, kind: int, code: int, now: tuple[int, int] | None) -> None:
    """The whole table of RFC 7915, 5.2."""
    sent = asks(alone, udp()).packet
    answer = back(alone, UDP(sport=53, dport=sent.sport) / Raw(b"fish"), sent.src).packet
    error = IPV6_ERRORS[kind](code=code, **({"mtu": 1400} if kind == 2 else {"ptr": 6} if kind == 4 else {}))
    told = asks(alone, error / Raw(bytes(answer)))
    if now is None:
        assert told.verdict is Verdict.DROP_PROTOCOL
        return
    got = told.packet
    assert (got.src, got.dst, got[ICMP].type, got[ICMP].code) == (sent.src, SERVER, *now)
    rest = int.from_bytes(bytes(got)[24:28], "big")
    assert rest == {(3, 4): 1380, (12, 0): 9 << 24}.get(now, 0)
    assert (got[IPerror].src, got[IPerror].dst, got[UDPerror].sport, got[UDPerror].dport) == (SERVER, sent.src, 53, sent.sport)
    assert as_sent(got) == bytes(got)


@pytest.mark.parametrize(("at", "there"), [(at, model_nat64.POINTER_TO_IPV6.get(at)) for at in range(22)])
def test_a_parameter_problem_points_at_the_same_field_of_ipv6(alone: Cell, at: int, there: int | None) -> None:
    sent = asks(alone, udp()).packet
    came = back(alone, ICMP(type=12, code=0, ptr=at) / Raw(bytes(sent)[:28]), sent.src, source=ROUTER)
    assert came.verdict is Verdict.DROP_PROTOCOL if there is None else came.packet[ICMPv6ParamProblem].ptr == there


@pytest.mark.parametrize(("at", "there"), [(at, model_nat64.POINTER_TO_IPV4.get(at)) for at in range(42)])
def test_a_parameter_problem_points_at_the_same_field_of_ipv4(alone: Cell, at: int, there: int | None) -> None:
    sent = asks(alone, udp()).packet
    answer = back(alone, UDP(sport=53, dport=sent.sport) / Raw(b"fish"), sent.src).packet
    told = asks(alone, ICMPv6ParamProblem(code=0, ptr=at) / Raw(bytes(answer)))
    assert told.verdict is Verdict.DROP_PROTOCOL if there is None else told.packet[ICMP].ptr == there


@pytest.mark.parametrize(("named", "bytes_sent"), [(1500, 60), (1280, 60), (68, 60), (0, 1500), (0, 1400), (0, 5000)])
def test_the_larger_header_is_added_to_the_mtu_and_no_path_of_ipv6_is_too_small(alone: Cell, named: int, bytes_sent: int) -> None:
    sent = asks(alone, udp()).packet
    quoted = sent.copy()
    quoted.len = bytes_sent
    del quoted.chksum
    came = back(alone, ICMP(type=3, code=4, nexthopmtu=named) / Raw(bytes(quoted)[:28]), sent.src, source=ROUTER).packet
    assert came[ICMPv6PacketTooBig].mtu == model_nat64.mtu_to_ipv6(named, bytes_sent)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
@pytest.mark.parametrize("whole", [False, True], ids=["eight bytes", "all of it"])
def test_the_quoted_packet_is_the_one_that_its_sender_knows(cell: Cell, content: Packet, whole: bool) -> None:
    """With its own checksum, as far as that is quoted."""
    asks(cell, tcp()) if TCP in content else None
    asked = IPv6(src=CLIENT, dst=THERE, hlim=9) / (content / Raw(b"x" * 80) if ICMPv6EchoRequest not in content else ICMPv6EchoRequest(id=77, seq=3, data=b"y" * 88))
    sent = asks(cell, asked.payload, hlim=9).packet
    came = back(cell, ICMP(type=11, code=0) / Raw(bytes(sent) if whole else bytes(sent)[:28]), sent.src, source=ROUTER).packet
    quoted = bytes(came)[48:]
    expected = IPv6(bytes(asked))
    expected.hlim = 8
    assert quoted == bytes(expected)[: 40 + (88 if whole else 8)]
    assert as_sent(came) == bytes(came)


@pytest.mark.parametrize("whole", [False, True], ids=["eight bytes", "all of it"])
def test_what_the_inside_quotes_is_what_the_server_had_sent(cell: Cell, whole: bool) -> None:
    sent = asks(cell, CONTENTS["echo"]).packet
    answer = ip(SERVER, sent.src, ttl=50, flags=0, id=7) / ICMP(type=0, id=sent[ICMP].id, seq=3) / Raw(b"z" * 100)
    got = back(cell, answer.payload, sent.src, ttl=50).packet
    told = asks(cell, ICMPv6DestUnreach(code=1) / Raw(bytes(got) if whole else bytes(got)[:48])).packet
    assert bytes(told)[48 : 48 + 8] == bytes(answer)[20:28]
    assert len(bytes(told)) == 48 + (88 if whole else 8)
    assert (told[IPerror].src, told[IPerror].dst, told[IPerror].ttl) == (SERVER, sent.src, 49)
    assert as_sent(told) == bytes(told)


def test_an_error_about_a_connection_quotes_its_checksum_too(cell: Cell) -> None:
    asks(cell, tcp())
    sent = asks(cell, tcp("PA", seq=5, ack=6) / Raw(b"w" * 100)).packet
    came = back(cell, ICMP(type=3, code=4, nexthopmtu=1400) / Raw(bytes(sent)), sent.src, source=ROUTER).packet
    assert came[TCPerror].seq == 5 and came[ICMPv6PacketTooBig].mtu == 1420


@pytest.mark.parametrize("quoted", [
    IPv6(src=beside("192.0.2.99"), dst=CLIENT) / UDP(sport=53, dport=1111), IPv6(src="2001:db8::1", dst=CLIENT) / UDP(sport=53, dport=1111),
    IP(src=SERVER, dst="10.7.1.5") / UDP(sport=53, dport=1111),
], ids=["another server", "no server of NAT64", "IPv4"])  # fmt: skip
def test_an_error_about_no_flow_is_not_passed_on(cell: Cell, quoted: Packet) -> None:
    asks(cell, udp())
    assert asks(cell, ICMPv6DestUnreach() / Raw(bytes(quoted) + bytes(24))).verdict is Verdict.DROP_NO_FLOW


# What the gateway says itself


def test_the_gateway_is_a_hop_with_its_private_address(cell: Cell) -> None:
    """T6-13, in IPv6."""
    told = asks(cell, UDP(sport=33000, dport=33434) / Raw(b"x" * 100), hlim=1)
    answer = told.packet
    assert (told.host, answer.src, answer.dst) == (str(plan.HOST_A), beside(NAT_ADDRESS), CLIENT)
    assert (answer[ICMPv6TimeExceeded].code, answer[IPerror6].dst, answer[UDPerror].sport) == (0, THERE, 33000)
    assert as_sent(answer) == bytes(answer)


def test_a_short_packet_is_told_of_as_well(cell: Cell) -> None:
    answer = asks(cell, UDP(sport=33000, dport=33434) / Raw(b"x"), hlim=1).packet
    assert answer[UDPerror].sport == 33000 and as_sent(answer) == bytes(answer)


def test_what_is_too_large_for_the_internet_is_refused_with_the_mtu_of_its_own_family(cell: Cell) -> None:
    assert asks(cell, udp(b"x" * (1520 - 48))).packet.len == 1500
    answer = asks(cell, udp(b"x" * (1521 - 48))).packet
    assert (answer.src, answer.dst, answer[ICMPv6PacketTooBig].mtu) == (beside(NAT_ADDRESS), CLIENT, 1520)
    assert (answer[IPerror6].src, answer[IPerror6].dst) == (CLIENT, THERE)
    assert as_sent(answer) == bytes(answer)


def test_after_its_end_a_connection_is_reset_towards_the_inside(cell: Cell) -> None:
    """T6-05, in IPv6."""
    asks(cell, tcp())
    cell.restore()
    told = asks(cell, tcp("PA", seq=1000, ack=2000) / Raw(b"hello"))
    reset = told.packet
    assert (told.host, reset.src, reset.dst, reset.sport, reset.dport) == (str(plan.HOST_A), THERE, CLIENT, 443, 1111)
    assert (str(reset[TCP].flags), reset[TCP].seq) == ("R", 2000)
    assert as_sent(reset) == bytes(reset)


@pytest.mark.parametrize(("named", "leaves"), [(8961, 8440), (8440, 8440), (1440, 1440)])
def test_a_handshake_names_no_larger_segments_than_ipv6_brings_to_the_cell(alone: Cell, named: int, leaves: int) -> None:
    sent = asks(alone, tcp(options=[("NOP", None), ("MSS", named)])).packet
    assert dict(sent[TCP].options)["MSS"] == leaves and as_sent(sent) == bytes(sent)
    got = back(alone, TCP(sport=443, dport=sent.sport, flags="SA", options=[("MSS", named)]), sent.src).packet
    assert dict(got[TCP].options)["MSS"] == leaves and as_sent(got) == bytes(got)


# Fragments


def test_the_fragments_of_a_datagram_become_fragments_of_the_other_family(cell: Cell) -> None:
    """T6-08, in IPv6."""
    whole = bytes(IPv6(src=CLIENT, dst=THERE) / udp(b"x" * 3000))[40:]
    parts = [(0, 1, whole[:1448]), (181, 1, whole[1448:2896]), (362, 0, whole[2896:])]
    sent = [asks(cell, IPv6ExtHdrFragment(nh=17, id=0xABCD1234, offset=at, m=more) / Raw(data)).packet for at, more, data in parts]
    assert [(one.id, one.frag, str(one.flags), one.proto) for one in sent] == [(0x1234, 0, "MF", 17), (0x1234, 181, "MF", 17), (0x1234, 362, "", 17)]
    together = IP(bytes(IP(src=sent[0].src, dst=SERVER, proto=17) / Raw(b"".join(bytes(one.payload) for one in sent))))
    assert as_sent(together) == bytes(together) and bytes(together[UDP].payload) == b"x" * 3000
    answer = bytes(ip(SERVER, sent[0].src, flags=0) / UDP(sport=53, dport=together.sport) / Raw(b"y" * 2000))[20:]
    came = [
        back(cell, Raw(answer[:1480]), sent[0].src, flags="MF", proto=17, id=99).packet,
        back(cell, Raw(answer[1480:]), sent[0].src, flags=0, frag=185, proto=17, id=99).packet,
    ]
    fragments = [one[IPv6ExtHdrFragment] for one in came]
    assert [(one.id, one.offset, one.m, one.nh) for one in fragments] == [(99, 0, 1, 17), (99, 185, 0, 17)]
    assert {(one.src, one.dst) for one in came} == {(THERE, CLIENT)}
    got = IPv6(bytes(IPv6(src=THERE, dst=CLIENT, nh=17) / Raw(b"".join(bytes(one)[48:] for one in came))))
    assert as_sent(got) == bytes(got) and got.dport == 1111


def test_a_first_fragment_without_a_checksum_is_dropped(cell: Cell) -> None:
    """RFC 7915, 4.5: nobody here sees all of the datagram."""
    sent = asks(cell, udp()).packet
    first = bytes(UDP(sport=53, dport=sent.sport, len=2008, chksum=0) / Raw(b"y" * 1000))
    assert back(cell, Raw(first), sent.src, flags="MF", proto=17, id=99).verdict is Verdict.DROP_CELL_FRAGMENT


def test_a_fragment_that_is_the_whole_packet_loses_its_header(cell: Cell) -> None:
    """RFC 6946."""
    whole = bytes(IPv6(src=CLIENT, dst=THERE) / udp())[40:]
    sent = asks(cell, IPv6ExtHdrFragment(nh=17, id=5, offset=0, m=0) / Raw(whole)).packet
    assert (sent.frag, str(sent.flags)) == (0, "") and as_sent(sent) == bytes(sent)


# Who may, and where to


@pytest.mark.parametrize(("to", "verdict"), [
    ("2001:db8::80", Verdict.DROP_PROTOCOL), ("64:ff9c::192.0.2.80", Verdict.DROP_PROTOCOL), ("64:ff9b:1::192.0.2.80", Verdict.DROP_PROTOCOL),
    ("64:ff9b::1:192.0.2.80", Verdict.DROP_PROTOCOL), (beside("224.0.0.1"), Verdict.DROP_MULTICAST), (beside("255.255.255.255"), Verdict.DROP_MULTICAST),
    (beside("169.254.169.254"), Verdict.DROP_LINK_LOCAL),
])  # fmt: skip
def test_a_gateway_takes_ipv6_for_addresses_of_ipv4_alone(alone: Cell, to: str, verdict: Verdict) -> None:
    assert asks(alone, tcp(), to=to).verdict is verdict


def test_what_nat64_leads_to_is_nothing_that_a_balancer_takes(alone: Cell) -> None:
    packet = IPv6(src=CLIENT, dst=THERE) / tcp(dport=80)
    assert alone.travel(to_top(packet, led_to=plan_cell.BALANCER, interface=11)).verdict is Verdict.DROP_NO_FLOW


@pytest.mark.parametrize("content", [Raw(b"x" * 40), IPv6ExtHdrDestOpt() / tcp()], ids=["a protocol that is not translated", "options"])
def test_what_has_no_form_in_ipv4_is_dropped(cell: Cell, content: Packet) -> None:
    """T6-19, in IPv6."""
    fields = {"nh": 47} if isinstance(content, Raw) else {}
    assert asks(cell, content, **fields).verdict is Verdict.DROP_PROTOCOL


def test_an_address_inside_the_vpc_is_reached_by_the_gateways_own_routes(cell: Cell) -> None:
    """Private addresses, too: what of them there is, the gateway's subnet knows."""
    went = asks(cell, tcp(), to=beside("10.7.2.7"))
    assert (went.host, went.packet.dst) == (str(plan.HOST_B), "10.7.2.7")


@pytest.mark.parametrize(("denied", "verdicts"), [
    (rule_rows.into(rule_rows.ALL, cidr="2001:db8:7:1::/64"), ("DROP_NETWORK_ACL_INGRESS",)),
    (rule_rows.into(rule_rows.ALL, cidr="192.0.2.0/24"), ("SENT", "DROP_NETWORK_ACL_INGRESS")),
    (rule_rows.out(rule_rows.ALL, cidr="192.0.2.0/24"), ("DROP_NETWORK_ACL_EGRESS",)),
    (rule_rows.out(rule_rows.TCP, 1111, "2001:db8:7:1::/64"), ("SENT", "DROP_NETWORK_ACL_EGRESS")),
], ids=["the inside", "answers of the server", "the server", "answers to the inside"])  # fmt: skip
def test_the_network_acl_of_the_gateways_subnet_is_asked_on_both_legs(cell: Cell, denied: rule_rows.Rule, verdicts: tuple[str, ...]) -> None:
    """T6-16: each leg in its own family."""
    open_rest = [replace(denied, allow=False), *(rule_rows.Rule(direction) for direction in Direction), *(rule_rows.Rule(direction, cidr="::/0") for direction in Direction)]
    answered = legs(cell, open_rest, lambda: asks(cell, tcp()), lambda went: back(cell, tcp("SA", 443, went.packet.sport), went.packet.src))
    assert answered == verdicts


def test_a_trace_says_that_the_family_changes(alone: Cell) -> None:
    packet = IPv6(src=CLIENT, dst=THERE) / tcp(sport=4321)
    (outcome,) = alone.what_if(to_top(packet, led_to=NAT, interface=11))
    lines = {event.step: step_line(line_of(event, host="node-0", names={}, boot=0.0), hosts={}) for event in outcome.events}
    assert outcome.verdict is Verdict.SENT
    assert lines[Step.FAMILY_TRANSLATED].endswith(f"-> {SERVER}") and "10.7.8.1" in lines[Step.FAMILY_TRANSLATED]


def test_a_super_packet_is_given_to_the_kernel_to_be_cut(alone: Cell) -> None:
    asks(alone, tcp())
    node = alone.nodes[0]
    before = {key.verdict: row.packets for key, row in node.real.counters().items()}.get(Verdict.DEFERRED, 0)
    wire = to_top(IPv6(src=CLIENT, dst=THERE) / tcp("PA") / Raw(b"x" * 2800), led_to=NAT, interface=11)
    left = node.real.test_run("hyperplane", wire, RunContext(mark=0, ifindex=plan.DEVICE, gso_size=1400))
    assert left.frame == wire
    assert {key.verdict: row.packets for key, row in node.real.counters().items()}[Verdict.DEFERRED] > before
