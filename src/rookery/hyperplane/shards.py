"""Shuffle shards: which nodes of a cell serve an account, so that no two accounts stand or fall together. Its packets come to them, and to
no others; its flows are kept by any two nodes of the ring (docs/decisions/0038).

Drawing at random is not enough in a cell of few nodes: here all there is decides. In this order: as few accounts as can be that
share more than half of their nodes with this one; even load; as little shared with others as can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, islice

CANDIDATES = 2_000  # of 16 nodes 8 at a time there are 12,870 shards: so many are looked at

Shard = tuple[str, ...]  # names of nodes, sorted


def choose_shard(nodes: Iterable[str], size: int, existing: Mapping[str, Shard], kept: Iterable[str] = ()) -> Shard:
    """For one more account. `existing`: the shards of the cell's other accounts; `kept`: nodes that it has already and keeps. Fewer
    nodes than `size`: all of them."""
    there = sorted(set(nodes))
    others = Counter(frozenset(shard) for shard in existing.values())
    load = _load(there, others)
    held = sorted(set(kept) & set(there))[:size]
    free = sorted((node for node in there if node not in held), key=lambda node: (load[node], node))
    wanted = min(size, len(there)) - len(held)
    candidates = (tuple(sorted((*held, *more))) for more in islice(combinations(free, wanted), CANDIDATES))
    return min(candidates, key=lambda shard: (*_cost(shard, others, load), shard))


def _load(nodes: Iterable[str], shards: Mapping[frozenset[str], int]) -> Counter[str]:
    load = Counter({node: 0 for node in nodes})
    for shard, accounts in shards.items():
        for node in shard & load.keys():
            load[node] += accounts
    return load


def _cost(shard: Shard, others: Mapping[frozenset[str], int], load: Mapping[str, int]) -> tuple[int, int, int, int]:
    mine = set(shard)
    shared = [(len(mine & other), accounts) for other, accounts in others.items()]
    close = sum(accounts for nodes, accounts in shared if too_close(nodes, len(shard)))
    loads = [load[node] for node in shard]
    return close, max(loads, default=0), sum(loads), sum(nodes * nodes * accounts for nodes, accounts in shared)


def too_close(shared: int, size: int) -> bool:
    """More than half of a shard."""
    return 2 * shared > size


def rebalanced(shards: Mapping[str, Shard], nodes: Iterable[str], size: int) -> dict[str, Shard]:
    """What the shards of accounts are to become now that these are the nodes (those that drain are not among them). An account
    keeps every node that is still there; then as few are moved as even load needs."""
    there = set(nodes)
    result = dict(shards)
    for account in sorted(shards):
        held = [node for node in shards[account] if node in there][:size]
        if len(held) < min(size, len(there)) or len(held) < len(shards[account]):
            others = {other: shard for other, shard in result.items() if other != account}
            result[account] = choose_shard(there, size, others, held)
    return _levelled(result, sorted(there))


def _levelled(shards: dict[str, Shard], nodes: Sequence[str]) -> dict[str, Shard]:
    while move := _next_move(shards, nodes):
        account, shard = move
        shards[account] = shard
    return shards


def _next_move(shards: Mapping[str, Shard], nodes: Sequence[str]) -> tuple[str, Shard] | None:
    """Of one account one node, from the most to the least loaded; None: the load is even, or could only be so at the price of
    accounts that share too much."""
    masks = Counter(frozenset(shard) for shard in shards.values())
    load = _load(nodes, masks)
    if not load or max(load.values()) - min(load.values()) <= 1:
        return None
    least = min(nodes, key=lambda node: (load[node], node))
    for most in sorted((node for node in nodes if load[node] > load[least] + 1), key=lambda node: (-load[node], node)):
        for account, shard in sorted(shards.items()):
            if most not in shard or least in shard:
                continue
            moved = tuple(sorted({*shard, least} - {most}))
            others = masks - Counter([frozenset(shard)])
            if _cost(moved, others, load)[0] <= _cost(shard, others, load)[0]:
                return account, moved
    return None
