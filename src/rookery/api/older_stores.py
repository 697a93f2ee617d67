"""What a store lacks that was made before there were security groups and network ACLs.

Its VPCs get what new ones have from their first moment, and what is in them begins there. Until then no packet passes: an
interface without a policy, or in a subnet without a network ACL, is not configured for the data plane.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from rookery.api.default_security import guarded, new_default_acl, new_default_group
from rookery.api.operation import Ids, View
from rookery.model.objects import NetworkAcl, NetworkInterface, Resource, SecurityGroup, Subnet, Vpc


def missing_guards(view: View, ids: Ids) -> tuple[Resource, ...]:
    """To be put in one transaction. Empty: nothing is missing."""
    return tuple(one for vpc in view.all(Vpc) for one in _of_vpc(vpc, view, ids))


def _of_vpc(vpc: Vpc, view: View, ids: Ids) -> Iterator[Resource]:
    yield from _with_acl(vpc, view, ids)
    bare = [one for one in view.in_vpc(NetworkInterface, vpc.id) if not one.groups]
    group = next((one for one in view.in_vpc(SecurityGroup, vpc.id) if one.is_default), None)
    if group is None:
        group = new_default_group(vpc, ids)
        yield group
    yield from (replace(one, groups=(group.id,)) for one in bare)


def _with_acl(vpc: Vpc, view: View, ids: Ids) -> Iterator[NetworkAcl]:
    """The default network ACL, when it is missing or a subnet has none."""
    acls = list(view.in_vpc(NetworkAcl, vpc.id))
    before = next((one for one in acls if one.is_default), None)
    after = before or new_default_acl(vpc, ids)
    associated = {association.subnet_id for acl in acls for association in acl.associations}
    for subnet in view.in_vpc(Subnet, vpc.id):
        if subnet.id not in associated:
            after = guarded(after, subnet.id, ids)
    if after is not before:
        yield after
