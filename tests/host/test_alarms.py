"""Alarms from counters."""

from __future__ import annotations

from rookery.host.alarms import AlarmBook

FORGED = ("u0", "drop_source_not_at_host")


def test_what_was_counted_before_the_first_look_is_an_old_story():
    assert AlarmBook("u0").look({FORGED: 7}, now=1.0) == []


def test_a_forged_packet_raises_an_alarm_with_its_count_and_times():
    book = AlarmBook("u0")
    book.look({}, now=1.0)
    book.look({FORGED: 2}, now=2.0)
    (alarm,) = book.look({FORGED: 5}, now=3.0)
    assert (alarm.device, alarm.verdict, alarm.packets, alarm.first, alarm.last) == (*FORGED, 5, 2.0, 3.0)
    assert book.all == [alarm]
    assert str(alarm) == (
        "drop_source_not_at_host at u0: 5 packets, first 1970-01-01T00:00:02+00:00, last 1970-01-01T00:00:03+00:00"
    )


def test_honest_drops_and_silence_raise_none():
    book = AlarmBook("u0")
    book.look({FORGED: 2}, now=1.0)
    assert book.look({FORGED: 2, ("u0", "drop_no_mapping"): 9, ("u0", "sent"): 9}, now=2.0) == []


def test_what_a_guest_may_send_by_mistake_is_forged_when_it_comes_over_the_substrate():
    book = AlarmBook("u0")
    book.look({}, now=1.0)
    (alarm,) = book.look({("u0", "drop_truncated"): 1, ("eni-1", "drop_truncated"): 1}, now=2.0)
    assert alarm.device == "u0"


def test_a_counter_that_was_forgotten_starts_again_from_nothing():
    book = AlarmBook("u0")
    book.look({FORGED: 9}, now=1.0)
    assert book.look({}, now=2.0) == []
    (alarm,) = book.look({FORGED: 1}, now=3.0)
    assert alarm.packets == 1
