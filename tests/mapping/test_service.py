"""The mapping service and its client over real TLS on loopback.

store ---- service ==== host-1, host-2, host-3 (agents without a kernel)
"""

from __future__ import annotations

import asyncio

import pytest

from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.testing.mapping_world import MTU, MappingWorld, without_generation
from rookery.testing.things import hosts, launch, rows, subnet, vpc


@pytest.fixture
def world(tmp_path):
    return MappingWorld(tmp_path)


async def right_intent(world: MappingWorld, host: str):
    found = await world.store.range("")
    return host_intent(State(found.entries, found.revision, MTU), host)


def test_a_host_gets_a_snapshot_and_then_deltas(world):
    async def scene():
        await world.store.txn([], rows(*hosts(2), *vpc(1), subnet(1, 1), *launch(1, 1, 10, "host-1")))
        async with world, world.agent("host-1").running() as agent:
            await agent.wait_until(lambda agent: agent.intent)
            assert without_generation(agent.intent) == without_generation(await right_intent(world, "host-1"))
            revision = await world.store.txn([], rows(*launch(1, 1, 11, "host-2")))
            await agent.wait_generation(revision)
            assert without_generation(agent.intent) == without_generation(await right_intent(world, "host-1"))
            assert (agent.snapshots, agent.deltas) == (1, 1)
            assert len(agent.intent.mappings) == 2

    asyncio.run(scene())
