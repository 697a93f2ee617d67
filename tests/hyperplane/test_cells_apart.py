"""One controller, several cells: what is wrong with one is no other's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from rookery.hyperplane import controller, pace
from rookery.hyperplane.cell_file import decode
from rookery.hyperplane.controller import Controller
from rookery.hyperplane.object_store import ObjectStore, file_key, opened
from rookery.intent.cell_whole import Part
from rookery.model.codec import encode
from rookery.model.keys import cell_key, host_key
from rookery.model.objects import Cell, Host
from rookery.testing.memory_store import MemoryStore

WELL, ILL = "cell-1", "cell-2"
WITHIN = 10.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns come forty times as fast."""
    for name in ("TICK_SECONDS", "NEWS_SECONDS", "LOOK_SECONDS"):
        monkeypatch.setattr(pace, name, getattr(pace, name) / 40)
    monkeypatch.setattr(controller, "LOOK_SECONDS", pace.LOOK_SECONDS)


class Region:
    def __init__(self, folder):
        self.store, self.objects = MemoryStore(), opened(str(folder))

    async def add(self, *names: str) -> None:
        for name in names:
            node = Host(name=f"{name}-node-1", zone=0, address="100.64.1.212", cell=name)
            rows = {cell_key(name): encode(Cell(name=name, zones=(0,), nodes=(node.name,))), host_key(node.name): encode(node)}
            await self.store.txn([], rows)

    async def file(self, name: str):
        packed = await self.objects.get(file_key(name))
        return decode(packed) if packed else None

    async def epoch(self, name: str) -> int:
        found = await self.file(name)
        return found.epoch if found else 0

    async def goes_on(self, name: str) -> None:
        since = await self.epoch(name)
        await until(lambda: self._is_above(name, since + 2))

    async def _is_above(self, name: str, epoch: int) -> bool:
        return await self.epoch(name) > epoch

    @asynccontextmanager
    async def running(self, products=(lambda *_: Part(),), objects=None):
        task = asyncio.create_task(Controller(self.store, objects or self.objects, products=products).run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable) -> None:
    async with asyncio.timeout(WITHIN):
        while not await true():
            await asyncio.sleep(0.005)


@pytest.fixture
def region(tmp_path):
    return Region(tmp_path)


async def test_every_cell_has_its_own_file_and_its_own_key(region):
    await region.add(WELL, ILL)
    async with region.running():
        await region.goes_on(WELL)
        await region.goes_on(ILL)
    well, ill = await region.file(WELL), await region.file(ILL)
    assert (well.intent.cell, ill.intent.cell) == (WELL, ILL)
    assert well.key != ill.key
    assert [node.name for node in well.intent.nodes] == [f"{WELL}-node-1"]


async def test_a_damaged_file_stops_its_own_cell_alone(region):
    await region.add(WELL, ILL)
    await region.objects.put(file_key(ILL), b"damaged")
    async with region.running():
        await region.goes_on(WELL)
        assert await region.objects.get(file_key(ILL)) == b"damaged"


async def test_a_file_that_never_comes_delays_its_own_cell_alone(region, tmp_path):
    class Slow(ObjectStore):
        async def get(self, key):
            if key == file_key(ILL):
                await asyncio.Event().wait()
            return await super().get(key)

    await region.add(WELL, ILL)
    async with region.running(objects=Slow(region.objects._store)):
        await region.goes_on(WELL)


async def test_a_mistake_in_what_one_cell_holds_stops_no_other(region):
    def mistaken(_state, cell, *_):
        if cell.name == ILL:
            raise KeyError("a mistake")
        return Part()

    await region.add(WELL, ILL)
    async with region.running(products=(mistaken,)):
        await region.goes_on(WELL)
        assert await region.file(ILL) is None


async def test_a_cell_that_comes_gets_a_file_and_one_that_comes_again_begins_anew(region):
    await region.add(WELL)
    async with region.running():
        await region.goes_on(WELL)
        await region.add(ILL)
        await region.goes_on(ILL)
        before = await region.file(ILL)
        await region.store.txn([], {}, [cell_key(ILL)])
        await region.goes_on(WELL)
        await region.goes_on(WELL)  # whoever had a turn has had it
        (tag,) = (await region.objects.tags("cells/")).keys() - {file_key(WELL)}
        await asyncio.to_thread(remove, region, tag)
        await region.goes_on(WELL)
        assert await region.file(ILL) is None
        await region.add(ILL)
        await region.goes_on(ILL)
    after = await region.file(ILL)
    assert (after.key != before.key, after.ring_since) == (True, 1)


def remove(region: Region, key: str) -> None:
    region.objects._store.delete(key)
