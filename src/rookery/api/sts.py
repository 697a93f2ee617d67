"""STS, as far as it is built: who am I."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rookery.api.operation import ApiError, Request


def _caller_identity(request: Request) -> dict[str, Any]:
    """IAM is not built: a key acts as the account itself."""
    return {
        "UserId": request.account,
        "Account": request.account,
        "Arn": f"arn:aws:iam::{request.account}:root",
    }


_OPERATIONS: dict[str, Callable[[Request], dict[str, Any]]] = {"GetCallerIdentity": _caller_identity}


def run(request: Request) -> dict[str, Any]:
    """Raises ApiError."""
    found = _OPERATIONS.get(request.operation)
    if found is None:
        why = f"Rookery does not support the operation {request.operation} of STS yet."
        raise ApiError("UnsupportedOperation", why)
    return found(request)
