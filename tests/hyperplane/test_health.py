"""From checks to words: one way's, a node's, a cell's."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rookery.hyperplane.health import (
    FAILED,
    PASSED,
    TIMEOUT,
    WRONG_CODE,
    Health,
    after,
    cell_word,
    cell_words,
    node_word,
    ways_that_differ,
)
from rookery.intent.balanced_targets import HEALTHY, INITIAL, UNHEALTHY, by_way
from rookery.intent.cell import HealthCheckIntent
from tests.hyperplane.files import target

CHECKS = st.builds(HealthCheckIntent, healthy=st.integers(2, 10), unhealthy=st.integers(2, 10))
REASONS = st.sampled_from([FAILED, TIMEOUT, WRONG_CODE])
RESULTS = st.just(PASSED) | REASONS
GOOD = (HEALTHY, "")


def seen(results, check, health=None):
    health = health or Health()
    for result in results:
        health = after(health, result, check)
    return health


# One way


def test_the_first_pass_is_enough_for_a_new_target():
    assert seen([FAILED, PASSED], HealthCheckIntent(unhealthy=2)) == Health(HEALTHY)


def test_a_new_target_that_fails_is_initial_until_it_failed_often_enough():
    check = HealthCheckIntent(unhealthy=3)
    assert seen([FAILED, TIMEOUT], check).state == INITIAL
    assert seen([FAILED, TIMEOUT, TIMEOUT], check) == Health(UNHEALTHY, TIMEOUT)


def test_the_reason_is_the_newest_one():
    check = HealthCheckIntent(unhealthy=2)
    assert [seen([PASSED, FAILED, FAILED, *more], check).reason for more in ([], [TIMEOUT], [WRONG_CODE])] == [FAILED, TIMEOUT, WRONG_CODE]


@given(CHECKS, st.lists(RESULTS, max_size=60))
def test_a_state_turns_exactly_when_so_many_results_in_a_row_speak_against_it(check, results):
    """Said otherwise than the machine says it: looking back over the whole row."""
    health, told = Health(), []
    for result in results:
        before, health = health, after(health, result, check)
        told.append(result == PASSED)
        if health.state == before.state:
            continue
        if health.state == HEALTHY:
            enough = 1 if before.state == INITIAL else check.healthy
            assert told[-enough:] == [True] * enough
        else:
            assert told[-check.unhealthy :] == [False] * check.unhealthy
    if len(told) >= 10:
        assert told[-check.unhealthy :] != [False] * check.unhealthy or health.state == UNHEALTHY
        assert told[-check.healthy :] != [True] * check.healthy or health.state == HEALTHY


@given(CHECKS, st.lists(RESULTS, max_size=40))
def test_only_an_unhealthy_target_has_a_reason_and_counts_stay_below_the_thresholds(check, results):
    health = seen(results, check)
    assert bool(health.reason) == (health.state == UNHEALTHY)
    assert health.against < (check.healthy if health.state == UNHEALTHY else check.unhealthy)


@given(CHECKS, CHECKS, st.lists(RESULTS, max_size=20), st.lists(RESULTS, min_size=10, max_size=20))
def test_other_settings_go_on_from_the_state_that_is_known(first, second, before, results):
    known = seen(before, first)
    assert seen([PASSED] * 10, second, known).state == HEALTHY
    assert seen([FAILED] * 10, second, known).state == UNHEALTHY
    if known.state == HEALTHY:
        assert seen([PASSED], second, known) == Health(HEALTHY)


# A node


def test_a_node_that_knows_nothing_says_nothing():
    assert node_word([]) is None
    assert node_word([Health(), Health(INITIAL, "", 1)]) is None


def test_unhealthy_by_one_way_is_unhealthy():
    assert node_word([Health(HEALTHY), Health(), Health(UNHEALTHY, TIMEOUT)]) == TIMEOUT
    assert node_word([Health(HEALTHY), Health()]) == PASSED


def test_a_node_says_how_each_way_finds_a_target_only_where_they_differ():
    assert ways_that_differ({7: Health(HEALTHY), 8: Health(UNHEALTHY, TIMEOUT), 9: Health()}) == {7: PASSED, 8: TIMEOUT}
    assert ways_that_differ({7: Health(UNHEALTHY, FAILED), 8: Health(UNHEALTHY, TIMEOUT), 9: Health()}) == {}
    assert ways_that_differ({7: Health(HEALTHY), 8: Health()}) == {}


# A cell


@given(st.lists(RESULTS, max_size=16), st.none() | st.just(GOOD) | REASONS.map(lambda reason: (UNHEALTHY, reason)))
def test_the_majority_counts_and_nothing_else_changes_a_word(said, before):
    good = sum(one == PASSED for one in said)
    bad = len(said) - good
    word = cell_word(said, before)
    if good > bad:
        assert word == GOOD
    elif bad > good:
        assert word is not None and word[0] == UNHEALTHY
        assert said.count(word[1]) == max(said.count(reason) for reason in said if reason != PASSED)
    elif before is not None:
        assert word == before
    else:
        assert word == (GOOD if good else None)


@given(st.lists(RESULTS, max_size=16), st.none() | st.just(GOOD), st.randoms())
def test_the_order_in_which_nodes_are_asked_does_not_matter(said, before, chance):
    mixed = chance.sample(said, len(said))
    assert cell_word(mixed, before) == cell_word(said, before)


@given(st.lists(RESULTS, max_size=16), st.none() | st.just(GOOD) | REASONS.map(lambda reason: (UNHEALTHY, reason)))
def test_the_same_said_again_changes_nothing(said, before):
    word = cell_word(said, before)
    assert cell_word(said, word) == word


ONE, TWO = (msgspec.structs.replace(target(number), checked_by=(7,)) for number in (1, 2))


def test_a_way_has_a_word_of_its_own_while_most_nodes_find_it_otherwise_than_is_told():
    """The target is told to be unhealthy. One node has lost the other way, too; one finds nothing wrong."""
    both = msgspec.structs.replace(ONE, checked_by=(7, 8))
    by_7, by_8 = by_way(ONE.place, 7), by_way(ONE.place, 8)
    differ = {ONE.group: {ONE.place: TIMEOUT, by_7: PASSED, by_8: TIMEOUT}}
    lost, well = {ONE.group: {ONE.place: TIMEOUT}}, {ONE.group: {ONE.place: PASSED}}
    found = cell_words([both], [differ, differ, lost], {})
    assert found == {ONE.group: {ONE.place: (UNHEALTHY, TIMEOUT), by_7: GOOD}}
    assert cell_words([both], [differ, well], found) == found  # as many on either side
    assert cell_words([both], [lost, lost, differ], found) == {ONE.group: {ONE.place: (UNHEALTHY, TIMEOUT)}}
    assert cell_words([both], [well, well, differ], found) == {ONE.group: {ONE.place: GOOD}}


def test_a_target_whom_nobody_checks_any_more_is_forgotten():
    words = [{ONE.group: {ONE.place: PASSED, TWO.place: FAILED}}]
    found = cell_words([ONE, TWO], words, {})
    assert found == {ONE.group: {ONE.place: GOOD, TWO.place: (UNHEALTHY, FAILED)}}
    assert cell_words([ONE, msgspec.structs.replace(TWO, checked_by=())], words, found) == {ONE.group: {ONE.place: GOOD}}
    assert cell_words([], words, found) == {}


def test_what_is_known_stays_while_no_node_has_a_word():
    """Agents that begin anew have none."""
    found = {ONE.group: {ONE.place: (UNHEALTHY, TIMEOUT)}}
    assert cell_words([ONE, TWO], [{}, {}], found) == found


def test_the_same_place_in_two_groups_is_two_targets():
    other = msgspec.structs.replace(ONE, group="targetgroup-2")
    words = [{ONE.group: {ONE.place: PASSED}, other.group: {other.place: WRONG_CODE}}]
    assert cell_words([ONE, other], words, {}) == {
        ONE.group: {ONE.place: GOOD},
        other.group: {other.place: (UNHEALTHY, WRONG_CODE)},
    }
