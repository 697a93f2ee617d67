"""A node and its cell's file: whatever is wrong with it, the node goes on with what it has, and says so."""

from __future__ import annotations

import pytest

from rookery.dataplane.errors import DataplaneError
from rookery.hyperplane.cell_file import encode, hash_of
from rookery.hyperplane.file_loop import FileLoop
from rookery.hyperplane.object_store import StoreAway, file_key, opened, report_key
from rookery.hyperplane.report import decode as decode_report
from tests.hyperplane.files import file


class Scene:
    def __init__(self, folder):
        self.objects = opened(str(folder))
        self.taken: list[tuple[int, int]] = []
        self.kernel_epoch = 0
        self.refuses = False
        self.loop = self.agent()

    def agent(self, node="node-3", **changed) -> FileLoop:
        parts = {"held_epoch": lambda: self.kernel_epoch, "take": self.take, "tell": lambda one: one, **changed}
        return FileLoop("cell-1", node, self.objects, **parts)

    def take(self, one, place) -> None:
        if self.refuses:
            raise DataplaneError("the kernel says no")
        self.taken.append((one.epoch, place))
        self.kernel_epoch = one.epoch

    async def tick(self, *files) -> str:
        """Why the last was refused."""
        for one in files:
            await self.objects.put(file_key("cell-1"), one if isinstance(one, bytes) else encode(one))
            await self.loop.tick()
        return (await self.report()).refused

    async def report(self, node="node-3"):
        return decode_report(await self.objects.get(report_key("cell-1", node)))


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


async def test_every_new_file_is_taken_whole_and_reported(scene):
    assert await scene.tick(file(1), file(2), file(3)) == ""
    assert scene.taken == [(1, 2), (2, 2), (3, 2)]
    told = await scene.report()
    assert (told.epoch, told.place, told.generation, told.hash) == (3, 2, 7, hash_of(encode(file(3))))


async def test_a_controller_that_rests_makes_no_work(scene):
    await scene.tick(file(1), file(1))
    assert scene.taken == [(1, 2)]


async def test_a_file_is_taken_again_when_it_was_faster_than_the_intent(scene):
    """Once, and soon."""
    await scene.tick(file(1))
    scene.loop.take_again()
    assert await scene.loop._has_news()
    for _ in range(2):
        await scene.loop.tick()
    assert scene.taken == [(1, 2), (1, 2)] and (await scene.report()).refused == ""
    assert not await scene.loop._has_news()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (file(4, attachments=2), "epoch 4"),
        (file(9, attachments=0), "attachments"),
        (b"nonsense", "no file of a cell"),
        (file(9, attachments=8, intent=file(9, attachments=8).intent.__class__(cell="cell-2", generation=1)), "cell-2"),
    ],
)
async def test_what_does_not_follow_is_refused_and_the_next_good_one_is_taken(scene, bad, why):
    await scene.tick(file(5, attachments=8))
    assert why in await scene.tick(bad)
    assert scene.kernel_epoch == 5
    assert await scene.tick(file(10, attachments=8)) == ""
    assert scene.taken[-1] == (10, 2)


async def test_a_kernel_that_refuses_is_asked_again(scene):
    scene.refuses = True
    assert "says no" in await scene.tick(file(1))
    scene.refuses = False
    assert await scene.tick(file(1)) == ""
    assert scene.taken == [(1, 2)]


async def test_a_new_agent_takes_nothing_older_than_the_kernel_holds(scene):
    await scene.tick(file(5))
    scene.loop = scene.agent()
    assert "older" in await scene.tick(file(4))
    assert await scene.tick(file(5)) == ""


async def test_a_node_without_a_place_keeps_what_it_has(scene):
    scene.loop = scene.agent("node-9")
    await scene.objects.put(file_key("cell-1"), encode(file(1)))
    await scene.loop.tick()
    assert scene.taken == []
    assert "no place" in (await scene.report("node-9")).refused


async def test_a_new_file_is_news_until_it_was_looked_at(scene):
    await scene.tick(file(1))
    assert not await scene.loop._has_news()
    await scene.objects.put(file_key("cell-1"), encode(file(2)))
    assert await scene.loop._has_news()
    await scene.loop.tick(True)
    assert not await scene.loop._has_news()
    await scene.objects.put(file_key("cell-1"), b"nonsense")
    await scene.loop.tick(True)
    assert not await scene.loop._has_news()  # it is no better when it is looked at again


async def test_who_has_to_tell_something_does_not_wait(scene):
    await scene.tick(file(1))
    scene.loop.hurry()
    assert await scene.loop._has_news()
    await scene.loop.tick(True)
    assert not await scene.loop._has_news()


async def test_whoever_follows_is_told_of_each_file_once_it_is_taken(scene):
    seen = []
    scene.loop = scene.agent(taken=lambda one: seen.append((one.epoch, scene.taken[-1][0])))
    await scene.tick(file(1), file(1), file(3))
    assert seen == [(1, 1), (3, 3)]


async def test_while_the_store_is_away_the_file_grows_old_and_nothing_else_happens(scene, monkeypatch):
    await scene.tick(file(1))

    async def away(*_):
        raise StoreAway("gone")

    with monkeypatch.context() as patch:
        patch.setattr(scene.objects, "get", away)
        patch.setattr(scene.objects, "put", away)
        await scene.loop.tick()
    assert scene.loop.refused == "gone"
    await scene.loop.tick()
    assert (scene.taken, scene.loop.refused) == ([(1, 2)], "")
    assert (await scene.report()).file_age > 0


async def test_what_it_refuses_and_an_old_file_are_alarms(scene, monkeypatch):
    await scene.tick(file(5, attachments=8))
    assert scene.loop.alarm == ""
    await scene.tick(file(9, attachments=0))
    assert "goes by the file of epoch 5" in scene.loop.alarm and "attachments" in scene.loop.alarm
    await scene.tick(file(10, attachments=8))
    assert scene.loop.alarm == ""
    monkeypatch.setattr("rookery.hyperplane.file_loop.OLD_SECONDS", -1.0)
    assert scene.loop.alarm == "goes by the file of epoch 10, of 0 s ago"
