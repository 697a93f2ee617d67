"""The file of metrics: what is put is there, for each account by itself, and it does not grow for ever."""

from __future__ import annotations

import pytest

from rookery.metrics import series as series_module
from rookery.metrics.series import DAY_SECONDS, DAYS, Series, SeriesAway
from tests.metrics.made import BALANCER, NAT, OTHER_NAT, T


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.db"


@pytest.fixture
def series(path):
    made = Series.open(path)
    yield made
    made.close()


def test_minutes_come_back_in_order(series):
    series.put({(NAT, T + 60): {1: 7}, (NAT, T): {0: (4, 1, 2, 3), 2: 0}}, {}, {})
    assert series.minutes(NAT, T, T + 120) == [(T, {0: (4, 1, 2, 3)}), (T + 60, {1: 7})]
    assert series.minutes(NAT, T, T + 60) == [(T, {0: (4, 1, 2, 3)})]
    assert series.minutes(BALANCER, T, T + 120) == []


def test_a_minute_is_replaced_and_totals_are_added_to(series):
    series.put({(NAT, T): {1: 7}}, {NAT: {1: 7}}, {})
    series.put({(NAT, T): {1: 9}}, {NAT: {1: 2, 3: 1}}, {})
    assert series.row(NAT, T) == {1: 9}
    assert list(series.everything(0)) == [(NAT, {1: 9}, {1: 9, 3: 1})]


def test_an_account_sees_what_is_its_own(series):
    series.put({(NAT, T): {}, (OTHER_NAT, T): {}}, {}, {})
    assert series.measured(NAT.account, "us-east-1") == [NAT]
    assert series.measured(OTHER_NAT.account, "us-east-1") == [OTHER_NAT]
    assert series.measured(NAT.account, "eu-west-1") == []
    assert series.measured(NAT.account, "us-east-1", since=T + 60) == []


def test_a_reader_beside_the_writer_sees_what_is_committed(series, path):
    series.put({(NAT, T): {1: 7}}, {}, {"node-1": b"said"})
    reader = Series.reading(path)
    assert reader.minutes(NAT, T, T + 60) == [(T, {1: 7})]
    series.put({(NAT, T): {1: 8}}, {}, {"node-1": b"said again"})
    assert reader.row(NAT, T) == {1: 8}
    assert reader.seen() == {"node-1": b"said again"}
    with pytest.raises(SeriesAway):
        reader.put({(NAT, T): {1: 9}}, {}, {})
    reader.close()


def test_what_is_read_at_once_is_of_one_moment(series, path):
    series.put({(NAT, T): {1: 7}}, {}, {})
    reader = Series.reading(path)
    with reader.at_once():
        assert reader.row(NAT, T) == {1: 7}
        series.put({(NAT, T): {1: 8}, (BALANCER, T): {1: 1}}, {}, {})
        assert (reader.row(NAT, T), reader.row(BALANCER, T)) == ({1: 7}, {})
    assert reader.row(NAT, T) == {1: 8}
    reader.close()


def test_where_nothing_was_measured_yet_there_is_no_file(path):
    with pytest.raises(SeriesAway):
        Series.reading(path)
    assert not path.exists()


def test_what_is_too_old_goes(series):
    old = T - DAYS * DAY_SECONDS - 60
    series.put({(NAT, old): {1: 1}, (NAT, T): {1: 2}, (OTHER_NAT, old): {1: 3}}, {OTHER_NAT: {1: 3}}, {})
    assert series.trim(T) == 2
    assert series.minutes(NAT, 0, T + 60) == [(T, {1: 2})]
    assert [measured for measured, _, _ in series.everything(0)] == [NAT]
    series.put({(OTHER_NAT, T): {1: 4}}, {OTHER_NAT: {1: 4}}, {})
    assert list(series.everything(0)) == [(NAT, {1: 2}, {}), (OTHER_NAT, {1: 4}, {1: 4})]


def test_of_too_many_the_oldest_minutes_go(series, monkeypatch):
    monkeypatch.setattr(series_module, "MOST_ROWS", 5)
    series.put({(one, T + 60 * n): {1: n} for one in (NAT, OTHER_NAT) for n in range(4)}, {}, {})
    series.trim(T + 300)
    assert [minute for minute, _ in series.minutes(NAT, 0, T + 600)] == [T + 120, T + 180]


def test_a_file_that_is_none_is_said_to_be_away(path):
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(SeriesAway):
        Series.open(path)
