"""Marker and PageSize: the pages of ELBv2, over the tokens of rookery.api.pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from rookery.api.operation import ApiError, Request
from rookery.api.pages import Position, created_and_id, page

R = TypeVar("R")

MOST = 400  # AWS's page where nobody says how large


def balancing_page(
    request: Request,
    items: Sequence[R],
    member: str,
    render: Callable[[R], dict[str, Any]],
    position: Callable[[R], Position] = created_and_id,
) -> dict[str, Any]:
    """The operation's result. Raises ValidationError for a marker of another question."""
    asked = {name: value for name, value in request.parameters.items() if name not in ("Marker", "PageSize")}
    asked["MaxResults"] = request.parameters.get("PageSize") or MOST
    if request.parameters.get("Marker"):
        asked["NextToken"] = request.parameters["Marker"]
    try:
        found = page(replace(request, parameters=asked), items, position=position, least=1)
    except ApiError as error:
        raise ApiError("ValidationError", "The marker is not valid for this request.") from error
    result: dict[str, Any] = {member: [render(one) for one in found.items]}
    if found.next_token:
        result["NextMarker"] = found.next_token
    return result
