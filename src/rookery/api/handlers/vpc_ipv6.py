"""IPv6 blocks of VPCs: a /56 that the region provides.

Real addresses would be somebody's. Ours come from 3fff::/20, set aside for documentation (RFC 9637): no network routes them, they
clash with nobody's, and unlike private ones (fd00::/8) guests treat them as global ones, as they do AWS's.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, IPv6Network
from random import Random
from typing import Any

from msgspec.structs import replace

from rookery.api.blocks import block, is_within
from rookery.api.errors import dependency_violation, invalid_combination
from rookery.api.handlers.peering_blocks import added_block
from rookery.api.handlers.vpc_routes import check_covers_no_route, tables_without_local
from rookery.api.operation import ApiError, Ids, Outcome, Request, View
from rookery.model.objects import (
    CidrAssociation,
    NetworkAcl,
    NetworkAclEntry,
    Resource,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
)

# 20 bits, then the 24 of the VPC's number, which no other VPC of any account has, then 12 that are drawn: no two VPCs
# of the region ever have the same block, so that any two of them can be peered.
POOL = IPv6Network("3fff::/20")
PREFIX_LENGTH = 56
DRAWN_BITS = PREFIX_LENGTH - POOL.prefixlen - 24

EVERYWHERE = "0.0.0.0/0"
EVERYWHERE_IPV6 = "::/0"
IPV4_NUMBER, IPV6_NUMBER = 100, 101  # of the entries of a default network ACL

IPV6_FILTERS = {
    "ipv6-cidr-block-association.association-id": lambda vpc, _view: [
        one.id for one in vpc.ipv6_cidr_associations
    ],
    "ipv6-cidr-block-association.ipv6-cidr-block": lambda vpc, _view: [
        one.cidr for one in vpc.ipv6_cidr_associations
    ],
    "ipv6-cidr-block-association.ipv6-pool": lambda vpc, _view: [
        "Amazon" for _ in vpc.ipv6_cidr_associations
    ],
    "ipv6-cidr-block-association.state": lambda vpc, _view: [
        "associated" for _ in vpc.ipv6_cidr_associations
    ],
}


def with_ipv6_block(vpc: Vpc, request: Request) -> Vpc:
    """The VPC with a further block."""
    association_id = request.ids.new("vpc-cidr-assoc")
    held = {one.cidr for one in vpc.ipv6_cidr_associations}
    chance = Random(association_id)
    drawn = provided_block(vpc, chance)
    while drawn in held:
        drawn = provided_block(vpc, chance)
    added = CidrAssociation(association_id, drawn)
    return replace(vpc, ipv6_cidr_associations=(*vpc.ipv6_cidr_associations, added))


def provided_block(vpc: Vpc, chance: Random) -> str:
    number = vpc.vni << DRAWN_BITS | chance.getrandbits(DRAWN_BITS)
    start = int(POOL.network_address) | number << 128 - PREFIX_LENGTH
    return f"{IPv6Address(start)}/{PREFIX_LENGTH}"


def associate_ipv6(request: Request, vpc: Vpc, view: View) -> Outcome:
    if request.parameters.get("CidrBlock"):
        raise invalid_combination("A call associates one block: of IPv4, or an Amazon-provided one of IPv6.")
    most = request.quotas.ipv6_cidrs_per_vpc
    if len(vpc.ipv6_cidr_associations) >= most:
        why = f"This network '{vpc.id}' has met its maximum number of allowed IPv6 CIDRs: {most}"
        raise ApiError("CidrLimitExceeded", why)
    changed = with_ipv6_block(vpc, request)
    added = changed.ipv6_cidr_associations[-1]
    check_covers_no_route(block(added.cidr), vpc, view)
    guards: list[Resource] = []
    if not vpc.ipv6_cidr_associations:
        guards = admitting_ipv6(_defaults(vpc, view), request.ids)
    peers = added_block(request, view, vpc, added.cidr)
    return Outcome(
        result=_answer(vpc, added, "associating"), puts=(changed, *guards, *peers.puts), beside=peers.beside
    )


def disassociate_ipv6(vpc: Vpc, association: CidrAssociation, view: View) -> Outcome:
    """Only when no subnet has a part of it."""
    of_subnets = (one for subnet in view.in_vpc(Subnet, vpc.id) for one in subnet.ipv6_cidr_associations)
    if any(is_within(block(one.cidr), block(association.cidr)) for one in of_subnets):
        raise dependency_violation("vpc CIDR block", association.id)
    kept = tuple(one for one in vpc.ipv6_cidr_associations if one != association)
    tables = tables_without_local(association.cidr, vpc, view)
    changed = replace(vpc, ipv6_cidr_associations=kept)
    return Outcome(result=_answer(vpc, association, "disassociating"), puts=(changed, *tables))


def _answer(vpc: Vpc, association: CidrAssociation, state: str) -> dict[str, Any]:
    return {"VpcId": vpc.id, "Ipv6CidrBlockAssociation": vpc_ipv6_shape(vpc, association, state)}


def vpc_ipv6_shape(vpc: Vpc, association: CidrAssociation, state: str) -> dict[str, Any]:
    return {
        "AssociationId": association.id,
        "Ipv6CidrBlock": association.cidr,
        "Ipv6CidrBlockState": {"State": state},
        "NetworkBorderGroup": vpc.region,
        "Ipv6Pool": "Amazon",
        "Ipv6AddressAttribute": "public",
        "IpSource": "amazon",
    }


def _defaults(vpc: Vpc, view: View) -> list[Resource]:
    """The VPC's default security group and network ACL."""
    groups = [one for one in view.in_vpc(SecurityGroup, vpc.id) if one.is_default]
    return [*groups, *(one for one in view.in_vpc(NetworkAcl, vpc.id) if one.is_default)]


def admitting_ipv6(resources: Iterable[Resource], ids: Ids) -> list[Resource]:
    """With the VPC's first IPv6 block its default security group and network ACL let IPv6 through as they do IPv4, unless
    somebody has changed them before. Whatever else is among the resources stays as it is."""
    return [_admitting(one, ids) for one in resources]


def _admitting(one: Resource, ids: Ids) -> Resource:
    if isinstance(one, SecurityGroup) and one.is_default and _is_untouched_group(one):
        rule = SecurityGroupRule(id=ids.new("sgr"), is_egress=True, protocol="-1", cidr=EVERYWHERE_IPV6)
        return replace(one, rules=(*one.rules, rule))
    if isinstance(one, NetworkAcl) and one.is_default and _is_untouched_acl(one):
        return replace(one, entries=(*one.entries, *(_entry_of_all(each) for each in (False, True))))
    return one


def _is_untouched_group(group: SecurityGroup) -> bool:
    """All may leave over IPv4; who may come in has no say in it."""
    egress = [rule for rule in group.rules if rule.is_egress]
    return [(rule.protocol, rule.cidr) for rule in egress] == [("-1", EVERYWHERE)]


def _is_untouched_acl(acl: NetworkAcl) -> bool:
    found = {(one.is_egress, one.number, one.allow, one.protocol, one.cidr) for one in acl.entries}
    return found == {(egress, IPV4_NUMBER, True, -1, EVERYWHERE) for egress in (False, True)}


def _entry_of_all(is_egress: bool) -> NetworkAclEntry:
    return NetworkAclEntry(
        number=IPV6_NUMBER, is_egress=is_egress, allow=True, protocol=-1, cidr=EVERYWHERE_IPV6
    )
