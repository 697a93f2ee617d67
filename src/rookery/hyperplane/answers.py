"""What a node answers on its control socket (rookery.host.control)."""

from __future__ import annotations

import asyncio

import msgspec

from rookery.dataplane.errors import DataplaneError
from rookery.host.control import FindFlows, FlowsReply, Request, StatusReply, WhatIf
from rookery.host.control_socket import CannotAnswer
from rookery.host.lines import Explain, Said
from rookery.host.node_answers import NodeAnswers
from rookery.hyperplane import flows
from rookery.hyperplane.flow_end import End
from rookery.hyperplane.state import NodeState

PROGRAM = "hyperplane"


class Answers(NodeAnswers[NodeState]):
    async def _of_its_own(self, request: Request) -> msgspec.Struct:
        if isinstance(request, FindFlows):
            return await self._flows(request)
        raise CannotAnswer(f"{self._state.config.name} is a node of a cell: it has no answer to {type(request).__name__}")

    def _status(self) -> StatusReply:
        told = super()._status()
        return msgspec.structs.replace(told, alarms=[*told.alarms, *self._state.alarms_now()])

    def _said(self) -> Said:
        return self._state.kernel.book.said

    def _explain(self) -> Explain:
        return self._state.causes.why

    async def _flows(self, request: FindFlows) -> FlowsReply:
        """In a thread: there may be a million, and packets' causes, probes and files go on."""
        ends = [End(one.address, one.port, one.vni) for one in request.ends]
        try:
            return await asyncio.to_thread(flows.find, self._state.config.name, self._state.dataplane, ends)
        except (DataplaneError, ValueError) as error:
            raise CannotAnswer(str(error)) from error

    def _run_at(self, request: WhatIf) -> tuple[str, int]:
        if request.program != PROGRAM:
            raise CannotAnswer(f"a node of a cell has no program {request.program!r}")
        return PROGRAM, self._state.substrate.ifindex
