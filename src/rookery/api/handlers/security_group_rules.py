"""Rules come into security groups and leave them: all that one request names, or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from rookery.api.errors import check_id, invalid_combination, missing_parameter, not_found
from rookery.api.handlers.security_group_limits import check_rule_count
from rookery.api.handlers.security_group_lookup import asked_group, default_vpc_of
from rookery.api.handlers.security_group_permissions import are_given, meaning, spoken_rules
from rookery.api.handlers.security_group_references import owners_beside, resolved
from rookery.api.handlers.security_group_shape import HeldRule, permissions, render_revoked, render_rule
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.tags import tags_for
from rookery.model.objects import PrefixList, SecurityGroup, SecurityGroupRule

Rules = Sequence[SecurityGroupRule]


@operation("AuthorizeSecurityGroupIngress")
def authorize_security_group_ingress(request: Request, view: View) -> Outcome:
    return _authorize(request, view, is_egress=False)


@operation("AuthorizeSecurityGroupEgress")
def authorize_security_group_egress(request: Request, view: View) -> Outcome:
    return _authorize(request, view, is_egress=True)


def _authorize(request: Request, view: View, is_egress: bool) -> Outcome:
    group = asked_group(request.parameters, view)
    spoken = spoken_rules(request.parameters, view, group, is_egress)
    tags = tags_for(request, HeldRule.KIND)
    added = [replace(resolved(view, group, rule), id=request.ids.new("sgr"), tags=tags) for rule in spoken]
    changed = replace(group, rules=(*group.rules, *added))
    check_apart(changed.rules)
    check_rule_count(request, changed, lambda list_id: view.get(PrefixList, list_id))
    return Outcome(
        result={
            "SecurityGroupRules": [render_rule(HeldRule(changed, one), view, request.now) for one in added]
        },
        puts=(changed,),
        beside=owners_beside(added, request.account),
    )


def check_apart(rules: Iterable[SecurityGroupRule]) -> None:
    """No two rules of a group mean the same. Raises InvalidPermission.Duplicate."""
    seen = set()
    for rule in rules:
        if meaning(rule) in seen:
            why = f'the specified rule "{_in_words(rule)}" already exists'
            raise ApiError("InvalidPermission.Duplicate", why)
        seen.add(meaning(rule))


def _in_words(rule: SecurityGroupRule) -> str:
    peer = rule.cidr or rule.prefix_list_id or rule.group_id
    what = "ALL" if rule.protocol == "-1" else rule.protocol.upper()
    if rule.protocol in ("tcp", "udp"):
        what += f", from port: {rule.from_port}, to port: {rule.to_port}"
    elif rule.protocol in ("icmp", "icmpv6"):
        what += f", type: {rule.from_port}, code: {rule.to_port}"
    return f"peer: {peer}, {what}, ALLOW"


@operation("RevokeSecurityGroupIngress")
def revoke_security_group_ingress(request: Request, view: View) -> Outcome:
    return _revoke(request, view, is_egress=False)


@operation("RevokeSecurityGroupEgress")
def revoke_security_group_egress(request: Request, view: View) -> Outcome:
    return _revoke(request, view, is_egress=True)


def _revoke(request: Request, view: View, is_egress: bool) -> Outcome:
    """In the default VPC a rule that does not exist is only named in the answer, as it was before there were others."""
    group = asked_group(request.parameters, view)
    unknown: Rules = ()
    if request.parameters.get("SecurityGroupRuleIds"):
        if are_given(request.parameters):
            raise invalid_combination("Rules are named either by their ids or by their permissions.")
        revoked = rules_with_ids(group, request.parameters["SecurityGroupRuleIds"], is_egress)
    else:
        if not are_given(request.parameters):
            raise missing_parameter("ipPermissions or securityGroupRuleIds")
        spoken = spoken_rules(request.parameters, view, group, is_egress)
        revoked, unknown = matched(group, spoken)
    if unknown and not _is_in_default_vpc(view, group):
        raise unknown_rule()
    gone = {rule.id for rule in revoked}
    kept = tuple(rule for rule in group.rules if rule.id not in gone)
    puts = (replace(group, rules=kept),) if gone else ()
    answer = {
        "RevokedSecurityGroupRules": [render_revoked(group, rule) for rule in revoked],
        "UnknownIpPermissions": permissions(view, group, unknown, request.now),
    }
    return Outcome(result=answer, puts=puts)


def _is_in_default_vpc(view: View, group: SecurityGroup) -> bool:
    vpc = default_vpc_of(view)
    return vpc is not None and vpc.id == group.vpc_id


def matched(group: SecurityGroup, spoken: Rules) -> tuple[Rules, Rules]:
    """The group's own rules that mean the same, and those of `spoken` that it does not have."""
    held = {meaning(rule): rule for rule in group.rules}
    found = [held[meaning(rule)] for rule in spoken if meaning(rule) in held]
    return found, [rule for rule in spoken if meaning(rule) not in held]


def unknown_rule() -> ApiError:
    return ApiError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")


def rules_with_ids(group: SecurityGroup, rule_ids: Sequence[str], is_egress: bool) -> Rules:
    """Raises InvalidSecurityGroupRuleId.Malformed, InvalidSecurityGroupRuleId.NotFound."""
    wanted = list(dict.fromkeys(rule_ids))
    for rule_id in wanted:
        check_id("sgr", rule_id)
    held = {rule.id: rule for rule in group.rules if rule.is_egress is is_egress}
    missing = [rule_id for rule_id in wanted if rule_id not in held]
    if missing:
        raise not_found("sgr", *missing)
    return [held[rule_id] for rule_id in wanted]
