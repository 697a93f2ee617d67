"""What a node answers on its control socket (rookery.host.control), from the agent's parts."""

from __future__ import annotations

import asyncio
import os

import msgspec

from rookery.dataplane import formats
from rookery.dataplane.errors import DataplaneError
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
from rookery.host.lines import line_of, monotonic_zero
from rookery.host.tables_told import Mapped, counters_by_verdict, held_mappings, mapping_rows
from rookery.hyperplane.state import NodeState

PROGRAM = "hyperplane"


class Answers:
    def __init__(self, state: NodeState):
        self._state = state

    async def __call__(self, request: Request) -> msgspec.Struct:
        """Raises CannotAnswer."""
        if isinstance(request, GetStatus):
            return self._status()
        if isinstance(request, GetMappings):
            return await self._mappings(request.vni)
        if isinstance(request, WhatIf):
            return self._what_if(request)
        raise CannotAnswer(f"{self._state.config.name} is a node of a cell: it has no answer to {type(request).__name__}")

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
        state = self._state
        if request.program != PROGRAM:
            raise CannotAnswer(f"a node of a cell has no program {request.program!r}")
        try:
            told = state.dataplane.what_if(PROGRAM, request.frame, state.substrate.ifindex, request.trace)
        except (DataplaneError, ValueError) as error:
            raise CannotAnswer(str(error)) from error
        zero = monotonic_zero()
        return WhatIfReply(
            verdict=told.verdict.name.lower(),
            frame=told.frame,
            steps=[line_of(event, state.config.name, state.names(), zero) for event in told.events],
        )
