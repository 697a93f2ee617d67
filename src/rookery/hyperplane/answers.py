"""What a node answers on its control socket (rookery.host.control)."""

from __future__ import annotations

import msgspec

from rookery.host.control import Request, WhatIf
from rookery.host.control_socket import CannotAnswer
from rookery.host.node_answers import NodeAnswers
from rookery.hyperplane.state import NodeState

PROGRAM = "hyperplane"


class Answers(NodeAnswers[NodeState]):
    async def _of_its_own(self, request: Request) -> msgspec.Struct:
        raise CannotAnswer(f"{self._state.config.name} is a node of a cell: it has no answer to {type(request).__name__}")

    def _run_at(self, request: WhatIf) -> tuple[str, int]:
        if request.program != PROGRAM:
            raise CannotAnswer(f"a node of a cell has no program {request.program!r}")
        return PROGRAM, self._state.substrate.ifindex
