"""HTTP codes that a health check takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.intent.matcher import codes, shortest

CODE = st.integers(200, 599)
PART = CODE.map(str) | st.tuples(CODE, CODE).map(lambda ends: f"{ends[0]}-{ends[1]}")


@pytest.mark.parametrize(
    ("said", "short"), [("200", "200"), ("200-399", "200-399"), ("301,200,200-204,205", "200-205,301"), ("399-200", "")]
)
def test_codes_are_said_once_and_in_order(said, short):
    assert shortest(said) == short


@given(st.lists(PART, min_size=1, max_size=300).map(",".join))
def test_the_shortest_way_to_say_it_means_the_same_and_is_never_long(said):
    assert codes(shortest(said)) == codes(said)
    assert len(shortest(said)) < 800
