"""When does a node tell others what it keeps of flows that rest? After every change of who lives or of the ring all of it at once, a few
times, for copies may be lost; else a part each turn, so that in two minutes all of it is told.

Heartbeats tell of the flows that are used. What goes over the wire the programs write (rookery.dataplane.cell, bpf/flow_copy.bpf.c)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import RestSearch

PASSES = 3  # over all flows after a change
PASS_SECONDS = 2.0  # between them
TURN_SECONDS = 5.0
TURNS = 24  # until each flow has had its turn
MOST_PARTS = 1 << 12
AT_ONCE = 256  # copies: what a processor's backlog queue takes
PAUSE_SECONDS = 0.004  # between two such lots

log = logging.getLogger("rookery.hyperplane")


class Copying(Protocol):
    """The dataplane."""

    def find_resting(self, slices: int, slice_: int) -> RestSearch: ...

    def send_copies(self, flows: int) -> bytes: ...


class Copies:
    def __init__(self, dataplane: Copying, holds: Callable[[], bool]):
        """`holds`: is there any flow here?"""
        self._dataplane = dataplane
        self._holds = holds
        self._parts = 1  # so many searches find all flows that rest: the queue takes no more of them
        self._passes = PASSES  # an agent that begins does not know what has changed before
        self._turn = 0
        self._changed = asyncio.Event()

    def hurry(self) -> None:
        """Who keeps what has changed: a node died, came back, or joined the ring."""
        self._passes = PASSES
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            hurried = bool(self._passes)
            try:
                await self.turn()
            except DataplaneError as error:
                log.error("%s", error)
            await self._wait(PASS_SECONDS if hurried else TURN_SECONDS)

    async def turn(self) -> None:
        """Raises DataplaneError."""
        self._changed.clear()
        if not self._holds():
            self._passes = max(0, self._passes - 1)
        elif self._passes:
            self._passes -= 1
            await self._tell_all()
        else:
            slices = max(TURNS, self._parts)
            await self._tell(slices, self._turn % slices)
            self._turn += 1

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _tell_all(self) -> None:
        part = 0
        while part < self._parts:
            if await self._tell(self._parts, part) or self._parts >= MOST_PARTS:
                part += 1
            else:
                part, self._parts = 0, 2 * self._parts

    async def _tell(self, slices: int, number: int) -> bool:
        """False: there was no room for all of them."""
        found = await asyncio.to_thread(self._dataplane.find_resting, slices, number)
        for at in range(0, found.found, AT_ONCE):
            await asyncio.to_thread(self._dataplane.send_copies, min(AT_ONCE, found.found - at))
            await asyncio.sleep(PAUSE_SECONDS)
        return not found.left
