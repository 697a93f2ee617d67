"""When the controller and the nodes of a cell work: every two seconds, and sooner when there are news, though not at any speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

TICK_SECONDS = 2.0
NEWS_SECONDS = 0.5  # between two turns at least
LOOK_SECONDS = 0.2


async def keep_pace(work: Callable[[bool], Awaitable[None]], has_news: Callable[[], Awaitable[bool]]) -> None:
    """Until cancelled. `work` is told whether its turn came early; `has_news` is cheap, and true until `work` has seen to them."""
    due = time.monotonic()
    while True:
        started = time.monotonic()
        early = started < due
        if not early:
            due = started + TICK_SECONDS
        await work(early)
        await asyncio.sleep(started + NEWS_SECONDS - time.monotonic())
        while time.monotonic() < due and not await has_news():
            await asyncio.sleep(min(LOOK_SECONDS, due - time.monotonic()))
