"""Which changes are live: pure bookkeeping, with a clock that the test turns."""

from __future__ import annotations

from rookery.mapping.progress import LOST_SECONDS, Progress, live_generation


def connected(behind_since: int | None = None) -> Progress:
    host = Progress(0.0, behind_since)
    host.came()
    return host


def test_without_changes_everything_is_live():
    assert live_generation({"host-1": connected()}, 7, 0.0) == 7
    assert live_generation({}, 7, 0.0) == 7


def test_a_change_holds_back_from_the_moment_it_concerns_a_host_until_it_is_applied():
    host = connected()
    hosts = {"host-1": host, "host-2": connected()}
    host.changed(5)
    assert live_generation(hosts, 6, 0.0) == 4
    host.told(6)
    assert live_generation(hosts, 6, 0.0) == 4
    host.apply(6)
    assert live_generation(hosts, 6, 0.0) == 6


def test_of_several_deltas_under_way_the_first_counts():
    host = connected()
    for revision in (5, 8):
        host.changed(revision)
        host.told(revision)
    host.apply(5)
    assert live_generation({"host-1": host}, 9, 0.0) == 7
    host.apply(8)
    assert live_generation({"host-1": host}, 9, 0.0) == 9


def test_applying_less_than_was_told_is_not_enough():
    host = connected()
    host.changed(5)
    host.told(6)
    host.apply(5)
    assert live_generation({"host-1": host}, 6, 0.0) == 4


def test_what_was_under_way_to_a_host_that_comes_again_is_not_applied():
    host = connected()
    host.changed(5)
    host.told(5)
    host.went(10.0)
    host.changed(8)
    host.came()
    assert live_generation({"host-1": host}, 9, 10.0) == 4
    host.told(9)
    host.apply(9)
    assert live_generation({"host-1": host}, 9, 10.0) == 9


def test_a_host_that_is_gone_holds_back_what_concerns_it_until_it_is_lost():
    host = connected()
    host.went(100.0)
    assert live_generation({"host-1": host}, 4, 100.0) == 4
    host.changed(5)
    assert live_generation({"host-1": host}, 6, 100.0 + LOST_SECONDS - 0.1) == 4
    assert live_generation({"host-1": host}, 6, 100.0 + LOST_SECONDS) == 6


def test_a_host_that_never_came_is_awaited_as_long():
    host = Progress(50.0, behind_since=3)
    assert live_generation({"host-1": host}, 6, 50.0) == 2
    assert live_generation({"host-1": host}, 6, 50.0 + LOST_SECONDS) == 6
