"""Which security group a request means: by id anywhere, by name only in the default VPC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rookery.api.errors import invalid_parameter, missing_parameter
from rookery.api.lookup import find
from rookery.api.operation import ApiError, View
from rookery.model.objects import SecurityGroup, Vpc


def default_vpc_of(view: View) -> Vpc | None:
    return next((vpc for vpc in view.all(Vpc) if vpc.is_default), None)


def asked_group(parameters: Mapping[str, Any], view: View) -> SecurityGroup:
    """GroupId or GroupName. Raises MissingParameter, InvalidGroupId.Malformed, InvalidGroup.NotFound."""
    if parameters.get("GroupId"):
        return find(view, SecurityGroup, parameters["GroupId"])
    if parameters.get("GroupName"):
        return named_in_default_vpc(view, parameters["GroupName"])
    raise missing_parameter("groupName or groupId")


def named_in_default_vpc(view: View, name: str) -> SecurityGroup:
    """Raises InvalidGroup.NotFound."""
    vpc = default_vpc_of(view)
    found = named(view, vpc.id, name) if vpc else None
    if found is None:
        where = f"default VPC '{vpc.id}'" if vpc else "a default VPC: this account has none"
        raise ApiError(
            "InvalidGroup.NotFound", f"The security group '{name[:255]}' does not exist in {where}"
        )
    return found


def named(view: View, vpc_id: str, name: str) -> SecurityGroup | None:
    return next((group for group in view.in_vpc(SecurityGroup, vpc_id) if group.name == name), None)


def peer_named(view: View, group: SecurityGroup, name: str) -> str:
    """The id of the group that a rule of `group` names. Raises InvalidGroup.NotFound, InvalidParameterValue."""
    vpc = default_vpc_of(view)
    if vpc is None or group.vpc_id != vpc.id:
        raise invalid_parameter(
            f"Invalid value '{name[:255]}' for groupName. You may not reference Amazon VPC security groups by name. "
            "Please use the corresponding id for this operation."
        )
    return named_in_default_vpc(view, name).id
