"""A mapping service over a real store and real TLS on loopback, with agents that have no kernel: for tests and benches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from rookery.host.config import HostConfig
from rookery.intent.host import HostIntent
from rookery.mapping.authority import issue, make_authority
from rookery.mapping.certificates import HOST, MAPPING, Identity, identity_of
from rookery.mapping.client import Subscription
from rookery.mapping.observed import read_live
from rookery.mapping.service import Service
from rookery.model.keys import LIVE
from rookery.model.objects import Live
from rookery.store.interface import Store
from rookery.store.sqlite import SqliteStore

MTU = 1500


def host_config(
    directory: Path, name: str, port: int, identity: Identity, region_name: str = "test"
) -> HostConfig:
    return HostConfig(
        region_name=region_name,
        name=name,
        address="127.0.0.1",
        network="127.0.0.0/8",
        mapping_service=[f"127.0.0.1:{port}"],
        ca_certificate=str(identity.authority),
        certificate=str(identity.certificate),
        private_key=str(identity.key),
        pins="",
        state_directory=str(directory),
        run_directory=str(directory),
        bpf_objects="",
    )


class FakeAgent:
    """Applies at once what it is told, and remembers how it came."""

    def __init__(self, config: HostConfig):
        self.subscription = Subscription(config.region_name, config.mapping_service, config.identity)
        self.intent: HostIntent | None = None
        self.snapshots = 0
        self.deltas = 0
        self.applies = True
        self._moved = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakeAgent]:
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        async with self.subscription:
            async for update in self.subscription:
                self.snapshots += update.delta is None
                self.deltas += update.delta is not None
                self.intent = update.intent
                if self.applies:
                    self.subscription.applied(update.intent.generation)
                async with self._moved:
                    self._moved.notify_all()

    async def wait_until(self, holds: Callable[[FakeAgent], bool], seconds: float = 10.0) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._moved:
            await self._moved.wait_for(lambda: holds(self))

    async def wait_generation(self, generation: int) -> None:
        await self.wait_until(
            lambda agent: agent.intent is not None and agent.intent.generation >= generation
        )

    def addresses(self) -> set[tuple[int, str]]:
        return set(self.intent.mappings) if self.intent else set()


class MappingWorld:
    """`store` is the service's too; `port` is where the service listens, the same after `restart`."""

    def __init__(self, directory: Path, digest_seconds: float = 60.0):
        self.directory = directory
        self.certificates = directory / "certificates"
        self.store = SqliteStore.open(directory / "store.db")
        self.port = 0
        self.service: Service | None = None
        self._digest_seconds = digest_seconds
        self._stack = contextlib.AsyncExitStack()
        make_authority(self.certificates, "test")
        issue(self.certificates, MAPPING)

    async def __aenter__(self) -> MappingWorld:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()
        await self.store.close()

    async def start(self, store: Store | None = None) -> None:
        self.service = Service("test", store or self.store, MTU)
        serving = self.service.serving(
            "127.0.0.1", self.port, identity_of(self.certificates, MAPPING), self._digest_seconds
        )
        server = await self._stack.enter_async_context(serving)
        self.port = next(iter(server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        await self._stack.aclose()

    def agent(self, name: str) -> FakeAgent:
        return FakeAgent(self.config(name))

    def config(self, name: str) -> HostConfig:
        return host_config(self.directory, name, self.port, issue(self.certificates, HOST, name))

    async def wait_live(self, holds: Callable[[Live], bool], seconds: float = 10.0) -> Live:
        """Until what the store says of it holds. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            revision = await self.store.revision()
            live = await read_live(self.store)
            async with contextlib.aclosing(self.store.watch(LIVE, revision)) as batches:
                while not holds(live):
                    await anext(batches)
                    live = await read_live(self.store)
            return live


def without_generation(intent: HostIntent) -> HostIntent:
    """To compare what two intents hold."""
    return msgspec.structs.replace(intent, generation=0)
