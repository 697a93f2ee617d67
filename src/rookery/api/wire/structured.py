"""Compiles the shapes of an operation whose requests and answers are structures already: JSON's or CBOR's.

What the model does not know is refused, what is not of its type or enumeration is InvalidParameterValue, as wire.parse has it of forms."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from rookery.api.errors import invalid_value, missing_parameter
from rookery.api.operation import ApiError

_Read = Callable[[Any, str], Any]  # value, its name

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "float": (int, float),
    "double": (int, float),
    "blob": (bytes, str),
    "timestamp": (int, float, datetime.datetime),
}


def compile_reader(shape: StructureShape | None) -> Callable[[Any], dict[str, Any]]:
    read = _reader(shape) if shape else _nothing
    return lambda value: read(value, "")


def _nothing(value: Any, _path: str) -> dict[str, Any]:
    if value not in (None, {}):
        raise invalid_value("the request", "a structure", "The operation takes none.")
    return {}


def _reader(shape: Shape) -> _Read:
    if isinstance(shape, StructureShape):
        return _structure(shape)
    if isinstance(shape, ListShape):
        return _list(shape)
    if isinstance(shape, MapShape):
        return _map(shape)
    return _scalar(shape)


def _structure(shape: StructureShape) -> _Read:
    members: dict[str, _Read] = {}

    def read(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid_value(path or "the request", type(value).__name__, "A structure is expected.")
        found = {}
        for name, item in value.items():
            where = f"{path}.{name}" if path else str(name)
            if name not in shape.members:
                raise ApiError("UnknownParameter", f"The parameter {where[:120]} is not recognized")
            if item is None:
                continue
            if name not in members:  # compiled when first met: shapes may hold themselves
                members[name] = _reader(shape.members[name])
            found[name] = members[name](item, where)
        for name in shape.required_members:
            if name not in found:
                raise missing_parameter(f"{path}.{name}" if path else name)
        return found

    return read


def _list(shape: ListShape) -> _Read:
    read_element = _reader(shape.member)
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", math.inf)

    def read(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise invalid_value(path, type(value).__name__, "A list is expected.")
        if not least <= len(value) <= most:
            raise invalid_value(path, f"{len(value)} elements", f"It has {least} to {most} elements.")
        return [read_element(item, f"{path}.member.{number}") for number, item in enumerate(value, 1)]

    return read


def _map(shape: MapShape) -> _Read:
    read_value = _reader(shape.value)

    def read(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid_value(path, type(value).__name__, "A map is expected.")
        return {name: read_value(item, f"{path}.{name}") for name, item in value.items()}

    return read


def _scalar(shape: Shape) -> _Read:
    kinds = _KINDS[shape.type_name]
    choices = frozenset(shape.enum) if isinstance(shape, StringShape) else frozenset()

    def read(value: Any, path: str) -> Any:
        known: Any = value
        if not isinstance(known, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise invalid_value(path, type(value).__name__, f"A {shape.type_name} is expected.")
        if shape.type_name == "timestamp":
            return value if isinstance(value, datetime.datetime) else moment(float(value))
        if choices and value not in choices:
            raise invalid_value(path, str(value)[:80], f"Expecting one of: {', '.join(sorted(choices))}.")
        _check_limits(shape, value, path)
        return value

    return read


def _check_limits(shape: Shape, value: Any, path: str) -> None:
    """Of a number, or of a string's length."""
    size = len(value) if isinstance(value, str | bytes) else value
    if not shape.metadata.get("min", -math.inf) <= size <= shape.metadata.get("max", math.inf):
        raise invalid_value(path, str(value)[:80], "It is too small or too large.")


def checked(shape: Shape | None, value: Any) -> Any:
    """A result without what is None. Raises KeyError for a member that the model does not know: a mistake of a handler."""
    if isinstance(shape, StructureShape):
        return {name: checked(shape.members[name], item) for name, item in value.items() if item is not None}
    if isinstance(shape, ListShape):
        return [checked(shape.member, item) for item in value]
    return value


def moment(seconds: float) -> datetime.datetime:
    """Raises ApiError."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ApiError("SerializationException", "A time lies beyond all times.") from error
