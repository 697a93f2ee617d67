"""Which security groups a network interface has: those that are asked for, or the default one of its VPC."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rookery.api.errors import invalid_combination, missing_parameter
from rookery.api.lookup import find_all
from rookery.api.operation import ApiError, View
from rookery.model.objects import NetworkInterface, SecurityGroup, Subnet, Vpc

GUARD_PARAMETERS = ("Groups", "ConnectionTrackingSpecification")  # of a new interface

MOST_GROUPS = 5  # of one interface: AWS's default quota


def groups_in(view: View, home: Subnet, asked: Sequence[str]) -> tuple[str, ...]:
    """Of a new interface in `home`, in the order asked for."""
    if not asked:
        return default_groups(view, home.vpc_id)
    return chosen_groups(view, asked, home.vpc_id, f"subnet {home.id}")


def groups_instead(view: View, interface: NetworkInterface, asked: Sequence[str]) -> tuple[str, ...]:
    """Of an interface that exists: all of them at once, and never none."""
    if not asked:
        raise missing_parameter("SecurityGroupId")
    return chosen_groups(view, asked, interface.vpc_id, f"interface {interface.id}")


def default_groups(view: View, vpc_id: str) -> tuple[str, ...]:
    return tuple(group.id for group in view.in_vpc(SecurityGroup, vpc_id) if group.is_default)


def chosen_groups(view: View, asked: Sequence[str], vpc_id: str, place: str) -> tuple[str, ...]:
    """Raises InvalidGroupId.Malformed, InvalidGroup.NotFound, InvalidParameter,
    SecurityGroupsPerInterfaceLimitExceeded."""
    groups = find_all(view, SecurityGroup, asked)
    for group in groups:
        if group.vpc_id != vpc_id:
            why = f"Security group {group.id} and {place} belong to different networks."
            raise ApiError(
                "InvalidParameter",
                f"You have specified two resources that belong to different networks. {why}",
            )
    if len(groups) > MOST_GROUPS:
        why = f"The maximum number of security groups per interface ({MOST_GROUPS}) has been reached."
        raise ApiError("SecurityGroupsPerInterfaceLimitExceeded", why)
    return tuple(group.id for group in groups)


def launch_groups(view: View, parameters: Mapping[str, Any]) -> list[str]:
    """Ids of what RunInstances asks for at the level of the instance: SecurityGroupIds, and SecurityGroups, which are names
    in the default VPC."""
    names = parameters.get("SecurityGroups") or []
    if names and parameters.get("SubnetId"):
        raise invalid_combination("The parameter groupName cannot be used with the parameter subnet")
    return [*(parameters.get("SecurityGroupIds") or []), *(_named(view, name) for name in names)]


def _named(view: View, name: str) -> str:
    home = next((vpc for vpc in view.all(Vpc) if vpc.is_default), None)
    held = view.in_vpc(SecurityGroup, home.id) if home else ()
    found = next((group for group in held if group.name == name), None)
    if home is None or found is None:
        where = f"default VPC '{home.id}'" if home else "a default VPC: this account has none"
        why = f"The security group '{name[:255]}' does not exist in {where}"
        raise ApiError("InvalidGroup.NotFound", why)
    return found.id


def groups_shape(view: View, group_ids: Iterable[str]) -> list[dict[str, str]]:
    """`GroupIdentifier`s."""
    return [{"GroupId": group_id, "GroupName": group_name(view, group_id)} for group_id in group_ids]


def group_name(view: View, group_id: str) -> str:
    found = view.get(SecurityGroup, group_id)
    return found.name if found else ""


def group_ids_of(found: NetworkInterface, view: View) -> tuple[str, ...]:
    """For filters."""
    return found.groups


def group_names_of(found: NetworkInterface, view: View) -> list[str]:
    """For filters."""
    return [group_name(view, group_id) for group_id in found.groups]


GROUP_FILTERS: dict[str, Callable[[NetworkInterface, View], Sequence[str]]] = {
    "group-id": group_ids_of,
    "group-name": group_names_of,
}
