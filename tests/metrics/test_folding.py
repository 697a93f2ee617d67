"""From totals to minutes: nothing twice, nothing lost, whatever begins anew."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.metrics.catalogue import Fold
from rookery.metrics.folding import Minutes, differences, levels
from rookery.metrics.points import in_periods, place_of, statistics_of
from rookery.metrics.resources import Measured
from tests.metrics.made import BALANCER, NAT, T, attachment, counts, node


def found(before, now) -> dict[tuple[int, int], tuple[int, ...]]:
    return {one.key: one.counts for one in differences(before, now)}


def test_what_a_node_says_first_is_all_new():
    assert found(None, node(attachment(1, dropped=3), attachment(2))) == {(1, 1): counts(dropped=3)}


def test_totals_that_grew_count_by_how_much():
    before = node(attachment(1, dropped=3, flows_tcp=1), attachment(2, dropped=9))
    now = node(attachment(1, dropped=5, flows_tcp=1), attachment(2, dropped=9))
    assert found(before, now) == {(1, 1): counts(dropped=2)}


@pytest.mark.parametrize("began", ["boot.1", "boot.2"], ids=["a row with a new owner", "another boot"])
def test_what_began_anew_counts_from_zero(began):
    before = node(attachment(1, dropped=30, flows_tcp=8))
    assert found(before, node(attachment(1, dropped=5, flows_tcp=9), began=began)) == {(1, 1): counts(dropped=5, flows_tcp=9)}


def test_an_attachment_that_has_gone_counts_no_more():
    assert found(node(attachment(1, dropped=3)), node()) == {}


@given(st.lists(st.integers(0, 1000), min_size=1), st.sets(st.integers(1, 30)))
def test_differences_add_up_to_what_was_counted_however_often_one_looks(steps, missed):
    """Also when some of what a node said was never read."""
    totals = [sum(steps[: n + 1]) for n in range(len(steps))]
    seen = [total for n, total in enumerate(totals) if n not in missed or n == len(totals) - 1]
    said = [None, *(node(attachment(1, dropped=total)) for total in seen)]
    sums = [one.counts for before, now in pairwise(said) for one in differences(before, now)]
    assert sum(map(sum, sums)) == sum(steps)


@pytest.fixture
def minutes():
    return Minutes(lambda measured, minute: {})


def value(minutes: Minutes, measured: Measured, name: str, minute: int = T):
    place = place_of(measured.family.metrics, name)
    assert place is not None
    return statistics_of(minutes.row(measured, minute).get(place))


def test_a_minute_is_what_was_counted_in_it(minutes):
    minutes.count(NAT, T + 3, counts(tcp_outward_bytes_in=100, tcp_outward_bytes_out=90, flows_tcp=2, refused_tcp=1))
    minutes.count(NAT, T + 59, counts(tcp_outward_bytes_in=11, udp_outward_bytes_in=7))
    minutes.count(NAT, T + 60, counts(tcp_outward_bytes_in=1))
    assert value(minutes, NAT, "BytesInFromSource").sum == 118
    assert value(minutes, NAT, "BytesOutToDestination").sum == 90
    assert value(minutes, NAT, "ConnectionAttemptCount").sum == 3
    assert value(minutes, NAT, "BytesInFromDestination") == (0, 0, 0, 1)
    assert value(minutes, NAT, "BytesInFromSource", T + 60).sum == 1


def test_a_peak_is_the_highest_average_of_ten_seconds(minutes):
    """Of all nodes together, whichever said it first."""
    for time, sent in ((T + 1, 1000), (T + 12, 3000), (T + 3, 500), (T + 19, 4000), (T + 31, 10)):
        minutes.count(NAT, time, counts(tcp_outward_bytes_out=sent))
    assert value(minutes, NAT, "PeakBytesPerSecond") == (700, 700, 700, 1)


def test_a_level_is_looked_at_again_and_again(minutes):
    for level in (4, 10, 1):
        minutes.look(NAT, T, (level, 99, 99, 99))
    assert value(minutes, NAT, "ActiveConnectionCount") == (15, 1, 10, 3)


def test_a_balancers_packets_count_once_on_their_way(minutes):
    """Also of those that an endpoint takes in: here they only leave."""
    minutes.count(BALANCER, T, counts(tcp_outward_bytes_in=50, tcp_outward_bytes_out=100, tcp_inward_bytes_in=1000, udp_inward_bytes_in=1))
    assert value(minutes, BALANCER, "ProcessedBytes").sum == 1101
    assert value(minutes, BALANCER, "ProcessedBytes_TCP").sum == 1100


def test_rows_and_totals_are_taken_once(minutes):
    minutes.count(NAT, T, counts(dropped=3))
    rows, totals = minutes.taken()
    dropped = place_of(NAT.family.metrics, "PacketsDropCount")
    assert (rows, totals) == ({(NAT, T): {dropped: 3}}, {NAT: {dropped: 3}})
    assert minutes.taken() == ({}, {})
    minutes.count(NAT, T + 1, counts(dropped=2))
    assert minutes.taken() == ({(NAT, T): {dropped: 5}}, {NAT: {dropped: 2}})


def test_a_minute_that_the_file_has_goes_on():
    dropped = place_of(NAT.family.metrics, "PacketsDropCount")
    minutes = Minutes(lambda measured, minute: {dropped: 40} if (measured, minute) == (NAT, T) else {})
    minutes.count(NAT, T + 59, counts(dropped=2))
    minutes.taken()
    minutes.forget_before(T + 300)
    minutes.count(NAT, T + 61, counts(dropped=1))
    assert minutes.taken()[0] == {(NAT, T + 60): {dropped: 1}}
    assert value(minutes, NAT, "PacketsDropCount").sum == 40


def test_all_nodes_together_hold_what_is_held():
    said = [node(attachment(1, (3, 1, 0, 0)), name="node-1"), node(attachment(1, (4, 0, 2, 0)), attachment(2, (9, 9, 9, 9)), name="node-2")]
    assert levels(said, lambda key: (NAT,) if key == (1, 1) else ()) == {NAT: (7, 1, 2, 0)}


def test_periods_begin_at_their_multiples():
    held = [(T + 60 * n, {0: (n, n, n, 1)}) for n in range(1, 8)]
    assert in_periods(0, held, 300) == [(T, (10, 1, 4, 4)), (T + 300, (18, 5, 7, 3))]
    assert in_periods(1, held[:1], 60) == [(T + 60, (0, 0, 0, 1))]


def test_every_metric_has_a_name_of_its_own_in_its_family():
    from rookery.metrics.catalogue import FAMILIES  # noqa: PLC0415

    for family in FAMILIES.values():
        assert list(family.dimensions) == sorted(family.dimensions)
        assert len({metric.name for metric in family.metrics}) == len(family.metrics)
        assert all(metric.fold in Fold for metric in family.metrics)
