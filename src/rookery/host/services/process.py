"""The services of one host: what they know, and their sockets wherever the namespace is that guests' packets are led to.

Nothing needs to be there before it: without the agent they know nobody yet and go on looking; without the namespace, which the
agent makes, they wait for it; and should it be made anew, they open their sockets anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from rookery.host.config import HostConfig
from rookery.host.instances.namespace import NAMED, NamespaceError
from rookery.host.services.clock import Clock
from rookery.host.services.datagrams import DatagramPort
from rookery.host.services.follower import Follower
from rookery.host.services.leases import Leases
from rookery.host.services.metadata import server as metadata
from rookery.host.services.names import Names, Resolver
from rookery.host.services.sockets import Sockets, open_in
from rookery.host.services.view import View
from rookery.host.start import StartRefused, only_one

WAIT_SECONDS = 0.02  # between two looks for a namespace that is not there
LOOK_SECONDS = 1.0  # ... and for whether it is still the same

log = logging.getLogger("rookery.host.services")


@contextmanager
def only_services(config: HostConfig) -> Iterator[None]:
    """Two would share the guests' packets among them. Raises StartRefused."""
    with only_one(config, "services.lock", f"other services of {config.name} are running"):
        yield


class Services:
    """`view` is filled here, and read by `resolver`, too. `key`: what metadata tokens are made with."""

    def __init__(self, config: HostConfig, view: View, resolver: Resolver, key: bytes):
        if not config.services_namespace:
            raise StartRefused("services_namespace names no network namespace in which to serve")
        self._namespace = config.services_namespace
        self._follower = Follower(config.feed_socket, view)
        self._view, self._key = view, key
        self._leases, self._clock, self._names = Leases(view), Clock(view), Names(view, resolver)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follower.run())
            tasks.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            there = await self._found()
            try:
                async with self._open():
                    self._follower.say("")
                    log.info("serving in %s", self._namespace)
                    while _inode(self._namespace) == there:
                        await asyncio.sleep(LOOK_SECONDS)
            except OSError as error:
                self._follower.say(f"cannot serve in {self._namespace}: {error}")
                log.error("cannot serve in %s: %s", self._namespace, error)
                await asyncio.sleep(LOOK_SECONDS)
            log.warning("the namespace %s is not what it was: looking for it anew", self._namespace)

    async def _found(self) -> int:
        """The inode of the namespace, once there is one."""
        if not _inode(self._namespace):
            self._follower.say(f"the agent has not made the namespace {self._namespace}")
            log.info("waiting for the namespace %s, which the agent makes", self._namespace)
        while not (there := _inode(self._namespace)):
            await asyncio.sleep(WAIT_SECONDS)
        return there

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        """Raises OSError."""
        async with AsyncExitStack() as stack:
            sockets = await self._sockets()
            stack.callback(sockets.close)
            for name, buckets, take in (
                ("dhcp", sockets.dhcp, self._leases.take_v4),
                ("dhcpv6", sockets.dhcpv6, self._leases.take_v6),
                ("time", sockets.time, self._clock.take),
                ("dns", sockets.dns, self._names.take),
            ):
                port = DatagramPort(name, buckets, take)
                port.open()
                stack.callback(port.close)
            for server in await self._names.listen(sockets.dns_streams):
                stack.callback(server.close)
            stack.callback((await metadata.serve(sockets.metadata, self._view, self._key)).close)
            yield

    async def _sockets(self) -> Sockets:
        """By a thread of its own: one that did not come home from the namespace must do no other work."""
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="visitor") as visitor:
                return await asyncio.get_running_loop().run_in_executor(visitor, open_in, self._namespace)
        except NamespaceError as error:
            raise OSError(str(error)) from error


def _inode(name: str) -> int:
    """Of the namespace of that name; 0: there is none, or only what a crash left of its name."""
    try:
        found = os.stat(NAMED / name)
    except FileNotFoundError:
        return 0
    return found.st_ino if found.st_dev != os.stat(NAMED).st_dev else 0
