"""DescribeSecurityGroupRules, and rules found by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rookery.api.errors import check_id, not_found
from rookery.api.filters import Filters, apply_filters
from rookery.api.handlers.security_group_shape import HeldRule, render_rule
from rookery.api.operation import Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.model.objects import SecurityGroup

FILTERS: Filters = {
    "group-id": lambda held, _view: held.group.id,
    "security-group-rule-id": lambda held, _view: held.rule.id,
}


@operation("DescribeSecurityGroupRules")
def describe_security_group_rules(request: Request, view: View) -> Outcome:
    ids = request.parameters.get("SecurityGroupRuleIds")
    rules = held_rules(view, ids) if ids else list(every_rule(view))
    chosen = apply_filters(rules, request.parameters.get("Filters"), FILTERS, view)
    found = page(request, chosen, "SecurityGroupRuleIds")
    shapes = [render_rule(one, view, request.now) for one in found.items]
    return Outcome(result=found.result("SecurityGroupRules", shapes))


def every_rule(view: View) -> Iterator[HeldRule]:
    for group in view.all(SecurityGroup):
        for rule in group.rules:
            yield HeldRule(group, rule)


def held_rules(view: View, rule_ids: Sequence[str]) -> list[HeldRule]:
    """Each once. Raises InvalidSecurityGroupRuleId.Malformed, InvalidSecurityGroupRuleId.NotFound."""
    wanted = list(dict.fromkeys(rule_ids))
    for rule_id in wanted:
        check_id("sgr", rule_id)
    asked = set(wanted)
    found = {held.id: held for held in every_rule(view) if held.id in asked}
    missing = [rule_id for rule_id in wanted if rule_id not in found]
    if missing:
        raise not_found("sgr", *missing)
    return [found[rule_id] for rule_id in wanted]
