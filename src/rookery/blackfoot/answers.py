"""What an edge answers on its control socket (rookery.host.control), from the agent's parts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import msgspec

from rookery.blackfoot.birdc import BirdRefused, BirdSilent
from rookery.blackfoot.state import EdgeState
from rookery.dataplane import formats
from rookery.dataplane.edge import PROGRAMS, ProgramName
from rookery.dataplane.errors import DataplaneError
from rookery.host.control import (
    Drain,
    EdgeReply,
    GetEdge,
    GetMappings,
    GetStatus,
    MappingsReply,
    Request,
    SessionRow,
    StatusReply,
    WhatIf,
    WhatIfReply,
)
from rookery.host.control_socket import CannotAnswer
from rookery.host.lines import line_of, monotonic_zero
from rookery.host.tables_told import Mapped, counters_by_verdict, held_mappings, mapping_rows


class Answers:
    def __init__(self, state: EdgeState, drain: Callable[[bool], Awaitable[None]]):
        self._state = state
        self._drain = drain

    async def __call__(self, request: Request) -> msgspec.Struct:
        """Raises CannotAnswer."""
        if isinstance(request, GetStatus):
            return self._status()
        if isinstance(request, GetMappings):
            return await self._mappings(request.vni)
        if isinstance(request, WhatIf):
            return self._what_if(request)
        if isinstance(request, GetEdge):
            return await asyncio.to_thread(self._edge)
        if isinstance(request, Drain):
            await self._drain(request.draining)
            return await asyncio.to_thread(self._edge)
        raise CannotAnswer(f"{self._state.config.name} is an edge: it has no answer to {type(request).__name__}")

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

    def _edge(self) -> EdgeReply:
        state = self._state
        sessions, announced, problem = self._outside()
        lost = state.lost_device()
        return EdgeReply(
            edge=state.config.name,
            draining=state.draining,
            announced=announced,
            sessions=sessions,
            publics=len(state.kernel.publics.wanted),
            blocks=len(state.kernel.blocks.wanted),
            outward=self._counted(state.substrate.ifindex),
            inward=self._counted(state.uplink.ifindex),
            problem=f"the device {lost} is gone" if lost else state.fault or state.outage.reason or problem,
        )

    def _outside(self) -> tuple[list[SessionRow], list[str], str]:
        announcer = self._state.announcer
        try:
            sessions, announced = announcer.sessions(), announcer.announced()
        except (BirdSilent, BirdRefused) as error:
            return [], [], str(error)
        down = [one.neighbour for one in sessions if one.state != "Established"]
        return sessions, announced, f"no BGP session with {', '.join(down)}" if down else announcer.problem

    def _counted(self, ifindex: int) -> dict[str, dict[str, int]]:
        counters = self._state.dataplane.counters()
        return counters_by_verdict({key: row for key, row in counters.items() if key.ifindex == ifindex})

    def _what_if(self, request: WhatIf) -> WhatIfReply:
        state, program = self._state, _program(request.program)
        device = state.substrate if program == "blackfoot_outward" else state.uplink
        try:
            told = state.dataplane.what_if(program, request.frame, device.ifindex, request.trace)
        except (DataplaneError, ValueError) as error:
            raise CannotAnswer(str(error)) from error
        zero = monotonic_zero()
        return WhatIfReply(
            verdict=told.verdict.name.lower(),
            frame=told.frame,
            steps=[line_of(event, state.config.name, state.names(), zero) for event in told.events],
        )


def _program(name: str) -> ProgramName:
    for known in PROGRAMS:
        if name == known:
            return known
    raise CannotAnswer(f"an edge has no program {name!r}")
