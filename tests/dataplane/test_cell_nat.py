"""A NAT gateway at a cell of one, two and four nodes: bytes in, bytes out, and what is kept where.

    instance 11 (10.7.1.5) -- host A -- cell, NAT gateway 10.7.8.10 (203.0.113.51) and 10.7.8.11 -- edge -- server 192.0.2.80
                                                                                       tests/dataplane/plan_cell.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.inet import ICMP, TCP, UDP, IPerror, TCPerror, UDPerror
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes, address_text
from rookery.dataplane.formats import Direction, DirectiveFlag, FlowKey, RouteKind, Verdict
from tests.dataplane import cells, model_cell, plan, plan_cell, plan_edge, rule_rows
from tests.dataplane.cells import Cell, Journey, from_outside, to_top
from tests.dataplane.guarded_gateway import legs
from tests.dataplane.packets import IP
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import NAT, NAT_ADDRESS, NAT_SECOND
from tests.dataplane.plan_edge import SERVER

CLIENT, OTHER = "10.7.1.5", "10.7.1.8"  # instances 11 and 14
OWN = (NAT_ADDRESS, NAT_SECOND)
SIZES = (1, 2, 4)


one_cell = cells.shared(cells.kinds(*SIZES, always=(4,)))


def tcp(flags: str = "S", sport: int = 1111, dport: int = 443, **fields: object) -> Packet:
    return TCP(sport=sport, dport=dport, flags=flags, **fields)


def out(cell: Cell, content: Packet, source: str = CLIENT, to: str = SERVER, top: int = 0, **fields: object) -> Journey:
    return cell.travel(to_top(ip(source, to, **fields) / content, top % len(cell.nodes), led_to=NAT))


def back(cell: Cell, content: Packet, to: str, source: str = SERVER, top: int = 0, **fields: object) -> Journey:
    return cell.travel(from_outside(ip(source, to, **fields) / content, top % len(cell.nodes)))


def as_sent(packet: Packet) -> bytes:
    """With checksums that scapy computes; what an error quotes is left as it is."""
    again = packet.copy()
    for layer in (again, again.payload):
        if "chksum" in layer.fields:
            del layer.chksum
    return bytes(again)


def key(source: str, sport: int, to: str, dport: int, protocol: int = 6) -> FlowKey:
    return FlowKey(plan.VPC, NAT, protocol, sport.to_bytes(2, "big"), dport.to_bytes(2, "big"), 0, address_bytes(source), address_bytes(to))


def answer_to(sent: Packet) -> tuple[str, int]:
    return sent.src, sent.sport


def test_a_connection_leaves_with_an_address_and_a_port_of_the_gateway(cell: Cell) -> None:
    """T6-01."""
    went = out(cell, tcp(), ttl=64)
    assert went.verdict is Verdict.SENT and went.host == str(plan_edge.EDGE_1)
    sent = went.packet
    assert sent.src in OWN and sent.dst == SERVER and sent.dport == 443 and sent.sport >= 1024 and sent.ttl == 63
    assert as_sent(sent) == bytes(sent)
    assert (went.claim.vni, went.claim.interface, went.claim.target) == (plan.VPC, NAT, 0)


def test_the_answer_finds_its_way_back(cell: Cell) -> None:
    address, port = answer_to(out(cell, tcp()).packet)
    for top in range(len(cell.nodes)):
        came = back(cell, tcp("SA", 443, port), address, top=top)
        assert came.host == str(plan.HOST_A)
        got = came.packet
        assert (got.src, got.dst, got.sport, got.dport) == (SERVER, CLIENT, 443, 1111)
        assert as_sent(got) == bytes(got)


def test_both_directions_are_kept_by_two_nodes_before_anything_leaves(cell: Cell) -> None:
    sent = out(cell, tcp()).packet
    places = range(len(cell.nodes))
    outward, inward = key(CLIENT, 1111, SERVER, 443), key(SERVER, 443, sent.src, sent.sport)
    first, *second = model_cell.keepers(plan_cell.SECRET, outward, places)
    assert set(second) <= set(cell.keepers(outward)) and first in cell.keepers(outward)
    assert cell.keepers(inward) == sorted(model_cell.keepers(plan_cell.SECRET, inward, places, handed_out=True))


def test_the_chain_is_at_most_five_hops_and_a_known_flow_needs_none(cell: Cell) -> None:
    for sport in range(2000, 2040):
        assert len(out(cell, tcp(sport=sport)).path) <= 6
        assert out(cell, tcp("A", sport=sport)).path == [0]


def test_a_repeated_syn_gets_the_same_decision_at_every_top(cell: Cell) -> None:
    decisions = {answer_to(out(cell, tcp(), top=top).packet) for top in (0, 1, 2, 3, 0, 1)}
    assert len(decisions) == 1


def test_two_clients_with_one_port_have_two_towards_one_server(cell: Cell) -> None:
    """T6-02."""
    assert answer_to(out(cell, tcp()).packet) != answer_to(out(cell, tcp(), OTHER).packet)


CONTENTS = {"UDP": UDP(sport=1111, dport=53) / Raw(b"penguin"), "UDP without a checksum": UDP(sport=1111, dport=53, chksum=0) / Raw(b"x" * 9)}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_datagrams_go_and_come(cell: Cell, content: Packet) -> None:
    sent = out(cell, content).packet
    assert bytes(sent[UDP].payload) == bytes(content.payload)
    assert sent[UDP].chksum == 0 if content.chksum == 0 else as_sent(sent) == bytes(sent)
    got = back(cell, UDP(sport=53, dport=sent.sport) / Raw(b"fish"), sent.src, top=1).packet
    assert (got.dst, got.dport, as_sent(got)) == (CLIENT, 1111, bytes(got))


def test_an_echo_is_answered_under_its_own_identifier(cell: Cell) -> None:
    sent = out(cell, ICMP(id=77, seq=3) / Raw(b"penguins")).packet
    assert sent[ICMP].id >= 1024 and as_sent(sent) == bytes(sent)
    got = back(cell, ICMP(type=0, id=sent[ICMP].id, seq=3) / Raw(b"penguins"), sent.src, top=1).packet
    assert (got.dst, got[ICMP].id, got[ICMP].seq, as_sent(got)) == (CLIENT, 77, 3, bytes(got))


@pytest.mark.parametrize("content", [tcp(), UDP(sport=1111, dport=53) / Raw(b"penguin"), ICMP(id=77) / Raw(b"x" * 8)], ids=["TCP", "UDP", "echo"])
def test_an_error_about_a_flow_reaches_whoever_sent_it(cell: Cell, content: Packet) -> None:
    sent = out(cell, content).packet
    error = ICMP(type=11, code=0) / Raw(bytes(sent)[:28])
    got = back(cell, error, sent.src, source="198.51.100.9").packet
    assert (got.src, got.dst, got[ICMP].type) == ("198.51.100.9", CLIENT, 11)
    quoted = got[IPerror]
    assert (quoted.src, quoted.dst) == (CLIENT, SERVER)
    assert bytes(quoted)[20:24] == bytes(content)[:4] or quoted.payload.name == "ICMP in ICMP"
    assert as_sent(IP(bytes(got))) == bytes(got)
    if TCPerror in got or UDPerror in got:
        assert quoted.payload.sport == 1111


def test_the_whole_quoted_packet_is_put_back(cell: Cell) -> None:
    """With its own checksum: as the client had sent it, but for the hop."""
    question = ip(CLIENT, SERVER, ttl=9) / UDP(sport=1111, dport=53) / Raw(b"penguins")
    sent = cell.travel(to_top(question, led_to=NAT)).packet
    got = back(cell, ICMP(type=3, code=3) / Raw(bytes(sent)), sent.src).packet
    expected = question.copy()
    expected.ttl = 8
    assert bytes(got[IPerror]) == bytes(expected)


def test_an_error_from_inside_speaks_of_the_gateways_address(cell: Cell) -> None:
    sent = out(cell, UDP(sport=1111, dport=53) / Raw(b"penguin")).packet
    answer = back(cell, UDP(sport=53, dport=sent.sport) / Raw(b"fish"), sent.src).packet
    told = out(cell, ICMP(type=3, code=3) / Raw(bytes(answer)[:28])).packet
    assert (told.src, told.dst) == (sent.src, SERVER)
    assert (told[IPerror].src, told[IPerror].dst, told[UDPerror].dport) == (SERVER, sent.src, sent.sport)


def test_what_nobody_asked_for_is_dropped_in_silence(cell: Cell) -> None:
    """T6-14, and T6-06: as after the flow's end."""
    for content in (tcp(dport=5000), tcp("A", dport=5000), UDP(sport=53, dport=5000), ICMP(type=0, id=5000), tcp(dport=22)):
        assert back(cell, content, NAT_ADDRESS).verdict is Verdict.DROP_NO_FLOW


@pytest.mark.parametrize("address", OWN)
def test_the_gateways_own_addresses_answer_nobody(cell: Cell, address: str) -> None:
    """T6-09."""
    assert cell.travel(to_top(ip(CLIENT, address) / ICMP(id=5))).verdict is Verdict.DROP_NO_FLOW
    assert back(cell, ICMP(id=5), address).verdict is Verdict.DROP_NO_FLOW


@pytest.mark.parametrize("protocol", [47, 50, 132])
def test_other_protocols_are_not_translated(cell: Cell, protocol: int) -> None:
    """T6-19."""
    assert out(cell, Raw(b"x" * 40), proto=protocol).verdict is Verdict.DROP_PROTOCOL


def forgotten(cell: Cell) -> None:
    """As after 350 s without a packet."""
    for name in ("directives", "trackers"):
        for _, table in cell.each(name):
            table.delete_many([one for one, _ in table.items()])  # type: ignore[attr-defined]


def test_after_its_end_a_connection_is_reset_towards_the_inside(cell: Cell) -> None:
    """T6-05."""
    out(cell, tcp())
    forgotten(cell)
    told = out(cell, tcp("PA", seq=1000, ack=2000) / Raw(b"hello"))
    assert told.host == str(plan.HOST_A) and told.claim.interface == NAT
    assert told.path[-1] == 0  # hosts need not believe others of the cell
    reset = told.packet
    assert (reset.src, reset.dst, reset.sport, reset.dport) == (SERVER, CLIENT, 443, 1111)
    assert (str(reset[TCP].flags), reset[TCP].seq) == ("R", 2000)
    assert as_sent(reset) == bytes(reset)


def test_a_reset_is_answered_with_nothing(cell: Cell) -> None:
    assert out(cell, tcp("R")).verdict is Verdict.DROP_NO_FLOW


def test_the_gateway_is_a_hop_with_its_private_address(cell: Cell) -> None:
    """T6-13."""
    told = out(cell, UDP(sport=33000, dport=33434) / Raw(b"x" * 32), ttl=1)
    assert told.host == str(plan.HOST_A)
    answer = told.packet
    assert (answer.src, answer.dst, answer[ICMP].type, answer[ICMP].code) == (NAT_ADDRESS, CLIENT, 11, 0)
    assert (answer[IPerror].dst, answer[UDPerror].sport) == (SERVER, 33000)
    assert as_sent(IP(bytes(answer))) == bytes(answer)


def test_from_outside_the_last_hop_is_not_told(cell: Cell) -> None:
    sent = out(cell, UDP(sport=1111, dport=53)).packet
    assert back(cell, UDP(sport=53, dport=sent.sport), sent.src, ttl=1).verdict is Verdict.DROP_HOP_LIMIT


@pytest.mark.parametrize(("named", "leaves"), [(8961, 8460), (8460, 8460), (1460, 1460)])
@pytest.mark.parametrize("before", [[], [("NOP", None)]], ids=["even", "odd"])
def test_a_handshake_names_no_larger_segments_than_the_cell_takes(cell: Cell, named: int, leaves: int, before: list[tuple[str, None]]) -> None:
    """T6-21."""
    sent = out(cell, tcp(options=[*before, ("MSS", named)])).packet
    assert dict(sent[TCP].options)["MSS"] == leaves and as_sent(sent) == bytes(sent)


def in_fragments(whole: Packet) -> list[dict[str, object]]:
    """Of a datagram of three: content and fields of the header."""
    content = bytes(whole)[20:]
    cuts = ((content[:1480], "MF", 0), (content[1480:2960], "MF", 185), (content[2960:], 0, 370))
    return [{"content": Raw(part), "flags": flags, "frag": offset, "proto": 17, "id": 99} for part, flags, offset in cuts]


def test_the_fragments_of_a_datagram_follow_the_first(cell: Cell) -> None:
    """T6-08: out, and those of the answer back. Put together, their checksum is right."""
    question = ip(CLIENT, SERVER, flags=0) / UDP(sport=1111, dport=53) / Raw(b"x" * 3000)
    went = [out(cell, **part).packet for part in in_fragments(question)]  # type: ignore[arg-type]
    (source,) = {one.src for one in went}
    arrived = ip(source, SERVER, proto=17, flags=0) / Raw(b"".join(bytes(one.payload) for one in went))
    assert as_sent(IP(bytes(arrived))) == bytes(arrived)
    port = IP(bytes(arrived))[UDP].sport
    answer = ip(SERVER, source, flags=0) / UDP(sport=53, dport=port) / Raw(b"y" * 3000)
    came = [back(cell, to=source, **part).packet for part in in_fragments(answer)]  # type: ignore[arg-type]
    assert {one.dst for one in came} == {CLIENT}
    arrived = ip(SERVER, CLIENT, proto=17, flags=0) / Raw(b"".join(bytes(one.payload) for one in came))
    assert (as_sent(IP(bytes(arrived))), IP(bytes(arrived))[UDP].dport) == (bytes(arrived), 1111)


@pytest.mark.parametrize("protocol", [1, 6])
def test_fragments_of_tcp_and_echoes_are_dropped(cell: Cell, protocol: int) -> None:
    """T6-08."""
    assert out(cell, Raw(b"\x08" + b"x" * 39), flags="MF", proto=protocol, id=9).verdict is Verdict.DROP_CELL_FRAGMENT
    assert out(cell, Raw(b"x" * 40), flags=0, frag=3, proto=protocol, id=9).verdict is Verdict.DROP_CELL_FRAGMENT


def test_a_later_fragment_without_its_first_belongs_to_nobody(cell: Cell) -> None:
    assert out(cell, Raw(b"x" * 40), flags=0, frag=3, proto=17, id=9).verdict is Verdict.DROP_UNKNOWN_FRAGMENT


@pytest.mark.parametrize(("denied", "verdicts"), [
    (rule_rows.into(rule_rows.TCP, (1024, 65535)), ("SENT", "DROP_NETWORK_ACL_INGRESS")),
    (rule_rows.into(rule_rows.ALL, cidr="10.7.1.0/24"), ("DROP_NETWORK_ACL_INGRESS",)),
    (rule_rows.out(rule_rows.ALL, cidr="192.0.2.0/24"), ("DROP_NETWORK_ACL_EGRESS",)),
    (rule_rows.out(rule_rows.TCP, 1111, "10.7.1.0/24"), ("SENT", "DROP_NETWORK_ACL_EGRESS")),
], ids=["answers of the server", "the inside", "the server", "answers to the inside"])  # fmt: skip
def test_the_network_acl_of_the_gateways_subnet_is_asked_on_both_legs(cell: Cell, denied: rule_rows.Rule, verdicts: tuple[str, ...]) -> None:
    """T6-16."""
    open_rest = [replace(denied, allow=False), *(rule_rows.Rule(direction) for direction in Direction)]
    answered = legs(cell, open_rest, lambda: out(cell, tcp()), lambda went: back(cell, tcp("SA", 443, went.packet.sport), went.packet.src))
    assert answered == verdicts


def test_the_routes_of_the_gateways_subnet_are_followed_packet_by_packet(cell: Cell) -> None:
    """Not those of the sender's; and a flow goes on where they lead by now."""
    assert out(cell, tcp(), to="198.51.100.64").host == str(plan_edge.EDGE_1)
    for node in cell.nodes:
        node.real.routes.put_many(plan_edge.default_route(8, RouteKind.BLACKHOLE))
    assert out(cell, tcp("A"), to="198.51.100.64").verdict is Verdict.DROP_BLACKHOLE
    for node in cell.nodes:
        node.real.routes.put_many(plan_edge.default_route(8, RouteKind.INTERFACE, target=16))
    went = out(cell, tcp("A"), to="198.51.100.64")
    assert (went.host, went.claim.target) == (str(plan.HOST_C), 16)


def test_an_instance_that_moved_gets_its_answers_where_it_is(cell: Cell) -> None:
    sent = out(cell, tcp()).packet
    assert back(cell, tcp("SA", 443, sent.sport), sent.src).host == str(plan.HOST_A)
    here = formats.MappingKey(plan.VPC, address_bytes(CLIENT))
    for node in cell.nodes:
        row = node.real.mappings.get(here)
        assert row
        node.real.mappings.put_many({here: row._replace(host=plan.HOST_C.packed)})
    assert back(cell, tcp("A", 443, sent.sport), sent.src).host == str(plan.HOST_C)


@pytest.mark.parametrize("forged", [
    to_top(ip(OTHER, SERVER) / TCP(dport=443), led_to=NAT, interface=11),
    to_top(ip("10.7.2.7", SERVER) / TCP(dport=443), led_to=NAT)[:26] + plan.HOST_A.packed + to_top(ip("10.7.2.7", SERVER) / TCP(dport=443), led_to=NAT)[30:],
], ids=["another interface", "another host"])  # fmt: skip
def test_nobody_leaves_in_anothers_name(cell: Cell, forged: bytes) -> None:
    assert cell.travel(forged).verdict is Verdict.DROP_SOURCE_NOT_AT_HOST


def test_what_is_too_large_for_the_internet_is_refused_by_the_gateway(cell: Cell) -> None:
    """Its sender is told; as much of it as is quoted is what he sent."""
    told = out(cell, UDP(sport=1111, dport=53) / Raw(b"x" * 1500))
    answer = told.packet
    assert (answer.src, answer.dst, answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu) == (NAT_ADDRESS, CLIENT, 3, 4, 1500)
    assert (answer[IPerror].src, answer[IPerror].dst, answer[UDPerror].sport) == (CLIENT, SERVER, 1111)
    assert as_sent(IP(bytes(answer))) == bytes(answer)


def test_an_established_flow_keeps_no_provisional_directive(cell: Cell) -> None:
    sent = out(cell, tcp()).packet
    back(cell, tcp("SA", 443, sent.sport), sent.src)
    out(cell, tcp("A"))
    held = dict(cell.nodes[0].real.directives.items())[key(CLIENT, 1111, SERVER, 443)]
    assert not held.flags & DirectiveFlag.PROVISIONAL
    assert address_text(held.source) == sent.src
