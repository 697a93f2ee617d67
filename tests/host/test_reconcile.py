"""From wanted and found to changes, for tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from rookery.host.kept_table import KeptTable
from rookery.host.reconcile import reconcile

ROWS = st.dictionaries(st.integers(0, 12), st.integers(0, 3))


class FakeTable:
    """A map of the kernel, and how it was used."""

    def __init__(self, rows: dict[int, int] | None = None):
        self.rows = dict(rows or {})
        self.dumps = 0
        self.writes: list[int] = []

    def items(self) -> Iterable[tuple[int, int]]:
        self.dumps += 1
        return list(self.rows.items())

    def get(self, key: int) -> int | None:
        return self.rows.get(key)

    def put_many(self, rows: Mapping[int, int]) -> None:
        self.writes += rows
        self.rows.update(rows)

    def delete_many(self, keys: Iterable[int]) -> None:
        for key in keys:
            self.writes.append(key)
            self.rows.pop(key, None)


@given(ROWS, ROWS)
def test_applied_changes_make_what_is_wanted(wanted, found):
    change = reconcile(wanted, found)
    assert {k: v for k, v in found.items() if k not in change.delete} | change.put == wanted


@given(ROWS)
def test_nothing_changes_where_all_is_right(rows):
    assert not reconcile(rows, rows)


@given(ROWS, ROWS)
def test_a_row_that_is_right_is_not_touched(wanted, found):
    change = reconcile(wanted, found)
    right = {k for k in wanted if k in found and found[k] == wanted[k]}
    assert right.isdisjoint(change.put) and right.isdisjoint(change.delete)


@given(ROWS, ROWS)
def test_a_table_becomes_what_is_wanted_whatever_it_held(wanted, found):
    table = FakeTable(found)
    KeptTable(table).become(dict(wanted))
    assert table.rows == wanted


@given(ROWS, ROWS, st.sets(st.integers(0, 12)))
def test_a_delta_touches_its_rows_and_reads_none(rows, put, delete):
    table = FakeTable()
    kept = KeptTable(table)
    kept.become(dict(rows))
    table.dumps, table.writes = 0, []
    kept.change(put, delete)
    assert table.rows == {k: v for k, v in rows.items() if k not in delete} | put
    assert set(table.writes) <= put.keys() | delete
    assert table.dumps == 0


@given(ROWS, ROWS)
def test_rows_changed_behind_its_back_are_put_right_and_counted(wanted, forged):
    table = FakeTable()
    kept = KeptTable(table)
    kept.become(dict(wanted))
    table.rows = dict(forged)
    wrong = {k for k in wanted.keys() | forged.keys() if wanted.get(k) != forged.get(k)}
    assert kept.heal() == len(wrong)
    assert table.rows == wanted
    assert kept.heal() == 0


def test_a_change_during_a_pass_is_no_fault():
    class ChangesMeanwhile(FakeTable):
        def items(self):
            rows = list(self.rows.items())
            kept.change({1: 2, 7: 7}, [3])
            return rows

    table = ChangesMeanwhile()
    kept = KeptTable(table)
    table.rows = {1: 1, 3: 3}
    kept.wanted = {1: 1, 3: 3}
    assert kept.heal() == 0
    assert table.rows == {1: 2, 7: 7}
