"""Which rule of the security groups counts? Instance 11 of host A, packets in and out, and an oracle that reads the rules one
by one.

    instance 11 (10.7.1.5) -- gate -- [host A] -- substrate -- host B with 12 (10.7.1.6) and 13 (10.7.2.7)
"""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from rookery.dataplane.events import Event
from rookery.dataplane.formats import Direction, RuleConstant, Step, Verdict
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan, rule_rows
from tests.dataplane.gated import FAR, LOCAL, NEAR, OWN, POLICY, Gated, incoming, outgoing, tcp, udp
from tests.dataplane.packets import ICMP
from tests.dataplane.rule_rows import ALL, FAMILIES, TCP, UDP, Rule, into, out

WEB, DATABASE = 71, 72
GROUPS = {NEAR: WEB, FAR: 0}
CASES = 25


def test_the_rules_of_all_groups_count_together(gated: Gated) -> None:
    """T4-10: one group admits 22, another 443; the interface's list has the rules of both."""
    gated.policy(into(TCP, 22, "10.7.1.0/24"), into(TCP, 443))
    passed = [port for port in (21, 22, 23, 442, 443, 444) if gated.passes(incoming(tcp(4000, port, "S")))]
    assert passed == [22, 443]


def test_nothing_passes_without_a_rule(gated: Gated) -> None:
    gated.policy()
    assert gated.verdict(outgoing(udp(1, 2))) == "DROP_SECURITY_GROUP_EGRESS"
    assert gated.verdict(incoming(udp(1, 2))) == "DROP_SECURITY_GROUP_INGRESS"


@pytest.mark.parametrize("field", ["policy", "acl"])
def test_nothing_passes_when_nobody_said_which_rules(gated: Gated, field: str) -> None:
    gated.change_gates(**{field: 0})
    for packet in (outgoing(udp(1, 2)), incoming(udp(1, 2)), outgoing(udp(1, 2), to=FAR)):
        assert gated.verdict(packet) == "DROP_NOT_CONFIGURED"


def test_a_list_that_was_never_written_admits_nothing(gated: Gated) -> None:
    gated.change_gates(policy=POLICY + 99)
    assert gated.verdict(outgoing(udp(1, 2))) == "DROP_SECURITY_GROUP_EGRESS"


def test_a_rule_for_a_group_fits_who_has_it(gated: Gated) -> None:
    gated.policy(into(TCP, 5432, "0.0.0.0/0", WEB, DATABASE))
    gated.set_groups(NEAR, WEB)
    assert gated.passes(incoming(tcp(4000, 5432, "S")))
    assert not gated.passes(incoming(tcp(4000, 5433, "S")))
    assert not gated.passes(incoming(tcp(4000, 5432, "S"), source=FAR))


def test_who_loses_a_group_loses_its_rules_for_new_flows(gated: Gated) -> None:
    """T4-09."""
    gated.policy(into(TCP, 5432, "0.0.0.0/0", WEB))
    gated.set_groups(NEAR, WEB)
    assert gated.all_pass([incoming(tcp(4000, 5432, "S")), outgoing(tcp(5432, 4000, "SA"))])
    gated.set_groups(NEAR, DATABASE)
    assert gated.passes(incoming(tcp(4000, 5432, "A")))
    assert not gated.passes(incoming(tcp(4001, 5432, "S")))


def test_at_egress_the_destinations_groups_count(gated: Gated) -> None:
    gated.policy(out(TCP, 5432, "0.0.0.0/0", DATABASE))
    gated.set_groups(NEAR, DATABASE)
    assert gated.passes(outgoing(tcp(4000, 5432, "S")))
    assert not gated.passes(outgoing(tcp(4000, 5432, "S"), to=FAR))


def test_a_group_of_a_neighbour_on_the_same_host_counts(gated: Gated) -> None:
    rule_rows.put_policy(gated.real, POLICY, [into(UDP, 53, "0.0.0.0/0", WEB)])
    gated.local_gates(14, policy=POLICY)
    assert gated.verdict(outgoing(udp(1, 53), to=LOCAL)) == "DROP_SECURITY_GROUP_INGRESS"
    gated.set_groups(OWN, WEB)
    assert gated.verdict(outgoing(udp(1, 53), to=LOCAL)) == "DELIVERED"


def test_icmp_is_admitted_by_type_and_code(gated: Gated) -> None:
    gated.policy(into(1, (3 << 8, 3 << 8 | 255)), into(1, 11 << 8))
    asked = [(3, 0), (3, 4), (11, 0), (11, 1), (8, 0)]
    assert [gated.passes(incoming(ICMP(type=t, code=c))) for t, c in asked] == [True, True, True, False, False]


def test_a_rule_for_a_protocol_ignores_its_ports(gated: Gated) -> None:
    gated.policy(into(50, cidr="10.7.1.0/24"))
    assert gated.passes(incoming(udp(1, 2), proto=50))
    assert not gated.passes(incoming(udp(1, 2), proto=51))


def rules_of(number: int) -> list[Rule]:
    """The last one admits 12; the others fit its address or the port, never both."""
    others = [into(TCP, 1000 + n, f"10.9.{n // 250}.{n % 250}/32") for n in range(number - 1)]
    return [*others, into(TCP, 22, "10.7.1.6/32")]


@pytest.mark.parametrize("number", [1, 64, 65, 1024])
def test_the_last_of_many_rules_is_found(gated: Gated, number: int) -> None:
    gated.policy(*rules_of(number))
    asked = gated.ask(incoming(tcp(4000, 22, "S")))
    assert (asked.verdict, rule_told(asked.events)) == (Verdict.DELIVERED, number - 1)
    assert not gated.passes(incoming(tcp(4000, 1000, "S")))


def rule_told(events: list[Event]) -> int:
    """Of the ingress gate's security groups."""
    steps = (Step.CONNECTION_MADE, Step.CONNECTION_FOUND, Step.UNTRACKED)
    (event,) = (event for event in events if event.step in steps)
    assert event.direction == Direction.INGRESS
    assert event.detail == POLICY
    return event.rule


def test_the_events_name_list_and_rule(gated: Gated) -> None:
    gated.policy(into(TCP, 22), into(TCP, 23, "10.7.1.0/24"))
    assert rule_told(gated.ask(incoming(tcp(4000, 22, "S"))).events) == 0
    made = gated.ask(incoming(tcp(4000, 23, "S"))).events
    assert rule_told(made) == 1
    assert gated.passes(incoming(tcp(4000, 23, "S")))
    assert rule_told(gated.ask(incoming(tcp(4000, 23, "A"))).events) == 1
    outside = [event for event in made if event.step in (Step.RECEIVED, Step.VERIFIED, Step.DELIVERED)]
    assert {(event.rule, event.direction) for event in outside} == {(RuleConstant.NONE, 0)}


def test_a_flow_names_the_list_that_once_admitted_it(gated: Gated) -> None:
    gated.policy(into(TCP, 23, "10.7.1.0/24"))
    assert gated.passes(incoming(tcp(4000, 23, "S")))
    gated.policy(number=POLICY + 1)
    found = [event for event in gated.ask(incoming(tcp(4000, 23, "A"))).events if event.step is Step.CONNECTION_FOUND]
    assert [(event.detail, event.rule) for event in found] == [(POLICY, 0)]


def test_a_sampled_drop_names_the_list(gated: Gated) -> None:
    gated.policy(out())
    taken: list[Event] = []
    end = gated.real.events(taken.append)
    try:
        assert not gated.passes(incoming(tcp(4000, 23, "S")))
        gated.real.poll_events()
    finally:
        end()
    drop = taken[-1]
    assert (drop.verdict, drop.trace) == (Verdict.DROP_SECURITY_GROUP_INGRESS, 0)
    assert (drop.detail, drop.rule, drop.direction) == (POLICY, RuleConstant.NONE, Direction.INGRESS)


def test_other_drops_still_name_their_reason(gated: Gated) -> None:
    dropped = gated.ask(outgoing(udp(1, 2), src="192.0.2.1")).events[-1]
    assert (dropped.detail, dropped.rule, dropped.direction) == (Verdict.DROP_SOURCE_ADDRESS, RuleConstant.NONE, 0)


# The oracle: what section 4 of the EC2 guide says, rule by rule.


def fits(rule: Rule, remote: str, group_set: int, protocol: int, port: int) -> bool:
    if not rule.fits_ports(protocol, port):
        return False
    if rule.group_sets:
        return group_set in rule.group_sets
    return ip_address(remote) in rule.network


def whole_protocol(rule: Rule, direction: Direction, protocol: int) -> bool:
    covers = rule.protocol == ALL or (rule.protocol == protocol and rule.ports == (0, 65535))
    return covers and from_everywhere(rule) and rule.direction == direction


def from_everywhere(rule: Rule) -> bool:
    return not rule.group_sets and rule.network == FAMILIES[0]


def expected(rules: list[Rule], direction: Direction, remote: str, protocol: int, ports: tuple[int, int]) -> str:
    """dropped, tracked or untracked."""
    source, destination = ports
    group_set = GROUPS[remote]
    opposite = Direction(3 - direction)
    mine = [r for r in rules if r.direction == direction and fits(r, remote, group_set, protocol, destination)]
    if not mine:
        return "dropped"
    asked = any(map(from_everywhere, mine)) and any(whole_protocol(r, opposite, protocol) for r in rules)
    reverse = [r for r in rules if r.direction == opposite and fits(r, remote, group_set, protocol, source)]
    answer = any(map(from_everywhere, reverse)) and any(whole_protocol(r, direction, protocol) for r in rules)
    return "untracked" if asked or answer else "tracked"


CIDRS = ("0.0.0.0/0", "0.0.0.0/0", "::/0", "10.7.0.0/16", "10.7.1.0/24", "10.7.1.6/32", "10.7.2.0/23", "10.7.2.7/32", "2001:db8::/32")
RANGES = ((0, 65535), (0, 65535), (22, 22), (20, 25), (1024, 65535), (1023, 1023), (80, 443), (1, 65535))


def random_rule(rng: random.Random) -> Rule:
    sets = tuple(rng.sample((WEB, DATABASE), rng.choice((0, 0, 1, 2))))
    protocol = rng.choice((ALL, TCP, UDP))
    ports = rng.choice(RANGES) if protocol != ALL else (0, 65535)
    return Rule(rng.choice(tuple(Direction)), protocol, ports, rng.choice(CIDRS), sets)


def found(gated: Gated, packet: tuple[str, bytes]) -> str:
    asked = gated.ask(packet)
    if asked.verdict >= Verdict.DROP_NOT_CONFIGURED:
        return "dropped"
    steps = {event.step for event in asked.events}
    return "untracked" if Step.UNTRACKED in steps else "tracked" if Step.CONNECTION_MADE in steps else "?"


def test_the_decision_is_that_of_somebody_who_reads_the_rules_one_by_one(gated: Gated) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    gated.set_groups(NEAR, GROUPS[NEAR])
    answers = set()
    for case in range(CASES):
        rules = [random_rule(rng) for _ in range(rng.choice((0, 1, 2, 3, 5, 9, 100)))]
        gated.policy(*rules, number=POLICY + case)
        for _ in range(40):
            remote, protocol = rng.choice((NEAR, FAR)), rng.choice((TCP, UDP))
            ports = rng.choice((21, 22, 80, 1023, 1024, 40000)), rng.choice((19, 22, 25, 26, 443, 1024, 65535))
            content = tcp(*ports, "S") if protocol == TCP else udp(*ports)
            direction = rng.choice(tuple(Direction))
            packet = outgoing(content, to=remote) if direction == Direction.EGRESS else incoming(content, source=remote)
            wanted = expected(rules, direction, remote, protocol, ports)
            assert found(gated, packet) == wanted, f"seed {seed}, case {case}: {direction!r} {remote} {protocol} {ports}"
            answers.add(wanted)
    assert answers == {"dropped", "tracked", "untracked"}


def test_the_counters_say_which_gate_dropped(gated: Gated) -> None:
    gated.policy()
    before = {v: gated.counted(v) for v in (Verdict.DROP_SECURITY_GROUP_EGRESS, Verdict.DROP_SECURITY_GROUP_INGRESS)}
    for program, frame in (outgoing(udp(1, 2)), incoming(udp(1, 2)), incoming(udp(1, 3))):
        gated.real.test_run(program, frame, RunContext(ifindex=plan.DEVICE))  # type: ignore[arg-type]
    assert [gated.counted(verdict) - was for verdict, was in before.items()] == [1, 2]
