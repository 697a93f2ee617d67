"""Tokens, without a wire."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rookery.host.services.metadata.tokens import Holder, seconds_left, token
from tests.services.metadata.plan import KEY, NOW

HOLDER = Holder("i-a", 1)


def test_a_token_is_good_until_its_time_ends():
    made = token(KEY, HOLDER, NOW, 60).encode()
    assert [seconds_left(KEY, HOLDER, NOW + later, made) for later in (0, 59.9, 60, 1e6)] == [60, 1, 0, 0]


def test_a_token_is_good_on_its_instance_in_its_boot_under_its_key_alone():
    made = token(KEY, HOLDER, NOW, 60).encode()
    assert seconds_left(KEY, Holder("i-b", 1), NOW, made) == 0
    assert seconds_left(KEY, Holder("i-a", 2), NOW, made) == 0
    assert seconds_left(bytes(32), HOLDER, NOW, made) == 0


@given(st.integers(0, 55), st.binary(min_size=1, max_size=1))
def test_whoever_changes_one_character_has_no_token(place, other):
    made = token(KEY, HOLDER, NOW, 60).encode()
    forged = made[:place] + other + made[place + 1 :]
    assert seconds_left(KEY, HOLDER, NOW, forged) == (60 if forged == made else 0)


@given(st.binary(max_size=80))
def test_what_nobody_made_is_no_token(said):
    assert seconds_left(KEY, HOLDER, NOW, said) == 0
