"""What the control socket answers, from the agent's parts."""

from __future__ import annotations

import asyncio

import msgspec

from rookery.dataplane.host import PROGRAMS, ProgramName
from rookery.host.control import (
    GetInstance,
    InstanceReply,
    Request,
    StatusReply,
    WhatIf,
)
from rookery.host.control_socket import CannotAnswer
from rookery.host.instances import init
from rookery.host.instances.compute import Entrance
from rookery.host.lines import Said
from rookery.host.node_answers import NodeAnswers
from rookery.host.state import AgentState


class Answers(NodeAnswers[AgentState]):
    async def _of_its_own(self, request: Request) -> msgspec.Struct:
        if isinstance(request, GetInstance):
            return await asyncio.to_thread(self._instance, request.id)
        raise CannotAnswer(f"no answer to {type(request).__name__}")

    def _said(self) -> Said:
        return self._state.kernel.book.said

    def _status(self) -> StatusReply:
        state, told = self._state, super()._status()
        return msgspec.structs.replace(
            told,
            instances=len(state.machine.known()),
            alarms=[*told.alarms, *state.refused],
            connections=state.connections,
            max_connections=state.dataplane.connections.max_rows,
            services=state.services.problem if state.config.services_namespace else "",
        )

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

    def _run_at(self, request: WhatIf) -> tuple[str, int]:
        program = _program(request.program)
        return program, self._device(request.interface) if program == "host_egress" else self._state.substrate.ifindex

    def _device(self, interface: str) -> int:
        for ifindex, eni in self._state.names().items():
            if eni == interface:
                return ifindex
        raise CannotAnswer(f"{interface or 'no interface'} has no device on {self._state.config.name}")


def _program(name: str) -> ProgramName:
    for known in PROGRAMS:
        if name == known:
            return known
    raise CannotAnswer(f"there is no program {name!r}")
