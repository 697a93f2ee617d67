"""How an agent follows the mapping service: the kernel gets what the intent says, what it holds is told as applied, and full passes mend it.
Hosts, edges and nodes of cells do it alike; each says what its kernel takes, and what there is to mend."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import msgspec

from rookery.dataplane.errors import DataplaneError
from rookery.host.watchers import Watchers
from rookery.intent.host import HostIntent
from rookery.mapping.client import Subscription, Update

HEAL_SHARE = 20  # a full pass rests this many times as long as it took: at most a twentieth of one CPU


@dataclass(kw_only=True)
class FollowerState:
    """What the tasks of every agent share."""

    subscription: Subscription | None  # None: no mapping service is configured
    watchers: Watchers = field(default_factory=Watchers)
    intent: HostIntent | None = None  # None: no snapshot yet; nothing is changed before
    generation: int = 0  # applied
    healed: int = 0
    fault: str = ""  # why the kernel does not hold the intent; empty: it does

    def connected(self) -> bool:
        return self.subscription is not None and self.subscription.connected

    def names(self) -> Mapping[int, str]:
        """ifindex -> id of the interface, of every device of an instance here: of edges and nodes none is."""
        return {}

    def device_name(self, ifindex: int, names: Mapping[int, str]) -> str:
        """For a person: the interface's id, the device's name, or what is known."""
        if ifindex in names:
            return names[ifindex]
        try:
            return socket.if_indextoname(ifindex)
        except OSError:
            return f"device {ifindex}"


S = TypeVar("S", bound=FollowerState)


def _frozen(intent: HostIntent) -> HostIntent:
    """A copy for another thread: the subscription changes its own while we wait for the next update."""
    return msgspec.structs.replace(
        intent,
        instances=dict(intent.instances),
        mappings=dict(intent.mappings),
        routes=dict(intent.routes),
        rules=dict(intent.rules),
    )


class Follower(ABC, Generic[S]):
    REFUSALS: ClassVar[tuple[type[Exception], ...]] = (DataplaneError, OSError, ValueError)  # of a full pass
    WRONG: ClassVar[str]  # what a full pass finds: "rows or programs"

    def __init__(self, state: S, heal_seconds: float, log: logging.Logger):
        """`heal_seconds`: between two full passes, at least."""
        self._state = state
        self._heal_seconds = heal_seconds
        self._log = log
        self._changing = asyncio.Lock()  # one at a time gives the kernel a new intent

    @abstractmethod
    async def _become(self, intent: HostIntent) -> None:
        """Whatever the kernel holds, afterwards it holds this. Raises DataplaneError, ValueError."""

    @abstractmethod
    async def _change(self, update: Update) -> None:
        """Only what the update's delta names. Raises DataplaneError, ValueError."""

    @abstractmethod
    def _mend(self) -> int:
        """One pass over all that can be wrong, in a thread; how much was. Raises one of `REFUSALS`."""

    async def _mend_beside(self) -> None:
        """What has to be mended in the loop. Raises one of `REFUSALS`."""

    def _may_mend(self) -> bool:
        """Before the first intent nobody knows what is wrong."""
        return self._state.intent is not None

    async def _follow(self) -> None:
        """The intent. While no service answers nothing arrives, and everything goes on."""
        if self._state.subscription is None:
            return
        async for update in self._state.subscription:
            await self.take(update)

    async def take(self, update: Update) -> None:
        """Only when the kernel holds the rows is it said that they are applied."""
        async with self._changing:
            self._state.intent = update.intent
            try:
                if update.delta is None or self._state.fault:
                    await self._become(update.intent)
                else:
                    await self._change(update)
            except (DataplaneError, ValueError) as error:
                self._state.fault = f"the kernel does not hold the intent: {error}"
                self._log.error("%s", self._state.fault)
            else:
                self._applied(update.intent.generation)

    def _applied(self, generation: int) -> None:
        state = self._state
        state.fault, state.generation = "", generation
        if state.subscription is not None:
            state.subscription.applied(generation)

    async def _keep_healing(self) -> None:
        while True:
            started = time.monotonic()
            if self._may_mend():
                await self.heal()
            took = time.monotonic() - started
            await asyncio.sleep(max(self._heal_seconds, HEAL_SHARE * took))

    async def heal(self) -> bool:
        """One full pass. False: something refused, and the next one tries again."""
        state = self._state
        try:
            if state.fault:
                await self._try_again()
            mended = await asyncio.to_thread(self._mend)
            await self._mend_beside()
        except self.REFUSALS as error:
            self._log.error("full pass: %s", error)
            return False
        if mended:
            state.healed += mended
            self._log.warning("full pass: %d %s were wrong and are mended", mended, self.WRONG)
        return True

    async def _try_again(self) -> None:
        """The kernel refused a part of the intent: all of it is compared anew."""
        async with self._changing:
            intent = self._state.intent
            if intent is None or not self._state.fault:
                return
            await self._become(_frozen(intent))
            self._applied(intent.generation)
