"""Which nodes serve an account (design: shuffle sharding by search)."""

from __future__ import annotations

from itertools import combinations

from rookery.hyperplane.shards import choose_shard

NODES = [f"node-{n}" for n in range(8)]


def shards_of(accounts, size=2, nodes=NODES):
    found = {}
    for account in range(accounts):
        found[str(account)] = choose_shard(nodes, size, found)
    return list(found.values())


def test_the_first_four_accounts_of_eight_nodes_share_none():
    shards = shards_of(4)
    assert sorted(node for shard in shards for node in shard) == sorted(NODES)


def test_all_28_pairs_of_eight_nodes_are_given_before_one_is_given_twice():
    assert set(shards_of(28)) == set(combinations(NODES, 2))


def test_a_small_cell_serves_everybody_with_all_it_has():
    assert shards_of(2, size=2, nodes=["b"]) == [("b",), ("b",)]
    assert choose_shard(["b", "a"], 2, {}) == ("a", "b")


def test_where_sharing_is_needed_as_little_as_possible_is_shared():
    for size, accounts in ((3, 8), (4, 14)):
        shards = shards_of(accounts, size)
        most = max(len(set(one) & set(two)) for one, two in combinations(shards, 2))
        assert most <= size - 1
