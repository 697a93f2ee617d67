"""What an edge answers on its control socket (rookery.host.control), from the agent's parts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from rookery.blackfoot.birdc import BirdRefused, BirdSilent
from rookery.blackfoot.state import EdgeState
from rookery.dataplane.edge import PROGRAMS, ProgramName
from rookery.host.control import (
    Drain,
    EdgeReply,
    GetEdge,
    Request,
    SessionRow,
    WhatIf,
)
from rookery.host.control_socket import CannotAnswer
from rookery.host.node_answers import NodeAnswers
from rookery.host.tables_told import counters_by_verdict


class Answers(NodeAnswers[EdgeState]):
    def __init__(self, state: EdgeState, drain: Callable[[bool], Awaitable[None]]):
        super().__init__(state)
        self._drain = drain

    async def _of_its_own(self, request: Request) -> msgspec.Struct:
        if isinstance(request, GetEdge):
            return await asyncio.to_thread(self._edge)
        if isinstance(request, Drain):
            await self._drain(request.draining)
            return await asyncio.to_thread(self._edge)
        raise CannotAnswer(f"{self._state.config.name} is an edge: it has no answer to {type(request).__name__}")

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

    def _run_at(self, request: WhatIf) -> tuple[str, int]:
        state, program = self._state, _program(request.program)
        return program, (state.substrate if program == "blackfoot_outward" else state.uplink).ifindex


def _program(name: str) -> ProgramName:
    for known in PROGRAMS:
        if name == known:
            return known
    raise CannotAnswer(f"an edge has no program {name!r}")
