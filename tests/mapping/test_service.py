"""What hosts are told, what is live, what is reported (tests/mapping/scene.py)."""

from __future__ import annotations

import asyncio

from rookery.mapping import progress
from rookery.model.codec import decode
from rookery.model.keys import LIVE, console_key, instance_status_key, key_of
from rookery.model.objects import ConsoleOutput, InstanceStatus
from rookery.testing.mapping_world import MappingWorld
from rookery.testing.things import address, launch, rows, subnet
from tests.mapping.scene import assert_right, has_intent, settled


def test_a_host_gets_a_snapshot_and_then_deltas(play):
    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            await assert_right(world, agent, "host-1")
            await agent.wait_generation(await world.store.txn([], rows(*launch(1, 1, 11, "host-2"))))
            await assert_right(world, agent, "host-1")
            assert (agent.snapshots, agent.deltas) == (1, 1)
            assert agent.addresses() == {(1, address(1, 1, 10)), (1, address(1, 1, 11))}

    play(scene, *launch(1, 1, 10, "host-1"))


def test_a_host_gets_only_the_vpcs_that_it_holds(play):
    async def scene(world: MappingWorld) -> None:
        one, two = world.agent("host-1"), world.agent("host-2")
        async with one.running(), two.running():
            await settled(world, one, two)
            assert one.addresses() == {(1, address(1, 1, 10))}
            assert two.addresses() == {(2, address(2, 1, 10))}
            revision = await world.store.txn([], rows(*launch(2, 1, 11, "host-3")))
            await two.wait_generation(revision)
            assert one.deltas == 0

    play(scene, *launch(1, 1, 10, "host-1"), *launch(2, 1, 10, "host-2"))


def test_the_first_interface_of_a_vpc_brings_all_of_it_and_the_last_takes_it_away(play):
    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            assert agent.addresses() == set()
            instance, interface = launch(2, 1, 12, "host-1")
            await agent.wait_generation(await world.store.txn([], rows(instance, interface)))
            assert agent.addresses() == {(2, address(2, 1, n)) for n in (10, 11, 12)}
            assert {route.destination for route in agent.intent.routes.values()} == {"10.2.0.0/16"}
            gone = [key_of(instance), key_of(interface)]
            await agent.wait_generation(await world.store.txn([], {}, gone))
            assert (agent.addresses(), agent.intent.routes, agent.intent.instances) == (set(), {}, {})

    play(scene, *launch(2, 1, 10, "host-2"), *launch(2, 1, 11, "host-3"))


def test_a_stopped_instance_keeps_its_place_and_loses_its_mapping(play):
    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            stopped = launch(1, 1, 11, "host-1", wanted="stopped")
            await agent.wait_generation(await world.store.txn([], rows(*stopped)))
            assert agent.addresses() == {(1, address(1, 1, 10))}
            assert {instance.wanted for instance in agent.intent.instances.values()} == {"running", "stopped"}

    play(scene, *launch(1, 1, 10, "host-1"), *launch(1, 1, 11, "host-1"))


def test_ten_thousand_changes_in_a_burst_arrive_as_few_deltas(play):
    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent:
            await settled(world, agent)
            for first in range(0, 10_000, 100):
                things = [
                    thing
                    for n in range(first, first + 100)
                    for thing in launch(2, n // 200, n % 200, "host-2")
                ]
                revision = await world.store.txn([], rows(*things, *launch(1, 1, first // 100, "host-2")))
            await agent.wait_generation(revision)
            assert len(agent.addresses()) == 101
            assert agent.deltas <= 100
            await assert_right(world, agent, "host-1")

    play(scene, *launch(1, 1, 200, "host-1"), *[subnet(2, s) for s in range(50)])


def test_what_is_live_waits_for_the_hosts_concerned_and_for_no_other(play):
    async def scene(world: MappingWorld) -> None:
        one, two, three = (world.agent(f"host-{n}") for n in (1, 2, 3))
        async with one.running(), two.running(), three.running():
            await settled(world, one, two, three)
            two.applies = False  # connected, and slow
            other = await world.store.txn([], rows(*launch(1, 1, 11, "host-1")))
            live = await world.wait_live(lambda live: live.generation >= other)
            assert live.hosts["host-1"] == other
            held_back = await world.store.txn([], rows(*launch(2, 1, 11, "host-3")))
            await two.wait_generation(held_back)
            later = await world.store.txn([], rows(*launch(1, 1, 12, "host-1")))
            live = await world.wait_live(lambda live: live.hosts["host-1"] == later)
            assert live.generation == held_back - 1
            two.subscription.applied(held_back)
            live = await world.wait_live(lambda live: live.generation >= later)
            assert live.generation == later

    play(scene, *launch(1, 1, 10, "host-1"), *launch(2, 1, 10, "host-2"))


def test_a_host_that_is_gone_for_long_holds_nothing_back(play, monkeypatch):
    monkeypatch.setattr(progress, "LOST_SECONDS", 0.5)

    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as one:
            async with world.agent("host-2").running() as two:
                await settled(world, one, two)
            revision = await world.store.txn([], rows(*launch(2, 1, 11, "host-3")))
            await world.wait_live(lambda live: live.generation >= revision)
            async with world.agent("host-2").running() as two:
                await two.wait_generation(revision)
                await assert_right(world, two, "host-2")

    play(scene, *launch(1, 1, 10, "host-1"), *launch(2, 1, 10, "host-2"))


def test_writing_what_is_live_does_not_make_more_of_it(play):
    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent:
            await settled(world, agent)
            before = await world.store.revision()
            revision = await world.store.txn([], rows(*launch(1, 1, 11, "host-1")))
            await world.wait_live(lambda live: live.generation >= revision)
            await world.wait_live(lambda live: live.hosts["host-1"] >= revision)
            batches = await world.store.changes_since(before, LIVE)
            assert len(batches) <= 2

    play(scene, *launch(1, 1, 10, "host-1"))


def test_what_a_host_reports_of_its_instances_is_stored_and_nothing_else_is(play, caplog):
    async def scene(world: MappingWorld) -> None:
        mine, others = launch(1, 1, 10, "host-1")[0].id, launch(1, 1, 11, "host-2")[0].id
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            revision = await world.store.revision()
            lies = [
                InstanceStatus(id=others, state="terminated"),
                InstanceStatus(id="i-unknown", state="running"),
                InstanceStatus(id=mine, state="on fire"),
            ]
            agent.subscription.report([*lies, InstanceStatus(id=mine, state="running", boot=1, since=5.0)])
            batch = await anext(world.store.watch("observed/instance/", revision))
            assert [change.key for change in batch.changes] == [instance_status_key(mine)]
            stored = decode(InstanceStatus, batch.changes[0].value)
            assert stored == InstanceStatus(id=mine, state="running", boot=1, since=5.0)
            assert await world.store.get(instance_status_key(others)) is None
        assert f"host-1 reports of {others}, which is not its own: dropped" in caplog.text

    play(scene, *launch(1, 1, 10, "host-1"), *launch(1, 1, 11, "host-2"))


def test_statuses_reported_while_no_service_answers_reach_the_next_one(play):
    async def scene(world: MappingWorld) -> None:
        mine = launch(1, 1, 10, "host-1")[0].id
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            await world.stop()
            agent.subscription.report([InstanceStatus(id=mine, state="running")])
            await world.start()
            await anext(world.store.watch(instance_status_key(mine), 0))

    play(scene, *launch(1, 1, 10, "host-1"))


def test_what_an_instance_said_on_its_console_is_stored_for_its_own_host_only(play, caplog):
    async def scene(world: MappingWorld) -> None:
        mine, others = launch(1, 1, 10, "host-1")[0].id, launch(1, 1, 11, "host-2")[0].id
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            said = ConsoleOutput(id=mine, time=5.0, output=b"hello\n")
            lies = [ConsoleOutput(id=others, time=5.0, output=b"x"), ConsoleOutput(id=mine, time=6.0, output=b"x" * 65_537)]
            agent.subscription.tell_consoles(lies)
            await asyncio.sleep(0)
            agent.subscription.tell_consoles([said])
            batch = await anext(world.store.watch("observed/console/", 0))
            assert [(change.key, decode(ConsoleOutput, change.value)) for change in batch.changes] == [(console_key(mine), said)]
        assert f"host-1 reports of {others}, which is not its own: dropped" in caplog.text

    play(scene, *launch(1, 1, 10, "host-1"), *launch(1, 1, 11, "host-2"))


def test_a_console_told_while_no_service_answers_reaches_the_next_one(play):
    async def scene(world: MappingWorld) -> None:
        mine = launch(1, 1, 10, "host-1")[0].id
        async with world.agent("host-1").running() as agent:
            await agent.wait_until(has_intent)
            await world.stop()
            agent.subscription.tell_consoles([ConsoleOutput(id=mine, time=1.0, output=b"late\n")])
            await world.start()
            await anext(world.store.watch(console_key(mine), 0))

    play(scene, *launch(1, 1, 10, "host-1"))


def test_what_was_observed_of_instances_that_are_no_more_is_forgotten(play):
    async def scene(world: MappingWorld) -> None:
        mine = launch(1, 1, 10, "host-1")[0].id
        puts = {
            instance_status_key("i-gone"): b'{"id":"i-gone","state":"running"}',
            instance_status_key(mine): b"{}",
            console_key("i-gone"): b"{}",
        }
        await world.store.txn([], puts)
        revision = await world.store.txn([], rows(*launch(1, 1, 11, "host-1")))
        async with world.agent("host-1").running() as agent:
            await agent.wait_generation(revision)
            await world.service.forget_the_gone()
        kept = [entry.key for entry in (await world.store.range("observed/")).entries]
        assert instance_status_key(mine) in kept and not [key for key in kept if key.endswith("i-gone")]

    play(scene, *launch(1, 1, 10, "host-1"))
