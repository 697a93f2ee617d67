"""What a rule refers to: another group, in its own VPC or over an active peering; or a prefix list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from rookery.api.errors import check_id
from rookery.api.handlers.peering_state import active_peers
from rookery.api.lookup import find
from rookery.api.operation import ApiError, View
from rookery.model.objects import PrefixList, SecurityGroup, SecurityGroupRule


def resolved(view: View, group: SecurityGroup, rule: SecurityGroupRule) -> SecurityGroupRule:
    """`rule` of `group` with what is known of its peer. Raises InvalidGroup.NotFound, InvalidPrefixListID.NotFound."""
    if rule.prefix_list_id:
        find(view, PrefixList, rule.prefix_list_id)
    if not rule.group_id:
        return rule
    found = _group(view, group, rule)
    where = "" if found.vpc_id == group.vpc_id else found.vpc_id
    return replace(rule, group_account=found.account, group_vpc_id=where)


def _group(view: View, group: SecurityGroup, rule: SecurityGroupRule) -> SecurityGroup:
    check_id(SecurityGroup.PREFIX, rule.group_id)
    reachable = (one for one in _in_reach(view, group) if one.id == rule.group_id)
    found = next(reachable, None)
    if found is None or rule.group_account not in ("", found.account):
        raise _not_found(view, rule.group_id)
    if rule.group_vpc_id not in ("", found.vpc_id):
        raise _not_found(view, rule.group_id)
    return found


def _in_reach(view: View, group: SecurityGroup) -> Iterator[SecurityGroup]:
    """What rules of `group` may name: its own VPC's, and those of VPCs with which that is peered."""
    yield from view.in_vpc(SecurityGroup, group.vpc_id)
    for side in active_peers(view, group.vpc_id):
        yield from view.peer_groups(side.account, side.vpc_id)


def _not_found(view: View, group_id: str) -> ApiError:
    if view.get(SecurityGroup, group_id):
        why = "You have specified two resources that belong to different networks."
    else:
        why = f"The security group '{group_id}' does not exist"
    return ApiError("InvalidGroup.NotFound", why)


def referrers(view: View, group: SecurityGroup) -> list[SecurityGroup]:
    """Other groups of its VPC with rules that name it. Those of a peer's VPC do not hold it: their rules become stale."""
    return [
        other
        for other in view.in_vpc(SecurityGroup, group.vpc_id)
        if other.id != group.id and any(rule.group_id == group.id for rule in other.rules)
    ]


def owners_beside(rules: Iterable[SecurityGroupRule], account: str) -> frozenset[str]:
    """The other accounts whose groups these rules name: an Outcome that was decided by them says so."""
    return frozenset(rule.group_account for rule in rules if rule.group_account) - {account}
