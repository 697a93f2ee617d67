"""GetConsoleOutput: the end of what an instance's console said, as its host last told it.

A host tells soon after something was said, and of an instance that goes on talking once a minute: `Latest` is no other answer."""

from __future__ import annotations

import base64
from typing import Any

from rookery.api.lookup import find
from rookery.api.operation import Outcome, Request, View, operation
from rookery.model.objects import Instance


@operation("GetConsoleOutput")
def get_console_output(request: Request, view: View) -> Outcome:
    """Nothing was said yet: no output, and the time of the question."""
    instance = find(view, Instance, request.parameters["InstanceId"])
    said = view.console(instance.id)
    result: dict[str, Any] = {"InstanceId": instance.id, "Timestamp": said.time if said else request.now}
    if said:
        result["Output"] = base64.b64encode(said.output).decode()
    return Outcome(result=result)
