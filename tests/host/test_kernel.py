"""The order in which the host's tables change: no hole in between, and nobody speaks with an address of another."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.dataplane.formats import (
    Allowance,
    EdgeAddress,
    EdgeNode,
    Gateway,
    GatewayFlag,
    Ifindex,
    InterfaceNumber,
    Route,
    RouteKind,
    ServiceBudget,
    VpcNumber,
)
from rookery.host import rows
from rookery.host.allowances import ALLOWED
from rookery.host.kernel import Kernel
from rookery.host.rule_book import RuleBook
from rookery.intent.host import EdgeIntent, GatewayIntent, HostIntent, RouteIntent, RuleIntent
from rookery.mapping.protocol import Delta
from tests.host.journal import TABLES, Journal, a_mapping, an_instance, an_intent, plugged


def what_it_should_be(intent: HostIntent, devices: rows.Devices) -> dict[str, dict]:
    local = rows.local_interfaces(intent.instances, devices, RuleBook())
    return dict.fromkeys(TABLES, {}) | {
        "interfaces": rows.interfaces(intent.instances, devices, RuleBook()),
        "local_interfaces": local,
        "mappings": rows.mappings(intent.mappings.values()),
        "routes": rows.routes(intent.routes.values()),
        "allowances": {InterfaceNumber(key.interface): Allowance(0, ALLOWED) for key in local},
        "service_budgets": {InterfaceNumber(key.interface): ServiceBudget(0) for key in local},
        "interface_devices": {InterfaceNumber(key.interface): Ifindex(row.ifindex) for key, row in local.items()},
    }


NUMBERS = st.sets(st.integers(5, 9))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_whatever_the_tables_held_they_become_the_intent(before, after, wired):
    journal, devices = Journal(), plugged(*wired)
    Kernel(journal).become(an_intent(*before), devices)
    kernel = Kernel(journal)
    kernel.become(an_intent(*after), devices)
    assert journal.rows == what_it_should_be(an_intent(*after), devices)
    journal.entries.clear()
    kernel.become(an_intent(*after), devices)
    assert journal.entries == []


def test_the_right_to_speak_comes_after_the_mappings():
    journal = Journal()
    Kernel(journal).become(an_intent(5), plugged(5))
    assert journal.entries == [
        ("put", "routes"), ("put", "mappings"), ("put", "allowances"), ("put", "service_budgets"),
        ("put", "local_interfaces"), ("put", "interface_devices"), ("put", "interfaces"),
    ]  # fmt: skip


def test_the_right_to_speak_goes_before_the_mappings_do():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5, 6), plugged(5, 6))
    journal.entries.clear()
    ended = an_instance(5, "terminated")
    instances = {ended.id: ended, an_instance(6).id: an_instance(6)}
    delta = Delta(base=1, generation=2, put_instances=[ended], delete_mappings=[a_mapping(5).key])
    kernel.change(delta, instances)
    assert journal.entries == [
        ("delete", "interfaces"), ("delete", "interface_devices"), ("delete", "local_interfaces"), ("delete", "mappings"),
        ("delete", "allowances"), ("delete", "service_budgets"),
    ]  # fmt: skip
    assert [row.interface for row in journal.rows["interfaces"].values()] == [6]


def test_an_interface_that_changes_is_replaced_and_never_away():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5), plugged(5))
    journal.entries.clear()
    moved = an_instance(5, route_table=4)
    kernel.change(Delta(base=1, generation=2, put_instances=[moved]), {moved.id: moved})
    assert journal.entries == [("put", "interfaces")]
    assert next(iter(journal.rows["interfaces"].values())).route_table == 4


def test_a_delta_of_one_mapping_writes_one_table():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5), plugged(5))
    journal.entries.clear()
    kernel.change(Delta(base=1, generation=2, put_mappings=[a_mapping(9)]), {})
    assert journal.entries == [("put", "mappings")]


def test_a_device_gets_its_rows_when_it_comes_and_loses_them_when_it_goes():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5), {})
    assert journal.rows["interfaces"] == {}
    kernel.have_devices(plugged(5))
    assert journal.rows == what_it_should_be(an_intent(5), plugged(5))
    kernel.have_devices({})
    assert journal.rows == what_it_should_be(an_intent(5), {})


def test_a_route_of_an_unknown_kind_is_refused_whole():
    journal = Journal()
    intent = msgspec.structs.replace(
        an_intent(5), routes={(3, "0.0.0.0/0"): RouteIntent(table=3, destination="0.0.0.0/0", kind="teleport")}
    )
    with pytest.raises(ValueError, match="does not know the kind 'teleport'"):
        Kernel(journal).become(intent, plugged(5))
    assert journal.rows["interfaces"] == {}


def test_an_interface_that_moved_never_speaks_through_the_device_it_left():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5), plugged(5))
    heir = msgspec.structs.replace(an_instance(5), id="i-0000000a")
    kernel.become(msgspec.structs.replace(an_intent(), instances={heir.id: heir}), plugged(5))
    assert (journal.rows["interfaces"], journal.rows["local_interfaces"]) == ({}, {})
    kernel.have_devices({(heir.id, 5): 106})
    assert [row.ifindex for row in journal.rows["interfaces"]] == [106]


EDGES = [EdgeIntent(name="edge-1", address="100.64.1.20"), EdgeIntent(name="edge-2", address="100.64.1.21")]
GATEWAY = GatewayIntent(vni=7, internet=True, egress_only=False)


def with_edges(*rules: RuleIntent) -> HostIntent:
    return msgspec.structs.replace(an_intent(5), rules={rule.key: rule for rule in rules})


def admitted(journal: Journal) -> set[bytes]:
    return {key.address for key in journal.rows["edge_nodes"]}


def test_all_edges_are_admitted_and_the_gateways_known():
    journal = Journal()
    kernel = Kernel(journal)
    both = msgspec.structs.replace(GATEWAY, vni=8, egress_only=True, route_table=9)
    kernel.become(with_edges(*EDGES, GATEWAY, both), plugged(5))
    assert admitted(journal) == {bytes((100, 64, 1, 20)), bytes((100, 64, 1, 21))}
    assert kernel.edges == ("100.64.1.20", "100.64.1.21")
    assert journal.rows["gateways"] == {
        VpcNumber(7): Gateway(GatewayFlag.INTERNET, 0),
        VpcNumber(8): Gateway(GatewayFlag.INTERNET | GatewayFlag.EGRESS_ONLY, 9),
    }


def test_an_edge_that_is_gone_is_admitted_no_more_and_one_that_moved_at_its_new_address():
    """A deleted edge is named, and names are no addresses."""
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(with_edges(*EDGES, GATEWAY), plugged(5))
    kernel.change(Delta(base=1, generation=2, delete_rules=[EDGES[0].key, GATEWAY.key]), {})
    assert (admitted(journal), journal.rows["gateways"]) == ({bytes((100, 64, 1, 21))}, {})
    moved = msgspec.structs.replace(EDGES[1], address="100.64.1.99")
    kernel.change(Delta(base=2, generation=3, put_rules=[moved]), {})
    assert admitted(journal) == {bytes((100, 64, 1, 99))}
    assert kernel.edges == ("100.64.1.99",)


def test_forged_rows_of_edges_and_gateways_are_mended():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(with_edges(*EDGES, GATEWAY), plugged(5))
    wanted = (dict(journal.rows["edge_nodes"]), dict(journal.rows["gateways"]))
    journal.rows["edge_nodes"][EdgeAddress(bytes((6, 6, 6, 6)))] = EdgeNode(1)
    journal.rows["gateways"].clear()
    assert kernel.heal() == 2
    assert (journal.rows["edge_nodes"], journal.rows["gateways"]) == wanted


def test_routes_that_lead_out_have_a_root_that_keeps_them_from_ipv4():
    out = RouteIntent(table=3, destination="::/0", kind="egress_only")
    found = rows.with_roots(rows.routes([out]))
    assert {row.kind for row in found.values()} == {RouteKind.NONE, RouteKind.EGRESS_ONLY}
    assert rows.routes([RouteIntent(table=3, destination="0.0.0.0/0", kind="internet")]) == {
        rows.route_key((3, "0.0.0.0/0")): Route(RouteKind.INTERNET, 0)
    }
