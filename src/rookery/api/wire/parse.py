"""Compiles the input shape of an operation into a function from a tree of strings to typed parameters.

The names on the wire are those of botocore's serialisers (botocore/serialize.py, EC2Serializer and QuerySerializer). What
the model does not know is UnknownParameter; what is not of its type or enumeration is InvalidParameterValue.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Callable
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from rookery.api.errors import invalid_value, missing_parameter
from rookery.api.operation import ApiError

Parser = Callable[[Any], dict[str, Any]]
_Read = Callable[[Any, str], Any]  # node, its name on the wire

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_FLOAT = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?\Z")
_BITS = {"integer": 31, "long": 63}
PROTOCOL_FIELDS = frozenset({"Action", "Version"})


def compile_parser(shape: StructureShape | None, is_ec2: bool) -> Parser:
    """Takes wire.form.tree's result, Action and Version still in it."""
    read = _structure(shape, is_ec2, PROTOCOL_FIELDS) if shape else _nothing
    return lambda tree: read(tree, "")


def _nothing(node: Any, _path: str) -> dict[str, Any]:
    for name in node:
        if name not in PROTOCOL_FIELDS:
            raise _unknown(name)
    return {}


def _reader(shape: Shape, is_ec2: bool) -> _Read:
    if isinstance(shape, StructureShape):
        return _structure(shape, is_ec2)
    if isinstance(shape, ListShape):
        return _list(shape, is_ec2)
    if isinstance(shape, MapShape):
        return _map(shape, is_ec2)
    return _scalar(shape)


def _structure(shape: StructureShape, is_ec2: bool, ignored: frozenset[str] = frozenset()) -> _Read:
    members = {
        _wire_name(name, member, is_ec2): (name, _reader(member, is_ec2))
        for name, member in shape.members.items()
    }
    required = [(name, _wire_name(name, shape.members[name], is_ec2)) for name in shape.required_members]

    def read(node: Any, path: str) -> dict[str, Any]:
        if not isinstance(node, dict):
            raise invalid_value(path, node, "A structure is expected.")
        found = {}
        for key, value in node.items():
            member = members.get(key)
            if member is not None:
                found[member[0]] = member[1](value, f"{path}.{key}" if path else key)
            elif key not in ignored:
                raise _unknown(f"{path}.{key}" if path else key)
        for name, wire_name in required:
            if name not in found:
                raise missing_parameter(f"{path}.{wire_name}" if path else wire_name)
        return found

    return read


def _wire_name(member_name: str, member: Shape, is_ec2: bool) -> str:
    serialization = member.serialization
    if not is_ec2:
        return serialization.get("name", member_name)
    if "queryName" in serialization:
        return serialization["queryName"]
    name = serialization.get("name")
    return name[0].upper() + name[1:] if name else member_name


def _list(shape: ListShape, is_ec2: bool) -> _Read:
    read_element = _reader(shape.member, is_ec2)
    least, most = _limits(shape)
    level = (
        ""
        if is_ec2 or shape.serialization.get("flattened")
        else shape.member.serialization.get("name", "member")
    )

    def read(node: Any, path: str) -> list[Any]:
        if node == "":
            return []
        if level:
            node, path = _descend(node, path, level)
        elements = _elements(node, path)
        if not least <= len(elements) <= most:
            raise invalid_value(path, f"{len(elements)} elements", f"It has {least} to {most} elements.")
        return [read_element(value, f"{path}.{index}") for index, value in elements]

    return read


def _map(shape: MapShape, is_ec2: bool) -> _Read:
    """`entry.N.key` and `entry.N.value`, as the query protocol writes one; EC2 has none."""
    read_key, read_value = _reader(shape.key, is_ec2), _reader(shape.value, is_ec2)

    def read(node: Any, path: str) -> dict[Any, Any]:
        node, path = _descend(node, path, "entry")
        found = {}
        for index, entry in _elements(node, path):
            where = f"{path}.{index}"
            if not isinstance(entry, dict) or entry.keys() != {"key", "value"}:
                raise invalid_value(where, "an entry", "It has a key and a value.")
            found[read_key(entry["key"], where)] = read_value(entry["value"], where)
        return found

    return read


def _descend(node: Any, path: str, level: str) -> tuple[Any, str]:
    if not isinstance(node, dict):
        raise invalid_value(path, node, "A list is expected.")
    for key in node:
        if key != level:
            raise _unknown(f"{path}.{key}")
    return node[level], f"{path}.{level}"


def _elements(node: Any, path: str) -> list[tuple[int, Any]]:
    """By index. Gaps are allowed, as at AWS."""
    if not isinstance(node, dict):
        raise invalid_value(path, node, "A list is expected.")
    for key in node:
        if not (key.isascii() and key.isdigit() and len(key) <= 9):
            raise _unknown(f"{path}.{key}")
    if len({int(key) for key in node}) < len(node):
        raise invalid_value(path, "a repeated index", "Every element has an index of its own.")
    return (
        sorted((int(key), value) for key, value in node.items())
        if len(node) > 1
        else [(int(key), value) for key, value in node.items()]
    )


def _scalar(shape: Shape) -> _Read:
    convert = _CONVERT[shape.type_name](shape)

    def read(node: Any, path: str) -> Any:
        if isinstance(node, str):
            return convert(node, path)
        raise invalid_value(path, "a structure", f"A {shape.type_name} is expected.")

    return read


def _string(shape: Shape) -> _Read:
    choices = frozenset(shape.enum) if isinstance(shape, StringShape) else frozenset()
    least, most = _limits(shape)

    def read(text: str, path: str) -> str:
        if choices and text not in choices:
            raise invalid_value(path, text, _expected(choices))
        if not least <= len(text) <= most:
            raise invalid_value(path, text[:80], f"It has {least} to {most} characters.")
        return text

    return read


def _expected(choices: frozenset[str]) -> str:
    if len(choices) > 20:
        return "It is not one of the values that the API knows."
    return f"Expecting one of: {', '.join(sorted(choices))}."


def _integer(shape: Shape) -> _Read:
    least, most = _limits(shape)
    bits = _BITS[shape.type_name]

    def read(text: str, path: str) -> int:
        if not _INTEGER.match(text):
            raise invalid_value(path, text[:80], "An integer is expected.")
        number = int(text)
        if not -(1 << bits) <= number < 1 << bits:
            raise invalid_value(path, text, "The integer is too large.")
        if not least <= number <= most:
            raise invalid_value(path, text, f"It lies between {least} and {most}.")
        return number

    return read


def _limits(shape: Shape) -> tuple[float, float]:
    """Of an integer's value, a string's or a list's length."""
    default = float("-inf") if shape.type_name in _BITS else 0
    return shape.metadata.get("min", default), shape.metadata.get("max", float("inf"))


def _boolean(_shape: Shape) -> _Read:
    values = {"true": True, "false": False}

    def read(text: str, path: str) -> bool:
        value = values.get(text.lower())
        if value is None:
            raise invalid_value(path, text[:80], "Expecting true or false.")
        return value

    return read


def _float(_shape: Shape) -> _Read:
    def read(text: str, path: str) -> float:
        number = float(text) if _FLOAT.match(text) else float("inf")
        if abs(number) == float("inf"):
            raise invalid_value(path, text[:80], "A number is expected.")
        return number

    return read


def _blob(_shape: Shape) -> _Read:
    def read(text: str, path: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid_value(path, text[:80], "Base64 is expected.") from error

    return read


def _timestamp(_shape: Shape) -> _Read:
    def read(text: str, path: str) -> datetime.datetime:
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError as error:
            raise invalid_value(path, text[:80], "An ISO 8601 time is expected.") from error
        return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)

    return read


_CONVERT: dict[str, Callable[[Shape], _Read]] = {
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "boolean": _boolean,
    "float": _float,
    "double": _float,
    "blob": _blob,
    "timestamp": _timestamp,
}


def _unknown(name: str) -> ApiError:
    shown = name if len(name) <= 120 else name[:120] + "..."
    return ApiError("UnknownParameter", f"The parameter {shown} is not recognized")
