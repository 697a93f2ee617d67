"""A balancer and an endpoint with IPv6 addresses: clients and targets of either family, at a cell of four nodes, of both builds, and of one.

    client 11 (10.7.1.5, 2001:db8:7:1::5, host A) -- cell, balancer 10.7.9.10 and 2001:db8:7:9::10 -- targets 12 and 13 at host B, of either family
    consumer 31 (2001:db8:6:1::5, host B, VPC 6) -- endpoint 2001:db8:6:5::50 --/              tests/dataplane/plan_cell.py
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, TCP, IPerror, TCPerror
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    IPerror6,
    IPv6,
    IPv6ExtHdrDestOpt,
)
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    AttachmentFlag,
    ChecksConfig,
    CheckWay,
    GatewayFlag,
    RouteKind,
    RowNumber,
    Step,
    TargetFlag,
    Verdict,
)
from rookery.dataplane.syscall import RunContext
from rookery.hyperplane.check_ways import address_of, local_address, ports_of
from tests.dataplane import cells, model_nat64, plan, plan_cell, plan_edge, rule_rows
from tests.dataplane.cells import Cell, Journey, from_outside, to_top
from tests.dataplane.packets import IP, Ether
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import (
    BALANCER,
    BALANCER_ADDRESS,
    BALANCER_IPV6,
    CONSUMER_IPV6,
    ENDPOINT,
    ENDPOINT_IPV6,
    TARGETS,
    TARGETS_IPV6,
)

CLIENT, CLIENT_IPV4, OTHER = "2001:db8:7:1::5", "10.7.1.5", "2001:db8:7:1::8"
OUTSIDE = "2620:fe::9"
PRESERVED, HIDDEN, PRESERVED_IPV6, HIDDEN_IPV6 = 80, 8080, 90, 9090  # listeners; the latter two have targets of IPv6
FAMILIES = {PRESERVED: TARGETS, HIDDEN: TARGETS, PRESERVED_IPV6: TARGETS_IPV6, HIDDEN_IPV6: TARGETS_IPV6}
POLICY = 77


one_cell = cells.shared(cells.kinds(4, always=(4,)))


def ask(cell: Cell, content: Packet, source: str = CLIENT, to: str = BALANCER_IPV6, top: int = 0, **fields: object) -> Journey:
    return cell.travel(to_top(ip(source, to, **fields) / content, top % len(cell.nodes)))


def answer(cell: Cell, content: Packet, went: Journey, led_to: int = 0, top: int = 1, **fields: object) -> Journey:
    got = went.packet
    return cell.travel(to_top(ip(got.dst, got.src, **fields) / content, top % len(cell.nodes), led_to=led_to))


def syn(dport: int, sport: int = 1111, **fields: object) -> Packet:
    return TCP(sport=sport, dport=dport, flags="S", **fields)


def as_sent(packet: Packet) -> bytes:
    """With checksums that scapy computes; what an error quotes is left as it is."""
    again = packet.__class__(bytes(packet))
    for layer in (again, again.payload):
        for name in ("chksum", "cksum"):
            if name in layer.fields:
                delattr(layer, name)
    return bytes(again)


def ends(packet: Packet) -> tuple[str, int, str, int]:
    return packet.src, packet.sport, packet.dst, packet.dport


PATHS = [
    pytest.param(CLIENT, BALANCER_IPV6, port, id=f"IPv6 to {port}") for port in (PRESERVED, HIDDEN, PRESERVED_IPV6, HIDDEN_IPV6)
] + [pytest.param(CLIENT_IPV4, BALANCER_ADDRESS, port, id=f"IPv4 to {port}") for port in (PRESERVED_IPV6, HIDDEN_IPV6)]  # fmt: skip


@pytest.mark.parametrize(("client", "balancer", "port"), PATHS)
def test_a_connection_reaches_a_target_of_either_family_and_its_answers_the_client(cell: Cell, client: str, balancer: str, port: int) -> None:
    """T7-01: the client is preserved where it speaks its target's family, and hidden behind the balancer's address of that one elsewhere."""
    went = ask(cell, syn(port), client, balancer)
    got = went.packet
    assert (got.dst, got.dport) in [target[:2] for target in FAMILIES[port]]
    assert went.host == str(plan.HOST_B) and (went.claim.vni, went.claim.interface) == (plan.VPC, BALANCER)
    preserved = port in (PRESERVED, PRESERVED_IPV6) and (":" in client) == (":" in got.dst)
    if preserved:
        assert (got.src, got.sport) == (client, 1111)
    else:
        assert got.src == (BALANCER_IPV6 if ":" in got.dst else BALANCER_ADDRESS) and got.sport >= 1024
    assert as_sent(got) == bytes(got)
    for top in range(len(cell.nodes)):
        back = answer(cell, TCP(sport=got.dport, dport=got.sport, flags="SA"), went, BALANCER if preserved else 0, top)
        assert ends(back.packet) == (balancer, port, client, 1111) and back.host == str(plan.HOST_A)
        assert as_sent(back.packet) == bytes(back.packet)
    again = ask(cell, TCP(sport=1111, dport=port, flags="PA") / Raw(b"fish"), client, balancer, top=1)
    assert ends(again.packet) == ends(got)


@settings(max_examples=80, deadline=None)
@given(
    data=st.binary(max_size=1400), port=st.sampled_from(list(FAMILIES)), sport=st.integers(1, 65535), hops=st.integers(2, 255),
    klass=st.integers(0, 255), client=st.sampled_from([CLIENT, OTHER, CLIENT_IPV4]), label=st.integers(0, 2**20 - 1),
)  # fmt: skip
def test_there_and_back_the_payload_stays_and_every_checksum_is_right(alone: Cell, **drawn: Any) -> None:
    data, port, sport, hops, klass, client = (drawn[name] for name in ("data", "port", "sport", "hops", "klass", "client"))
    balancer = BALANCER_IPV6 if ":" in client else BALANCER_ADDRESS
    front = {"hlim": hops, "tc": klass, "fl": drawn["label"]} if ":" in client else {"ttl": hops, "tos": klass}
    asked = ip(client, balancer, **front) / (syn(port, sport) / Raw(data))
    asked = asked.__class__(bytes(asked))
    went = ask(alone, asked.payload, client, balancer, **front)
    assert bytes(went.packet) == moved(asked, went.packet.src, went.packet.dst, (went.packet.sport, went.packet.dport), went.packet)
    got = went.packet
    front = {"hlim": hops, "tc": klass, "fl": drawn["label"]} if ":" in got.dst else {"ttl": hops, "tos": klass}
    answered = ip(got.dst, got.src, **front) / (TCP(sport=got.dport, dport=got.sport, flags="SA") / Raw(data))
    back = answer(alone, answered.payload, went, BALANCER if got.src == client else 0, **front).packet
    assert bytes(back) == moved(answered, balancer, client, (port, sport), back)


def moved(packet: Packet, source: str, destination: str, ports: tuple[int, int], came: Packet) -> bytes:
    """What becomes of `packet`, as scapy says it."""
    if (":" in packet.src) != (":" in source):
        return model_nat64.to_ipv6(packet, source, destination, ports) if ":" in source else model_nat64.to_ipv4(packet, source, destination, ports, came.id)
    again = packet.copy()
    again.src, again.dst = source, destination
    again.payload.sport, again.payload.dport = ports
    if ":" in source:
        again.hlim -= 1
    else:
        again.ttl -= 1
        del again.chksum
    del again.payload.chksum
    return bytes(again)


def test_a_known_flow_needs_no_hop(cell: Cell) -> None:
    for port in (PRESERVED, PRESERVED_IPV6):
        went = ask(cell, syn(port))
        answer(cell, TCP(sport=went.packet.dport, dport=went.packet.sport, flags="SA"), went, BALANCER if went.packet.src == CLIENT else 0)
        assert [ask(cell, TCP(sport=1111, dport=port, flags="A")).path for _ in range(3)] == [[0]] * 3


# Endpoints


@pytest.mark.parametrize(("port", "targets", "seen"), [(443, TARGETS, BALANCER_ADDRESS), (444, TARGETS_IPV6, BALANCER_IPV6)])
def test_a_consumer_reaches_targets_of_either_family_through_an_endpoint(cell: Cell, port: int, targets: tuple, seen: str) -> None:
    """T8-02: the target sees the provider's balancer."""
    went = ask(cell, syn(port), CONSUMER_IPV6, ENDPOINT_IPV6)
    got = went.packet
    assert (got.dst, got.dport) in [target[:2] for target in targets]
    assert got.src == seen and (went.claim.vni, went.claim.interface) == (plan.VPC, BALANCER)
    back = answer(cell, TCP(sport=got.dport, dport=got.sport, flags="SA"), went)
    assert ends(back.packet) == (ENDPOINT_IPV6, port, CONSUMER_IPV6, 1111)
    assert (back.claim.vni, back.claim.interface, back.host) == (plan.PEER, ENDPOINT, str(plan.HOST_B))


# What is not for it


@pytest.mark.parametrize(("content", "verdict"), [
    (syn(81), Verdict.DROP_NO_SERVICE), (ICMPv6EchoRequest(id=7), Verdict.DROP_NO_SERVICE), (IPv6ExtHdrDestOpt() / syn(PRESERVED), Verdict.DROP_PROTOCOL),
], ids=["an unknown port", "an echo", "options"])  # fmt: skip
def test_what_nobody_listens_for_is_dropped_in_silence(cell: Cell, content: Packet, verdict: Verdict) -> None:
    """T7-07, T8-09."""
    assert ask(cell, content).verdict is verdict


def test_a_stray_segment_is_reset(cell: Cell) -> None:
    """T7-07."""
    told = ask(cell, TCP(sport=1111, dport=PRESERVED_IPV6, flags="A", ack=99)).packet
    assert (*ends(told), str(told[TCP].flags), told[TCP].seq) == (BALANCER_IPV6, PRESERVED_IPV6, CLIENT, 1111, "R", 99)
    assert as_sent(told) == bytes(told)


def test_the_connections_of_a_target_that_ends_are_reset(cell: Cell) -> None:
    """T7-08."""
    ask(cell, syn(PRESERVED_IPV6))
    for node, table in cell.each("cell_targets"):
        rows = {node.real.target_row(0, n): plan_cell.target(n, TargetFlag.TERMINATES) for n in (2, 3)}
        table.put_many(rows)  # type: ignore[attr-defined]
    told = ask(cell, TCP(sport=1111, dport=PRESERVED_IPV6, flags="A", ack=7)).packet
    assert (told.src, told.dst, str(told[TCP].flags)) == (BALANCER_IPV6, CLIENT, "R")


@pytest.mark.parametrize("flags", [0, AttachmentFlag.SHUT_OUT])
def test_from_outside_it_is_reached_where_that_is_not_denied(alone: Cell, flags: int) -> None:
    alone.restore()
    row = plan_cell.attachment(BALANCER, flags=flags)
    alone.nodes[0].real.attachments.put_many({plan_cell.attachment_key(BALANCER): row})
    went = alone.travel(from_outside(IPv6(src=OUTSIDE, dst=BALANCER_IPV6) / syn(PRESERVED_IPV6)))
    assert went.verdict is (Verdict.DROP_NO_SERVICE if flags else Verdict.SENT)
    assert ask(alone, syn(PRESERVED_IPV6)).verdict is Verdict.SENT


def test_nobody_comes_in_where_the_way_back_is_egress_only(alone: Cell) -> None:
    alone.restore()
    real = alone.nodes[0].real
    came = from_outside(IPv6(src=OUTSIDE, dst=BALANCER_IPV6) / syn(PRESERVED_IPV6))
    plan_edge.put_gateway(real, plan.VPC, formats.Gateway(GatewayFlag.INTERNET | GatewayFlag.EGRESS_ONLY, route_table=0))
    real.routes.put_many(plan_edge.default_route(8, RouteKind.INTERNET, ipv6=True))
    assert alone.travel(came).verdict is Verdict.SENT
    real.routes.put_many(plan_edge.default_route(8, RouteKind.EGRESS_ONLY, ipv6=True))
    assert alone.travel(came).verdict is Verdict.DROP_UNASKED
    plan_edge.put_gateway(real, plan.VPC, formats.Gateway(GatewayFlag.EGRESS_ONLY, route_table=0))
    assert alone.travel(came).verdict is Verdict.DROP_UNASKED


def test_a_balancers_groups_are_asked_for_clients_of_ipv6(alone: Cell) -> None:
    """T7-13."""
    alone.restore()
    real = alone.nodes[0].real
    row = plan_cell.attachment(BALANCER, group_set=9, policy=POLICY)
    real.attachments.put_many({plan_cell.attachment_key(BALANCER): row})
    rule_rows.put_policy(real, POLICY, [rule_rows.into(rule_rows.TCP, cidr="2001:db8:7:1::5/128"), rule_rows.out(rule_rows.TCP, cidr="::/0")])
    assert ask(alone, syn(PRESERVED_IPV6)).verdict is Verdict.SENT
    assert ask(alone, syn(PRESERVED_IPV6), OTHER).verdict is Verdict.DROP_SECURITY_GROUP_INGRESS
    assert ask(alone, syn(PRESERVED)).verdict is Verdict.DROP_SECURITY_GROUP_EGRESS


# Errors


@pytest.mark.parametrize("port", [PRESERVED_IPV6, HIDDEN_IPV6])
@pytest.mark.parametrize("whole", [False, True], ids=["eight bytes", "all of it"])
def test_an_error_of_a_target_reaches_the_client_about_its_own_packet(cell: Cell, port: int, whole: bool) -> None:
    asked = IPv6(src=CLIENT, dst=BALANCER_IPV6, hlim=9) / (syn(port) / Raw(b"x" * 40))
    went = ask(cell, asked.payload, hlim=9)
    quoted = bytes(went.packet) if whole else bytes(went.packet)[:48]
    got = answer(cell, ICMPv6DestUnreach(code=4) / Raw(quoted), went, BALANCER if port == PRESERVED_IPV6 else 0).packet
    assert (got.src, got.dst, got[ICMPv6DestUnreach].code) == (BALANCER_IPV6, CLIENT, 4)
    expected = IPv6(bytes(asked))
    expected.hlim = 8
    assert bytes(got)[48:] == bytes(expected)[: len(quoted)]
    assert as_sent(got) == bytes(got)


@pytest.mark.parametrize("port", [PRESERVED_IPV6, HIDDEN_IPV6])
def test_a_target_learns_how_large_its_clients_packets_may_be(cell: Cell, port: int) -> None:
    went = ask(cell, syn(port))
    sent = answer(cell, TCP(sport=went.packet.dport, dport=went.packet.sport, flags="SA"), went, BALANCER if port == PRESERVED_IPV6 else 0).packet
    got = ask(cell, ICMPv6PacketTooBig(mtu=1300) / Raw(bytes(sent))).packet
    assert (got.src, got.dst, got[ICMPv6PacketTooBig].mtu) == (went.packet.src, went.packet.dst, 1300)
    assert ends_of(got) == (went.packet.dst, went.packet.dport, went.packet.src, went.packet.sport) and as_sent(got) == bytes(got)


def ends_of(error: Packet) -> tuple[str, int, str, int]:
    quoted = error[IPerror6] if IPerror6 in error else error[IPerror]
    return quoted.src, quoted[TCPerror].sport, quoted.dst, quoted[TCPerror].dport


def test_an_error_about_ipv4_reaches_a_client_of_ipv6_from_the_balancer(cell: Cell) -> None:
    went = ask(cell, syn(HIDDEN))
    got = answer(cell, ICMP(type=3, code=1) / Raw(bytes(went.packet)), went).packet
    assert (got.src, got.dst, got[ICMPv6DestUnreach].code) == (BALANCER_IPV6, CLIENT, 0)
    assert ends_of(got) == (CLIENT, 1111, BALANCER_IPV6, HIDDEN) and as_sent(got) == bytes(got)


def test_an_error_of_a_client_of_ipv6_reaches_a_target_of_ipv4(cell: Cell) -> None:
    went = ask(cell, syn(HIDDEN))
    sent = answer(cell, TCP(sport=went.packet.dport, dport=went.packet.sport, flags="SA"), went).packet
    got = ask(cell, ICMPv6PacketTooBig(mtu=1400) / Raw(bytes(sent))).packet
    assert (got.src, got.dst, got[ICMP].type, got[ICMP].code) == (BALANCER_ADDRESS, went.packet.dst, 3, 4)
    assert ends_of(got) == (went.packet.dst, went.packet.dport, BALANCER_ADDRESS, went.packet.sport)


def test_a_target_is_told_by_the_balancer_what_is_too_large_for_the_internet(alone: Cell) -> None:
    alone.restore()
    alone.nodes[0].real.routes.put_many(plan_edge.default_route(8, RouteKind.INTERNET, ipv6=True))
    went = alone.travel(from_outside(IPv6(src=OUTSIDE, dst=BALANCER_IPV6) / syn(PRESERVED_IPV6)))
    large = IPv6(src=went.packet.dst, dst=OUTSIDE) / (TCP(sport=went.packet.dport, dport=1111, flags="A") / Raw(b"x" * 1500))
    told = alone.travel(to_top(large, led_to=BALANCER))
    got = told.packet
    assert (got.src, got.dst, got[ICMPv6PacketTooBig].mtu, told.host) == (BALANCER_IPV6, went.packet.dst, 1500, str(plan.HOST_B))
    assert ends_of(got) == (went.packet.dst, went.packet.dport, OUTSIDE, 1111) and as_sent(got) == bytes(got)
    fits = IPv6(src=went.packet.dst, dst=OUTSIDE) / (TCP(sport=went.packet.dport, dport=1111, flags="A") / Raw(b"x" * 1440))
    assert alone.travel(to_top(fits, led_to=BALANCER)).host == str(plan_edge.EDGE_1)


def test_a_super_packet_stays_whole_where_the_family_stays(alone: Cell) -> None:
    alone.restore()
    ask(alone, syn(PRESERVED_IPV6))
    wire = to_top(IPv6(src=CLIENT, dst=BALANCER_IPV6) / TCP(sport=1111, dport=PRESERVED_IPV6, flags="PA") / Raw(b"x" * 2800))
    left = alone.nodes[0].real.test_run("hyperplane", wire, RunContext(mark=0, ifindex=plan.DEVICE, gso_size=1400))
    assert left.action == cells.REDIRECTED and IPv6(left.frame[80:]).dst in [target[0] for target in TARGETS_IPV6]


def test_a_trace_says_which_address_changes(alone: Cell) -> None:
    alone.restore()
    for port, translated in ((PRESERVED_IPV6, {Step.DESTINATION_TRANSLATED}), (HIDDEN_IPV6, {Step.SOURCE_TRANSLATED, Step.DESTINATION_TRANSLATED}),
                             (HIDDEN, {Step.FAMILY_TRANSLATED})):  # fmt: skip
        told = {Step(event.step) for one in alone.what_if(to_top(IPv6(src=CLIENT, dst=BALANCER_IPV6) / syn(port))) for event in one.events}
        assert told & {Step.SOURCE_TRANSLATED, Step.DESTINATION_TRANSLATED, Step.FAMILY_TRANSLATED} == translated


# Health checks

CHECKER, SLOT, TARGET = 2, 5, TARGETS_IPV6[0][0]
ENTRANCE = ChecksConfig(78, bytes.fromhex("025200000004"), bytes.fromhex("025200000003"))
FIRST = ports_of(CHECKER)[0]


@pytest.fixture
def checking(cell: Cell) -> Cell:
    way = CheckWay(plan.VPC, BALANCER, address_bytes(TARGET))
    for node in cell.nodes:
        node.real.configure_checks(ENTRANCE)
        node.real.check_slots.put_many({RowNumber(SLOT): way})
        node.real.check_numbers.put_many({way: RowNumber(SLOT)})
    return cell


def test_a_check_of_a_target_with_ipv6_comes_from_the_balancers_address_of_that_family(checking: Cell) -> None:
    asked = ip(local_address(), address_of(SLOT)) / (syn(8001, FIRST) / Raw(b"GET /"))
    frame = bytes(Ether() / asked)
    went = checking.nodes[CHECKER].real.what_if("hyperplane_checks", frame, plan.DEVICE, 3)
    assert went.verdict is Verdict.SENT
    assert went.frame[80:] == model_nat64.to_ipv6(IP(bytes(asked)), BALANCER_IPV6, TARGET, (FIRST, 8001))


@pytest.mark.parametrize("top", range(4))
def test_what_answers_a_check_reaches_its_socket_as_ipv4(checking: Cell, top: int) -> None:
    answered = IPv6(src=TARGET, dst=BALANCER_IPV6) / (TCP(sport=8001, dport=FIRST, flags="SA") / Raw(b"200 OK"))
    went = checking.travel(to_top(answered, top))
    assert (went.verdict, went.path) == (Verdict.SENT, [CHECKER] if top == CHECKER else [top, CHECKER])
    assert went.frame[:14] == bytes(Ether(dst="02:52:00:00:00:04", src="02:52:00:00:00:03", type=0x800))
    got = IP(went.frame[14:])
    assert bytes(got) == model_nat64.to_ipv4(answered, address_of(SLOT), local_address(), (8001, FIRST), got.id)


def test_nobody_else_is_heard_at_the_ports_of_checks(checking: Cell) -> None:
    stray = IPv6(src=TARGETS_IPV6[1][0], dst=BALANCER_IPV6) / TCP(sport=8001, dport=FIRST, flags="SA")
    assert checking.travel(to_top(stray, CHECKER)).verdict is Verdict.DROP_NO_CHECK
