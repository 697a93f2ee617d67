"""ClientToken: the same request again gives the same answer; the same token with other parameters is refused.

The record is written in the transaction that makes the resources, so that there is never one without the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from rookery.api.operation import ApiError, Outcome, Request, View
from rookery.model.codec import KINDS
from rookery.model.objects import Resource

KEPT_SECONDS = 24 * 3600.0
MAX_TOKEN = 64  # ASCII characters

Redescribe = Callable[[Request, View, Sequence[Resource]], dict[str, Any]]

REDESCRIBE: dict[str, Redescribe] = {}


def redescribes(name: str) -> Callable[[Redescribe], Redescribe]:
    """Registers how operation `name` answers a repeated token: from the resources as they are now, in the order of
    the first Outcome's puts. Without it, or when one of them is gone, the first answer is repeated as it was."""

    def register(function: Redescribe) -> Redescribe:
        REDESCRIBE[name] = function
        return function

    return register


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What lies under model.keys.token_key."""

    digest: str  # of the parameters
    made: list[tuple[str, str]]  # kind, id
    result: bytes  # msgpack of the first answer
    created: float


def check_token(token: str) -> None:
    if len(token) > MAX_TOKEN or not token.isascii():
        raise ApiError("InvalidClientToken", f"A client token has at most {MAX_TOKEN} ASCII characters")


def digest_of(request: Request) -> str:
    """Of all parameters but DryRun."""
    question = {k: v for k, v in request.parameters.items() if k != "DryRun"}
    return hashlib.blake2b(msgspec.json.encode(question, order="sorted"), digest_size=16).hexdigest()


def record_of(request: Request, outcome: Outcome) -> TokenRecord:
    return TokenRecord(
        digest=digest_of(request),
        made=[(one.KIND, one.id) for one in outcome.puts],
        result=msgspec.msgpack.encode(outcome.result),
        created=request.now,
    )


def answer_again(request: Request, view: View, record: TokenRecord) -> dict[str, Any]:
    """Raises IdempotentParameterMismatch."""
    if record.digest != digest_of(request):
        raise ApiError(
            "IdempotentParameterMismatch",
            "The request uses the same client token as a previous, but non-identical request.",
        )
    resources = [view.get(KINDS[kind], resource_id) for kind, resource_id in record.made]
    found = [one for one in resources if one is not None]
    redescribe = REDESCRIBE.get(request.operation)
    if redescribe is None or len(found) < len(resources):
        return msgspec.msgpack.decode(record.result)
    return redescribe(request, view, found)
