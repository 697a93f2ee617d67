"""When a node tells others of flows that rest."""

from __future__ import annotations

import asyncio

import pytest

from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import RestSearch
from rookery.hyperplane import copies
from rookery.hyperplane.copies import AT_ONCE, PASSES, TURNS, Copies

ROOM = 1000  # of the queue


class Node:
    """Flows that rest, each in its part."""

    def __init__(self, flows: int = 0) -> None:
        self.flows = range(flows)
        self.queue: list[int] = []
        self.told: list[int] = []
        self.searches: list[tuple[int, int]] = []
        self.lots: list[int] = []
        self.broken = False

    def find_resting(self, slices: int, slice_: int) -> RestSearch:
        if self.broken:
            raise DataplaneError("no such program")
        self.searches.append((slices, slice_))
        due = [flow for flow in self.flows if flow % slices == slice_]
        self.queue += due[: ROOM - len(self.queue)]
        return RestSearch(slices, slice_, len(self.queue), len(due) - len(self.queue))

    def send_copies(self, flows: int) -> bytes:
        self.lots.append(flows)
        self.told += self.queue[:flows]
        del self.queue[:flows]
        return b""


def turned(node: Node, turns: int, *, holds: bool = True) -> Copies:
    made = Copies(node, lambda: holds)

    async def run() -> None:
        for _ in range(turns):
            await made.turn()

    asyncio.run(run())
    return made


def test_after_a_change_all_flows_are_told_several_times() -> None:
    node = Node(700)
    turned(node, PASSES)
    assert sorted(node.told) == sorted(list(range(700)) * PASSES)


def test_then_each_has_its_turn() -> None:
    node = Node(700)
    made = turned(node, PASSES)
    node.told.clear()
    asyncio.run(made.turn())
    assert len(node.told) < 700 / (TURNS - 1)
    for _ in range(TURNS - 1):
        asyncio.run(made.turn())
    assert sorted(node.told) == list(range(700))


def test_a_change_in_between_begins_again() -> None:
    node = Node(700)
    made = turned(node, PASSES + 2)
    made.hurry()
    node.told.clear()
    asyncio.run(made.turn())
    assert sorted(node.told) == list(range(700))


@pytest.mark.parametrize("flows", [ROOM, ROOM + 1, 10 * ROOM])
def test_what_the_queue_has_no_room_for_is_told_in_parts(flows: int) -> None:
    node = Node(flows)
    turned(node, 1)
    assert set(node.told) == set(range(flows)) and not node.queue
    assert max(node.lots) <= AT_ONCE


def test_where_there_is_no_flow_nothing_is_searched() -> None:
    node = Node()
    turned(node, 5, holds=False)
    assert node.searches == []


def test_a_change_does_not_wait_for_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one that comes while others are being told."""
    monkeypatch.setattr(copies, "PASS_SECONDS", 3600.0)
    node = Node(10)
    made = Copies(node, lambda: True)

    async def run() -> None:
        task = asyncio.create_task(made.run())
        try:
            async with asyncio.timeout(20):
                for passes in (1, 2):
                    while len(node.told) < 10 * passes:
                        await asyncio.sleep(0.001)
                    made.hurry()
        finally:
            task.cancel()

    asyncio.run(run())


def test_a_search_that_fails_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "PASS_SECONDS", 0.001)
    node = Node(10)
    node.broken = True
    made = Copies(node, lambda: True)

    async def run() -> None:
        task = asyncio.create_task(made.run())
        try:
            async with asyncio.timeout(20):
                await asyncio.sleep(0.01)
                node.broken = False
                made.hurry()
                while not node.told:
                    await asyncio.sleep(0.001)
        finally:
            task.cancel()

    asyncio.run(run())
