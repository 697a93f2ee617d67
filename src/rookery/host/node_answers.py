"""What every agent answers on its control socket (rookery.host.control), from its parts; hosts, edges and nodes of cells add their own."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from rookery.dataplane import formats
from rookery.dataplane.errors import DataplaneError
from rookery.host.alarms import AlarmBook
from rookery.host.config import NodeConfig
from rookery.host.control import (
    GetMappings,
    GetStatus,
    MappingsReply,
    Request,
    StatusReply,
    WhatIf,
    WhatIfReply,
)
from rookery.host.control_socket import CannotAnswer
from rookery.host.lines import Explain, Said, Why, line_of, monotonic_zero
from rookery.host.tables_told import Mapped, counters_by_verdict, held_mappings, mapping_rows


class Answering(Protocol):
    """The state of an agent: a rookery.host.following.FollowerState with these."""

    generation: int
    healed: int
    fault: str

    @property
    def config(self) -> NodeConfig: ...

    @property
    def alarms(self) -> AlarmBook: ...

    @property
    def dataplane(self) -> Any: ...

    @property
    def kernel(self) -> Any: ...

    def connected(self) -> bool: ...

    def names(self) -> Any: ...


A = TypeVar("A", bound=Answering)


class NodeAnswers(ABC, Generic[A]):
    def __init__(self, state: A):
        self._state = state

    async def __call__(self, request: Request) -> msgspec.Struct:
        """Raises CannotAnswer."""
        if isinstance(request, GetStatus):
            return self._status()
        if isinstance(request, GetMappings):
            return await self._mappings(request.vni)
        if isinstance(request, WhatIf):
            return self._what_if(request)
        return await self._of_its_own(request)

    @abstractmethod
    async def _of_its_own(self, request: Request) -> msgspec.Struct:
        """What only this kind of node is asked. Raises CannotAnswer."""

    @abstractmethod
    def _run_at(self, request: WhatIf) -> tuple[str, int]:
        """The program to run, and the device from which the frame would come. Raises CannotAnswer."""

    def _said(self) -> Said:
        """Rules in words."""
        return lambda *_: ""

    def _explain(self) -> Explain:
        """Why a packet ended."""
        return lambda _: Why()

    def _status(self) -> StatusReply:
        state = self._state
        return StatusReply(
            host=state.config.name,
            pid=os.getpid(),
            generation=state.generation,
            connected=state.connected(),
            instances=0,
            mappings=len(state.kernel.ways.mappings.wanted),
            attach=state.dataplane.attach_mode,
            counters=counters_by_verdict(state.dataplane.counters()),
            alarms=[*map(str, state.alarms.all), *([state.fault] if state.fault else [])],
            healed=state.healed,
        )

    async def _mappings(self, vni: int) -> MappingsReply:
        """The intent's rows as they are now; the kernel's a moment later, for a dump may take a second."""
        ways = self._state.kernel.ways
        intended: dict[Mapped, formats.Mapping] = {**ways.mappings.wanted, **ways.delegated.wanted}
        found = await asyncio.to_thread(held_mappings, self._state.dataplane)
        return MappingsReply(rows=mapping_rows(intended, found, vni))

    def _what_if(self, request: WhatIf) -> WhatIfReply:
        state, names = self._state, self._state.names()
        program, ifindex = self._run_at(request)
        try:
            told = state.dataplane.what_if(program, request.frame, ifindex, request.trace)
        except (DataplaneError, ValueError) as error:
            raise CannotAnswer(str(error)) from error
        zero, said, explain = monotonic_zero(), self._said(), self._explain()
        return WhatIfReply(
            verdict=told.verdict.name.lower(),
            frame=told.frame,
            steps=[line_of(event, state.config.name, names, zero, said, explain=explain) for event in told.events],
            delivered_to=names.get(told.target, ""),
        )
