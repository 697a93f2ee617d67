"""Network ACLs and which subnets they guard. Their entries have a file of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from rookery.api.blocks import is_ipv6
from rookery.api.default_security import guarded
from rookery.api.describe import describe
from rookery.api.errors import check_id, dependency_violation, invalid_parameter, not_found
from rookery.api.filters import Filters, Value
from rookery.api.handlers.network_acl_shape import all_entries, render_acl
from rookery.api.idempotency import redescribes
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.protocols import ICMP, ICMPV6, TCP, UDP, protocol_name
from rookery.api.tags import tags_for
from rookery.model.objects import NetworkAcl, NetworkAclAssociation, NetworkAclEntry, Vpc


def _of_entries(
    value: Callable[[NetworkAclEntry], Value], *protocols: int
) -> Callable[[NetworkAcl, View], list[Value]]:
    """Of all entries, or of those of some protocols."""
    return lambda acl, view: [
        value(entry) for entry in all_entries(acl, view) if not protocols or entry.protocol in protocols
    ]


def _protocols(acl: NetworkAcl, view: View) -> list[Value]:
    """By number and, where it has one, by name."""
    numbers = [entry.protocol for entry in all_entries(acl, view)]
    return [*numbers, *(protocol_name(number) for number in numbers)]


FILTERS: Filters = {
    "association.association-id": lambda acl, _view: [one.id for one in acl.associations],
    "association.network-acl-id": lambda acl, _view: acl.id if acl.associations else None,
    "association.subnet-id": lambda acl, _view: [one.subnet_id for one in acl.associations],
    "default": lambda acl, _view: acl.is_default,
    "entry.cidr": _of_entries(lambda entry: None if is_ipv6(entry.cidr) else entry.cidr),
    "entry.egress": _of_entries(lambda entry: entry.is_egress),
    "entry.icmp.code": _of_entries(lambda entry: entry.to_port, ICMP, ICMPV6),
    "entry.icmp.type": _of_entries(lambda entry: entry.from_port, ICMP, ICMPV6),
    "entry.ipv6-cidr": _of_entries(lambda entry: entry.cidr if is_ipv6(entry.cidr) else None),
    "entry.port-range.from": _of_entries(lambda entry: entry.from_port, TCP, UDP),
    "entry.port-range.to": _of_entries(lambda entry: entry.to_port, TCP, UDP),
    "entry.protocol": _protocols,
    "entry.rule-action": _of_entries(lambda entry: "allow" if entry.allow else "deny"),
    "entry.rule-number": _of_entries(lambda entry: entry.number),
    "network-acl-id": lambda acl, _view: acl.id,
    "owner-id": lambda acl, _view: acl.account,
    "vpc-id": lambda acl, _view: acl.vpc_id,
}


@operation("CreateNetworkAcl")
def create_network_acl(request: Request, view: View) -> Outcome:
    vpc = find(view, Vpc, request.parameters["VpcId"])
    if len(list(view.in_vpc(NetworkAcl, vpc.id))) >= request.quotas.network_acls_per_vpc:
        raise ApiError("NetworkAclLimitExceeded", "The maximum number of network ACLs has been reached.")
    acl = NetworkAcl(
        account=request.account,
        region=request.region,
        id=request.ids.new(NetworkAcl.PREFIX),
        created=request.now,
        tags=tags_for(request, "network-acl"),
        vpc_id=vpc.id,
    )
    return Outcome(result=_created(request, acl, view), puts=(acl,))


def _created(request: Request, acl: NetworkAcl, view: View) -> dict[str, Any]:
    return {"NetworkAcl": render_acl(acl, view), "ClientToken": request.parameters.get("ClientToken")}


@redescribes("CreateNetworkAcl")
def created_before(request: Request, view: View, made: Any) -> dict[str, Any]:
    return _created(request, made[0], view)


@operation("DescribeNetworkAcls")
def describe_network_acls(request: Request, view: View) -> Outcome:
    return describe(request, view, NetworkAcl, "NetworkAclIds", "NetworkAcls", render_acl, FILTERS)


@operation("DeleteNetworkAcl")
def delete_network_acl(request: Request, view: View) -> Outcome:
    acl = find(view, NetworkAcl, request.parameters["NetworkAclId"])
    if acl.is_default:
        raise invalid_parameter(f"cannot delete default network ACL {acl.id}")
    if acl.associations:
        raise dependency_violation("networkAcl", acl.id)
    return Outcome(deletes=(acl,))


@operation("ReplaceNetworkAclAssociation")
def replace_network_acl_association(request: Request, view: View) -> Outcome:
    """A subnet leaves its ACL for another one: it is never without."""
    before, association = _association(view, request.parameters["AssociationId"])
    acl = find(view, NetworkAcl, request.parameters["NetworkAclId"])
    if before.vpc_id != acl.vpc_id:
        raise invalid_parameter(
            f"Network ACL {acl.id} and subnet {association.subnet_id} belong to different networks"
        )
    if before.id == acl.id:
        return Outcome(result={"NewAssociationId": association.id})
    kept = tuple(one for one in before.associations if one != association)
    after = guarded(acl, association.subnet_id, request.ids)
    return Outcome(
        result={"NewAssociationId": after.associations[-1].id},
        puts=(replace(before, associations=kept), after),
    )


def _association(view: View, association_id: str) -> tuple[NetworkAcl, NetworkAclAssociation]:
    check_id("aclassoc", association_id)
    for acl in view.all(NetworkAcl):
        for association in acl.associations:
            if association.id == association_id:
                return acl, association
    raise not_found("aclassoc", association_id)
