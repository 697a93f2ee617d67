"""The mapping service and its client over real TLS on loopback.

        store ---- service ==== host-1, host-2, host-3 (agents without a kernel)

VPC 1 and VPC 2 are in every store here; which host has an instance of which stands in each test.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from rookery.intent.host import HostIntent
from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.mapping import certificates, progress, service, session
from rookery.mapping.certificates import HOST, MAPPING, CertificateError
from rookery.mapping.protocol import Hello, ToHost
from rookery.model.codec import decode
from rookery.model.keys import LIVE, host_key, instance_status_key, key_of
from rookery.model.objects import InstanceStatus
from rookery.store.interface import StoreUnavailable
from rookery.testing.mapping_world import MTU, FakeAgent, MappingWorld, host_config, without_generation
from rookery.testing.things import address, hosts, launch, rows, subnet, vpc

NETWORKS = [*vpc(1), *vpc(2), subnet(1, 1), subnet(2, 1)]


@pytest.fixture
def play(tmp_path):
    """Plays a scene in a world with three hosts and two VPCs; the service runs already."""

    def play_scene(scene, *things, digest_seconds: float = 60.0) -> None:
        async def whole() -> None:
            world = MappingWorld(tmp_path, digest_seconds)
            await world.store.txn([], rows(*hosts(3), *NETWORKS, *things))
            async with asyncio.timeout(60), world:
                await scene(world)

        asyncio.run(whole())

    return play_scene


async def right_intent(world: MappingWorld, host: str) -> HostIntent:
    found = await world.store.range("")
    return host_intent(State(found.entries, found.revision, MTU), host)


async def assert_right(world: MappingWorld, agent: FakeAgent, host: str) -> None:
    assert without_generation(agent.intent) == without_generation(await right_intent(world, host))


def has_intent(agent: FakeAgent) -> bool:
    return agent.intent is not None


async def settled(world: MappingWorld, *agents: FakeAgent) -> None:
    """All agents have a snapshot, and the service has heard that they applied it."""
    for agent in agents:
        await agent.wait_until(has_intent)
    generations = [agent.intent.generation for agent in agents]
    await world.wait_live(lambda live: live.generation >= max(generations))


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


def test_statuses_of_instances_that_are_no_more_are_forgotten(play):
    async def scene(world: MappingWorld) -> None:
        mine = launch(1, 1, 10, "host-1")[0].id
        puts = {
            instance_status_key("i-gone"): b'{"id":"i-gone","state":"running"}',
            instance_status_key(mine): b"{}",
        }
        await world.store.txn([], puts)
        revision = await world.store.txn([], rows(*launch(1, 1, 11, "host-1")))
        async with world.agent("host-1").running() as agent:
            await agent.wait_generation(revision)
            await world.service.forget_the_gone()
        kept = await world.store.range("observed/instance/")
        assert [entry.key for entry in kept.entries] == [instance_status_key(mine)]

    play(scene, *launch(1, 1, 10, "host-1"))


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


@contextlib.asynccontextmanager
async def raw_host(world: MappingWorld, name: str, **options):
    """A connection in a host's name, that says and hears frames itself."""
    context = certificates.client_context(certificates.issue(world.certificates, HOST, name))
    async with connect(f"wss://127.0.0.1:{world.port}/", ssl=context, proxy=None, **options) as connection:
        yield connection


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


def test_a_certificate_of_another_region_is_refused(play, tmp_path):
    async def scene(world: MappingWorld) -> None:
        certificates.make_authority(tmp_path / "other", "test")
        stranger = certificates.issue(tmp_path / "other", HOST, "host-1")
        context = certificates.client_context(stranger)
        context.load_verify_locations(world.certificates / "authority.pem")
        with pytest.raises((OSError, WebSocketException)):
            async with connect(f"wss://127.0.0.1:{world.port}/", ssl=context, proxy=None) as connection:
                await connection.recv()

    play(scene)


@pytest.mark.parametrize("role, name", [(HOST, "host-9"), (MAPPING, "")])
def test_who_is_no_host_of_the_region_is_refused(play, role, name):
    async def scene(world: MappingWorld) -> None:
        context = certificates.client_context(certificates.issue(world.certificates, role, name))
        with pytest.raises(Exception, match="403"):
            async with connect(f"wss://127.0.0.1:{world.port}/", ssl=context, proxy=None):
                pass

    play(scene)


def test_a_host_that_is_taken_away_is_cut_and_not_let_in_again(play):
    async def scene(world: MappingWorld) -> None:
        async with raw_host(world, "host-1") as connection:
            await connection.send(msgspec.msgpack.encode(Hello()))
            await connection.recv()
            await world.store.txn([], {}, [host_key("host-1")])
            await asyncio.wait_for(connection.wait_closed(), 5)
        with pytest.raises(Exception, match="403"):
            async with raw_host(world, "host-1"):
                pass

    play(scene)


def test_a_host_that_talks_nonsense_is_cut_alone(play):
    async def scene(world: MappingWorld) -> None:
        async with world.agent("host-1").running() as agent, raw_host(world, "host-2") as babbler:
            await agent.wait_until(has_intent)
            await babbler.send(b"\xc1 nonsense")
            await asyncio.wait_for(babbler.wait_closed(), 5)
            await agent.wait_generation(await world.store.txn([], rows(*launch(1, 1, 11, "host-2"))))
            assert agent.snapshots == 1

    play(scene, *launch(1, 1, 10, "host-1"))


def test_an_agent_does_not_listen_to_a_service_that_the_region_did_not_name(play, caplog):
    async def scene(world: MappingWorld) -> None:
        impostor = MappingWorld(world.directory / "impostor")
        certificates.make_authority(impostor.certificates, "other")
        await impostor.store.txn([], rows(*hosts(1)))
        async with impostor:
            identity = certificates.issue(world.certificates, HOST, "host-1")
            agent = FakeAgent(host_config(world.directory, "host-1", impostor.port, identity))
            async with agent.running():
                async with asyncio.timeout(10):
                    while "mapping service" not in caplog.text:
                        await asyncio.sleep(0.01)
            assert agent.intent is None

    play(scene)


def test_an_agent_without_its_files_says_which_are_missing(play, tmp_path):
    async def scene(world: MappingWorld) -> None:
        config = msgspec.structs.replace(world.config("host-1"), private_key=str(tmp_path / "none.key"))
        with pytest.raises(CertificateError, match=r"none\.key"):
            await anext(aiter(FakeAgent(config).subscription))

    play(scene)


def test_a_renewed_certificate_is_shown_to_who_comes_next(play):
    async def scene(world: MappingWorld) -> None:
        async with raw_host(world, "host-1") as before, raw_host(world, "host-2") as same:
            certificates.issue(world.certificates, MAPPING)
            world.service.take_renewed_certificate()
            async with raw_host(world, "host-3") as after:
                serials = [
                    c.transport.get_extra_info("peercert")["serialNumber"] for c in (before, same, after)
                ]
        assert serials[0] == serials[1] != serials[2]

    play(scene)


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
