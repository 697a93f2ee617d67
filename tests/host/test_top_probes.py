"""Whom the probes of a cell's nodes tell about."""

from __future__ import annotations

import pytest

from rookery.dataplane.errors import DataplaneError
from rookery.host.top_probes import TopProbes

ONE, TWO = "100.64.240.1", "100.64.240.2"


def probes(told: list[frozenset[str]], living: tuple[str, ...] = ()) -> TopProbes:
    found = TopProbes(lambda: (ONE, TWO), told.append, living)
    found.liveness.know((ONE, TWO))
    return found


def rounds(one: TopProbes, *answers: set[str]) -> None:
    for addresses in answers:
        for address in addresses:
            one.liveness.answered(address)
        one.liveness.end_round()
        one._tell()


def test_who_answers_is_told_once() -> None:
    rounds(probes(told := []), *[{ONE, TWO}] * 5)
    assert told == [frozenset(), {ONE, TWO}]


def test_a_node_that_misses_three_in_a_row_is_out() -> None:
    rounds(probes(told := [], (ONE, TWO)), {ONE, TWO}, *[{ONE}] * 3)
    assert told == [{ONE, TWO}, {ONE}]


def test_where_nobody_answers_that_is_said_and_the_table_keeps_all() -> None:
    """rookery.host.rows.tops keeps all of a set in which nobody lives."""
    rounds(probes(told := [], (ONE,)), *[set()] * 3)
    assert told == [{ONE}, frozenset()]


def test_what_the_kernel_refused_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    refusals = iter([DataplaneError("no room")])
    told: list[frozenset[str]] = []

    def turn_to(living: frozenset[str]) -> None:
        for refusal in refusals:
            raise refusal
        told.append(living)

    one = TopProbes(lambda: (ONE,), turn_to, (ONE,))
    one.liveness.know((ONE,))
    rounds(one, {ONE}, {ONE})
    assert told == [{ONE}]
    assert "no room" in caplog.text
