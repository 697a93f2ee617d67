"""A prefix list spelled out."""

from __future__ import annotations

from collections.abc import Mapping

from rookery.intent.things import PrefixListThing


def cidrs_of(identity: str, lists: Mapping[str, PrefixListThing]) -> tuple[str, ...]:
    """The entries of its current version; a list that is gone has none."""
    found = lists.get(identity)
    return tuple(entry.cidr for entry in found.versions[-1]) if found and found.versions else ()
