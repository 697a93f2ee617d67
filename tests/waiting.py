"""Waiting for a state, never for a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(true: Callable[[], T], what: str | Callable[[], str], within: float = 15.0) -> T:
    """What `true` returns once that is true. Fails after `within` seconds with `what` was awaited, or what tells about it. Who waits takes half
    of a processor at most: the others need it to get there."""
    deadline = time.monotonic() + within
    spent = _spent()
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {within} s: {what() if callable(what) else what}"
        time.sleep(max(0.005, _spent() - spent))
        spent = _spent()
    return found


def _spent() -> float:
    """Seconds of a processor, with what was started and ended."""
    return sum(os.times()[:4])
