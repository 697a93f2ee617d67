"""Routes, policies, network ACLs, forwarders, peerings and IPv6, example by example.

VPC 1: 10.1.1.0/24: instance 10 on host-1     VPC 2: 10.2.1.0/24: instance 20 on host-2
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.intent.groups import group_set
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
from rookery.intent.policy import protocol_number
from rookery.intent.route import routes_of
from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.model.objects import (
    CidrAssociation,
    ConnectionTracking,
    NetworkAclEntry,
    PeeringSide,
    PrefixList,
    PrefixListEntry,
    Route,
    SecurityGroupRule,
    VpcPeering,
)
from rookery.store.interface import Entry
from rookery.testing.things import OWNER, group, guards, hosts, launch, rows, subnet, vpc

VPC, MAIN = vpc(1)
GROUP, ACL = guards(1, 1)
INSTANCE, INTERFACE = launch(1, 1, 10, "host-1")
GUARDED = replace(INTERFACE, groups=(GROUP.id,))
OTHER_INSTANCE, OTHER_INTERFACE = launch(2, 1, 20, "host-2")
OTHERS = [*vpc(2), *guards(2, 1), subnet(2, 1), OTHER_INSTANCE, replace(OTHER_INTERFACE, groups=(group(2),))]
OTHER_ACCOUNT = {"account": "210987654321", "region": "us-east-1"}
PEERING = VpcPeering(
    **OTHER_ACCOUNT,
    id=f"pcx-{1:017x}",
    requester=PeeringSide(**OTHER_ACCOUNT, vpc_id=f"vpc-{2:017x}"),
    accepter=PeeringSide(**OWNER, vpc_id=VPC.id),
    status="active",
)
OLDER, NEWER = (
    (PrefixListEntry("192.0.2.0/24"),),
    (PrefixListEntry("198.51.100.0/24"), PrefixListEntry("10.1.0.0/16")),
)
LIST = PrefixList(
    **OWNER, id=f"pl-{1:017x}", name="list", family="IPv4", max_entries=5, versions=(OLDER, NEWER)
)


def state(*things) -> State:
    """Of two things with one id the later counts."""
    base = rows(*hosts(2), VPC, MAIN, GROUP, ACL, subnet(1, 1), INSTANCE, GUARDED, *OTHERS)
    return State([Entry(key, value, 7, 1.0) for key, value in (base | rows(*things)).items()], 7, 1500)


def intent(*things, host: str = "host-1") -> HostIntent:
    return host_intent(state(*things), host)


def routed(*routes: Route, more=()) -> dict[str, tuple[str, int]]:
    """Destination -> where it leads."""
    found = routes_of(replace(MAIN, routes=routes), VPC, state(*more))
    return {route.destination: (route.kind, route.target) for route in found}


def test_the_rules_of_a_host():
    assert intent().rules == {
        row.key: row
        for row in (
            GroupSetIntent(number=group_set([GROUP.id]), groups=(GROUP.id,)),
            PolicyIntent(
                vni=1,
                group_set=group_set([GROUP.id]),
                groups=(GROUP.id,),
                rules=tuple(
                    GroupRuleIntent(
                        id=f"sgr-{n:017x}",
                        of=GROUP.id,
                        egress=egress,
                        protocol=-1,
                        from_port=-1,
                        to_port=-1,
                        cidrs=("0.0.0.0/0",),
                    )
                    for n, egress in ((2, False), (3, True))
                ),
            ),
            AclIntent(
                number=0xC0000001,
                id=ACL.id,
                vni=1,
                entries=tuple(
                    AclEntryIntent(
                        number=100,
                        egress=egress,
                        allow=True,
                        protocol=-1,
                        cidr="0.0.0.0/0",
                        from_port=-1,
                        to_port=-1,
                    )
                    for egress in (False, True)
                ),
            ),
        )
    }


def test_an_interface_knows_its_policy_its_acl_and_its_patience():
    patient = replace(GUARDED, tracking=ConnectionTracking(tcp_established=60, udp_stream=70, udp=40))
    (found,) = intent(patient).instances[INSTANCE.id].interfaces
    assert (found.group_set, found.acl) == (group_set([GROUP.id]), ACL.number)
    assert (found.tcp_established_seconds, found.udp_stream_seconds, found.udp_seconds) == (60, 70, 40)


def test_an_interface_without_groups_has_no_policy():
    found = intent(INTERFACE)
    assert [key[0] for key in found.rules] == ["acl"]
    assert found.instances[INSTANCE.id].interfaces[0].group_set == 0


def test_a_subnet_that_no_acl_names_has_the_default_one_and_without_that_none():
    loose = replace(ACL, associations=())
    assert intent(loose).instances[INSTANCE.id].interfaces[0].acl == ACL.number
    found = intent(replace(loose, is_default=False))
    assert found.instances[INSTANCE.id].interfaces[0].acl == 0
    assert not [key for key in found.rules if key[0] == "acl"]


def test_acl_entries_are_in_ascending_order():
    entries = [
        NetworkAclEntry(number=n, is_egress=egress, allow=False, protocol=6, cidr="0.0.0.0/0")
        for n, egress in ((90, True), (100, True), (100, False), (5, False))
    ]
    found = intent(replace(ACL, entries=tuple(entries))).rules["acl", ACL.number, 0]
    assert [(entry.number, entry.egress) for entry in found.entries] == [(5, 0), (90, 1), (100, 0), (100, 1)]


def test_ipv6_addresses_and_delegated_prefixes_are_mapped():
    block = replace(subnet(1, 1), ipv6_cidr_associations=(CidrAssociation("a", "2001:db8::/64"),))
    wide = replace(
        GUARDED, ipv6_addresses=("2001:db8::9",), prefixes=("10.1.1.32/28", "2001:db8::a:0:0:0/80")
    )
    found = intent(block, wide)
    assert [address for _, address in found.mappings] == [
        "10.1.1.10",
        "2001:db8::9",
        "10.1.1.32/28",
        "2001:db8::a:0:0:0/80",
    ]
    assert {mapping.group_set for mapping in found.mappings.values()} == {group_set([GROUP.id])}
    (interface,) = found.instances[INSTANCE.id].interfaces
    assert (interface.router_ipv6, interface.ipv6_addresses) == ("2001:db8::1", ("2001:db8::9",))


def test_an_ipv6_block_has_its_local_route():
    six = replace(VPC, ipv6_cidr_associations=(CidrAssociation("a", "2001:db8::/56"),))
    assert RouteIntent(table=MAIN.number, destination="2001:db8::/56", kind="local") in routes_of(
        MAIN, six, state()
    )


@pytest.mark.parametrize(
    ("wanted", "way"),
    [
        ("running", ("interface", 0x1010A)),
        ("stopped", ("interface", 0x1010A)),
        ("terminated", ("blackhole", 0)),
    ],
)
def test_a_route_to_an_interface_outlives_a_stop_of_its_instance_and_no_more(wanted, way):
    found = routed(Route("0.0.0.0/0", INTERFACE.id), more=[replace(INSTANCE, wanted=wanted)])
    assert found["0.0.0.0/0"] == way


@pytest.mark.parametrize(
    ("target", "more"),
    [
        (INTERFACE.id, [replace(GUARDED, attachment=None)]),
        (INTERFACE.id, [replace(GUARDED, attachment=replace(GUARDED.attachment, detaching=True))]),
        (OTHER_INTERFACE.id, []),
        ("eni-00000000000000099", []),
        (PEERING.id, []),
        (PEERING.id, [replace(PEERING, status="pending-acceptance")]),
        (PEERING.id, [replace(PEERING, accepter=PEERING.requester)]),
        (PEERING.id, [replace(PEERING, requester=replace(PEERING.requester, vpc_id="vpc-000000099"))]),
        ("igw-1", []),
        ("", []),
    ],
)
def test_a_route_to_what_is_not_there_is_a_black_hole(target, more):
    assert routed(Route("0.0.0.0/0", target), more=more)["0.0.0.0/0"] == ("blackhole", 0)


def test_a_route_to_an_active_peering_leads_to_the_other_vpc():
    assert routed(Route("10.2.0.0/16", PEERING.id), more=[PEERING])["10.2.0.0/16"] == ("peer", 2)


def test_a_written_route_takes_the_place_of_the_local_one():
    assert routed(Route("10.1.0.0/16", INTERFACE.id)) == {"10.1.0.0/16": ("interface", 0x1010A)}


def test_a_prefix_list_is_spelled_out_and_beaten_by_a_written_route_the_local_one_and_a_smaller_id():
    other = replace(LIST, id=f"pl-{2:017x}", versions=((*NEWER, PrefixListEntry("203.0.113.0/24")),))
    found = routed(
        Route(other.id, "igw-1"),
        Route(LIST.id, INTERFACE.id),
        Route("203.0.113.0/24", PEERING.id),
        Route("pl-00000000000000099", INTERFACE.id),
        more=[LIST, other, PEERING],
    )
    assert found == {
        "203.0.113.0/24": ("peer", 2),
        "10.1.0.0/16": ("local", 0),
        "198.51.100.0/24": ("interface", 0x1010A),
    }


def test_a_target_of_a_route_is_a_forwarder_and_so_is_who_is_not_checked():
    row = ForwarderIntent(
        vni=1,
        interface=0x1010A,
        host="100.64.1.10",
        subnet=0xB0000101,
        mac=INTERFACE.mac,
        source_dest_check=True,
    )
    key = ("forwarder", 1, 0x1010A)
    assert key not in intent().rules
    assert intent(replace(MAIN, routes=(Route("0.0.0.0/0", INTERFACE.id),))).rules[key] == row
    unchecked = replace(GUARDED, source_dest_check=False)
    assert intent(unchecked).rules[key] == replace(row, source_dest_check=False)
    assert (
        key not in intent(unchecked, replace(INSTANCE, wanted="stopped"), *launch(1, 1, 11, "host-1")).rules
    )


def test_peers_know_each_others_mappings_and_group_sets_but_not_each_others_rules():
    found = intent(PEERING)
    assert set(found.mappings) == {(1, "10.1.1.10"), (2, "10.2.1.20")}
    assert found.rules["peering", 1, 2] == PeeringIntent(vni=1, peer=2)
    assert found.rules["peering", 2, 1] == PeeringIntent(vni=2, peer=1)
    assert ("group-set", group_set([group(2)]), 0) in found.rules
    assert ("policy", group_set([group(2)]), 0) not in found.rules


def test_a_peer_of_a_peer_is_a_stranger():
    third = [*vpc(3), subnet(3, 1), *launch(3, 1, 30, "host-3")]
    chain = replace(PEERING, id=f"pcx-{2:017x}", accepter=replace(PEERING.accepter, vpc_id=f"vpc-{3:017x}"))
    found = intent(PEERING, chain, *third, *hosts(3))
    assert {vni for vni, _ in found.mappings} == {1, 2}
    assert ("peering", 2, 3) not in found.rules


@pytest.mark.parametrize("status", ["pending-acceptance", "deleted", "failed"])
def test_a_peering_that_is_not_active_joins_nothing(status):
    assert intent(replace(PEERING, status=status)) == intent()


def policy(*rules: SecurityGroupRule, more=()) -> tuple[GroupRuleIntent, ...]:
    return intent(replace(GROUP, rules=rules), *more).rules["policy", group_set([GROUP.id]), 0].rules


REFERENCE = SecurityGroupRule(
    id="sgr-1",
    is_egress=False,
    protocol="tcp",
    from_port=22,
    to_port=23,
    group_id=group(2),
    group_vpc_id=f"vpc-{2:017x}",
)


def test_a_rule_names_a_group_of_a_peer_and_leaves_when_the_peering_does():
    (found,) = policy(REFERENCE, more=[PEERING])
    assert found == GroupRuleIntent(
        id="sgr-1", of=GROUP.id, egress=False, protocol=6, from_port=22, to_port=23, group=group(2)
    )
    assert policy(REFERENCE) == ()
    assert policy(replace(REFERENCE, group_id="sg-99", group_vpc_id=""))[0].group == "sg-99"


def test_a_prefix_list_in_a_rule_is_spelled_out_and_an_unknown_one_is_nobody():
    rule = SecurityGroupRule(id="sgr-1", is_egress=True, protocol="-1", prefix_list_id=LIST.id)
    assert [found.cidrs for found in policy(rule, more=[LIST])] == [("198.51.100.0/24", "10.1.0.0/16")]
    assert [found.cidrs for found in policy(rule)] == [()]
    assert [found.cidrs for found in policy(rule, more=[replace(LIST, versions=())])] == [()]


def test_the_rules_of_all_groups_are_sorted_by_id_and_groups_that_are_gone_or_elsewhere_have_none():
    second = replace(
        GROUP, id="sg-00000000000000099", name="second", rules=(replace(GROUP.rules[0], id="sgr-0"),)
    )
    many = replace(GUARDED, groups=(second.id, GROUP.id, "sg-gone", group(2)))
    found = intent(second, many).rules["policy", group_set(many.groups), 0]
    assert found.groups == tuple(sorted(many.groups))
    ours = [(rule.id, GROUP.id) for rule in GROUP.rules]
    assert [(rule.id, rule.of) for rule in found.rules] == [("sgr-0", second.id), *ours]


@pytest.mark.parametrize(
    ("word", "number"),
    [("tcp", 6), ("udp", 17), ("icmp", 1), ("icmpv6", 58), ("-1", -1), ("47", 47), ("0", 0), ("256", None)]
    + [("", None), ("-2", None), ("٤", None), ("9" * 5000, None)],
)
def test_protocols_have_numbers(word, number):
    assert protocol_number(word) == number
    assert len(policy(replace(GROUP.rules[0], protocol=word))) == (number is not None)
