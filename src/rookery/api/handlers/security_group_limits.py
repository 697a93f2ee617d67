"""How many rules a security group may have: counted for each direction and address family on its own."""

from __future__ import annotations

from collections.abc import Iterable

from rookery.api.operation import ApiError, Request, View
from rookery.api.rule_cidr import is_ipv6
from rookery.model.objects import PrefixList, SecurityGroup, SecurityGroupRule


def check_rule_count(request: Request, view: View, group: SecurityGroup) -> None:
    """Raises RulesPerSecurityGroupLimitExceeded."""
    for is_egress in (False, True):
        rules = [rule for rule in group.rules if rule.is_egress is is_egress]
        if max(rule_weights(view, rules)) > request.quotas.security_group_rules:
            raise ApiError(
                "RulesPerSecurityGroupLimitExceeded",
                "The maximum number of rules per security group has been reached.",
            )


def rule_weights(view: View, rules: Iterable[SecurityGroupRule]) -> tuple[int, int]:
    """What they count for IPv4 and for IPv6."""
    weights = [_weight(view, rule) for rule in rules]
    return sum(ipv4 for ipv4, _ in weights), sum(ipv6 for _, ipv6 in weights)


def _weight(view: View, rule: SecurityGroupRule) -> tuple[int, int]:
    """A group has members of both families; a prefix list counts as full as it may become."""
    if rule.group_id:
        return 1, 1
    if rule.prefix_list_id:
        found = view.get(PrefixList, rule.prefix_list_id)
        most = found.max_entries if found else 0
        return (0, most) if found and found.family == "IPv6" else (most, 0)
    return (0, 1) if is_ipv6(rule.cidr) else (1, 0)
