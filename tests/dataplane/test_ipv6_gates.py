"""IPv6 at the gates of instance 11: the same rules, flows and fragments as IPv4's, and never those of IPv4.

    instance 11 (2001:db8:7:1::5) -- gate -- [host A] -- substrate -- host B with 12 (::6) and 13 (2001:db8:7:2::7)
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import ConnectionState, Direction, Step
from tests.dataplane import gated as ipv4
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.gated import ACL, EGRESS, INGRESS, Gated, incoming, outgoing, tcp, udp
from tests.dataplane.packets import ICMP, IP, ROUTER, mac_text, wrapped
from tests.dataplane.packets_ipv6 import OWN, ipv6_from_11, ipv6_to_11
from tests.dataplane.rule_rows import TCP, UDP, into, out

NEAR, FAR = "2001:db8:7:1::6", "2001:db8:7:2::7"
NUMBERS = {NEAR: 12, FAR: 13}
ICMPV6, ECHO, WEB = 58, 128 << 8, 71
ALL_IPV6, ALL_IPV4 = "::/0", "0.0.0.0/0"
PAYLOAD = Raw(b"x" * 64)
SESSION_IDLE = 432_000


@pytest.fixture
def gate(gated: Gated) -> Gated:
    plan_ipv6.fill(gated.real, {11: plan.DEVICE})
    return gated


def leaving(content: Packet, to: str = NEAR) -> tuple[str, bytes]:
    through = ROUTER if to == FAR else mac_text(NUMBERS[to])
    return EGRESS, bytes(ipv6_from_11(to, through, content))


def arriving(content: Packet, source: str = NEAR) -> tuple[str, bytes]:
    return INGRESS, bytes(wrapped(ipv6_to_11(source, content=content), interface=NUMBERS[source]))


def session() -> list[tuple[str, bytes]]:
    """Of instance 11, as a client."""
    return [leaving(tcp(4000, 80, "S")), arriving(tcp(80, 4000, "SA")), leaving(tcp(4000, 80, "A"))]


@pytest.mark.parametrize(("cidr", "passed"), [(ALL_IPV6, [True, False]), (ALL_IPV4, [False, True])])
def test_a_rule_for_everything_of_one_family_admits_nothing_of_the_other(gate: Gated, cidr: str, passed: list[bool]) -> None:
    gate.policy(out(cidr=cidr), into(cidr=cidr))
    assert [gate.passes(leaving(udp(1, 2))), gate.passes(outgoing(udp(1, 2)))] == passed
    assert [gate.passes(arriving(udp(3, 4))), gate.passes(incoming(udp(3, 4)))] == passed


def test_a_rule_for_a_prefix_fits_its_addresses(gate: Gated) -> None:
    gate.policy(into(TCP, 22, "2001:db8:7:1::/64"), into(TCP, 443, f"{FAR}/128"))
    asked = [(source, port) for source in (NEAR, FAR) for port in (22, 443)]
    passed = [(source, port) for source, port in asked if gate.passes(arriving(tcp(4000, port, "S"), source))]
    assert passed == [(NEAR, 22), (FAR, 443)]


def test_what_no_rule_fits_is_dropped_at_either_gate(gate: Gated) -> None:
    gate.policy(out(TCP, 80, "2001:db8:7:2::/64"))
    assert gate.verdict(leaving(tcp(1, 80, "S"))) == "DROP_SECURITY_GROUP_EGRESS"
    assert gate.verdict(arriving(tcp(1, 80, "S"))) == "DROP_SECURITY_GROUP_INGRESS"
    assert gate.verdict(leaving(tcp(1, 80, "S"), to=FAR)) == "SENT"


def test_a_rule_for_a_group_fits_its_ipv6_addresses(gate: Gated) -> None:
    gate.policy(into(TCP, 5432, ALL_IPV4, WEB))
    gate.set_groups(NEAR, WEB)
    assert gate.passes(arriving(tcp(4000, 5432, "S")))
    assert not gate.passes(arriving(tcp(4000, 5432, "S"), source=FAR))


def test_answers_pass_without_a_rule(gate: Gated) -> None:
    gate.policy(out(TCP, 80, ALL_IPV6))
    assert gate.all_pass(session())
    assert (gate.only_connection().state, gate.tracked()) == (ConnectionState.STREAM, 1)
    assert gate.idle() == pytest.approx(SESSION_IDLE, abs=1)
    assert not gate.passes(arriving(tcp(80, 4001, "SA")))


@pytest.mark.parametrize(("opposite", "step"), [(ALL_IPV6, Step.UNTRACKED), (ALL_IPV4, Step.CONNECTION_MADE)])
def test_a_flow_is_untracked_when_its_own_family_is_open_both_ways(gate: Gated, opposite: str, step: Step) -> None:
    gate.policy(out(cidr=ALL_IPV6), into(cidr=opposite))
    assert step in gate.steps(leaving(udp(1, 2)))
    assert gate.passes(leaving(udp(1, 2)))
    assert len(gate.connections) == (step is Step.CONNECTION_MADE)


def test_flows_of_both_families_between_the_same_ports_are_two(gate: Gated) -> None:
    gate.policy(out(cidr=ALL_IPV6), out(cidr=ALL_IPV4))
    assert gate.passes(leaving(udp(5000, 53)))
    assert not gate.passes(incoming(udp(53, 5000)))
    assert gate.passes(outgoing(udp(5000, 53)))
    assert gate.all_pass([incoming(udp(53, 5000)), arriving(udp(53, 5000))])
    assert len(gate.connections) == 2


def test_an_echo_is_tracked_and_its_reply_needs_no_rule(gate: Gated) -> None:
    gate.policy(out(ICMPV6, ECHO, ALL_IPV6))
    assert not gate.passes(arriving(ICMPv6EchoReply(id=7)))
    assert gate.all_pass([leaving(ICMPv6EchoRequest(id=7)), arriving(ICMPv6EchoReply(id=7))])
    assert gate.only_connection().state == ConnectionState.ANSWERED
    assert gate.idle() == pytest.approx(30, abs=1)
    assert not gate.passes(arriving(ICMPv6EchoReply(id=8)))
    assert not gate.passes(arriving(ICMPv6EchoRequest(id=7)))


def test_an_echo_is_tracked_though_everything_is_open(gate: Gated) -> None:
    gate.policy(out(cidr=ALL_IPV6), into(cidr=ALL_IPV6))
    assert gate.all_pass([leaving(ICMPv6EchoRequest(id=7)), arriving(ICMPv6EchoRequest(id=7))])
    assert len(gate.connections) == 2


@pytest.mark.parametrize(("protocol", "echo"), [(1, 8 << 8), (1, ECHO), (ICMPV6, 8 << 8)])
def test_a_rule_for_icmp_of_the_other_family_admits_no_echo(gate: Gated, protocol: int, echo: int) -> None:
    gate.policy(out(protocol, echo, ALL_IPV6))
    assert gate.verdict(leaving(ICMPv6EchoRequest(id=7))) == "DROP_SECURITY_GROUP_EGRESS"


QUOTES = {
    "too big": (ICMPv6PacketTooBig(mtu=1400), tcp(4000, 80, "A"), True),
    "unreachable": (ICMPv6DestUnreach(code=1), tcp(4000, 80, "S"), True),
    "time exceeded": (ICMPv6TimeExceeded(), tcp(4000, 80, "A"), True),
    "a parameter problem": (ICMPv6ParamProblem(), tcp(4000, 80, "A"), True),
    "another flow": (ICMPv6PacketTooBig(mtu=1400), tcp(4001, 80, "A"), False),
    "another protocol": (ICMPv6PacketTooBig(mtu=1400), udp(4000, 80), False),
    "ports behind another header": (ICMPv6PacketTooBig(mtu=1400), IPv6ExtHdrDestOpt() / tcp(4000, 80, "A"), False),
}


@pytest.mark.parametrize(("error", "about", "passes"), QUOTES.values(), ids=QUOTES.keys())
def test_an_error_about_a_tracked_flow_needs_no_rule(gate: Gated, error: Packet, about: Packet, passes: bool) -> None:
    """From whomsoever it comes: routers on the way speak too."""
    gate.policy(out(cidr=ALL_IPV6))
    assert gate.all_pass(session())
    packet = arriving(error / IPv6(src=OWN, dst=NEAR) / about, source=FAR)
    assert gate.passes(packet) is passes
    assert (Step.RELATED in gate.steps(packet)) is passes


def test_an_error_about_a_packet_of_somebody_else_is_not_related(gate: Gated) -> None:
    gate.policy(out(cidr=ALL_IPV6))
    assert gate.all_pass(session())
    about = IPv6(src="2001:db8:7:1::50", dst=NEAR) / tcp(4000, 80, "A")
    assert not gate.passes(arriving(ICMPv6PacketTooBig(mtu=1400) / about))
    assert not gate.passes(arriving(ICMPv6PacketTooBig(mtu=1400) / IPv6(src=OWN, dst=NEAR) / Raw(b"\x0f\xa0")))


def test_an_error_about_a_ping_is_related(gate: Gated) -> None:
    gate.policy(out(cidr=ALL_IPV6))
    assert gate.passes(leaving(ICMPv6EchoRequest(id=9)))
    about = IPv6(src=OWN, dst=NEAR)
    assert gate.passes(arriving(ICMPv6PacketTooBig(mtu=1400) / about / ICMPv6EchoRequest(id=9)))
    assert not gate.passes(arriving(ICMPv6PacketTooBig(mtu=1400) / about / ICMPv6EchoRequest(id=8)))


def test_an_instance_may_say_that_a_port_is_closed(gate: Gated) -> None:
    gate.policy(into(UDP, 53, "2001:db8:7:1::/64"))
    refusal = leaving(ICMPv6DestUnreach(code=4) / IPv6(src=NEAR, dst=OWN) / udp(4000, 53))
    assert not gate.passes(refusal)
    assert gate.all_pass([arriving(udp(4000, 53)), refusal])


def test_an_error_that_quotes_the_other_family_is_not_related(gate: Gated) -> None:
    gate.policy(out(cidr=ALL_IPV6), out(cidr=ALL_IPV4))
    assert gate.all_pass([leaving(tcp(4000, 80, "S")), outgoing(tcp(4000, 80, "S"))])
    of_ipv4 = IP(src=ipv4.OWN, dst=ipv4.NEAR) / tcp(4000, 80, "A")
    of_ipv6 = IPv6(src=OWN, dst=NEAR) / tcp(4000, 80, "A")
    assert not gate.passes(arriving(ICMPv6PacketTooBig(mtu=1400) / Raw(bytes(of_ipv4) + bytes(40))))
    assert not gate.passes(incoming(ICMP(type=3, code=4) / Raw(bytes(of_ipv6))))


def first(content: Packet, identification: int = 700) -> Packet:
    return IPv6ExtHdrFragment(m=1, id=identification) / content / PAYLOAD


def later(protocol: int = UDP, identification: int = 700) -> Packet:
    return IPv6ExtHdrFragment(offset=9, id=identification, nh=protocol) / PAYLOAD


def test_a_later_fragment_is_judged_by_the_ports_of_the_first(gate: Gated) -> None:
    gate.policy(out(UDP, 53, ALL_IPV6))
    assert gate.all_pass([leaving(first(udp(5000, 53))), leaving(later())])
    assert gate.ask(leaving(later())).events[-1].destination_port == 53
    assert not gate.passes(leaving(first(udp(5000, 54), 701)))
    assert gate.verdict(leaving(later(identification=701))) == "DROP_SECURITY_GROUP_EGRESS"


def test_a_later_fragment_of_a_tracked_flow_comes_in(gate: Gated) -> None:
    gate.policy(out(cidr=ALL_IPV6))
    assert gate.passes(leaving(udp(5000, 53)))
    assert gate.all_pass([arriving(first(udp(53, 5000))), arriving(later())])


def test_a_large_ping_is_one_flow(gate: Gated) -> None:
    gate.policy(out(ICMPV6, ECHO, ALL_IPV6))
    assert gate.all_pass([leaving(first(ICMPv6EchoRequest(id=7))), leaving(later(ICMPV6))])
    assert gate.all_pass([arriving(first(ICMPv6EchoReply(id=7))), arriving(later(ICMPV6))])
    assert len(gate.connections) == 1


@pytest.mark.parametrize("packet", [leaving, arriving])
@pytest.mark.parametrize("protocol", [TCP, UDP, ICMPV6])
def test_a_fragment_whose_first_one_nobody_saw_is_dropped(gate: Gated, packet: object, protocol: int) -> None:
    assert gate.verdict(packet(later(protocol))) == "DROP_UNKNOWN_FRAGMENT"  # type: ignore[operator]


def test_a_fragment_with_another_number_or_family_is_another(gate: Gated) -> None:
    """IPv6 numbers fragments by 32 bits."""
    assert gate.all_pass([leaving(first(udp(5000, 53))), outgoing(udp(5000, 53) / PAYLOAD, flags="MF", id=800)])
    assert gate.verdict(leaving(later(identification=1 << 16 | 700))) == "DROP_UNKNOWN_FRAGMENT"
    assert gate.verdict(leaving(later(identification=800))) == "DROP_UNKNOWN_FRAGMENT"
    assert gate.verdict(outgoing(PAYLOAD, proto=UDP, frag=9, flags=0, id=700)) == "DROP_UNKNOWN_FRAGMENT"


def test_a_network_acl_has_entries_for_each_family(gate: Gated) -> None:
    gate.acl(out(cidr=ALL_IPV4), into(cidr=ALL_IPV4))
    assert gate.verdict(leaving(udp(1, 2), to=FAR)) == "DROP_NETWORK_ACL_EGRESS"
    assert gate.verdict(arriving(udp(1, 2), source=FAR)) == "DROP_NETWORK_ACL_INGRESS"
    gate.acl(out(cidr=ALL_IPV6), into(cidr=ALL_IPV6), number=ACL + 1)
    assert gate.all_pass([leaving(udp(1, 2), to=FAR), arriving(udp(1, 2), source=FAR)])
    assert gate.verdict(outgoing(udp(1, 2), to=ipv4.FAR)) == "DROP_NETWORK_ACL_EGRESS"
    assert gate.verdict(incoming(udp(1, 2), source=ipv4.FAR)) == "DROP_NETWORK_ACL_INGRESS"


def test_the_first_entry_that_fits_decides(gate: Gated) -> None:
    refused = replace(into(TCP, 22, "2001:db8:7:2::/64"), allow=False)
    gate.acl(refused, into(cidr=ALL_IPV6))
    passed = [port for port in (22, 23) if gate.passes(arriving(tcp(4000, port, "S"), source=FAR))]
    assert passed == [23]
    told = gate.ask(arriving(tcp(4000, 22, "S"), source=FAR)).events[-1]
    assert (told.rule, told.direction) == (1, Direction.INGRESS)


def test_inside_a_subnet_no_network_acl_is_asked(gate: Gated) -> None:
    gate.acl()
    assert gate.all_pass([leaving(udp(1, 2)), arriving(udp(1, 2))])
    assert not gate.passes(leaving(udp(1, 2), to=FAR))


def test_a_network_acl_judges_errors_about_tracked_flows_too(gate: Gated) -> None:
    gate.policy(out(cidr=ALL_IPV6))
    assert gate.passes(leaving(tcp(4000, 80, "S")))
    gate.acl(into(TCP, cidr=ALL_IPV6))
    error = ICMPv6PacketTooBig(mtu=1400) / IPv6(src=OWN, dst=NEAR) / tcp(4000, 80, "A")
    assert gate.verdict(arriving(error, source=FAR)) == "DROP_NETWORK_ACL_INGRESS"
    assert gate.verdict(arriving(error)) == "DELIVERED"
