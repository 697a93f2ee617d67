"""Security groups, put into an account in memory as CreateSecurityGroup would."""

from __future__ import annotations

from rookery.model.objects import SecurityGroup
from rookery.testing.small_view import ACCOUNT, REGION


def group(view, vpc, name, *rules):
    made = SecurityGroup(
        account=ACCOUNT,
        region=REGION,
        id=view.ids.new("sg"),
        vpc_id=vpc.id,
        name=name,
        description=f"{name} servers",
        rules=rules,
    )
    view.put(made)
    return made


def default_group(view, vpc):
    """The one with which the VPC was made; else a new one."""
    held = [each for each in view.in_vpc(SecurityGroup, vpc.id) if each.is_default]
    return held[0] if held else group(view, vpc, "default")


def identifier(one):
    return {"GroupId": one.id, "GroupName": one.name}
