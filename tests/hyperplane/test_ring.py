"""Rendezvous over the nodes of a cell. The vectors are what bpf/stages/rendezvous.h must give, too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rookery.hyperplane.ring import mix64, ranked, seed, weight

HASHES = st.integers(0, 2**64 - 1)
NODES = {place: seed(f"node-{place + 1}") for place in range(4)}

# splitmix64 seeded with 0 gives these three first (Vigna's reference): state is a multiple of the golden gamma.
GOLDEN = 0x9E3779B97F4A7C15
SPLITMIX = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)

VECTOR_SEEDS = ["67ffa1c5f2dd2a87", "ed0e1d3622a0470a", "0ef0880f765e9198", "f313507540e8c228"]
VECTOR_RANKS = [[3, 1, 0, 2], [1, 2, 3, 0], [3, 1, 2, 0], [3, 0, 2, 1], [0, 1, 2, 3], [1, 0, 2, 3]]
VECTOR_WEIGHT = "02305eac99877d5f"


def test_the_mixer_is_that_of_splitmix64():
    assert tuple(mix64(GOLDEN * n % 2**64) for n in (1, 2, 3)) == SPLITMIX


def test_seeds_and_ranks_stay_what_they_are():
    """A change moves every flow of every cell."""
    assert [f"{seed(name):016x}" for name in ("node-1", "node-2", "node-3", "node-4")] == VECTOR_SEEDS
    assert [ranked(flow, NODES) for flow in map(mix64, range(1, 7))] == VECTOR_RANKS
    assert f"{weight(0x0123456789ABCDEF, NODES[0]):016x}" == VECTOR_WEIGHT


@given(HASHES, st.integers(0, 3))
def test_a_node_that_leaves_moves_its_own_flows_to_who_was_next(flow, gone):
    before = ranked(flow, NODES)
    after = ranked(flow, {place: s for place, s in NODES.items() if place != gone})
    assert after == [place for place in before if place != gone]


@given(HASHES)
def test_of_two_as_heavy_the_lower_place_comes_first(flow):
    assert ranked(flow, {5: 77, 2: 77, 9: 77}) == [2, 5, 9]


def test_flows_spread_evenly():
    firsts = [ranked(mix64(flow), NODES)[0] for flow in range(20_000)]
    assert all(abs(firsts.count(place) - 5_000) < 300 for place in NODES)
