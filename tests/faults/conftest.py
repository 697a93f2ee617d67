"""What is broken here: a region of two hosts with the tour's stage on it (rookery.tour.twins)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery.region.status import look
from rookery.tour import twins
from tests.faults.harm import ping, until


def staged(running: Any) -> Any:
    twins.set_up(running.name)
    until(lambda: ping(running), "the first ping")
    return running


def is_whole(running: Any) -> bool:
    try:
        return until(lambda: look(running.name).healthy and ping(running), "all healthy", within=5)
    except AssertionError:
        return False


@pytest.fixture
def one(fresh_region):
    """For tests after which nothing may be left of it."""
    return staged(fresh_region(2, 2))


@pytest.fixture(scope="module")
def whole_one(module_region) -> Callable[[], Any]:
    made: list[Any] = []

    def find() -> Any:
        if not made or not is_whole(made[-1]):
            made.append(staged(module_region(2, 2)))
        return made[-1]

    return find


@pytest.fixture
def mended(whole_one) -> Any:
    """One that earlier tests broke and that mended itself. Where it did not, they failed, and this is another."""
    return whole_one()
