"""CBOR (RFC 8949), as far as Smithy's RPC v2 needs it: what JSON knows, bytes, and times (tag 1).

Whatever is no such item ends here, with SerializationException."""

from __future__ import annotations

import datetime
import io
from typing import Any

import cbor2

from rookery.api.operation import ApiError

MAX_DEPTH = 32
_PLAIN = (str, bytes, int, float, datetime.datetime, type(None))


def loads(packed: bytes) -> Any:
    """The one item that it is; a time is a datetime. Raises ApiError."""
    stream = io.BytesIO(packed)
    decoder = cbor2.CBORDecoder(stream, max_depth=MAX_DEPTH, allow_duplicate_keys=False, strict_hashable_types=True)
    try:
        value = decoder.decode()
    except cbor2.CBORDecodeError as error:
        raise _malformed(str(error)) from error
    if stream.read(1):
        raise _malformed("something follows the item")
    _check(value)
    return value


def _check(value: Any) -> None:
    """The library knows many more kinds of items, by their tags. Raises ApiError."""
    if isinstance(value, list):
        for one in value:
            _check(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if not isinstance(name, str):
                raise _malformed("a map has names that are no text")
            _check(one)
    elif not isinstance(value, _PLAIN):
        raise _malformed(f"nothing here is a {type(value).__name__}")


def _malformed(why: str) -> ApiError:
    return ApiError("SerializationException", f"The request is not sound CBOR: {why}.")


def dumps(value: Any) -> bytes:
    """Of what a result is made of. Raises TypeError."""
    try:
        return cbor2.dumps(value, datetime_as_timestamp=True)
    except cbor2.CBOREncodeError as error:
        raise TypeError(f"no item of CBOR: {error}") from error
