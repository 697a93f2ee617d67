"""Tracked flows of instance 11: what begins one, how long it is remembered, and what does not need one.

    instance 11 (10.7.1.5) -- gate -- [host A] -- substrate -- host B with instance 12 (10.7.1.6)
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import ConnectionState, Direction, InterfaceNumber, Step, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan
from tests.dataplane.gated import FAR, LOCAL, NEAR, OWN, POLICY, Gated, incoming, outgoing, tcp, udp
from tests.dataplane.packets import ICMP, IP
from tests.dataplane.rule_rows import GRE, TCP, UDP, into, out

EVERY_PORT = (0, 65535)


def server_session() -> list[tuple[str, bytes]]:
    """12 has connected to 11's port 22."""
    return [
        incoming(tcp(4000, 22, "S")),
        outgoing(tcp(22, 4000, "SA")),
        incoming(tcp(4000, 22, "A")),
        incoming(tcp(4000, 22, "PA")),
        outgoing(tcp(22, 4000, "A")),
    ]


def client_session() -> list[tuple[str, bytes]]:
    """11 has connected to 12's port 80."""
    return [outgoing(tcp(4000, 80, "S")), incoming(tcp(80, 4000, "SA")), outgoing(tcp(4000, 80, "A"))]


def test_a_session_outlives_its_rule_and_a_new_one_does_not_begin(gated: Gated) -> None:
    """T4-01."""
    gated.policy(into(TCP, 22, "10.7.1.6/32"), out())
    assert gated.all_pass(server_session())
    gated.policy(out(), number=POLICY + 1)
    assert gated.all_pass(server_session()[3:])
    assert gated.verdict(incoming(tcp(4001, 22, "S"))) == "DROP_SECURITY_GROUP_INGRESS"
    assert gated.verdict(incoming(tcp(4000, 23, "A"))) == "DROP_SECURITY_GROUP_INGRESS"


def test_an_untracked_session_ends_with_its_rule(gated: Gated) -> None:
    """T4-02. What the server still sends begins nothing."""
    gated.policy(into(TCP, 22), out())
    assert gated.all_pass(server_session())
    assert gated.connections == {}
    gated.policy(out(), number=POLICY + 1)
    assert gated.passes(outgoing(tcp(22, 4000, "PA")))
    assert not gated.passes(incoming(tcp(4000, 22, "A")))


def test_a_session_is_tracked_when_egress_is_restricted(gated: Gated) -> None:
    """T4-03."""
    gated.policy(into(TCP, 22), out(TCP, (1024, 65535)))
    assert gated.all_pass(server_session())
    assert len(gated.connections) == 1
    gated.policy(out(TCP, (1024, 65535)), number=POLICY + 1)
    assert gated.all_pass(server_session()[3:])


def test_replies_need_no_rule(gated: Gated) -> None:
    """T4-04."""
    gated.policy(out())
    assert gated.all_pass(client_session())
    row = gated.only_connection()
    assert (row.state, row.opened, row.list, row.rule) == (ConnectionState.STREAM, Direction.EGRESS, POLICY, 0)
    assert not gated.passes(incoming(tcp(81, 4000, "SA")))


@pytest.mark.parametrize(("seconds", "passes"), [(29, True), (31, False)])
def test_a_udp_reply_comes_within_thirty_seconds(gated: Gated, seconds: int, passes: bool) -> None:
    """T4-05, first half."""
    gated.policy(out())
    assert gated.passes(outgoing(udp(5000, 53)))
    gated.wait(seconds)
    assert gated.passes(incoming(udp(53, 5000))) is passes


@pytest.mark.parametrize(("seconds", "passes"), [(170, True), (181, False)])
def test_a_udp_stream_lasts_three_minutes(gated: Gated, seconds: int, passes: bool) -> None:
    """T4-05, second half."""
    gated.policy(out())
    assert gated.all_pass([outgoing(udp(5000, 53)), incoming(udp(53, 5000))] * 2)
    gated.wait(seconds)
    assert gated.passes(incoming(udp(53, 5000))) is passes


def test_one_request_with_many_answers_is_no_stream(gated: Gated) -> None:
    gated.policy(out())
    assert gated.all_pass([outgoing(udp(5000, 53))] + [incoming(udp(53, 5000))] * 3)
    assert gated.only_connection().state == ConnectionState.ANSWERED
    assert gated.idle() == pytest.approx(30, abs=1)


def test_an_idle_session_is_forgotten_after_the_interfaces_own_timeout(gated: Gated) -> None:
    """T4-06: silently, no reset is made."""
    gated.policy(out())
    gated.change_gates(tcp_established=60)
    assert gated.all_pass(client_session())
    gated.wait(59)
    assert gated.passes(incoming(tcp(80, 4000, "PA")))
    gated.wait(70)
    dropped = gated.ask(incoming(tcp(80, 4000, "PA")))
    assert (dropped.verdict, dropped.target) == (Verdict.DROP_SECURITY_GROUP_INGRESS, 0)
    assert dropped.frame == incoming(tcp(80, 4000, "PA"))[1]


def test_the_udp_timeouts_are_the_interfaces_own(gated: Gated) -> None:
    gated.policy(out())
    gated.change_gates(udp=45, udp_stream=90)
    assert gated.passes(outgoing(udp(5000, 53)))
    assert gated.idle() == pytest.approx(45, abs=1)
    assert gated.all_pass([incoming(udp(53, 5000)), outgoing(udp(5000, 53))])
    assert gated.idle() == pytest.approx(90, abs=1)


def test_a_shorter_timeout_counts_from_the_next_packet(gated: Gated) -> None:
    gated.policy(out())
    assert gated.all_pass(client_session())
    assert gated.idle() == pytest.approx(432_000, abs=1)
    gated.change_gates(tcp_established=60)
    assert gated.passes(incoming(tcp(80, 4000, "A")))
    assert gated.idle() == pytest.approx(60, abs=1)


@pytest.mark.parametrize(("seconds", "passes"), [(599, True), (601, False)])
def test_another_protocol_is_tracked_by_its_addresses(gated: Gated, seconds: int, passes: bool) -> None:
    """T4-07. Rules for everywhere, both ways: tracked all the same."""
    gated.policy(out())
    gre = {"content": Raw(b"\0" * 20), "proto": GRE}
    assert gated.passes(outgoing(**gre))  # type: ignore[arg-type]
    gated.wait(seconds)
    assert gated.passes(incoming(**gre)) is passes  # type: ignore[arg-type]
    assert not gated.passes(incoming(Raw(b"\0" * 20), proto=GRE + 1))


def test_an_echo_reply_leaves_though_egress_is_empty(gated: Gated) -> None:
    """T4-17."""
    gated.policy(into(1, 8 << 8))
    asked = ICMP(type=8, id=77)
    assert not gated.passes(outgoing(ICMP(type=0, id=77)))
    assert gated.all_pass([incoming(asked), outgoing(ICMP(type=0, id=77))])
    assert not gated.passes(outgoing(ICMP(type=0, id=78)))
    assert not gated.passes(outgoing(asked))


def test_ping_is_tracked_though_everything_is_open(gated: Gated) -> None:
    gated.policy(into(), out())
    assert gated.all_pass([outgoing(ICMP(type=8, id=7)), incoming(ICMP(type=0, id=7))])
    assert gated.only_connection().state == ConnectionState.ANSWERED
    assert gated.idle() == pytest.approx(30, abs=1)


def test_both_sides_may_ping_with_one_identifier(gated: Gated) -> None:
    gated.policy(into(), out())
    assert gated.all_pass([outgoing(ICMP(type=8, id=7)), incoming(ICMP(type=8, id=7))])
    assert len(gated.connections) == 2


def test_an_icmp_message_without_an_answer_is_judged_by_rules_alone(gated: Gated) -> None:
    gated.policy(into(1))
    assert gated.passes(incoming(ICMP(type=13)))
    assert gated.connections == {}
    assert not gated.passes(outgoing(ICMP(type=14)))


QUOTES = {
    "fragmentation needed": (ICMP(type=3, code=4, nexthopmtu=1400), tcp(4000, 80, "A"), True),
    "unreachable": (ICMP(type=3, code=1), tcp(4000, 80, "S"), True),
    "time exceeded": (ICMP(type=11, code=0), tcp(4000, 80, "A"), True),
    "a parameter problem": (ICMP(type=12, code=0), tcp(4000, 80, "A"), True),
    "a redirect": (ICMP(type=5, code=1), tcp(4000, 80, "A"), False),
    "another flow": (ICMP(type=3, code=4), tcp(4001, 80, "A"), False),
    "another protocol": (ICMP(type=3, code=4), udp(4000, 80), False),
}


@pytest.mark.parametrize(("error", "about", "passes"), QUOTES.values(), ids=QUOTES.keys())
def test_an_error_about_a_tracked_flow_needs_no_rule(gated: Gated, error: Packet, about: Packet, passes: bool) -> None:
    """T4-21. From whomsoever it comes: routers on the way speak too."""
    gated.policy(out())
    assert gated.all_pass(client_session())
    packet = incoming(error / IP(src=OWN, dst=NEAR, flags="DF") / about, source=FAR)
    assert gated.passes(packet) is passes
    assert (Step.RELATED in gated.steps(packet)) is passes


def test_an_error_about_a_packet_of_somebody_else_is_not_related(gated: Gated) -> None:
    gated.policy(out())
    assert gated.all_pass(client_session())
    error = ICMP(type=3, code=4) / IP(src="10.7.1.50", dst=NEAR) / tcp(4000, 80, "A")
    assert not gated.passes(incoming(error))
    assert not gated.passes(incoming(ICMP(type=3, code=4) / IP(src=OWN, dst=NEAR) / Raw(b"\x0f\xa0")))


def test_an_instance_may_say_that_a_port_is_closed(gated: Gated) -> None:
    gated.policy(into(UDP, 53, "10.7.1.0/24"))
    about = IP(src=NEAR, dst=OWN) / udp(4000, 53)
    refusal = outgoing(ICMP(type=3, code=3) / about)
    assert not gated.passes(refusal)
    assert gated.all_pass([incoming(udp(4000, 53)), refusal])


def test_an_error_about_a_ping_is_related(gated: Gated) -> None:
    gated.policy(out())
    assert gated.passes(outgoing(ICMP(type=8, id=9)))
    error = ICMP(type=11, code=0) / IP(src=OWN, dst=NEAR)
    assert gated.passes(incoming(error / ICMP(type=8, id=9)))
    assert not gated.passes(incoming(error / ICMP(type=8, id=8)))


def test_the_states_of_a_tcp_connection(gated: Gated) -> None:
    gated.policy(out())
    seen = []
    for packet in [
        outgoing(tcp(4000, 80, "S")),
        incoming(tcp(80, 4000, "SA")),
        outgoing(tcp(4000, 80, "S")),
        outgoing(tcp(4000, 80, "A")),
        incoming(tcp(80, 4000, "PA")),
        incoming(tcp(80, 4000, "FA")),
        outgoing(tcp(4000, 80, "A")),
    ]:
        assert gated.passes(packet)
        seen.append((ConnectionState(gated.only_connection().state).name, round(gated.idle())))
    new, answered, closing = ("NEW", 60), ("ANSWERED", 60), ("CLOSING", 30)
    assert seen == [new, answered, answered, ("STREAM", 432_000), ("STREAM", 432_000), closing, closing]


def test_a_reset_ends_a_connection_soon(gated: Gated) -> None:
    gated.policy(out())
    assert gated.all_pass([*client_session(), incoming(tcp(80, 4000, "R"))])
    gated.wait(31)
    assert not gated.passes(incoming(tcp(80, 4000, "A")))


def test_a_connection_that_is_opened_again_is_judged_again(gated: Gated) -> None:
    gated.policy(into(TCP, 22, "10.7.1.6/32"))
    assert gated.all_pass([*server_session(), incoming(tcp(4000, 22, "FA"))])
    assert gated.passes(incoming(tcp(4000, 22, "S")))
    assert (gated.only_connection().state, gated.tracked()) == (ConnectionState.NEW, 1)
    assert gated.passes(incoming(tcp(4000, 22, "R")))
    gated.policy(number=POLICY + 1)
    assert not gated.passes(incoming(tcp(4000, 22, "S")))


def test_a_segment_in_the_middle_is_judged_by_rules_and_begins_nothing(gated: Gated) -> None:
    gated.policy(into(TCP, 22, "10.7.1.6/32"))
    assert gated.passes(incoming(tcp(4000, 22, "A")))
    assert gated.connections == {}
    assert not gated.passes(outgoing(tcp(22, 4000, "A")))


def test_a_flow_whose_time_is_over_begins_anew_in_its_place(gated: Gated) -> None:
    gated.policy(out())
    assert gated.passes(outgoing(udp(5000, 53)))
    gated.wait(31)
    assert gated.passes(outgoing(udp(5000, 53)))
    assert gated.tracked() == 1
    assert gated.idle() == pytest.approx(30, abs=1)


UNTRACKED = {
    "both open": ((into(), out()), True),
    "a port, and egress open": ((into(TCP, 22), out()), True),
    "egress open for all ports of TCP": ((into(TCP, 22), out(TCP, EVERY_PORT)), True),
    "egress open for UDP": ((into(TCP, 22), out(UDP, EVERY_PORT)), False),
    "egress open for some ports": ((into(TCP, 22), out(TCP, (1, 65535))), False),
    "egress open for the other family": ((into(TCP, 22), out(TCP, EVERY_PORT, "::/0")), False),
    "a network that holds everybody": ((into(TCP, 22, "0.0.0.0/1"), out()), False),
    "a group": ((into(TCP, 22, "0.0.0.0/0", 5), out()), False),
    "everywhere beside a group": ((into(TCP, 22, "0.0.0.0/0", 5), into(TCP, 22), out()), True),
}


@pytest.mark.parametrize(("rules", "untracked"), UNTRACKED.values(), ids=UNTRACKED.keys())
def test_a_flow_that_both_directions_admit_from_everywhere_is_not_tracked(gated: Gated, rules: tuple[object, ...], untracked: bool) -> None:
    gated.set_groups(NEAR, 5)
    gated.policy(*rules)  # type: ignore[arg-type]
    assert gated.passes(incoming(tcp(4000, 22, "S")))
    assert (gated.connections == {}) is untracked


@pytest.mark.parametrize(("rules", "untracked"), UNTRACKED.values(), ids=UNTRACKED.keys())
def test_nor_is_one_that_the_instance_begins(gated: Gated, rules: tuple[object, ...], untracked: bool) -> None:
    """The same rules, mirrored."""
    gated.set_groups(NEAR, 5)
    turned = {Direction.EGRESS: into, Direction.INGRESS: out}
    gated.policy(*(turned[rule.direction](rule.protocol, rule.ports, rule.cidr, *rule.group_sets) for rule in rules))  # type: ignore[attr-defined]
    assert gated.passes(outgoing(tcp(4000, 22, "S")))
    assert (gated.connections == {}) is untracked


def test_the_answers_of_an_untracked_udp_flow_are_not_tracked(gated: Gated) -> None:
    gated.policy(into(UDP, 53), out())
    assert gated.all_pass([incoming(udp(4000, 53)), outgoing(udp(53, 4000))])
    assert gated.connections == {}
    assert gated.passes(outgoing(udp(54, 4000)))
    assert len(gated.connections) == 1


def test_one_flow_too_many_is_refused_and_the_others_go_on(gated: Gated) -> None:
    """T4-18."""
    gated.policy(out())
    gated.allow(3)
    assert gated.all_pass([outgoing(udp(port, 53)) for port in (1, 2, 3)])
    before = gated.counted(Verdict.DROP_ALLOWANCE_EXCEEDED)
    assert gated.verdict(outgoing(udp(4, 53))) == "DROP_ALLOWANCE_EXCEEDED"
    assert not gated.passes(outgoing(udp(4, 53)))
    assert gated.counted(Verdict.DROP_ALLOWANCE_EXCEEDED) == before + 1
    assert gated.all_pass([outgoing(udp(1, 53)), incoming(udp(53, 3))])
    assert (gated.tracked(), len(gated.connections)) == (3, 3)


def test_an_interface_whose_allowance_nobody_wrote_tracks_nothing(gated: Gated) -> None:
    gated.policy(out())
    gated.real.allowances.delete_many([InterfaceNumber(11)])
    assert gated.verdict(outgoing(udp(1, 53))) == "DROP_NOT_CONFIGURED"
    assert not gated.passes(outgoing(udp(1, 53)))


def test_a_full_table_refuses_new_flows_and_keeps_all_old_ones(open_small: Callable[[int], HostDataplane]) -> None:
    gated = Gated(open_small(4))
    plan.fill(gated.real, plan.host_a())
    gated.policy(out())
    assert [gated.passes(outgoing(udp(port, 53))) for port in range(1, 7)] == [True] * 4 + [False] * 2
    assert gated.counted(Verdict.DROP_CONNECTIONS_FULL) == 2
    assert (gated.tracked(), len(gated.connections)) == (4, 4)
    assert gated.all_pass([incoming(udp(53, port)) for port in range(1, 5)])


def test_the_sweep_forgets_what_is_over_and_gives_room_back(gated: Gated) -> None:
    gated.policy(out())
    assert gated.all_pass([outgoing(udp(1, 53)), outgoing(udp(2, 53))])
    gated.wait(31)
    assert gated.all_pass([outgoing(udp(3, 53))])
    assert gated.real.sweep_connections() == (1, 2)
    assert (gated.tracked(), len(gated.connections)) == (1, 1)
    assert gated.real.sweep_connections() == (1, 0)


def test_the_sweep_never_gives_back_more_than_was_taken(gated: Gated) -> None:
    gated.policy(out())
    assert gated.passes(outgoing(udp(1, 53)))
    gated.wait(31)
    gated.allow(5)
    assert gated.real.sweep_connections() == (0, 1)
    assert gated.tracked() == 0


def test_the_flows_of_an_interface_that_is_gone_are_forgotten(gated: Gated) -> None:
    gated.policy(out())
    assert gated.passes(outgoing(udp(1, 53)))
    gated.real.allowances.delete_many([InterfaceNumber(11)])
    assert gated.real.sweep_connections() == (0, 1)


def test_a_sweep_over_many_flows_counts_them_all(gated: Gated) -> None:
    gated.policy(out())
    assert gated.passes(outgoing(udp(1, 53)))
    ((key, row),) = gated.connections.items()
    many = {key._replace(local_port=port.to_bytes(2, "big")): row for port in range(20_000)}
    gated.real.connections.put_many(many)
    assert gated.real.sweep_connections() == (20_000, 0)
    gated.wait(31)
    assert gated.real.sweep_connections() == (0, 20_000)


def test_a_what_if_only_looks(gated: Gated) -> None:
    gated.policy(out())
    asked = gated.ask(outgoing(udp(1, 53)))
    assert Step.CONNECTION_MADE in [event.step for event in asked.events]
    assert (gated.connections, gated.tracked()) == ({}, 0)
    assert gated.passes(outgoing(udp(1, 53)))
    gated.wait(5)
    before = gated.connections
    assert Step.CONNECTION_FOUND in gated.steps(incoming(udp(53, 1)))
    assert gated.connections == before


def test_both_gates_of_one_host_decide_for_themselves(gated: Gated) -> None:
    """11 speaks with 14: two interfaces, two rows."""
    gated.policy(out())
    assert gated.passes(outgoing(udp(1, 53), to=LOCAL))
    assert (gated.tracked(11), gated.tracked(14)) == (1, 0)
    gated.real.connections.delete_many(gated.connections)
    gated.local_gates(14, policy=POLICY)
    assert gated.verdict(outgoing(udp(1, 53), to=LOCAL)) == "DROP_SECURITY_GROUP_INGRESS"
    gated.policy(into(UDP, 53, "10.7.1.5/32"), number=POLICY + 1)
    gated.change_gates(policy=POLICY)
    gated.local_gates(14, policy=POLICY + 1)
    assert gated.passes(outgoing(udp(1, 53), to=LOCAL))
    assert {key.interface for key in gated.connections} == {11, 14}


def test_a_row_is_named_from_the_interfaces_side(gated: Gated) -> None:
    gated.policy(out())
    assert gated.passes(outgoing(udp(1, 53)))
    (key,) = gated.connections
    assert (key.interface, key.protocol, key.local_port, key.remote_port) == (11, UDP, b"\0\1", b"\0\x35")


def test_a_drop_of_any_stage_leaves_no_flow_behind(gated: Gated) -> None:
    gated.policy(out(), into())
    big = udp(1, 2) / Raw(b"x" * 1600)
    pinged = ICMP(type=8, id=1) / Raw(b"x" * 1600)
    for packet in (outgoing(pinged, flags=0), outgoing(pinged), outgoing(big, to=FAR), incoming(pinged)):
        gated.real.test_run(*packet, RunContext(ifindex=plan.DEVICE))  # type: ignore[arg-type]
    assert gated.connections == {}
