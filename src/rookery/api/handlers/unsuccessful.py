"""Calls that do what they can: what they could not do is a list in an answer that is no error."""

from __future__ import annotations

from typing import Any


def item(resource_id: str, code: str, message: str) -> dict[str, Any]:
    """`UnsuccessfulItem`."""
    return {"ResourceId": resource_id, "Error": {"Code": code, "Message": message}}


def unsuccessful(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Unsuccessful": items}
