"""What a rule refers to: another group, in its own VPC or over an active peering; or a prefix list."""

from __future__ import annotations

from msgspec.structs import replace

from rookery.api.errors import check_id
from rookery.api.lookup import find
from rookery.api.operation import ApiError, View
from rookery.model.objects import PrefixList, SecurityGroup, SecurityGroupRule, VpcPeering


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
    found = referenced_group(view, rule.group_account or group.account, rule.group_id)
    if found is None:
        raise ApiError("InvalidGroup.NotFound", f"The security group '{rule.group_id}' does not exist")
    is_near = found.vpc_id == group.vpc_id or has_active_peering(view, group.vpc_id, found.vpc_id)
    if not is_near or rule.group_vpc_id not in ("", found.vpc_id):
        why = "You have specified two resources that belong to different networks."
        raise ApiError("InvalidGroup.NotFound", why)
    return found


def referenced_group(view: View, account: str, group_id: str) -> SecurityGroup | None:
    found = view.get(SecurityGroup, group_id)
    return found if found and found.account == account else None


def has_active_peering(view: View, vpc_id: str, other_id: str) -> bool:
    peering = peering_between(view, vpc_id, other_id)
    return peering is not None and peering.status == "active"


def peering_between(view: View, vpc_id: str, other_id: str) -> VpcPeering | None:
    """The active one where there is one; else the newest."""
    found = [
        one
        for one in view.all(VpcPeering)
        if {one.requester.vpc_id, one.accepter.vpc_id} == {vpc_id, other_id}
    ]
    return max(found, key=lambda one: (one.status == "active", one.created), default=None)


def referrers(view: View, group: SecurityGroup) -> list[SecurityGroup]:
    """Other groups of its VPC with rules that name it. Those of a peer's VPC do not hold it: their rules become stale."""
    return [
        other
        for other in view.in_vpc(SecurityGroup, group.vpc_id)
        if other.id != group.id and any(rule.group_id == group.id for rule in other.rules)
    ]
