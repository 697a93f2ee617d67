"""Compiles the output shape of an operation into a function from a result to XML (botocore/parsers.py reads it back).

Strict: a member that the model does not know is a KeyError, a mistake of a handler. A timestamp may be a datetime or unix
seconds. None is left out.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

_Write = Callable[[Any, list[str]], None]

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def escape(text: str) -> str:
    return text.translate(_ESCAPES)


def compile_serializer(shape: StructureShape | None) -> Callable[[dict[str, Any]], str]:
    if shape is None:
        return _nothing
    write = _members(shape)

    def serialize(result: dict[str, Any]) -> str:
        out: list[str] = []
        write(result, out)
        return "".join(out)

    return serialize


def _nothing(result: dict[str, Any]) -> str:
    if result:
        raise KeyError(f"the operation answers nothing, not {sorted(result)}")
    return ""


def _writer(shape: Shape, tag: str) -> _Write:
    if isinstance(shape, StructureShape):
        return _structure(shape, tag)
    if isinstance(shape, ListShape):
        return _list(shape, tag)
    if isinstance(shape, MapShape):
        raise TypeError(f"no operation of EC2 or STS answers a map, but {shape.name} is one")
    return _scalar(shape, tag)


def _members(shape: StructureShape) -> _Write:
    writers: dict[str, _Write] = {}

    def write(value: dict[str, Any], out: list[str]) -> None:
        for name, item in value.items():
            if item is None:
                continue
            member = writers.get(name)
            if member is None:  # compiled when first met: shapes may hold themselves
                member = writers[name] = _member(shape, name)
            member(item, out)

    return write


def _member(shape: StructureShape, name: str) -> _Write:
    if name not in shape.members:
        raise KeyError(f"{shape.name} has no member {name}")
    member = shape.members[name]
    return _writer(member, member.serialization.get("name", name))


def _structure(shape: StructureShape, tag: str) -> _Write:
    write_members = _members(shape)
    opening, closing = f"<{tag}>", f"</{tag}>"

    def write(value: dict[str, Any], out: list[str]) -> None:
        out.append(opening)
        write_members(value, out)
        out.append(closing)

    return write


def _list(shape: ListShape, tag: str) -> _Write:
    element = _writer(shape.member, shape.member.serialization.get("name", "member"))
    opening, closing = f"<{tag}>", f"</{tag}>"

    def write(value: Any, out: list[str]) -> None:
        out.append(opening)
        for item in value:
            element(item, out)
        out.append(closing)

    return write


def _scalar(shape: Shape, tag: str) -> _Write:
    text_of = _TEXT.get(shape.type_name, str)
    opening, closing = f"<{tag}>", f"</{tag}>"

    def write(value: Any, out: list[str]) -> None:
        out.append(f"{opening}{escape(text_of(value))}{closing}")

    return write


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _timestamp(value: float | datetime.datetime) -> str:
    """2026-11-23T04:05:06.000Z, as EC2 writes it."""
    moment = (
        value
        if isinstance(value, datetime.datetime)
        else datetime.datetime.fromtimestamp(value, datetime.UTC)
    )
    moment = moment.astimezone(datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _blob(value: bytes) -> str:
    return base64.b64encode(value).decode()


_TEXT: dict[str, Callable[[Any], str]] = {"boolean": _boolean, "timestamp": _timestamp, "blob": _blob}
