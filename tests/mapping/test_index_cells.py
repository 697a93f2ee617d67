"""What a cell's interfaces tell hosts, edges and nodes, and what a change of its nodes does (tests/mapping/wild.py draws the region).

    the first VPC: 10.0.1.9, .10 (a NAT gateway) and 10.0.2.9 live at cell-a: nodes 1 and 2, both of the owner's shard
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.intent.digest import digest_of
from rookery.intent.host import MappingIntent, TopsIntent
from rookery.intent.instance import forwarder_intent
from rookery.intent.tops import tops_number
from tests.mapping.followed import Region, one
from tests.mapping.wild import (
    AT_CELL,
    CELLS,
    GROUPS,
    HOSTS,
    NATS,
    NODES,
    OWNER,
    SUBNETS,
    TABLES,
    at_cell,
    cell,
    nat_gateway,
    node,
    shard,
)

NUMBER = tops_number(CELLS[0], OWNER["account"])
TOPS = ("tops", NUMBER, 0)
BOTH = ("100.64.240.10", "100.64.240.11")


@pytest.fixture
def followed() -> Region:
    return Region()


def mapping(followed: Region, address: str, host: str = "host-2") -> MappingIntent:
    return followed.index.intent(host).mappings[0xA1, address]


def tops(followed: Region, host: str = "host-2") -> TopsIntent:
    return followed.index.intent(host).rules[TOPS]


def test_an_interface_at_a_cell_is_mapped_to_the_nodes_that_serve_its_owner(followed):
    row = mapping(followed, "10.0.1.10")
    assert (row.host, row.tops, row.interface, row.source_dest_check) == ("", NUMBER, 0xE6, False)
    assert tops(followed) == TopsIntent(number=NUMBER, addresses=BOTH)


def test_it_is_a_forwarder_whatever_its_check_and_brings_its_groups(followed):
    followed.change(replace(one(AT_CELL[1]), groups=GROUPS[:1]))
    row = followed.index.intent("host-2").rules["forwarder", 0xA1, 0xE7]
    assert (row.host, row.tops, row.source_dest_check) == ("", NUMBER, True)
    assert row.group_set == mapping(followed, "10.0.2.9").group_set != 0


def test_a_forwarder_at_a_host_has_no_groups():
    row = MappingIntent(
        vni=1, address="10.0.0.4", host="100.64.1.10", interface=2, subnet=3, mac="02:00:00:00:00:01",
        source_dest_check=False, group_set=77, generation=1, issued=1,
    )  # fmt: skip
    assert (forwarder_intent(row).group_set, forwarder_intent(row).tops) == (0, 0)


def test_hosts_without_such_a_vpc_hear_nothing_of_the_nodes(followed):
    assert not [rule for rule in followed.index.intent("host-3").rules if rule[0] == "tops"]
    assert "host-3" not in followed.change(shard(CELLS[0], OWNER["account"], NODES[:1]))


def test_another_shard_is_one_row_and_no_mapping(followed):
    told = followed.change(shard(CELLS[0], OWNER["account"], NODES[:1]))
    assert {host: change.rules for host, change in told.items()} == {
        host: {TOPS: TopsIntent(number=NUMBER, addresses=BOTH[:1], others=BOTH[1:])} for host in HOSTS[:2]
    }
    assert not any(change.mappings for change in told.values())


def test_a_node_that_drains_may_speak_and_is_not_chosen(followed):
    followed.change(cell(CELLS[0], NODES[:1]))
    assert tops(followed) == TopsIntent(number=NUMBER, addresses=BOTH[1:], others=BOTH[:1])
    followed.change(shard(CELLS[0], OWNER["account"], NODES[1:2]))
    assert tops(followed).others == BOTH[:1]  # it is in nobody's shard any more, and ends its flows


def test_where_all_nodes_drain_they_go_on(followed):
    followed.change(cell(CELLS[0], NODES[:2]))
    assert tops(followed) == TopsIntent(number=NUMBER, addresses=BOTH)


def test_a_node_that_moves_or_goes_changes_the_sets_it_is_in(followed):
    followed.change(node(NODES[0], 99, CELLS[0]))
    assert tops(followed).addresses == ("100.64.240.11", "100.64.240.99")
    followed.change(gone=(node(NODES[0], 99, CELLS[0]),))
    assert tops(followed).addresses == BOTH[1:]


def test_without_a_shard_the_address_is_there_and_leads_to_nobody(followed):
    told = followed.change(gone=(shard(CELLS[0], OWNER["account"], ()),))
    assert told["host-2"].rules == {TOPS: None}
    assert mapping(followed, "10.0.1.9").tops == NUMBER


def test_the_set_goes_with_the_last_interface(followed):
    assert TOPS not in followed.change(gone=(one(AT_CELL[0]),))["host-2"].rules
    assert followed.change(gone=(one(AT_CELL[1]),))["host-2"].rules[TOPS] is None


def test_an_interface_that_goes_to_another_cell_brings_the_other_set(followed):
    followed.change(shard(CELLS[1], OWNER["account"], NODES[1:2]))
    moved = [at_cell(one(eni).id, one(eni).subnet_id, list(one(eni).addresses), CELLS[1]) for eni in AT_CELL]
    told = followed.change(*moved)["host-2"]
    assert told.rules[TOPS] is None
    assert told.rules["tops", tops_number(CELLS[1], OWNER["account"]), 0].addresses == BOTH[1:]


def test_a_peer_knows_the_nodes_too(followed):
    followed.change(replace(one(AT_CELL[0]), subnet_id=SUBNETS[3]), gone=(one(AT_CELL[1]),))
    assert not any(TOPS in followed.index.intent(host).rules for host in HOSTS[:2])
    assert TOPS in followed.index.intent("host-3").rules
    peered = replace(one("pcx-00000000000000042"), status="active")
    assert TOPS in followed.change(peered)["host-2"].rules


def test_a_route_leads_to_the_interface_of_a_nat_gateway_while_that_lives(followed):
    def way(told) -> list[tuple[str, int]]:
        rows = [row for row in told["host-1"].routes.values() if row and row.destination == "0.0.0.0/0"]
        return [(row.kind, row.target) for row in rows]

    assert way(followed.change(nat_gateway(NATS[0], AT_CELL[0], "deleting"))) == [("blackhole", 0)]
    assert way(followed.change(nat_gateway(NATS[0], AT_CELL[0], "pending"))) == [("interface", 0xE6)]
    assert way(followed.change(gone=(one(AT_CELL[0]),))) == [("blackhole", 0)]
    assert way(followed.change(one(AT_CELL[0]))) == [("interface", 0xE6)]
    assert way(followed.change(nat_gateway(NATS[0], AT_CELL[1]))) == [("interface", 0xE7)]


def test_an_interface_at_no_cell_is_no_nat_gateway(followed):
    followed.change(nat_gateway(NATS[0], "eni-000000000000000e1"))
    routes = followed.index.intent("host-1").routes
    assert routes[int(TABLES[1][-8:], 16), "0.0.0.0/0"].kind == "blackhole"


def test_a_node_holds_what_the_interfaces_of_its_cell_need(followed):
    followed.index.subscribe(NODES[0])
    intent = followed.index.intent(NODES[0])
    assert intent == followed.right(NODES[0])
    assert {vni for vni, _ in intent.mappings} == {0xA1, 0xA2}  # the peer, too
    assert {table for table, _ in intent.routes} == {int(table[-8:], 16) for table in TABLES[:2]}
    assert {rule[:2] for rule in intent.rules if rule[0] in ("acl", "tops", "edge")} == {
        ("acl", 0x21), ("acl", 0x22), ("tops", NUMBER), ("edge", 0)
    }  # fmt: skip
    assert not intent.instances
    assert followed.index.digest(NODES[0]) == digest_of(intent)


def test_a_node_hears_of_an_interface_in_another_vpc_and_of_its_groups(followed):
    followed.index.subscribe(NODES[0])
    told = followed.change(at_cell(AT_CELL[1], SUBNETS[3], ["10.0.1.9"], CELLS[0], groups=GROUPS[2:]))[NODES[0]]
    assert (0xA3, "10.0.1.6") in told.mappings
    assert [rule for rule in told.rules if rule[0] == "policy"]
    told = followed.change(gone=(one(AT_CELL[1]),))[NODES[0]]
    assert told.mappings[0xA3, "10.0.1.6"] is None
    assert followed.index.intent(NODES[0]) == followed.right(NODES[0])


def test_a_node_hears_which_table_is_in_effect(followed):
    followed.index.subscribe(NODES[0])
    told = followed.change(replace(one(TABLES[1]), associations=()))[NODES[0]]
    assert {table: row for (table, _), row in told.routes.items()} == {int(TABLES[1][-8:], 16): None}
    assert followed.index.intent(NODES[0]) == followed.right(NODES[0])


def test_a_node_of_another_cell_holds_nothing(followed):
    followed.change(node(NODES[2], 12, CELLS[1]))
    followed.index.subscribe(NODES[2])
    intent = followed.index.intent(NODES[2])
    assert not intent.mappings
    assert {rule[0] for rule in intent.rules} == {"edge"}
    told = followed.change(node(NODES[2], 12, CELLS[0]))[NODES[2]]
    assert {vni for vni, _ in told.mappings} == {0xA1, 0xA2}


def test_an_edge_knows_the_nodes_and_the_public_address_of_an_interface_at_a_cell(followed):
    followed.change(replace(one("eipalloc-00000000000000091"), interface_id=AT_CELL[0], private_address="10.0.1.10"))
    followed.index.subscribe("edge-1")
    rules = followed.index.intent("edge-1").rules
    public = rules["public", 0, "203.0.113.145"]
    assert (public.private, public.interface, public.vni) == ("10.0.1.10", 0xE6, 0xA1)
    assert rules[TOPS].addresses == BOTH
