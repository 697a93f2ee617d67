"""Who may speak with whom, and what becomes of who may not (tests/mapping/scene.py)."""

from __future__ import annotations

import asyncio
import datetime

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from rookery.mapping import authority
from rookery.mapping.authority import issue, make_authority
from rookery.mapping.certificates import HOST, MAPPING, CertificateError, client_context
from rookery.mapping.protocol import Hello
from rookery.model.codec import encode
from rookery.model.keys import host_key, revocation_key
from rookery.model.objects import Revocation
from rookery.testing.mapping_world import FakeAgent, MappingWorld, host_config
from rookery.testing.things import hosts, launch, rows
from tests.mapping.scene import has_intent, raw_host


def test_a_certificate_of_another_region_is_refused(play, tmp_path):
    async def scene(world: MappingWorld) -> None:
        make_authority(tmp_path / "other", "test")
        stranger = issue(tmp_path / "other", HOST, "host-1")
        context = client_context(stranger)
        context.load_verify_locations(world.certificates / "authority.pem")
        with pytest.raises((OSError, WebSocketException)):
            async with connect(f"wss://127.0.0.1:{world.port}/", ssl=context, proxy=None) as connection:
                await connection.recv()

    play(scene)


@pytest.mark.parametrize("role, name", [(HOST, "host-9"), (MAPPING, "")])
def test_who_is_no_host_of_the_region_is_refused(play, role, name):
    async def scene(world: MappingWorld) -> None:
        context = client_context(issue(world.certificates, role, name))
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


def test_a_key_of_a_host_that_left_opens_nothing_to_who_comes_under_its_name(play, monkeypatch):
    async def scene(world: MappingWorld) -> None:
        now = authority._now()
        monkeypatch.setattr(authority, "_now", lambda: now - datetime.timedelta(seconds=2))
        old = client_context(issue(world.certificates, HOST, "host-1"))
        monkeypatch.undo()
        async with connect(f"wss://127.0.0.1:{world.port}/", ssl=old, proxy=None) as connection:
            await connection.send(msgspec.msgpack.encode(Hello()))
            await connection.recv()
            await world.store.txn([], {revocation_key("host-1"): encode(Revocation(before=int(now.timestamp())))})
            await asyncio.wait_for(connection.wait_closed(), 5)
        with pytest.raises(Exception, match="403"):
            async with connect(f"wss://127.0.0.1:{world.port}/", ssl=old, proxy=None):
                pass
        async with raw_host(world, "host-1") as connection:
            await connection.send(msgspec.msgpack.encode(Hello()))
            assert await connection.recv()

    play(scene)


def test_what_was_revoked_while_the_service_was_dead_is_and_what_nobody_can_read_lets_nobody_in(play):
    async def scene(world: MappingWorld) -> None:
        await world.stop()
        revoked = {"host-1": encode(Revocation(before=1 << 40)), "host-2": b"\xc1"}
        await world.store.txn([], {revocation_key(name): value for name, value in revoked.items()})
        await world.start()
        for host in revoked:
            with pytest.raises(Exception, match="403"):
                async with raw_host(world, host):
                    pass
        async with raw_host(world, "host-3") as connection:
            await connection.send(msgspec.msgpack.encode(Hello()))
            assert await connection.recv()

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
        make_authority(impostor.certificates, "other")
        await impostor.store.txn([], rows(*hosts(1)))
        async with impostor:
            identity = issue(world.certificates, HOST, "host-1")
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
            issue(world.certificates, MAPPING)
            world.service.take_renewed_certificate()
            async with raw_host(world, "host-3") as after:
                serials = [
                    c.transport.get_extra_info("peercert")["serialNumber"] for c in (before, same, after)
                ]
        assert serials[0] == serials[1] != serials[2]

    play(scene)
