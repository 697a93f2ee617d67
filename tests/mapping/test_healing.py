"""Copies that are wrong, hosts that hang, services and stores that are away: all ends well (tests/mapping/scene.py)."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from rookery.mapping import service, session
from rookery.mapping.protocol import Hello, ToHost
from rookery.model.keys import key_of
from rookery.store.interface import StoreUnavailable
from rookery.testing.mapping_world import MappingWorld
from rookery.testing.things import address, launch, rows
from tests.mapping.scene import assert_right, has_intent, raw_host, settled


def test_a_digest_heals_what_a_host_has_wrong(play):
    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            key, row = next(iter(agent.intent.mappings.items()))
            changed = msgspec.structs.replace(row, mac="02:ff:ff:ff:ff:ff")
            world.service._index._addresses.replace([row], [changed])  # as if a delta had been lost
            await agent.wait_until(lambda agent: agent.snapshots >= 2)
            assert agent.intent.mappings[key].mac == "02:ff:ff:ff:ff:ff"

    play(scene, *launch(1, 1, 10, "host-1"), digest_seconds=0.05)


def test_a_right_digest_disturbs_nobody(play):
    async def scene(world: MappingWorld) -> None:
        frames = []
        async with raw_host(world, "host-1") as connection:
            await connection.send(msgspec.msgpack.encode(Hello()))
            while len(frames) < 3:
                frames.append(msgspec.msgpack.decode(await connection.recv(), type=ToHost))
        assert [type(frame).__name__ for frame in frames] == ["Snapshot", "Digest", "Digest"]
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            for n in range(11, 20):
                await agent.wait_generation(await world.store.txn([], rows(*launch(1, 1, n, "host-2"))))
            assert agent.snapshots == 1

    play(scene, *launch(1, 1, 10, "host-1"), digest_seconds=0.02)


def test_a_hung_host_delays_nobody_is_cut_and_heals(play, monkeypatch, caplog):
    monkeypatch.setattr(session, "SEND_SECONDS", 0.3)
    caplog.set_level(logging.WARNING)

    async def scene(world: MappingWorld) -> None:
        async with raw_host(world, "host-2", ping_interval=None, close_timeout=0.1) as hung:
            await hung.send(msgspec.msgpack.encode(Hello()))
            hung.transport.pause_reading()
            async with world.agent("host-1").running() as agent:
                await agent.wait_until(has_intent)
                while "host-2 takes nothing: cut" not in caplog.text:
                    n = agent.deltas % 200
                    puts = rows(*launch(1, 1, n, "host-3"))
                    puts |= rows(
                        msgspec.structs.replace(launch(1, 1, 201, "host-2")[0], user_data=f"{n}" * 500_000)
                    )
                    await agent.wait_generation(await world.store.txn([], puts))
        async with world.agent("host-2").running() as healed:
            await healed.wait_until(has_intent)
            await assert_right(world, healed, "host-2")

    play(scene, *launch(1, 1, 200, "host-1"), *launch(1, 1, 201, "host-2"))


def test_a_host_too_far_behind_gets_a_snapshot_instead_of_its_backlog(play, monkeypatch):
    monkeypatch.setattr(session, "MOST_PENDING_ROWS", 50)

    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent:
            await settled(world, agent)
            revision = await world.store.txn(
                [], rows(*[x for n in range(100) for x in launch(1, 1, n, "host-2")])
            )
            await agent.wait_generation(revision)
            await assert_right(world, agent, "host-1")
            assert (agent.snapshots, agent.deltas) == (2, 0)

    play(scene, *launch(1, 1, 200, "host-1"))


def test_a_snapshot_of_many_parts_arrives_whole(play, monkeypatch):
    monkeypatch.setattr(session, "SNAPSHOT_PART_ROWS", 7)
    monkeypatch.setattr(session, "INSTANCES_A_PART", 3)

    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            await assert_right(world, agent, "host-1")
            assert (len(agent.intent.mappings), len(agent.intent.instances)) == (21, 21)

    play(scene, *[thing for n in range(21) for thing in launch(1, 1, n, "host-1")])


def test_agents_keep_what_they_have_while_the_service_is_away_and_catch_up_when_it_returns(play):
    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent:
            await settled(world, agent)
            await world.stop()
            revision = await world.store.txn([], rows(*launch(1, 1, 11, "host-1")))
            assert agent.addresses() == {(1, address(1, 1, 10))}
            await world.start()
            await agent.wait_generation(revision)
            await assert_right(world, agent, "host-1")
            await world.wait_live(lambda live: live.generation >= revision)

    play(scene, *launch(1, 1, 10, "host-1"))


def test_the_service_reads_again_when_it_is_too_late_for_the_history(play, caplog):
    async def scene(world: MappingWorld) -> None:
        await world.stop()
        await world.start(late := Late(world.store))
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            await world.store.txn([], rows(*launch(1, 1, 11, "host-2")))
            gone = [key_of(thing) for thing in launch(1, 1, 10, "host-2")]
            revision = await world.store.txn([], rows(*launch(1, 1, 12, "host-2")), gone)
            await world.store.compact(revision)
            late.may_watch.set()
            await agent.wait_generation(revision)
            await assert_right(world, agent, "host-1")
            assert (agent.snapshots, agent.deltas) == (1, 1)
        assert "too late for the history" in caplog.text

    play(scene, *launch(1, 1, 9, "host-1"), *launch(1, 1, 10, "host-2"))


class Late:
    """A store whose watches sleep until they may begin."""

    def __init__(self, store):
        self._store = store
        self.may_watch = asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def watch(self, prefix, from_revision):
        await self.may_watch.wait()
        async for batch in self._store.watch(prefix, from_revision):
            yield batch


def test_the_service_waits_out_a_store_that_does_not_answer(play, monkeypatch):
    monkeypatch.setattr(service, "RETRY_SECONDS", 0.01)

    async def scene(world: MappingWorld) -> None:
        await world.stop()
        flaky = Flaky(world.store)
        await world.start(flaky)
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            await agent.wait_generation(await world.store.txn([], rows(*launch(1, 1, 11, "host-2"))))
            await assert_right(world, agent, "host-1")
        assert flaky.failures == 0

    play(scene, *launch(1, 1, 10, "host-1"))


class Flaky:
    """A store whose first answers fail."""

    def __init__(self, store):
        self._store = store
        self.failures = 4

    def __getattr__(self, name):
        return getattr(self._store, name)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("not now")

    async def range(self, prefix):
        self._fail()
        return await self._store.range(prefix)

    async def watch(self, prefix, from_revision):
        self._fail()
        async for batch in self._store.watch(prefix, from_revision):
            yield batch
