"""The entries of network ACLs: made, replaced and deleted by their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.blocks import ipv4_block, ipv6_block, is_ipv6
from rookery.api.errors import invalid_combination, invalid_value, missing_parameter
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.protocols import entry_range, protocol_number
from rookery.model.objects import NetworkAcl, NetworkAclEntry

FIRST_NUMBER, LAST_NUMBER = 1, 32_766


@operation("CreateNetworkAclEntry")
def create_network_acl_entry(request: Request, view: View) -> Outcome:
    acl, entry = _asked(request, view)
    if _numbered(acl, entry.number, entry.is_egress):
        why = f"The network acl entry identified by {entry.number} already exists."
        raise ApiError("NetworkAclEntryAlreadyExists", why)
    return Outcome(puts=(_with_entries(request, acl, (*acl.entries, entry)),))


@operation("ReplaceNetworkAclEntry")
def replace_network_acl_entry(request: Request, view: View) -> Outcome:
    acl, entry = _asked(request, view)
    before = _existing(acl, entry.number, entry.is_egress)
    entries = tuple(entry if one == before else one for one in acl.entries)
    return Outcome(puts=(_with_entries(request, acl, entries),) if entries != acl.entries else ())


@operation("DeleteNetworkAclEntry")
def delete_network_acl_entry(request: Request, view: View) -> Outcome:
    given = request.parameters
    acl = find(view, NetworkAcl, given["NetworkAclId"])
    gone = _existing(acl, _number(given), given["Egress"])
    return Outcome(puts=(replace(acl, entries=tuple(one for one in acl.entries if one != gone)),))


def _asked(request: Request, view: View) -> tuple[NetworkAcl, NetworkAclEntry]:
    """Raises MissingParameter, InvalidParameterValue, InvalidParameterCombination, InvalidNetworkAclID.NotFound."""
    given = request.parameters
    acl = find(view, NetworkAcl, given["NetworkAclId"])
    cidr = _cidr(given)
    protocol = protocol_number(given["Protocol"])
    first, last = entry_range(protocol, is_ipv6(cidr), given)
    return acl, NetworkAclEntry(
        number=_number(given),
        is_egress=given["Egress"],
        allow=given["RuleAction"] == "allow",
        protocol=protocol,
        cidr=cidr,
        from_port=first,
        to_port=last,
    )


def _number(given: Mapping[str, Any]) -> int:
    number = int(given["RuleNumber"])
    if not FIRST_NUMBER <= number <= LAST_NUMBER:
        why = f"Expecting a value between {FIRST_NUMBER} and {LAST_NUMBER}."
        raise invalid_value("ruleNumber", number, why)
    return number


def _cidr(given: Mapping[str, Any]) -> str:
    ipv4, ipv6 = given.get("CidrBlock"), given.get("Ipv6CidrBlock")
    if ipv4 and ipv6:
        raise invalid_combination("An entry has either a cidrBlock or an ipv6CidrBlock.")
    if ipv6:
        return ipv6_block(ipv6)
    if not ipv4:
        raise missing_parameter("cidrBlock")
    return ipv4_block(ipv4)


def _numbered(acl: NetworkAcl, number: int, is_egress: bool) -> NetworkAclEntry | None:
    return next((one for one in acl.entries if (one.number, one.is_egress) == (number, is_egress)), None)


def _existing(acl: NetworkAcl, number: int, is_egress: bool) -> NetworkAclEntry:
    found = _numbered(acl, number, is_egress)
    if found is None:
        why = f"The network acl entry identified by rule number {number} does not exist."
        raise ApiError("InvalidNetworkAclEntry.NotFound", why)
    return found


def _with_entries(request: Request, acl: NetworkAcl, entries: tuple[NetworkAclEntry, ...]) -> NetworkAcl:
    """Raises NetworkAclEntryLimitExceeded."""
    most = request.quotas.network_acl_entries
    for is_egress in (True, False):
        for family in (True, False):
            if _count(entries, is_egress, family) > most:
                why = f"The maximum number of network ACL entries per direction and family ({most}) has been reached."
                raise ApiError("NetworkAclEntryLimitExceeded", why)
    return replace(acl, entries=entries)


def _count(entries: Iterable[NetworkAclEntry], is_egress: bool, ipv6: bool) -> int:
    return sum(one.is_egress is is_egress and is_ipv6(one.cidr) is ipv6 for one in entries)
