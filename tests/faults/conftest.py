"""What is broken here: a region of two hosts with the tour's stage on it (rookery.tour.twins)."""

from __future__ import annotations

import pytest

from rookery.tour import twins
from tests.faults.harm import ping, until


@pytest.fixture
def one(fresh_region):
    running = fresh_region(2, 2)
    twins.set_up(running.name)
    until(lambda: ping(running), "the first ping")
    return running
