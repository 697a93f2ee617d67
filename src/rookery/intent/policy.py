"""What the security groups of an interface admit, and what the network ACL of its subnet does."""

from __future__ import annotations

from collections.abc import Container, Iterator

from rookery.intent.groups import group_set
from rookery.intent.host import AclEntryIntent, AclIntent, GroupRuleIntent, PolicyIntent
from rookery.intent.prefix_list import cidrs_of
from rookery.intent.things import AclThing, GroupRuleThing, Things, VpcThing

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "-1": -1}
LARGEST_PROTOCOL = 255


def policy_intent(
    vpc: VpcThing, groups: tuple[str, ...], peers: Container[str], things: Things
) -> PolicyIntent:
    """`peers`: ids of the VPCs that an active peering joins with this one. Groups of another VPC, and those that are gone,
    have no rules here."""
    rules = (rule for group in groups for rule in _rules_of(group, vpc, peers, things))
    return PolicyIntent(
        vni=vpc.vni,
        group_set=group_set(groups),
        groups=groups,
        rules=tuple(sorted(rules, key=lambda rule: rule.id)),
    )


def _rules_of(group: str, vpc: VpcThing, peers: Container[str], things: Things) -> Iterator[GroupRuleIntent]:
    found = things.security_groups.get(group)
    if found is None or found.vpc_id != vpc.id:
        return
    for rule in found.rules:
        protocol = protocol_number(rule.protocol)
        if protocol is not None and not is_stale(rule, vpc, peers):
            yield _rule(rule, group, protocol, things)


def _rule(rule: GroupRuleThing, of: str, protocol: int, things: Things) -> GroupRuleIntent:
    listed = cidrs_of(rule.prefix_list_id, things.prefix_lists) if rule.prefix_list_id else ()
    return GroupRuleIntent(
        id=rule.id,
        of=of,
        egress=rule.is_egress,
        protocol=protocol,
        from_port=rule.from_port,
        to_port=rule.to_port,
        cidrs=(rule.cidr,) if rule.cidr else listed,
        group=rule.group_id,
    )


def is_stale(rule: GroupRuleThing, vpc: VpcThing, peers: Container[str]) -> bool:
    """It names a group of a VPC that is no peer any more: it matches nothing, and so it does not leave here, until the two
    VPCs are peers again. A group that is merely gone is named by no mapping: such a rule matches nothing by itself."""
    return bool(rule.group_vpc_id) and rule.group_vpc_id != vpc.id and rule.group_vpc_id not in peers


def protocol_number(word: str) -> int | None:
    """None: no protocol. A rule for it admits nothing."""
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    number = int(word) if word.isascii() and word.isdecimal() and len(word) <= 3 else LARGEST_PROTOCOL + 1
    return number if number <= LARGEST_PROTOCOL else None


def acl_intent(acl: AclThing, vpc: VpcThing) -> AclIntent:
    entries = sorted(acl.entries, key=lambda entry: (entry.number, entry.is_egress))
    return AclIntent(
        number=acl.number,
        id=acl.id,
        vni=vpc.vni,
        entries=tuple(
            AclEntryIntent(
                number=entry.number,
                egress=entry.is_egress,
                allow=entry.allow,
                protocol=entry.protocol,
                cidr=entry.cidr,
                from_port=entry.from_port,
                to_port=entry.to_port,
            )
            for entry in entries
        ),
    )
