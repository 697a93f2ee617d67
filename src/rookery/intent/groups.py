"""The number of a set of security groups: what a mapping says of its interface, and what a policy is named by."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b


def group_set(groups: Iterable[str]) -> int:
    """64 bits that follow from the ids alone, so that all parts agree without asking; 0: no groups.

    Ids are random, and nobody but the region draws them: sets do not meet in one number by chance or by intent."""
    return _number(distinct(groups))


def distinct(groups: Iterable[str]) -> tuple[str, ...]:
    """The set as it is written: sorted."""
    return tuple(sorted(set(groups)))


@lru_cache(maxsize=65_536)
def _number(groups: tuple[str, ...]) -> int:
    if not groups:
        return 0
    return int.from_bytes(blake2b(",".join(groups).encode(), digest_size=8).digest(), "big")
