"""Rules that stay and change: ModifySecurityGroupRules in place, and descriptions alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.blocks import ipv4_block, ipv6_block, is_ipv6
from rookery.api.errors import (
    check_id,
    invalid_combination,
    invalid_parameter,
    missing_parameter,
    not_found,
)
from rookery.api.handlers.security_group_limits import check_rule_count
from rookery.api.handlers.security_group_lookup import asked_group
from rookery.api.handlers.security_group_permissions import (
    bare_rule,
    prefix_list_peer,
    spoken_rules,
)
from rookery.api.handlers.security_group_references import owners_beside, resolved
from rookery.api.handlers.security_group_rules import check_apart, matched, rules_with_ids, unknown_rule
from rookery.api.handlers.security_group_words import rule_description
from rookery.api.operation import Outcome, Request, View, operation
from rookery.model.objects import PrefixList, SecurityGroup, SecurityGroupRule

_PEERS = ("CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId")
_PEER_WORDS = {
    "CidrIpv4": "IPv4 CIDR",
    "CidrIpv6": "IPv6 CIDR",
    "PrefixListId": "prefix list",
    "ReferencedGroupId": "referenced group id",
}


@operation("ModifySecurityGroupRules")
def modify_security_group_rules(request: Request, view: View) -> Outcome:
    group = asked_group(request.parameters, view)
    updates = _updates(request, group)
    held = {rule.id: rule for rule in group.rules}
    changed = {rule_id: _modified(view, group, held[rule_id], given) for rule_id, given in updates.items()}
    after = replace(group, rules=tuple(changed.get(rule.id, rule) for rule in group.rules))
    check_apart(after.rules)
    check_rule_count(request, after, lambda list_id: view.get(PrefixList, list_id))
    beside = owners_beside(changed.values(), request.account)
    return Outcome(puts=(after,) if after != group else (), beside=beside)


def _updates(request: Request, group: SecurityGroup) -> dict[str, Mapping[str, Any]]:
    """Rule id -> what it shall be."""
    given = request.parameters["SecurityGroupRules"]
    if not given:
        raise missing_parameter("SecurityGroupRule")
    updates: dict[str, Mapping[str, Any]] = {}
    for one in given:
        rule_id = one["SecurityGroupRuleId"]
        check_id("sgr", rule_id)
        if rule_id in updates:
            raise invalid_parameter(f"The security group rule '{rule_id}' must not appear multiple times")
        updates[rule_id] = one.get("SecurityGroupRule") or {}
    missing = updates.keys() - {rule.id for rule in group.rules}
    if missing:
        raise not_found("sgr", *sorted(missing))
    return updates


def _modified(
    view: View, group: SecurityGroup, rule: SecurityGroupRule, given: Mapping[str, Any]
) -> SecurityGroupRule:
    """Its id, direction and tags stay. Everything else is as given, the description too."""
    peer = _peer(rule, given)
    bare = bare_rule(given, rule.is_egress)
    described = replace(bare, **peer, description=rule_description(given.get("Description")))
    return replace(resolved(view, group, described), id=rule.id, tags=rule.tags)


def _peer(rule: SecurityGroupRule, given: Mapping[str, Any]) -> dict[str, str]:
    """Of the kind that the rule has: a block never becomes a group."""
    names = [name for name in _PEERS if given.get(name)]
    if not names:
        raise missing_parameter("CidrIpv4, CidrIpv6, PrefixListId or ReferencedGroupId")
    if len(names) > 1:
        raise invalid_combination(f"A rule has exactly one peer, not {', '.join(names)}.")
    name, kind = names[0], _kind_of(rule)
    if name != kind:
        raise invalid_parameter(
            f"You may not specify a {_PEER_WORDS[name]} for an existing {_PEER_WORDS[kind]} rule."
        )
    return _READ[name](given[name])


def _kind_of(rule: SecurityGroupRule) -> str:
    if rule.group_id:
        return "ReferencedGroupId"
    if rule.prefix_list_id:
        return "PrefixListId"
    return "CidrIpv6" if is_ipv6(rule.cidr) else "CidrIpv4"


_READ: dict[str, Callable[[str], dict[str, str]]] = {
    "CidrIpv4": lambda text: {"cidr": ipv4_block(text)},
    "CidrIpv6": lambda text: {"cidr": ipv6_block(text)},
    "PrefixListId": prefix_list_peer,
    "ReferencedGroupId": lambda text: {"group_id": text},
}


@operation("UpdateSecurityGroupRuleDescriptionsIngress")
def update_security_group_rule_descriptions_ingress(request: Request, view: View) -> Outcome:
    return _describe(request, view, is_egress=False)


@operation("UpdateSecurityGroupRuleDescriptionsEgress")
def update_security_group_rule_descriptions_egress(request: Request, view: View) -> Outcome:
    return _describe(request, view, is_egress=True)


def _describe(request: Request, view: View, is_egress: bool) -> Outcome:
    """What comes without a description loses its own."""
    group = asked_group(request.parameters, view)
    words = _descriptions(request, view, group, is_egress)
    rules = tuple(replace(rule, description=words.get(rule.id, rule.description)) for rule in group.rules)
    return Outcome(puts=(replace(group, rules=rules),) if rules != group.rules else ())


def _descriptions(request: Request, view: View, group: SecurityGroup, is_egress: bool) -> dict[str, str]:
    """Rule id -> description."""
    by_id = request.parameters.get("SecurityGroupRuleDescriptions")
    if by_id and request.parameters.get("IpPermissions"):
        raise invalid_combination("Rules are named either by their ids or by their permissions.")
    if not by_id:
        spoken = spoken_rules(request.parameters, view, group, is_egress)
        found, unknown = matched(group, spoken)
        if unknown:
            raise unknown_rule()
        return {rule.id: told.description for rule, told in zip(found, spoken, strict=True)}
    ids = [one.get("SecurityGroupRuleId") or "" for one in by_id]
    rules_with_ids(group, ids, is_egress)
    return {
        rule_id: rule_description(one.get("Description")) for rule_id, one in zip(ids, by_id, strict=True)
    }
