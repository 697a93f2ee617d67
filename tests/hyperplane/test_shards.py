"""Shuffle shards, for cells and accounts of any number."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.hyperplane.shards import choose_shard, rebalanced, too_close


def nodes(count: int) -> list[str]:
    return [f"node-{n + 1}" for n in range(count)]


def shards_of(accounts: int, there: list[str], size: int) -> dict[str, tuple[str, ...]]:
    shards: dict[str, tuple[str, ...]] = {}
    for account in range(accounts):
        shards[f"{account:012d}"] = choose_shard(there, size, shards)
    return shards


def loads(shards: dict[str, tuple[str, ...]], there: list[str]) -> list[int]:
    load = Counter(node for shard in shards.values() for node in shard)
    return [load[node] for node in there]


def pairs_too_close(shards: dict[str, tuple[str, ...]], size: int) -> int:
    return sum(too_close(len(set(one) & set(other)), size) for one, other in combinations(shards.values(), 2))


def moved(before: dict[str, tuple[str, ...]], after: dict[str, tuple[str, ...]]) -> int:
    """Nodes that accounts were given anew."""
    return sum(len(set(after[account]) - set(before[account])) for account in before)


def test_six_accounts_find_six_different_pairs_of_four_nodes():
    shards = shards_of(6, nodes(4), 2)
    assert len(set(shards.values())) == 6
    assert loads(shards, nodes(4)) == [3, 3, 3, 3]


def test_the_seventh_shares_its_pair_with_one_alone():
    assert pairs_too_close(shards_of(7, nodes(4), 2), 2) == 1


def test_twenty_eight_accounts_find_different_pairs_of_eight_nodes():
    assert pairs_too_close(shards_of(28, nodes(8), 2), 2) == 0


def test_of_sixteen_nodes_three_at_a_time_twenty_accounts_share_at_most_one():
    assert pairs_too_close(shards_of(20, nodes(16), 3), 3) == 0


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 16), size=st.integers(1, 4), accounts=st.integers(1, 30))
def test_a_shard_is_as_large_as_it_can_be_and_of_nodes_that_there_are(count, size, accounts):
    for shard in shards_of(accounts, nodes(count), size).values():
        assert len(set(shard)) == len(shard) == min(size, count)
        assert set(shard) <= set(nodes(count)) and list(shard) == sorted(shard)


@settings(max_examples=60, deadline=None)
@given(count=st.integers(2, 12), size=st.integers(1, 3), accounts=st.integers(1, 24), gone=st.integers(0, 11))
def test_a_node_that_leaves_is_replaced_and_little_else_moves(count, size, accounts, gone):
    before = shards_of(accounts, nodes(count), size)
    left = [node for node in nodes(count) if node != f"node-{gone % count + 1}"]
    after = rebalanced(before, left, size)
    lost = sum(len(set(shard) - set(left)) for shard in before.values()) if len(left) >= size else 0
    assert all(set(shard) <= set(left) and len(shard) == min(size, len(left)) for shard in after.values())
    uneven = max(loads(before, left)) - min(loads(before, left)) + 1  # to keep accounts apart may cost evenness, which is mended
    assert moved(before, after) <= lost + uneven * len(left) / 2


@settings(max_examples=60, deadline=None)
@given(count=st.integers(2, 12), accounts=st.integers(0, 24))
def test_a_node_that_joins_takes_its_even_share_and_no_more(count, accounts):
    before = shards_of(accounts, nodes(count), 2)
    more = nodes(count + 1)
    after = rebalanced(before, more, 2)
    share = 2 * accounts / len(more)
    assert moved(before, after) <= share + 1 + max(0, max(loads(before, more), default=0) - share) * count
    assert pairs_too_close(after, 2) <= pairs_too_close(before, 2)
    if pairs_too_close(before, 2) == 0:
        assert loads(after, more)[-1] <= share + 1


@given(count=st.integers(1, 12), size=st.integers(1, 3), accounts=st.integers(0, 24))
@settings(max_examples=40, deadline=None)
def test_where_nothing_changed_nothing_moves(count, size, accounts):
    before = rebalanced(shards_of(accounts, nodes(count), size), nodes(count), size)
    assert rebalanced(before, nodes(count), size) == before


def test_a_drained_node_of_four_is_replaced_for_those_that_had_it():
    before = shards_of(6, nodes(4), 2)
    after = rebalanced(before, nodes(4)[:3], 2)
    assert moved(before, after) == 3
    assert loads(after, nodes(3)) == [4, 4, 4]
