"""Tables of choices: shares to the place, and hardly a move for those that stay."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.dataplane.formats import CellConstant
from rookery.hyperplane.choices import NOBODY, PLACES, _in_order, _scores, seed_of, shares, table
from rookery.hyperplane.ring import mix64
from rookery.hyperplane.rows import NOBODY as NOBODY_PACKED

WEIGHTS = st.lists(st.integers(1, 999), min_size=1, max_size=30)


def made(weights, first=0):
    keys = [("tg-1", f"10.0.{n // 250}.{n % 250 + 1}", 80) for n in range(first, first + len(weights))]
    return table(list(range(first, first + len(weights))), [seed_of(key) for key in keys], weights)


def test_its_numbers_are_those_of_the_format():
    assert (PLACES, NOBODY) == (CellConstant.CHOICES, CellConstant.NO_TARGET)


def test_without_targets_nobody_is_chosen():
    assert set(made([])) == {NOBODY}
    assert made([]).tobytes() == NOBODY_PACKED


@settings(max_examples=60, deadline=None)
@given(WEIGHTS)
def test_each_target_has_its_share_to_the_place(weights):
    counts = np.bincount(made(weights), minlength=len(weights))
    exact = np.asarray(weights) * PLACES / sum(weights)
    assert (abs(counts - exact) < 1).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(0, 39))
def test_a_target_that_leaves_moves_hardly_a_place_of_others(count, gone):
    gone %= count
    rows = [n for n in range(count) if n != gone]
    seeds = [seed_of(("tg-1", f"10.0.0.{n + 1}", 80)) for n in range(count)]
    before = table(list(range(count)), seeds, [1] * count)
    after = table(rows, [seeds[n] for n in rows], [1] * (count - 1))
    stayed = before != gone
    assert (before[stayed] != after[stayed]).mean() < 0.03
    assert gone not in after


@settings(max_examples=20, deadline=None)
@given(WEIGHTS, st.randoms())
def test_the_order_in_which_targets_are_named_means_nothing(weights, random):
    rows = list(range(len(weights)))
    seeds = [mix64(n + 1) for n in rows]
    mixed = rows[:]
    random.shuffle(mixed)
    again = table(mixed, [seeds[n] for n in mixed], [weights[n] for n in mixed])
    counts = np.bincount(again, minlength=len(rows)) - np.bincount(table(rows, seeds, weights), minlength=len(rows))
    assert (abs(counts) <= 1).all()  # where shares end in the same remainder
    assert (again != table(rows, seeds, weights)).mean() < 0.03


@pytest.mark.parametrize("targets", [3, 10, 200])
def test_within_one_percent_over_a_hundred_thousand_flows(targets):
    chosen = made([1] * targets)[np.random.default_rng(7).integers(0, 2**32, 100_000) % PLACES]
    counts, expected = np.bincount(chosen, minlength=targets), 100_000 / targets
    noise = 4 * np.sqrt(expected)  # what 100,000 drawn flows miss by themselves
    assert (abs(counts - expected) <= 0.01 * expected + noise + expected / 16).all()


def test_the_work_is_the_same_whether_targets_changed_or_not():
    """Nothing is remembered from one time to the next: interleaved, the faster of each is compared."""
    same, other = [], []
    for round_ in range(15):
        for spent, first in ((same, 0), (other, 50 * round_)):
            began = time.process_time()
            for _ in range(4):
                made([1] * 10, first)
            spent.append(time.process_time() - began)
    assert min(other) < 1.5 * min(same)


def in_words(seeds, weights):
    """The same as `table`, as its module tells it: place by place, without arrays."""
    scores, room, owner = _scores(seeds, weights), list(shares(weights)), {}
    waiting = list(range(PLACES))
    while waiting:
        asked = {}
        for place in waiting:
            best = min((n for n in range(len(seeds)) if room[n]), key=lambda n: (scores[n][place], n))
            asked.setdefault(best, []).append(place)
        for best, places in asked.items():
            happy = sorted(places, key=lambda place: (scores[best][place], place))[: room[best]]
            owner |= dict.fromkeys(happy, best)
            room[best] -= len(happy)
        waiting = [place for place in waiting if place not in owner]
    return [owner[place] for place in range(PLACES)]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 999)), min_size=1, max_size=11))
def test_it_is_what_its_words_say(targets):
    seeds, weights = ([pair[n] for pair in targets] for n in (0, 1))
    assert table(list(range(len(seeds))), seeds, weights).tolist() == in_words(seeds, weights)


def test_a_place_that_ranks_a_target_as_well_as_can_be_is_its_first():
    """A fraction of 1 has the score 0, or -0, whose bits are not in order."""
    order = _in_order(np.zeros(3, np.int64), np.array([0.5, -0.0, 0.25], np.float32))
    assert order.tolist() == [1, 2, 0]
