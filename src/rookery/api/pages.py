"""MaxResults and NextToken, once for all describe calls.

A token says after which (created, id) the next page begins, so that what is made or deleted in between neither repeats nor
hides anything else. It is bound to the account, region, operation and other parameters by a digest: a token of another
question is InvalidNextToken, like one that was tampered with. It carries nothing that its owner may not see.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from rookery.api.errors import invalid_combination, invalid_value
from rookery.api.operation import ApiError, Request

R = TypeVar("R")

MIN_RESULTS = 5
MAX_RESULTS = 1000

Position = tuple[float, str]


class Page(NamedTuple):
    items: list[Any]
    next_token: str | None

    def result(self, member: str, rendered: Sequence[Any]) -> dict[str, Any]:
        """The operation's output: `rendered` under `member`, and the token where there is one."""
        result: dict[str, Any] = {member: list(rendered)}
        if self.next_token:
            result["NextToken"] = self.next_token
        return result


def created_and_id(resource: Any) -> Position:
    return (resource.created, resource.id)


def page(
    request: Request,
    items: Sequence[R],
    ids_member: str = "",
    position: Callable[[R], Position] = created_and_id,
    least: int = MIN_RESULTS,
) -> Page:
    """The page of `items` that the request asks for. Raises InvalidParameterValue (MaxResults), InvalidNextToken,
    InvalidParameterCombination (MaxResults with ids)."""
    size = _size(request, ids_member, least)
    token = request.parameters.get("NextToken")
    ordered = sorted(items, key=position)
    if token:
        after = position_of(request, token)
        ordered = [item for item in ordered if position(item) > after]
    if size is None or len(ordered) <= size:
        return Page(ordered, None)
    return Page(ordered[:size], token_of(request, position(ordered[size - 1])))


def _size(request: Request, ids_member: str, least: int) -> int | None:
    size = request.parameters.get("MaxResults")
    if size is None:
        return None
    if not least <= size <= MAX_RESULTS:
        why = f"Expecting a value between {least} and {MAX_RESULTS}."
        raise invalid_value("maxResults", size, why)
    if ids_member and request.parameters.get(ids_member):
        raise invalid_combination(f"The parameter {ids_member} cannot be used with the parameter maxResults")
    return int(size)


def token_of(request: Request, position: Position) -> str:
    """Good for the same question only."""
    body = msgspec.msgpack.encode((position[0], position[1]))
    return base64.urlsafe_b64encode(_digest(request, body) + body).decode()


def position_of(request: Request, token: str) -> Position:
    """Raises InvalidNextToken."""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        body = raw[16:]
        if raw[:16] == _digest(request, body):
            return msgspec.msgpack.decode(body, type=tuple[float, str])
    except (binascii.Error, ValueError):  # msgspec's errors are ValueErrors
        pass
    raise ApiError("InvalidNextToken", "The token provided is not valid for this request.")


def _digest(request: Request, body: bytes) -> bytes:
    question = {k: v for k, v in request.parameters.items() if k not in ("NextToken", "MaxResults", "DryRun")}
    text = repr((request.account, request.region, request.operation, sorted(question.items())))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass") + body, digest_size=16).digest()
