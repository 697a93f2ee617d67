"""Rules in the kernel's tables: the order in which lists come and go, roots of routes, allowances, what cannot be kept."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.dataplane.formats import Allowance, InterfaceNumber, Route, RouteKind, RuleConstant
from rookery.host import rows
from rookery.host.kept_table import KeptTable
from rookery.host.kernel import Kernel
from rookery.intent.host import (
    AclEntryIntent,
    AclIntent,
    ForwarderIntent,
    GroupRuleIntent,
    GroupSetIntent,
    HostIntent,
    PeeringIntent,
    PolicyIntent,
    RouteIntent,
)
from rookery.mapping.protocol import Delta
from tests.host.journal import FakeMap, Journal, a_mapping, an_instance, an_intent, plugged

SSH = GroupRuleIntent(id="sgr-1", of="sg-a", egress=False, protocol=6, from_port=22, to_port=22, cidrs=("10.0.0.0/8",))
INSIDE = GroupRuleIntent(id="sgr-2", of="sg-a", egress=False, protocol=-1, from_port=-1, to_port=-1, group="sg-b")
ALL_OUT = GroupRuleIntent(id="sgr-3", of="sg-a", egress=True, protocol=-1, from_port=-1, to_port=-1, cidrs=("0.0.0.0/0",))
POLICY = PolicyIntent(vni=7, group_set=77, groups=("sg-a",), rules=(SSH, INSIDE, ALL_OUT))
ENTRY = AclEntryIntent(
    number=100, egress=False, allow=True, protocol=-1, cidr="0.0.0.0/0", from_port=-1, to_port=-1
)
ACL = AclIntent(number=9, id="acl-9", vni=7, entries=(ENTRY,))
SET_B = GroupSetIntent(number=88, groups=("sg-b", "sg-c"))
FORWARDER = ForwarderIntent(
    vni=7, interface=6, host="100.64.1.11", subnet=2, mac="02:00:00:00:00:06", source_dest_check=False
)
PEERING = PeeringIntent(vni=7, peer=8)
EVERY_RULE = (POLICY, ACL, SET_B, FORWARDER, PEERING)
LISTS = ("rule_addresses", "rule_ports", "rule_groups")


def ruled(*rules) -> HostIntent:
    instance = an_instance(5, group_set=77, acl=9)
    return msgspec.structs.replace(
        an_intent(5), instances={instance.id: instance}, rules={rule.key: rule for rule in rules}
    )


def kernel_with(*rules) -> tuple[Kernel, Journal]:
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(ruled(*rules), plugged(5))
    journal.entries.clear()
    return kernel, journal


def changed(kernel: Kernel, put=(), delete=()) -> None:
    kernel.change(Delta(base=1, generation=2, put_rules=list(put), delete_rules=list(delete)), {})


def gates(journal: Journal) -> set[tuple[int, int]]:
    held = [*journal.rows["interfaces"].values(), *journal.rows["local_interfaces"].values()]
    return {(row.policy, row.acl) for row in held}


def lists_in(journal: Journal) -> set[int]:
    return {key.list for table in LISTS for key in journal.rows[table]}


def test_an_interface_gets_the_lists_of_its_groups_and_of_its_acl():
    kernel, journal = kernel_with(*EVERY_RULE)
    (pair,) = gates(journal)
    assert 0 not in pair
    assert set(pair) == lists_in(journal) == set(kernel.book.lists)


@pytest.mark.parametrize("missing", [POLICY, ACL])
def test_an_interface_without_rules_has_none_and_is_shut(missing):
    _, journal = kernel_with(*(rule for rule in EVERY_RULE if rule is not missing))
    ((policy, acl),) = gates(journal)
    assert (policy == 0) == (missing is POLICY)
    assert (acl == 0) == (missing is ACL)


def test_rules_of_another_vpc_open_nothing():
    _, journal = kernel_with(msgspec.structs.replace(POLICY, vni=8), ACL)
    ((policy, acl),) = gates(journal)
    assert (policy, acl != 0) == (0, True)


def test_other_rules_are_there_before_the_interface_goes_over_and_the_old_ones_go_afterwards():
    kernel, journal = kernel_with(*EVERY_RULE)
    before = gates(journal)
    changed(kernel, put=[msgspec.structs.replace(POLICY, rules=(SSH, INSIDE))])
    flip = journal.entries.index(("put", "local_interfaces"))
    assert {entry for entry in journal.entries[:flip]} == {("put", table) for table in LISTS}
    assert journal.entries[flip + 1] == ("put", "interfaces")
    assert {entry for entry in journal.entries[flip + 2 :]} == {("delete", table) for table in LISTS}
    assert gates(journal) != before
    assert lists_in(journal) == set(*gates(journal))


def test_the_same_rules_said_again_write_nothing():
    kernel, journal = kernel_with(*EVERY_RULE)
    changed(kernel, put=[msgspec.structs.replace(POLICY, rules=POLICY.rules[::-1]), SET_B, ACL])
    assert journal.entries == []


def test_a_new_set_of_groups_adds_rows_and_touches_no_interface():
    kernel, journal = kernel_with(*EVERY_RULE)
    changed(kernel, put=[GroupSetIntent(number=89, groups=("sg-b",))])
    assert journal.entries == [("put", "rule_groups")]
    changed(kernel, delete=[("group-set", 89, 0)])
    assert journal.entries == [("put", "rule_groups"), ("delete", "rule_groups")]


def test_a_peering_and_a_forwarder_come_and_go_alone():
    kernel, journal = kernel_with(POLICY, ACL)
    changed(kernel, put=[FORWARDER, PEERING])
    assert journal.entries == [("put", "peerings"), ("put", "forwarders")]
    changed(kernel, delete=[FORWARDER.key, PEERING.key])
    assert journal.rows["peerings"] == journal.rows["forwarders"] == {}


WAY = RouteIntent(table=3, destination="10.8.0.0/16", kind="interface", target=6)
NEXT = msgspec.structs.replace(FORWARDER, interface=7, mac="02:00:00:00:00:07")
NEXT_WAY = msgspec.structs.replace(WAY, target=7)
THERE_ALL_THE_TIME = [("put", "forwarders"), ("put", "routes"), ("delete", "forwarders")]


def led(way: RouteIntent, forwarder: ForwarderIntent) -> HostIntent:
    intent = ruled(POLICY, ACL, forwarder)
    return msgspec.structs.replace(intent, routes=intent.routes | {way.key: way})


def test_a_route_leads_to_a_forwarder_that_is_there_all_the_time():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(led(WAY, FORWARDER), plugged(5))
    journal.entries.clear()
    more = {"put_rules": [NEXT], "put_routes": [NEXT_WAY], "delete_rules": [FORWARDER.key]}
    kernel.change(Delta(base=1, generation=2, **more), {})
    assert journal.entries == THERE_ALL_THE_TIME
    journal.entries.clear()
    kernel.become(led(WAY, FORWARDER), plugged(5))
    assert journal.entries == THERE_ALL_THE_TIME


def test_rules_that_cannot_be_kept_shut_their_interfaces_and_are_told():
    kernel, journal = kernel_with(*EVERY_RULE)
    many = tuple(msgspec.structs.replace(SSH, id=f"sgr-{n}") for n in range(RuleConstant.BITS + 1))
    changed(kernel, put=[msgspec.structs.replace(POLICY, rules=many)])
    ((policy, acl),) = gates(journal)
    assert (policy, acl != 0) == (0, True)
    assert "1025 bits of rules for ingress" in kernel.book.faults[POLICY.key]
    changed(kernel, put=[POLICY])
    assert (kernel.book.faults, 0 in gates(journal).pop()) == ({}, False)


SETS = st.sets(st.sampled_from(EVERY_RULE))


@given(SETS, SETS)
def test_deltas_and_a_whole_intent_lead_to_the_same_rows(before, after):
    kernel, journal = kernel_with(*before)
    gone = {rule.key for rule in before} - {rule.key for rule in after}
    changed(kernel, put=after, delete=gone)
    assert journal.rows == kernel_with(*after)[1].rows


@given(SETS, SETS)
def test_whatever_rules_an_earlier_agent_left_become_the_intents(before, after):
    _, journal = kernel_with(*before)
    Kernel(journal).become(ruled(*after), plugged(5))
    assert journal.rows == kernel_with(*after)[1].rows


def test_a_full_pass_mends_every_table_and_leaves_the_count_of_flows_alone():
    kernel, journal = kernel_with(*EVERY_RULE)
    allowance = Allowance(tracked=12, allowed=65_536)
    journal.allowances.rows = {InterfaceNumber(5): allowance, InterfaceNumber(6): allowance}
    for table in LISTS:
        getattr(journal, table).rows.clear()
    right = kernel_with(*EVERY_RULE)[1].rows
    assert kernel.heal() == 1 + sum(len(right[table]) for table in LISTS)
    assert journal.rows == right | {"allowances": {InterfaceNumber(5): allowance}}


def test_a_pass_before_the_first_intent_touches_nothing():
    _, journal = kernel_with(*EVERY_RULE)
    assert (Kernel(journal).heal(), journal.entries) == (0, [])


def test_a_flow_that_an_earlier_rule_admitted_is_still_called_by_its_rule():
    kernel, journal = kernel_with(*EVERY_RULE)
    ((policy, acl),) = gates(journal)
    changed(kernel, put=[msgspec.structs.replace(POLICY, rules=())])
    assert kernel.book.said(policy, 1, 0) == "sgr-3 of sg-a (all protocols to 0.0.0.0/0)"
    assert kernel.book.said(policy, 2, 0) == "sgr-1 of sg-a (tcp 22 from 10.0.0.0/8)"
    assert kernel.book.said(policy, 2, RuleConstant.NONE) == "no ingress rule of sg-a allows it"
    assert kernel.book.said(acl, 2, 0) == "acl-9 rule 100 (allow all protocols from 0.0.0.0/0)"
    assert kernel.book.said(acl, 1, RuleConstant.NONE) == "no entry of acl-9 fits, and what fits none is denied"


def test_a_delegated_prefix_is_a_row_of_its_own_table():
    kernel, journal = kernel_with()
    prefix = msgspec.structs.replace(a_mapping(5), address="10.7.1.16/28")
    kernel.change(Delta(base=1, generation=2, put_mappings=[prefix]), {})
    assert journal.entries == [("put", "delegated")]
    ((key, row),) = journal.rows["delegated"].items()
    assert (key.prefix_length, key.vni, row.interface) == (32 + 96 + 28, 7, 5)
    kernel.change(Delta(base=2, generation=3, delete_mappings=[prefix.key]), {})
    assert journal.rows["delegated"] == {}


DESTINATIONS = ("0.0.0.0/0", "10.0.0.0/8", "::/0", "::/3", "2001:db8::/32", "::ffff:0:0/96", "::ffff:0:0/100")
TABLES_OF_ROUTES = st.sets(st.tuples(st.integers(1, 2), st.sampled_from(DESTINATIONS)))


def routes_of(keys) -> list[RouteIntent]:
    return [RouteIntent(table=table, destination=cidr, kind="peer", target=8) for table, cidr in sorted(keys)]


@given(TABLES_OF_ROUTES, TABLES_OF_ROUTES)
def test_the_roots_of_routes_follow_every_delta(before, after):
    table = FakeMap("routes", [])
    kept = KeptTable(table)
    kept.become(rows.with_roots(rows.routes(routes_of(before))))
    put, gone = rows.routes(routes_of(after)), rows.route_keys(before - after)
    kept.change(*rows.change_of_routes(put, gone, kept.wanted))
    assert table.rows == kept.wanted == rows.with_roots(rows.routes(routes_of(after)))


@pytest.mark.parametrize(
    ("cidrs", "kind"),
    [
        (["::/0"], RouteKind.NONE),
        (["::/3", "10.0.0.0/8"], RouteKind.NONE),
        (["::/0", "0.0.0.0/0"], RouteKind.PEER),
        (["2001:db8::/32"], None),
        (["::ffff:0:0/96"], None),
    ],
)
def test_an_ipv6_route_never_matches_an_ipv4_packet(cidrs: list[str], kind: RouteKind | None):
    held = rows.with_roots(rows.routes(routes_of({(1, cidr) for cidr in cidrs})))
    root: Route | None = held.get(rows.route_key((1, "0.0.0.0/0")))
    assert (root.kind if root else None) == kind
