"""What the control socket answers, from the agent's parts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import msgspec

from rookery.dataplane import formats
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.host import PROGRAMS, ProgramName
from rookery.host.control import (
    GetInstance,
    GetMappings,
    GetStatus,
    InstanceReply,
    MappingsReply,
    Request,
    StatusReply,
    WhatIf,
    WhatIfReply,
)
from rookery.host.control_socket import CannotAnswer
from rookery.host.instances import init
from rookery.host.instances.compute import Entrance
from rookery.host.lines import line_of, monotonic_zero
from rookery.host.state import AgentState
from rookery.host.tables_told import Mapped, counters_by_verdict, held_mappings, mapping_rows


class Answers:
    def __init__(self, state: AgentState):
        self._state = state

    async def __call__(self, request: Request) -> msgspec.Struct:
        """Raises CannotAnswer."""
        if isinstance(request, GetStatus):
            return self._status()
        if isinstance(request, GetMappings):
            return await self._mappings(request.vni)
        if isinstance(request, GetInstance):
            return await asyncio.to_thread(self._instance, request.id)
        if isinstance(request, WhatIf):
            return self._what_if(request)
        raise CannotAnswer(f"no answer to {type(request).__name__}")

    def _status(self) -> StatusReply:
        state = self._state
        return StatusReply(
            host=state.config.name,
            pid=os.getpid(),
            generation=state.generation,
            connected=state.connected(),
            instances=len(state.machine.known()),
            mappings=len(state.kernel.ways.mappings.wanted),
            attach=state.dataplane.attach_mode,
            counters=counters_by_verdict(state.dataplane.counters()),
            alarms=[*map(str, state.alarms.all), *([state.fault] if state.fault else []), *state.refused],
            healed=state.healed,
            connections=state.connections,
            max_connections=state.dataplane.connections.max_rows,
            services=state.services.problem if state.config.services_namespace else "",
        )

    async def _mappings(self, vni: int) -> MappingsReply:
        """The intent's rows as they are now; the kernel's a moment later, for a dump may take a second."""
        kernel = self._state.kernel
        intended: dict[Mapped, formats.Mapping] = {**kernel.ways.mappings.wanted, **kernel.ways.delegated.wanted}
        found = await asyncio.to_thread(held_mappings, self._state.dataplane)
        return MappingsReply(rows=mapping_rows(intended, found, vni))

    def _instance(self, instance: str) -> InstanceReply:
        state = self._state
        try:
            found = state.machine.find(instance)
        except ValueError as error:
            raise CannotAnswer(str(error)) from error
        if found is None:
            raise CannotAnswer(f"{instance} is not on {state.config.name}")
        pid = init.find(state.machine.places, instance)
        way = state.machine.entrance(instance) if pid else Entrance()
        return InstanceReply(id=instance, state=found.phase.value, pid=pid, netns=way.netns, commands=way.commands)

    def _what_if(self, request: WhatIf) -> WhatIfReply:
        state, names = self._state, self._state.names()
        program = _program(request.program)
        ifindex = self._device(request.interface, names) if program == "host_egress" else state.substrate.ifindex
        try:
            told = state.dataplane.what_if(program, request.frame, ifindex, request.trace)
        except (DataplaneError, ValueError) as error:
            raise CannotAnswer(str(error)) from error
        zero, said = monotonic_zero(), state.kernel.book.said
        return WhatIfReply(
            verdict=told.verdict.name.lower(),
            frame=told.frame,
            steps=[line_of(event, state.config.name, names, zero, said) for event in told.events],
            delivered_to=names.get(told.target, ""),
        )

    def _device(self, interface: str, names: Mapping[int, str]) -> int:
        for ifindex, eni in names.items():
            if eni == interface:
                return ifindex
        raise CannotAnswer(f"{interface or 'no interface'} has no device on {self._state.config.name}")


def _program(name: str) -> ProgramName:
    for known in PROGRAMS:
        if name == known:
            return known
    raise CannotAnswer(f"there is no program {name!r}")
