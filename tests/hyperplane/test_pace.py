"""When the controller and nodes have their turns. The clock is the test's: nobody waits."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.hyperplane import pace
from rookery.hyperplane.pace import LOOK_SECONDS, NEWS_SECONDS, TICK_SECONDS, keep_pace

MILLISECOND = 0.001  # what a look takes


class Over(Exception):
    pass


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


def turns(news: list[float], until: float, work: float = 0.05) -> list[tuple[float, bool]]:
    """(when, came early) of each turn, from 0. `news`: when there are some; `work`: seconds that a turn takes."""
    clock, held, seen = Clock(), sorted(news), []

    async def turn(early: bool) -> None:
        seen.append((clock.now - 100, early))
        while held and held[0] <= clock.now - 100:
            held.pop(0)
        if clock.now - 100 > until:
            raise Over
        clock.now += work

    async def has_news() -> bool:
        clock.now += MILLISECOND
        return bool(held) and held[0] <= clock.now - 100

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Over):
        patch.setattr(pace, "time", clock)
        patch.setattr(pace.asyncio, "sleep", clock.sleep)
        asyncio.run(keep_pace(turn, has_news))
    return seen[:-1]


def test_without_news_it_ticks():
    told = turns([], 9.0)
    assert [early for _, early in told] == [False] * 5
    assert [round(when) for when, _ in told] == [0, 2, 4, 6, 8]


@given(st.lists(st.floats(0.01, 20), max_size=40), st.floats(0, 0.3))
def test_news_are_taken_soon_and_not_at_any_speed_and_the_tick_goes_on(news, work):
    told = turns(news, 25.0, work)
    times = [when for when, _ in told]
    slack = work + LOOK_SECONDS + 3 * MILLISECOND
    for one in news:
        assert any(one <= when <= one + NEWS_SECONDS + slack for when in times)
    for before, following in zip(times, times[1:], strict=False):
        assert following - before >= NEWS_SECONDS - MILLISECOND
    beats = [when for when, early in told if not early]
    for before, following in zip(beats, beats[1:], strict=False):
        assert TICK_SECONDS - MILLISECOND <= following - before <= TICK_SECONDS + NEWS_SECONDS + slack
