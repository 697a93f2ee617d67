"""CBOR (RFC 8949), as far as Smithy's RPC v2 needs it: what JSON knows, bytes, and tag 1 (seconds since 1970).

Whatever is no such item ends here, with SerializationException."""

from __future__ import annotations

import datetime
import struct
from typing import Any

from rookery.api.operation import ApiError

MAX_DEPTH = 32
EPOCH_TAG = 1
BREAK = object()  # ends what has no length
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}


def loads(packed: bytes) -> Any:
    """The one item that it is; a time is a datetime. Raises ApiError."""
    reader = _Reader(packed)
    value = reader.item(0)
    if value is BREAK or reader.at != len(packed):
        raise malformed("Something follows the item.")
    return value


def malformed(why: str) -> ApiError:
    return ApiError("SerializationException", f"The request is not sound CBOR. {why}")


class _Reader:
    def __init__(self, packed: bytes):
        self._packed = packed
        self.at = 0

    def item(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise malformed("It is nested too deeply.")
        (first,) = self._take(1)
        major, more = first >> 5, first & 0x1F
        if major == 7:
            return self._simple(more)
        length = self._length(major, more)
        return (self._unsigned, self._negative, self._bytes, self._text, self._list, self._map, self._tag)[major](length, depth)

    def _take(self, count: int) -> bytes:
        taken = self._packed[self.at : self.at + count]
        if len(taken) < count:
            raise malformed("It is cut off.")
        self.at += count
        return taken

    def _length(self, major: int, more: int) -> int | None:
        """None: there is none, and BREAK ends it."""
        if more < 24:
            return more
        if more in _SIZES:
            return int.from_bytes(self._take(_SIZES[more]), "big")
        if more == 31 and major in (2, 3, 4, 5):
            return None
        raise malformed("An item has no sound length.")

    def _simple(self, more: int) -> Any:
        if more == 31:
            return BREAK
        if more in _FLOATS:
            return _FLOATS[more].unpack(self._take(_FLOATS[more].size))[0]
        if more in _SIMPLE:
            return _SIMPLE[more]
        raise malformed("It has a value that is none.")

    def _unsigned(self, number: Any, _depth: int) -> int:
        return number

    def _negative(self, number: Any, _depth: int) -> int:
        return -1 - number

    def _bytes(self, length: int | None, depth: int) -> bytes:
        return self._take(length) if length is not None else b"".join(self._pieces(bytes, depth))

    def _text(self, length: int | None, depth: int) -> str:
        if length is None:
            return "".join(self._pieces(str, depth))
        try:
            return self._take(length).decode()
        except UnicodeDecodeError as error:
            raise malformed("A string is not UTF-8.") from error

    def _pieces(self, kind: type, depth: int) -> list[Any]:
        pieces = []
        while (piece := self.item(depth + 1)) is not BREAK:
            if not isinstance(piece, kind):
                raise malformed("A string has pieces that are none.")
            pieces.append(piece)
        return pieces

    def _list(self, length: int | None, depth: int) -> list[Any]:
        found: list[Any] = []
        while length is None or len(found) < length:
            value = self.item(depth + 1)
            if value is BREAK:
                if length is None:
                    break
                raise malformed("A list ends before its end.")
            found.append(value)
        return found

    def _map(self, length: int | None, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while length is None or len(found) < length:
            name = self.item(depth + 1)
            if name is BREAK and length is None:
                break
            value = self.item(depth + 1)
            if not isinstance(name, str) or value is BREAK or name in found:
                raise malformed("A map has no sound names and values.")
            found[name] = value
        return found

    def _tag(self, tag: Any, depth: int) -> Any:
        value = self.item(depth + 1)
        if tag != EPOCH_TAG or isinstance(value, bool) or not isinstance(value, int | float):
            raise malformed("Only times have a tag.")
        return moment(value)


def moment(seconds: float) -> datetime.datetime:
    """Raises ApiError."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ApiError("SerializationException", "A time lies beyond all times.") from error


def dumps(value: Any) -> bytes:
    """Of what a result is made of. Raises TypeError."""
    out = bytearray()
    _write(value, out)
    return bytes(out)


def _write(value: Any, out: bytearray) -> None:  # noqa: C901, PLR0912 - one kind of item a branch
    if value is None:
        out.append(0xF6)
    elif isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _head(out, 0 if value >= 0 else 1, value if value >= 0 else -1 - value)
    elif isinstance(value, float):
        out += b"\xfb" + _FLOATS[27].pack(value)
    elif isinstance(value, str):
        packed = value.encode()
        _head(out, 3, len(packed))
        out += packed
    elif isinstance(value, datetime.datetime):
        _head(out, 6, EPOCH_TAG)
        _write(value.timestamp(), out)
    elif isinstance(value, list | tuple):
        _head(out, 4, len(value))
        for one in value:
            _write(one, out)
    elif isinstance(value, dict):
        _head(out, 5, len(value))
        for name, one in value.items():
            _write(name, out)
            _write(one, out)
    else:
        raise TypeError(f"no item of CBOR: {type(value).__name__}")


def _head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    more, size = next((more, size) for more, size in _SIZES.items() if number < 1 << 8 * size)
    out.append(major << 5 | more)
    out += number.to_bytes(size, "big")
