"""Rows of the measures: one an attachment, for as long as it is there and a little longer, whichever agent reads them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from rookery.dataplane.formats import FlowsHeld, Measure
from rookery.hyperplane.measured import KEPT_SECONDS, AttachmentCounts, MeasuredRows, Teller, decode
from rookery.hyperplane.object_store import measures_key, opened
from tests.hyperplane.fake_tables import NOTHING, FakeMeasures
from tests.hyperplane.files import attachment, file

ONE, OTHER = attachment(1), attachment(2)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def kernel():
    return FakeMeasures()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def rows(kernel, clock):
    return MeasuredRows(kernel, {}, clock)


def holding(*attachments):
    whole = file(1, attachments=0, targets=0)
    return msgspec.structs.replace(whole, intent=msgspec.structs.replace(whole.intent, attachments=attachments))


def dropped(packets: int) -> tuple[int, ...]:
    return tuple(packets if number == Measure.DROPPED else 0 for number in range(Measure.COUNTS))


def test_every_attachment_has_a_row_of_its_own_and_keeps_it(rows):
    rows.become(holding(ONE, OTHER))
    first, second = rows.row_of(ONE.key), rows.row_of(OTHER.key)
    assert {first, second} == {1, 2}
    rows.become(holding(OTHER))
    rows.become(holding(ONE, OTHER))
    assert (rows.row_of(ONE.key), rows.row_of(OTHER.key)) == (first, second)


def test_what_is_gone_is_told_for_a_while_and_its_next_owner_begins_with_nothing(rows, kernel, clock):
    rows.become(holding(ONE))
    kernel.counts[rows.row_of(ONE.key)] = dropped(7)
    rows.become(holding())
    assert [one.counts[Measure.DROPPED] for one in rows.read()] == [7]
    clock.now += KEPT_SECONDS + 1
    rows.become(holding(OTHER))
    assert rows.read() == (AttachmentCounts(*OTHER.key, NOTHING, (0, 0, 0, 0)),)
    assert rows.row_of(ONE.key) == 0


def test_where_no_row_is_free_nothing_is_counted(kernel, clock):
    kernel.rows = 2
    rows = MeasuredRows(kernel, {}, clock)
    rows.become(holding(ONE, OTHER))
    assert sorted((rows.row_of(ONE.key), rows.row_of(OTHER.key))) == [0, 1]


def test_the_next_agent_goes_on_with_the_rows_that_it_finds(kernel, clock):
    kernel.counts[5] = dropped(3)
    rows = MeasuredRows(kernel, {ONE.key: 5, OTHER.key: 0}, clock)
    rows.become(holding(ONE))
    assert rows.read() == (AttachmentCounts(*ONE.key, dropped(3), (0, 0, 0, 0)),)


def test_totals_are_put_when_they_changed(kernel, clock, tmp_path):
    objects = opened(str(tmp_path))
    teller = Teller(objects, "cell-1", "node-1", "boot.7")
    rows = MeasuredRows(kernel, {ONE.key: 1}, clock)

    async def told():
        await teller.tell(rows.read())
        return await objects.get(measures_key("cell-1", "node-1"))

    first = asyncio.run(told())
    assert asyncio.run(told()) == first
    kernel.flows[1] = FlowsHeld(4, 3, 2, 1)
    second = decode(asyncio.run(told()))
    assert (second.node, second.began, second.attachments[0].held) == ("node-1", "boot.7", (4, 3, 2, 1))
