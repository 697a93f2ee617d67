"""The entries of a prefix list: read from requests, added and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rookery.api.blocks import parse_ipv6_cidr
from rookery.api.cidr import parse_cidr
from rookery.api.errors import invalid_parameter
from rookery.api.operation import ApiError
from rookery.model.objects import PrefixListEntry

FAMILIES = ("IPv4", "IPv6")
MOST_ENTRIES = 1000
MOST_DESCRIPTION = 255  # characters

Entries = tuple[PrefixListEntry, ...]


def check_family(family: str) -> str:
    if family not in FAMILIES:
        raise invalid_parameter(
            f"Value ({family[:80]}) for parameter AddressFamily is invalid: IPv4 or IPv6."
        )
    return family


def check_size(most: int) -> int:
    if not 1 <= most <= MOST_ENTRIES:
        raise invalid_parameter(f"Value ({most}) for parameter MaxEntries is invalid: 1 to {MOST_ENTRIES}.")
    return most


def given_entries(given: Sequence[Mapping[str, Any]], family: str) -> Entries:
    """Canonical. Raises InvalidParameterValue for another family, and for a block that is given twice."""
    entries = tuple(_entry(one, family) for one in given)
    refuse_twice([entry.cidr for entry in entries])
    return entries


def _entry(given: Mapping[str, Any], family: str) -> PrefixListEntry:
    description = given.get("Description") or ""
    if len(description) > MOST_DESCRIPTION:
        raise invalid_parameter(f"A description has at most {MOST_DESCRIPTION} characters")
    return PrefixListEntry(canonical(given["Cidr"], family), description)


def canonical(cidr: str, family: str) -> str:
    parse = parse_ipv6_cidr if family == "IPv6" else parse_cidr
    return str(parse(cidr, "Cidr"))


def refuse_twice(cidrs: Sequence[str]) -> None:
    twice = [cidr for cidr in dict.fromkeys(cidrs) if cidrs.count(cidr) > 1]
    if twice:
        raise invalid_parameter(f"Duplicate CIDR {twice[0]} in the request")


def check_fits(entries: Entries, most: int) -> None:
    if len(entries) > most:
        why = f"The prefix list may have at most {most} entries, not {len(entries)}."
        raise ApiError("PrefixListMaxEntriesExceeded", why)


def edited(entries: Entries, added: Entries, removed: Sequence[str]) -> Entries:
    """Raises InvalidParameterValue for a block in both, InvalidRequest when what is added is there or what is removed
    is not."""
    both = {entry.cidr for entry in added} & set(removed)
    if both:
        raise invalid_parameter(
            f"Request cannot contain Cidr {min(both)} in both AddPrefixListEntries and RemovePrefixListEntries"
        )
    present = {entry.cidr for entry in entries}
    if any(entry.cidr in present for entry in added) or not present.issuperset(removed):
        raise ApiError("InvalidRequest", "The request received was invalid.")
    return (*(entry for entry in entries if entry.cidr not in removed), *added)
