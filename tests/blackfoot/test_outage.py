"""When an edge is shut to hosts because its uplink leads nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rookery.blackfoot.outage import PATIENCE_SECONDS, Outage, has_carrier
from rookery.host.instances import namespace
from tests.netns.two_hosts import run
from tests.waiting import until

DOWN, NO_SESSION = (False, True), (True, False)
WELL = (True, True)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(clock: Clock) -> Outage:
    return Outage(already=False, clock=clock)


def test_without_a_carrier_it_is_shut_at_once_and_opened_when_all_is_well(outage: Outage):
    assert outage.look(*DOWN)
    assert outage.reason == "the uplink has no carrier"
    assert not outage.look(*DOWN), "nothing new"
    assert outage.look(*WELL)
    assert outage.reason == ""


def test_a_session_that_is_gone_for_a_moment_shuts_nothing(outage: Outage, clock: Clock):
    for _ in range(3):
        outage.look(*WELL)
        clock.now += PATIENCE_SECONDS - 0.1
        assert not outage.look(*NO_SESSION)
    assert outage.reason == ""


def test_without_a_session_for_long_it_is_shut(outage: Outage, clock: Clock):
    outage.look(*WELL)
    clock.now += PATIENCE_SECONDS
    assert outage.look(*NO_SESSION)
    assert outage.reason == "no BGP session for 2 s"


def test_an_agent_that_begins_gives_bgp_its_time(outage: Outage, clock: Clock):
    assert not outage.look(*NO_SESSION)
    clock.now += PATIENCE_SECONDS
    assert outage.look(*NO_SESSION)


def test_a_carrier_without_a_session_does_not_open_what_was_shut(outage: Outage):
    outage.look(*DOWN)
    outage.look(*NO_SESSION)
    assert outage.reason == "the uplink has no carrier"


def test_what_an_earlier_agent_had_shut_stays_shut_until_all_is_well(clock: Clock):
    outage = Outage(already=True, clock=clock)
    assert not outage.look(*NO_SESSION)
    assert outage.reason
    assert outage.look(*WELL)
    assert outage.reason == ""


@contextmanager
def cable() -> Iterator[str]:
    """x0 here, x1 at the other end."""
    name = "rookery-t-outage"
    namespace.prepare()
    namespace.create(name)
    try:
        run("ip", "-netns", name, "link", "add", "x0", "up", "type", "veth", "peer", "name", "x1")
        yield name
    finally:
        namespace.remove(name)


@pytest.mark.real_packets
def test_a_device_has_a_carrier_while_the_other_end_is_up():
    with cable() as name, namespace.inside(name):
        until(lambda: not has_carrier("x0"), "the other end is down yet")
        run("ip", "-netns", name, "link", "set", "x1", "up")
        until(lambda: has_carrier("x0"), "both ends are up")
        run("ip", "-netns", name, "link", "set", "x1", "down")
        until(lambda: not has_carrier("x0"), "one end is down")
        assert not has_carrier("x9"), "there is no such device"
