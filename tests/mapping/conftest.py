"""A mapping service that runs, and three hosts to come."""

from __future__ import annotations

import asyncio

import pytest

from rookery.testing.mapping_world import MappingWorld
from rookery.testing.things import hosts, rows
from tests.mapping.scene import NETWORKS


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
