"""How many rules a security group may have: counted for each direction and address family on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rookery.api.blocks import is_ipv6
from rookery.api.operation import ApiError, Request
from rookery.model.objects import PrefixList, SecurityGroup, SecurityGroupRule

ListOf = Callable[[str], PrefixList | None]  # by its id; a caller may know one that is about to change


def check_rule_count(request: Request, group: SecurityGroup, list_of: ListOf) -> None:
    """Raises RulesPerSecurityGroupLimitExceeded."""
    for is_egress in (False, True):
        rules = [rule for rule in group.rules if rule.is_egress is is_egress]
        if max(_weights(rules, list_of)) > request.quotas.security_group_rules:
            raise ApiError(
                "RulesPerSecurityGroupLimitExceeded",
                "The maximum number of rules per security group has been reached.",
            )


def _weights(rules: Iterable[SecurityGroupRule], list_of: ListOf) -> tuple[int, int]:
    """What they count for IPv4 and for IPv6."""
    weights = [_weight(rule, list_of) for rule in rules]
    return sum(ipv4 for ipv4, _ in weights), sum(ipv6 for _, ipv6 in weights)


def _weight(rule: SecurityGroupRule, list_of: ListOf) -> tuple[int, int]:
    """A group has members of both families; a prefix list counts as full as it may become."""
    if rule.group_id:
        return 1, 1
    if rule.prefix_list_id:
        found = list_of(rule.prefix_list_id)
        most = found.max_entries if found else 0
        return (0, most) if found and found.family == "IPv6" else (most, 0)
    return (0, 1) if is_ipv6(rule.cidr) else (1, 0)
