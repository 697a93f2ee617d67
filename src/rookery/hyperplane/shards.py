"""Which nodes of a cell serve an account: chosen so that two accounts share as few as possible (shuffle sharding)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations


def choose_shard(nodes: Sequence[str], size: int, existing: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Names, sorted. `existing`: the shards of the cell's other accounts. The one that shares least with any of them, then with
    all of them; all nodes where there are not more than `size`."""
    taken = [frozenset(shard) for shard in existing.values()]
    choices = combinations(sorted(nodes), min(size, len(nodes)))
    return min(choices, key=lambda choice: (*_shared(choice, taken), choice))


def _shared(choice: tuple[str, ...], taken: Sequence[frozenset[str]]) -> tuple[int, int]:
    shared = [len(shard.intersection(choice)) for shard in taken]
    return max(shared, default=0), sum(shared)
