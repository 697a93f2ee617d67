"""A node's health checks, each by the clock of its own: what they found is this node's word on every target.

A check whose settings change is made at once and goes on from what it knows; a target at another port or address, or of another group,
is another target."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from rookery.dataplane.errors import DataplaneError
from rookery.hyperplane.check_ways import NoWay
from rookery.hyperplane.checks import Check, CheckKey, Way
from rookery.hyperplane.health import Health, Words, after, node_word, ways_that_differ
from rookery.hyperplane.one_check import result_of
from rookery.intent.balanced_targets import by_way

FIRST_SECONDS = 0.2  # within which a check is made first
AT_ONCE = 256  # checks under way: what waits for its turn is late, not failed

# (VNI, interface of the attachment, target's address) -> a socket, bound and non-blocking, and the address to which it connects. Raises
# NoWay, DataplaneError: this node cannot ask now, which says nothing of the target.
OpenSocket = Callable[[int, int, str], tuple[socket.socket, str]]

log = logging.getLogger("rookery.hyperplane.checker")


class Checker:
    """`open_socket`: the way to a target; `tell`: called whenever this node's word on some target changed."""

    def __init__(self, open_socket: OpenSocket, tell: Callable[[], None]):
        self._open_socket = open_socket
        self._tell = tell
        self._group = asyncio.TaskGroup()
        self._tasks: dict[CheckKey, asyncio.Task[None]] = {}
        self._checks: dict[CheckKey, Check] = {}
        self._seen: dict[CheckKey, Health] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.become({})
        await self._group.__aexit__(kind, error, traceback)

    @property
    def ways(self) -> set[Way]:
        return {key.way for key in self._checks}

    def become(self, wanted: Mapping[CheckKey, Check]) -> None:
        """From now on these are made."""
        before, self._checks = self._checks, dict(wanted)
        for key in before:
            if wanted.get(key) != before[key]:
                self._tasks.pop(key).cancel()
            if key not in wanted:
                self._seen.pop(key, None)
        for key in wanted.keys() - self._tasks.keys():
            self._tasks[key] = self._group.create_task(self._keep_checking(wanted[key]))

    @property
    def words(self) -> Words:
        """This node's, as its report carries them."""
        ways: dict[tuple[str, str], dict[int, Health]] = {}
        for key, health in self._seen.items():
            ways.setdefault((key.group, f"{key.way.address}:{key.target_port}"), {})[key.way.interface] = health
        found: Words = {}
        for (group, place), seen in sorted(ways.items()):
            word = node_word(seen.values())
            if word is not None:
                found.setdefault(group, {})[place] = word
                found[group].update({by_way(place, number): said for number, said in ways_that_differ(seen).items()})
        return found

    async def _keep_checking(self, check: Check) -> None:
        """Until it is cancelled. The second one comes somewhat sooner, by chance, that many checks do not come together for ever."""
        await asyncio.sleep(random.uniform(0, FIRST_SECONDS))
        due = time.monotonic() - random.uniform(0, check.settings.interval / 2)
        while True:
            await self._make(check)
            due = max(due + check.settings.interval, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _make(self, check: Check) -> None:
        key = check.key
        async with self._turns:
            try:
                way, address = self._open_socket(*key.way)
            except (NoWay, DataplaneError) as error:
                log.warning("cannot ask %s in the name of %d: %s", key.way.address, key.way.interface, error)
                return
            result = await result_of(check, way, address)
        before = self._seen.get(key, Health())
        self._seen[key] = now = after(before, result, check.settings)
        if (now.state, now.reason) != (before.state, before.reason):
            log.info("%s:%d of %s by %d: %s %s", key.way.address, key.target_port, key.group, key.way.interface, now.state, now.reason)
            self._tell()
