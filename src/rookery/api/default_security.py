"""What guards a VPC from its first moment: its default security group and its default network ACL, in which subnets begin.

Of a VPC that is made with an IPv6 block they let IPv6 pass too.
"""

from __future__ import annotations

from msgspec.structs import replace

from rookery.api.operation import Ids, View
from rookery.model.objects import (
    NetworkAcl,
    NetworkAclAssociation,
    NetworkAclEntry,
    SecurityGroup,
    SecurityGroupRule,
    Vpc,
)

EVERYWHERE, EVERYWHERE_IPV6 = "0.0.0.0/0", "::/0"
DEFAULT_NUMBER, DEFAULT_NUMBER_IPV6 = 100, 101
DIRECTIONS = (True, False)  # egress, ingress


def new_default_group(vpc: Vpc, ids: Ids) -> SecurityGroup:
    """Its members may speak to each other, and to everybody."""
    group_id = ids.new(SecurityGroup.PREFIX)
    within = SecurityGroupRule(
        id=ids.new("sgr"), is_egress=False, protocol="-1", group_id=group_id, group_account=vpc.account
    )
    return SecurityGroup(
        account=vpc.account,
        region=vpc.region,
        id=group_id,
        created=vpc.created,
        vpc_id=vpc.id,
        name="default",
        description="default VPC security group",
        rules=(within, *open_egress(vpc, ids)),
    )


def open_egress(vpc: Vpc, ids: Ids) -> tuple[SecurityGroupRule, ...]:
    """The rules of a group nobody has changed yet."""
    return tuple(_to(cidr, ids) for cidr in _everywhere(vpc))


def _everywhere(vpc: Vpc) -> tuple[str, ...]:
    return (EVERYWHERE, EVERYWHERE_IPV6) if vpc.ipv6_cidr_associations else (EVERYWHERE,)


def _to(cidr: str, ids: Ids) -> SecurityGroupRule:
    return SecurityGroupRule(id=ids.new("sgr"), is_egress=True, protocol="-1", cidr=cidr)


def new_default_acl(vpc: Vpc, ids: Ids) -> NetworkAcl:
    """Lets everything pass, both ways."""
    return NetworkAcl(
        account=vpc.account,
        region=vpc.region,
        id=ids.new(NetworkAcl.PREFIX),
        created=vpc.created,
        vpc_id=vpc.id,
        is_default=True,
        entries=tuple(entry for cidr in _everywhere(vpc) for entry in _open_entries(cidr)),
    )


def _open_entries(cidr: str) -> tuple[NetworkAclEntry, ...]:
    number = DEFAULT_NUMBER_IPV6 if cidr == EVERYWHERE_IPV6 else DEFAULT_NUMBER
    return tuple(
        NetworkAclEntry(number=number, is_egress=is_egress, allow=True, protocol=-1, cidr=cidr)
        for is_egress in DIRECTIONS
    )


def default_acl(view: View, vpc_id: str) -> NetworkAcl:
    return next(acl for acl in view.in_vpc(NetworkAcl, vpc_id) if acl.is_default)


def guarded(acl: NetworkAcl, subnet_id: str, ids: Ids) -> NetworkAcl:
    """With an association more. A subnet has exactly one: it must have left the one before."""
    added = NetworkAclAssociation(ids.new("aclassoc"), subnet_id)
    return replace(acl, associations=(*acl.associations, added))


def left(view: View, vpc_id: str, subnet_id: str) -> tuple[NetworkAcl, ...]:
    """The ACL of the subnet, without it."""
    found = [
        acl
        for acl in view.in_vpc(NetworkAcl, vpc_id)
        if any(a.subnet_id == subnet_id for a in acl.associations)
    ]
    return tuple(
        replace(acl, associations=tuple(a for a in acl.associations if a.subnet_id != subnet_id))
        for acl in found
    )
