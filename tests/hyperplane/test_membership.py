"""Rings: one node at a time, and never behind the back of one that lives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rookery.dataplane.formats import CellConstant
from rookery.hyperplane.membership import (
    KEPT_BEATS,
    SETTLING_BEATS,
    Rings,
    first_rings,
    living_nodes,
    next_rings,
    slowest_epoch,
)
from rookery.hyperplane.pace import TICK_SECONDS
from rookery.hyperplane.report import NodeReport


def report(node: str, epoch: int = 0, living: tuple[str, ...] = ()) -> NodeReport:
    return NodeReport(node=node, epoch=epoch, time=0.0, living=living)


def test_the_first_ring_has_them_all():
    assert first_rings([2, 0, 1], 1, 1) == ((0, 1, 2), (0, 1, 2), 1, 1)


def test_a_node_joins_and_the_ring_before_is_named():
    assert next_rings(Rings((0, 1), (0, 1), 1, 1), [0, 1, 2], 9, 7, slowest=8) == ((0, 1, 2), (0, 1), 9, 7)


CHANGING = Rings((0, 1, 2), (0, 1), 9, 7)


def test_nothing_changes_while_a_living_node_goes_by_an_older_ring():
    assert next_rings(CHANGING, [0, 1, 2, 3], 30, 28, slowest=8) == CHANGING


def test_a_ring_that_all_use_is_settled_after_a_while():
    assert next_rings(CHANGING, [0, 1, 2], 90, 7 + KEPT_BEATS - 1, slowest=10) == CHANGING
    assert next_rings(CHANGING, [0, 1, 2], 90, 7 + KEPT_BEATS, slowest=10) == ((0, 1, 2), (0, 1, 2), 90, 7 + KEPT_BEATS)


def test_it_is_settled_sooner_when_another_change_waits():
    assert next_rings(CHANGING, [0, 1, 2, 3], 90, 7 + SETTLING_BEATS - 1, slowest=10) == CHANGING
    assert next_rings(CHANGING, [0, 1, 2, 3], 90, 7 + SETTLING_BEATS, slowest=10).previous == (0, 1, 2)


def test_the_ring_before_is_named_as_long_as_nodes_ask_it():
    assert KEPT_BEATS * TICK_SECONDS > CellConstant.YOUNG_SECONDS


@given(st.sets(st.integers(0, 15), min_size=1), st.lists(st.tuples(st.sets(st.integers(0, 15)), st.integers(0, 4)), max_size=40))
def test_two_rings_that_follow_each_other_differ_by_one_node(first, history):
    rings = first_rings(first, 1, 1)
    for epoch, (wanted, behind) in enumerate(history, start=2):
        following = next_rings(rings, wanted, epoch, epoch, slowest=epoch - behind)
        assert len(set(following.current) ^ set(rings.current)) <= 1
        assert following.current
        if following.current != rings.current:
            assert rings.current == rings.previous == following.previous
        rings = following


@given(st.sets(st.integers(0, 15), min_size=1), st.sets(st.integers(0, 15), min_size=1))
def test_every_ring_is_reached(first, goal):
    rings, epoch = first_rings(first, 1, 1), 1
    while (set(rings.current), rings.previous) != (goal, rings.current):
        epoch += 1
        rings = next_rings(rings, goal, epoch, epoch, slowest=epoch - 1)
        assert epoch < 500


def test_a_node_that_reads_no_files_but_is_seen_by_others_is_waited_for():
    fresh = {"node-1": report("node-1", 8, living=("node-1", "node-2"))}
    living = living_nodes(fresh)
    assert living == {"node-1", "node-2"}
    assert slowest_epoch(living, {**fresh, "node-2": report("node-2", 3)}, 9) == 3
    assert slowest_epoch(living, fresh, 9) == 0


def test_a_node_that_nobody_sees_is_not_waited_for():
    fresh = {"node-1": report("node-1", 8, living=("node-1",))}
    assert slowest_epoch(living_nodes(fresh), {**fresh, "node-2": report("node-2", 3)}, 9) == 8
