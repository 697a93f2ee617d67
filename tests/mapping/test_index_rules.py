"""What one change of a rule tells the hosts, and what it does not (tests/mapping/wild.py draws the region).

The index's machine (test_index.py) holds every step against the whole computation; here each kind of change has a name.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.intent.digest import digest_of
from rookery.intent.groups import group_set
from rookery.model.objects import NetworkAclEntry, Route
from tests.mapping.followed import Region, one
from tests.mapping.wild import (
    ACLS,
    CIDRS,
    GROUPS,
    INTERFACES,
    LISTS,
    PEERINGS,
    TABLES,
    VPCS,
    instance,
    prefix_list,
)


@pytest.fixture
def followed() -> Region:
    return Region()


def test_a_new_version_of_a_prefix_list_reaches_the_tables_and_the_policies_that_read_it(followed):
    told = followed.change(prefix_list(LISTS[0], [[CIDRS[2]], ["192.0.2.0/24"]]))
    routes = told["host-1"].routes
    assert {destination: row and row.kind for (_, destination), row in routes.items()} == {
        CIDRS[2]: None,
        "192.0.2.0/24": "interface",
    }
    assert [row.rules[-1].cidrs for row in told["host-1"].rules.values()] == [("192.0.2.0/24",)]
    assert "host-3" not in told


def test_an_entry_of_a_network_acl_reaches_the_hosts_whose_subnets_it_guards(followed):
    entry = NetworkAclEntry(number=1, is_egress=True, allow=True, protocol=-1, cidr="0.0.0.0/0")
    told = followed.change(replace(one(ACLS[1]), entries=(entry,)))
    assert list(told) == ["host-1"]
    (acl,) = told["host-1"].rules.values()
    assert [row.number for row in acl.entries] == [1]


def test_a_rule_of_a_group_reaches_the_hosts_that_have_an_interface_in_it(followed):
    told = followed.change(replace(one(GROUPS[0]), rules=()))
    assert {host: list(change.rules) for host, change in told.items()} == {
        "host-1": [("policy", group_set(GROUPS[:1]), 0)],
        "host-2": [("policy", group_set(GROUPS[:2]), 0)],
    }


def test_the_end_of_a_peering_takes_away_all_of_the_peer(followed):
    told = followed.change(replace(one(PEERINGS[0]), status="deleted"))["host-1"]
    assert told.mappings == {(0xA2, "10.0.1.4"): None}
    assert {row.kind for row in told.routes.values()} == {"blackhole"}
    gone = {rule for rule, row in told.rules.items() if row is None}
    assert gone == {
        ("peering", 0xA1, 0xA2),
        ("peering", 0xA2, 0xA1),
        ("group-set", group_set(GROUPS[1:2]), 0),
    }
    assert [rule.id for rule in told.rules["policy", group_set(GROUPS[:1]), 0].rules] == ["sgr-1"]


def test_a_peering_that_becomes_active_brings_the_peer(followed):
    told = followed.change(replace(one(PEERINGS[1]), status="active"))
    assert list(told["host-3"].mappings) == [(0xA2, "10.0.1.4")]
    assert list(told["host-2"].mappings) == [(0xA3, "10.0.1.6")]
    assert ("forwarder", 0xA3, 0xE5) in told["host-2"].rules
    assert "host-1" not in told


def test_a_vpc_that_vanishes_is_nobodys_peer(followed):
    told = followed.change(gone=(one(VPCS[1]),))
    assert told["host-1"].mappings == {(0xA2, "10.0.1.4"): None}
    assert followed.change(one(VPCS[1]))["host-1"].mappings.keys() == {(0xA2, "10.0.1.4")}


def test_rules_that_change_while_their_vpc_is_away_are_read_when_it_returns(followed):
    followed.change(gone=(one(VPCS[1]),))
    followed.change(replace(one(GROUPS[1]), rules=()))
    told = followed.change(one(VPCS[1]))["host-2"]
    assert told.rules["policy", group_set(GROUPS[1:2]), 0].rules == ()


def test_the_end_of_an_instance_makes_the_routes_to_it_black_holes(followed):
    ended = replace(one(INTERFACES[1]), attachment=None)
    told = followed.change(ended)["host-2"]
    assert {row.destination: row.kind for row in told.routes.values()} == {"0.0.0.0/0": "blackhole"}
    assert told.rules["forwarder", 0xA1, 0xE2] is None
    stopped = followed.change(
        one(INTERFACES[1]), instance(one(INTERFACES[1]).attachment.instance_id, "host-1", "stopped")
    )
    assert {row.kind for row in stopped["host-2"].routes.values()} == {"interface"}


def test_a_route_makes_a_forwarder_and_its_end_unmakes_it(followed):
    table = one(TABLES[2])
    led = replace(table, routes=(Route("0.0.0.0/0", INTERFACES[3]),))
    assert followed.change(led)["host-1"].rules["forwarder", 0xA2, 0xE4]
    assert followed.change(table)["host-1"].rules == {("forwarder", 0xA2, 0xE4): None}


def test_another_address_tells_one_row_and_no_rules(followed):
    wide = replace(one(INTERFACES[3]), prefixes=("10.0.1.32/28",))
    told = followed.change(wide)
    assert set(told["host-1"].mappings) == {(0xA2, "10.0.1.4"), (0xA2, "10.0.1.32/28")}
    assert (told["host-1"].rules, told["host-1"].routes) == ({}, {})


def test_another_group_of_an_interface_reaches_the_peers_too(followed):
    told = followed.change(replace(one(INTERFACES[3]), groups=GROUPS[2:]))
    assert set(told["host-1"].rules) == {
        ("group-set", group_set(GROUPS[1:2]), 0),
        ("group-set", group_set(GROUPS[2:]), 0),
    }
    assert ("policy", group_set(GROUPS[2:]), 0) in told["host-2"].rules


def test_of_two_vpcs_with_one_set_of_groups_the_smaller_has_the_policy(followed):
    followed.change(replace(one(INTERFACES[3]), groups=GROUPS[:2]))
    assert followed.index.intent("host-2").rules["policy", group_set(GROUPS[:2]), 0].vni == 0xA1


def test_a_set_of_groups_that_two_vpcs_have_ends_with_the_last(followed):
    shared = ("group-set", group_set(GROUPS[:1]), 0)
    before = one(INTERFACES[3])
    followed.change(replace(before, groups=GROUPS[:1]))
    assert followed.index.digest("host-1") == digest_of(followed.index.intent("host-1"))
    told = followed.change(before)["host-1"]
    assert set(told.rules) == {("group-set", group_set(GROUPS[1:2]), 0)}
    assert shared in followed.index.intent("host-1").rules
    told = followed.change(replace(one(INTERFACES[0]), groups=()))["host-1"]
    assert told.rules[shared] is None
    assert followed.index.digest("host-1") == digest_of(followed.index.intent("host-1"))


def test_a_new_set_of_groups_is_one_row_for_each_host_of_its_vpc(followed):
    told = followed.change(replace(one(INTERFACES[1]), groups=GROUPS))
    assert set(told["host-2"].rules) == {("group-set", group_set(GROUPS), 0)}
