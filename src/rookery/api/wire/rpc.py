"""Two protocols in which the operation is named outside of the body: AWS's JSON 1.0 (X-Amz-Target), and Smithy's RPC v2 with CBOR (the path).

Errors say the name of their shape in the body, and the code that the query protocol had for it in a header."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from rookery.api.operation import ApiError
from rookery.api.signature import HttpRequest
from rookery.api.wire import cbor

_CBOR_PATH = re.compile(r"/service/([A-Za-z0-9_.]{1,100})/operation/([A-Za-z0-9_]{1,100})\Z")
_TARGET = re.compile(r"([A-Za-z0-9_]{1,100})\.([A-Za-z0-9_]{1,100})\Z")
_BASE_HEADERS = {"smithy-protocol": "rpc-v2-cbor"}


class Rpc(NamedTuple):
    media_type: str
    headers: dict[str, str]  # of answers
    loads: Callable[[bytes], Any]
    dumps: Callable[[Any], bytes]
    named: Callable[[HttpRequest], re.Match[str] | None]


def _json_loads(packed: bytes) -> Any:
    try:
        return json.loads(packed or b"{}", parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ApiError("SerializationException", "The request is not sound JSON.") from error


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _json_dumps(value: Any) -> bytes:
    return json.dumps(value, default=_seconds).encode()


def _seconds(value: Any) -> float:
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    raise TypeError(f"nothing that JSON has: {type(value).__name__}")


def _cbor_loads(packed: bytes) -> Any:
    return cbor.loads(packed) if packed else {}


JSON = Rpc("application/x-amz-json-1.0", {}, _json_loads, _json_dumps, lambda http: _TARGET.match(http.header("x-amz-target")))
CBOR = Rpc("application/cbor", _BASE_HEADERS, _cbor_loads, cbor.dumps, lambda http: _CBOR_PATH.match(http.path))


def rpc_of(http: HttpRequest) -> Rpc | None:
    """None: a form."""
    if http.path.startswith("/service/"):
        return CBOR
    return JSON if "x-amz-target" in http.headers else None


def target_of(rpc: Rpc, http: HttpRequest) -> tuple[str, str]:
    """Prefix of the service, and the operation. Raises ApiError."""
    found = rpc.named(http)
    if found is None:
        raise unknown_operation()
    return found[1], found[2]


def unknown_operation() -> ApiError:
    return ApiError("UnknownOperationException", "The requested operation is not recognized by the service.")


def error_content(error: ApiError, shape_name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Body and headers."""
    who = "Sender" if error.status < 500 else "Receiver"
    return {"__type": shape_name, "message": error.message}, {"x-amzn-query-error": f"{error.code};{who}"}
