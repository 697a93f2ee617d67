"""A network ACL in the words of the API. The last entry of each list, which denies what no other decided, is only told."""

from __future__ import annotations

from typing import Any

from rookery.api.blocks import is_ipv6
from rookery.api.default_security import DIRECTIONS, EVERYWHERE, EVERYWHERE_IPV6
from rookery.api.operation import View
from rookery.api.protocols import ICMP, ICMPV6, TCP, UDP
from rookery.api.tags import render_tags
from rookery.model.objects import NetworkAcl, NetworkAclEntry, Vpc

LAST, LAST_IPV6 = 32_767, 32_768


def render_acl(acl: NetworkAcl, view: View) -> dict[str, Any]:
    return {
        "NetworkAclId": acl.id,
        "VpcId": acl.vpc_id,
        "OwnerId": acl.account,
        "IsDefault": acl.is_default,
        "Associations": [
            {"NetworkAclAssociationId": one.id, "NetworkAclId": acl.id, "SubnetId": one.subnet_id}
            for one in acl.associations
        ],
        "Entries": [_render_entry(entry) for entry in all_entries(acl, view)],
        "Tags": render_tags(acl.tags),
    }


def all_entries(acl: NetworkAcl, view: View) -> list[NetworkAclEntry]:
    """Egress first, as AWS answers; each list in the order in which it decides."""
    vpc = view.get(Vpc, acl.vpc_id)
    last = [(LAST, EVERYWHERE)]
    if vpc and vpc.ipv6_cidr_associations:
        last.append((LAST_IPV6, EVERYWHERE_IPV6))
    denied = [
        NetworkAclEntry(number=number, is_egress=is_egress, allow=False, protocol=-1, cidr=cidr)
        for is_egress in DIRECTIONS
        for number, cidr in last
    ]
    return sorted((*acl.entries, *denied), key=lambda entry: (not entry.is_egress, entry.number))


def _render_entry(entry: NetworkAclEntry) -> dict[str, Any]:
    return {
        "Egress": entry.is_egress,
        "Protocol": str(entry.protocol),
        "RuleAction": "allow" if entry.allow else "deny",
        "RuleNumber": entry.number,
        "Ipv6CidrBlock" if is_ipv6(entry.cidr) else "CidrBlock": entry.cidr,
        **_range(entry),
    }


def _range(entry: NetworkAclEntry) -> dict[str, Any]:
    if entry.protocol in (TCP, UDP):
        return {"PortRange": {"From": entry.from_port, "To": entry.to_port}}
    if entry.protocol == ICMP or (entry.protocol == ICMPV6 and is_ipv6(entry.cidr)):
        return {"IcmpTypeCode": {"Type": entry.from_port, "Code": entry.to_port}}
    return {}
