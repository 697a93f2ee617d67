"""The network ACL of instance 11's subnet: asked at the border of the subnet, of every packet, and nothing is remembered.

    instance 11 (10.7.1.5) -- [host A] -- substrate -- host B with 12 (10.7.1.6, same subnet) and 13 (10.7.2.7, another one)
"""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import ip_address

from rookery.dataplane.formats import Direction, OpenFamily, RuleConstant, Step, Verdict
from tests.dataplane.gated import ACL, FAR, LOCAL, NEAR, Gated, incoming, outgoing, tcp, udp
from tests.dataplane.packets import ICMP
from tests.dataplane.rule_rows import ALL, TCP, UDP, Rule, into, out

CASES = 25


def deny(rule: Rule) -> Rule:
    return replace(rule, allow=False)


def test_answers_need_an_entry_of_their_own(gated: Gated) -> None:
    """T4-12."""
    gated.acl(into(TCP, 443))
    assert gated.passes(incoming(tcp(4000, 443, "S"), source=FAR))
    assert gated.verdict(outgoing(tcp(443, 4000, "SA"), to=FAR)) == "DROP_NETWORK_ACL_EGRESS"
    gated.acl(into(TCP, 443), out(TCP, (1024, 65535)), number=ACL + 1)
    assert gated.passes(outgoing(tcp(443, 4000, "SA"), to=FAR))


def test_inside_a_subnet_nobody_asks_it(gated: Gated) -> None:
    """T4-13. On another host and on the same one."""
    gated.acl(deny(into()), deny(out()))
    gated.local_gates(14, acl=ACL)
    assert gated.all_pass([incoming(udp(1, 2)), outgoing(udp(1, 2)), outgoing(udp(1, 2), to=LOCAL)])
    assert not gated.passes(outgoing(udp(1, 2), to=FAR))
    assert gated.verdict(incoming(udp(1, 2), source=FAR)) == "DROP_NETWORK_ACL_INGRESS"


def test_the_first_entry_that_fits_decides(gated: Gated) -> None:
    """T4-14."""
    narrow, wide = deny(into(cidr="10.7.2.0/24")), into()
    gated.acl(narrow, wide)
    assert not gated.passes(incoming(udp(1, 2), source=FAR))
    gated.acl(wide, narrow, number=ACL + 1)
    assert gated.passes(incoming(udp(1, 2), source=FAR))


def test_a_live_session_freezes(gated: Gated) -> None:
    """T4-15: tracked by the security groups or not, and without a reset."""
    gated.policy(into(TCP, 22, "10.7.2.7/32"))
    session = [incoming(tcp(4000, 22, "S"), source=FAR), outgoing(tcp(22, 4000, "SA"), to=FAR)]
    assert gated.all_pass(session)
    gated.acl(deny(into(TCP, 22)), into(), out())
    dropped = gated.ask(incoming(tcp(4000, 22, "A"), source=FAR))
    assert (dropped.verdict, dropped.target) == (Verdict.DROP_NETWORK_ACL_INGRESS, 0)
    gated.acl(into(), out(), number=ACL + 1)
    assert gated.passes(incoming(tcp(4000, 22, "A"), source=FAR))


def test_what_it_denies_leaves_no_flow_behind(gated: Gated) -> None:
    gated.policy(out(cidr="10.7.0.0/16"), into(cidr="10.7.0.0/16"))
    gated.acl()
    assert not gated.passes(outgoing(udp(1, 2), to=FAR))
    assert not gated.passes(incoming(udp(1, 2), source=FAR))
    assert gated.connections == {}


def test_what_no_entry_fits_is_denied_and_told_so(gated: Gated) -> None:
    gated.acl(into(TCP, 22))
    dropped = gated.ask(incoming(tcp(4000, 23, "S"), source=FAR)).events[-1]
    assert (dropped.detail, dropped.rule, dropped.direction) == (ACL, RuleConstant.NONE, Direction.INGRESS)


def test_the_entry_that_decided_is_told(gated: Gated) -> None:
    gated.acl(into(TCP, 22), deny(into(TCP, (20, 30))), into(), out(UDP, 53), deny(out()))
    cases = [(incoming(tcp(1, 22, "S"), source=FAR), 0), (incoming(udp(1, 22), source=FAR), 4), (outgoing(udp(1, 53), to=FAR), 6)]
    for packet, bit in cases:
        (event,) = (event for event in gated.ask(packet).events if event.step is Step.ACL_ALLOWED)
        assert (event.detail, event.rule) == (ACL, bit)
    denied = [gated.ask(packet).events[-1] for packet in (incoming(tcp(1, 23, "S"), source=FAR), outgoing(udp(1, 54), to=FAR))]
    assert [(event.detail, event.rule, event.direction) for event in denied] == [(ACL, 3, 2), (ACL, 9, 1)]


def test_icmp_needs_an_entry_even_if_it_is_about_a_flow(gated: Gated) -> None:
    """Path MTU discovery across subnets: 3/4 must be allowed."""
    gated.acl(out(), into(1, 3 << 8 | 4))
    assert gated.passes(incoming(ICMP(type=3, code=4), source=FAR))
    assert gated.verdict(incoming(ICMP(type=3, code=1), source=FAR)) == "DROP_NETWORK_ACL_INGRESS"


def expected(entries: list[Rule], direction: Direction, remote: str, protocol: int, port: int) -> bool:
    for entry in entries:
        if entry.direction != direction or not entry.fits_ports(protocol, port):
            continue
        if ip_address(remote) in entry.network:
            return entry.allow
    return False


CIDRS = ("0.0.0.0/0", "0.0.0.0/0", "::/0", "10.7.0.0/16", "10.7.2.0/24", "10.7.2.7/32", "10.7.1.0/24", "10.7.2.0/29")
RANGES = ((0, 65535), (22, 22), (20, 25), (1024, 65535), (1, 65535), (80, 443))


def random_entry(rng: random.Random) -> Rule:
    protocol = rng.choice((ALL, TCP, UDP))
    ports = rng.choice(RANGES) if protocol != ALL else (0, 65535)
    return Rule(rng.choice(tuple(Direction)), protocol, ports, rng.choice(CIDRS), allow=rng.random() < 0.6)


def test_the_decision_is_that_of_somebody_who_reads_the_entries_in_order(gated: Gated) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    answers = set()
    for case in range(CASES):
        entries = [random_entry(rng) for _ in range(rng.choice((0, 1, 3, 6, 20, 40)))]
        gated.acl(*entries, number=ACL + case)
        for _ in range(40):
            direction, protocol = rng.choice(tuple(Direction)), rng.choice((TCP, UDP))
            ports = 4000, rng.choice((0, 1, 19, 22, 25, 26, 443, 1024, 65535))
            content = tcp(*ports, "S") if protocol == TCP else udp(*ports)
            packet = outgoing(content, to=FAR) if direction == Direction.EGRESS else incoming(content, source=FAR)
            wanted = expected(entries, direction, FAR, protocol, ports[1])
            traced, real = gated.ask(packet).verdict < Verdict.DROP_NOT_CONFIGURED, gated.passes(packet)
            assert (traced, real) == (wanted, wanted), f"seed {seed}, case {case}: {direction!r} {protocol} {ports}"
            answers.add(wanted)
    assert answers == {True, False}


def test_an_acl_that_admits_a_family_whole_is_asked_by_a_trace_only(gated: Gated) -> None:
    """The list says the contrary here, to tell who asked it."""
    gated.acl(deny(into()), deny(out()))
    gated.change_gates(open_egress=OpenFamily.IPV4, open_ingress=OpenFamily.IPV6)
    assert gated.passes(outgoing(udp(1, 2), to=FAR))
    assert gated.verdict(outgoing(udp(1, 2), to=FAR)) == "DROP_NETWORK_ACL_EGRESS"
    assert not gated.passes(incoming(udp(1, 2), source=FAR))
    gated.change_gates(open_egress=OpenFamily.IPV6, open_ingress=OpenFamily.IPV4 | OpenFamily.IPV6)
    assert not gated.passes(outgoing(udp(1, 2), to=FAR))
    assert gated.passes(incoming(udp(1, 2), source=FAR))


def test_the_same_subnet_is_not_asked_even_through_the_router(gated: Gated) -> None:
    gated.acl()
    assert gated.passes(outgoing(udp(1, 2), to=NEAR))
