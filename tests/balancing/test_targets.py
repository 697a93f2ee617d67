"""What becomes of connections through a balancer when its targets change, and what is said of them. In a running region; who is where,
and what changes: tests/balancing/conftest.py.

    client --+-- failing (zones a and b) -- one; two and three stop being healthy
             +-- changing (zone a)       -- one; three is deregistered
"""

from __future__ import annotations

import pytest

from tests.balancing.changed import Changed
from tests.balancing.street import address
from tests.waiting import until

pytestmark = pytest.mark.real_packets


def test_when_a_client_is_shown_its_old_connection_goes_on_hidden(changed: Changed):
    """T7-02."""
    until(lambda: changed.street.ask("client", changed.changing, 81).startswith(f"one sees {address('client')} "), "new ones show the client")
    assert changed.over("one 81") == "alive"


def test_a_deregistered_target_keeps_its_connection_and_gets_no_new_one(changed: Changed):
    """T7-10."""
    until(lambda: changed.asks(82) == {"one"}, "three is avoided")
    assert changed.over("three 82") == "alive"
    assert changed.state_of("leaves", "three") == "draining"


def test_connections_of_a_target_that_becomes_unhealthy_are_reset_and_new_ones_avoid_it(changed: Changed):
    """T7-08."""
    until(lambda: changed.asks(80) == {"one"}, "three is avoided", 30)
    assert changed.over("three 80") == "reset"
    assert changed.over("one 80") == "alive"
    assert changed.state_of("fails", "three") == "unhealthy"


def test_each_address_of_a_balancer_sends_to_whom_it_reaches_itself(changed: Changed):
    """Who asks about the target is told that something is wrong."""
    street = changed.street
    fronts = {zone: private for zone, (private, _) in street.fronts("parted").items()}
    until(lambda: changed.state_of("parted", "three") == "unhealthy", "one address does not reach it", 30)
    until(lambda: street.asks("client", fronts["b"], 80, 20) == {"one"}, "that one avoids it")
    assert street.asks("client", fronts["a"], 80, 20) == {"one", "three"}


def test_a_zone_without_a_healthy_target_leaves_the_name(changed: Changed):
    """T7-22."""
    until(lambda: changed.street.talk("client")("look_up", changed.name) == [changed.failing], "zone b is gone")
