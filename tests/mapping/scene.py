"""The mapping service and its client over real TLS on loopback.

        store ---- service ==== host-1, host-2, host-3 (agents without a kernel)

VPC 1 and VPC 2 are in every store here; which host has an instance of which stands in each test.
"""

from __future__ import annotations

import contextlib

from websockets.asyncio.client import connect

from rookery.intent.host import HostIntent
from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.mapping.authority import issue
from rookery.mapping.certificates import HOST, client_context
from rookery.testing.mapping_world import MTU, FakeAgent, MappingWorld, without_generation
from rookery.testing.things import subnet, vpc

NETWORKS = [*vpc(1), *vpc(2), subnet(1, 1), subnet(2, 1)]


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


@contextlib.asynccontextmanager
async def raw_host(world: MappingWorld, name: str, **options):
    """A connection in a host's name, that says and hears frames itself."""
    context = client_context(issue(world.certificates, HOST, name))
    async with connect(f"wss://127.0.0.1:{world.port}/", ssl=context, proxy=None, **options) as connection:
        yield connection
