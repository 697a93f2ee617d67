"""What uses a prefix list, and whether it still can after a change."""

from __future__ import annotations

from rookery.api.blocks import block
from rookery.api.handlers.route_destinations import check_destination, check_route_limit, local_blocks
from rookery.api.handlers.routes import route_to
from rookery.api.handlers.security_group_limits import check_rule_count
from rookery.api.operation import Request, View
from rookery.model.objects import PrefixList, RouteTable, SecurityGroup, Vpc


def users_of(prefix_list: PrefixList, view: View) -> list[RouteTable | SecurityGroup]:
    """Those with a route to it or a rule of it."""
    tables = [table for table in view.all(RouteTable) if route_to(table, prefix_list.id)]
    groups = [
        group
        for group in view.all(SecurityGroup)
        if any(rule.prefix_list_id == prefix_list.id for rule in group.rules)
    ]
    return [*tables, *groups]


def check_routes(changed: PrefixList, request: Request, view: View) -> None:
    """Whether every table that uses it may hold it as it is to be. Raises InvalidParameterValue, RouteLimitExceeded."""
    for table in users_of(changed, view):
        if isinstance(table, RouteTable):
            _check_table(table, changed, request, view)


def check_groups(changed: PrefixList, request: Request, view: View) -> None:
    """Whether every group with a rule of it may still hold that rule. Raises RulesPerSecurityGroupLimitExceeded."""

    def list_of(list_id: str) -> PrefixList | None:
        return changed if list_id == changed.id else view.get(PrefixList, list_id)

    for group in users_of(changed, view):
        if isinstance(group, SecurityGroup):
            check_rule_count(request, group, list_of)


def _check_table(table: RouteTable, changed: PrefixList, request: Request, view: View) -> None:
    route = route_to(table, changed.id)
    if route is not None:
        check_destination((block(entry.cidr) for entry in changed.entries), route.target, table, view)

    def list_of(list_id: str) -> PrefixList | None:
        return changed if list_id == changed.id else view.get(PrefixList, list_id)

    local = local_blocks(view.get(Vpc, table.vpc_id))
    check_route_limit(table.routes, local, request.quotas.routes_per_table, list_of)
