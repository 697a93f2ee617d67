"""What a store lacks that an earlier version made: there before anybody asks, so that handlers may count on it.

Before there were security groups and network ACLs: its VPCs get what new ones have from their first moment, and what is in
them begins there. Until then no packet passes: an interface without a policy, or in a subnet without a network ACL, is not
configured for the data plane.

Before there were DHCP options sets: its VPCs showed "default", and are given the region's default set, as AWS does. That its
owner wants none is written otherwise (NO_OPTIONS): nobody could say so then.

Before there was metadata: instances get the public key of their key pair, where it is still there.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from rookery.api.default_options import default_options, new_default_options
from rookery.api.default_security import guarded, new_default_acl, new_default_group
from rookery.api.operation import Ids, View
from rookery.model.objects import (
    Instance,
    KeyPair,
    NetworkAcl,
    NetworkInterface,
    Resource,
    SecurityGroup,
    Subnet,
    Vpc,
)

NEVER_SAID = "default"  # Vpc.dhcp_options_id


def what_is_missing(view: View, ids: Ids) -> tuple[Resource, ...]:
    """To be put in one transaction. Empty: nothing is missing."""
    guards = (one for vpc in view.all(Vpc) for one in _guards_of(vpc, view, ids))
    return (*guards, *_options(view, ids), *_public_keys(view))


def _guards_of(vpc: Vpc, view: View, ids: Ids) -> Iterator[Resource]:
    yield from _with_acl(vpc, view, ids)
    bare = [one for one in view.in_vpc(NetworkInterface, vpc.id) if not one.groups and not one.cell_attachment]
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


def _options(view: View, ids: Ids) -> Iterator[Resource]:
    bare = [vpc for vpc in view.all(Vpc) if vpc.dhcp_options_id == NEVER_SAID]
    if not bare:
        return
    options = default_options(view)
    if options is None:
        options = new_default_options(bare[0].account, bare[0].region, bare[0].created, ids)
        yield options
    yield from (replace(vpc, dhcp_options_id=options.id) for vpc in bare)


def _public_keys(view: View) -> Iterator[Instance]:
    keys = {pair.name: pair.public_key for pair in view.all(KeyPair)}
    for instance in view.all(Instance):
        known = keys.get(instance.key_name, "")
        if known and not instance.public_key and instance.wanted != "terminated":
            yield replace(instance, public_key=known)
