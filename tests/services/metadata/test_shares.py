"""What one instance may have of the service, without a wire."""

from __future__ import annotations

from rookery.host.services.metadata.shares import Limits, Shares


def test_a_share_is_of_a_second_and_begins_anew_in_the_next():
    share = Shares(Limits(requests=2)).of("i-a", 0)
    assert [share.ask(now) for now in (5.0, 5.5, 5.9, 6.0)] == [True, True, False, True]


def test_connections_count_until_they_end():
    share = Shares(Limits(connections=1)).of("i-a", 0)
    assert (share.connect(), share.connect()) == (True, False)
    share.disconnect()
    assert share.connect()


def test_those_who_came_first_give_back_until_all_have_as_many():
    shares = Shares(Limits(connections=50, all_connections=100))
    guests = [shares.of(f"i-{number}", 0) for number in range(19)]
    for first_come in guests:
        while first_come.connect():
            pass
    assert [guest.connections for guest in guests[:8]] == [50, 25, 13, 6, 3, 2, 1, 0]
    for _ in range(100):
        for guest in guests:
            if guest.is_over:
                guest.disconnect()  # its next answer was its connection's last
            guest.connect()
    assert {guest.connections for guest in guests} <= {4, 5, 6}
    assert not any(guest.is_over for guest in guests)


def test_instances_that_are_gone_are_forgotten_and_those_that_hold_something_are_not():
    shares = Shares(Limits(connections=1, requests=1))
    connected, asked = shares.of("i-connected", 7.0), shares.of("i-asked", 7.0)
    connected.connect()
    asked.ask(7.0)
    for number in range(10 * Shares.MANY):
        shares.of(f"i-{number}", 7.0)
    assert len(shares) <= Shares.MANY
    assert shares.of("i-connected", 7.0) is connected
    assert shares.of("i-asked", 7.0) is asked
