"""A few thousand requests of tests/api/balancer_fuzz.py, which can make any number."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.balancer_fuzz import rounds, unsigned


@pytest.mark.parametrize("seed", range(3))
def test_load_balancing_never_fails_and_leaves_the_state_sound(seed):
    with unsigned():
        seen = asyncio.run(rounds(seed, 1500, spoil=0.1))
    made = {code for code in seen if code.startswith("ok Create")}
    assert made >= {"ok CreateListener", "ok CreateTargetGroup"}, seen
    assert sum(count for code, count in seen.items() if code.startswith("ok")) > 100, seen
