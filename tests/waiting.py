"""Waiting for a state, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(true: Callable[[], T], what: str | Callable[[], str], within: float = 15.0, every: float = 0.005) -> T:
    """What `true` returns once that is true. Fails after `within` seconds with `what` was awaited, or what tells about it.
    `every`: seconds between two looks; longer where to look takes the machine from what is waited for."""
    deadline = time.monotonic() + within
    while not (found := true()):
        said = what() if callable(what) else what
        assert time.monotonic() < deadline, f"not within {within} s: {said}"
        time.sleep(every)
    return found
