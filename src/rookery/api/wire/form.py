"""From a query string or form body to a tree of strings: {"Filter": {"1": {"Name": "vpc-id"}}}.

Everything that is no proper form ends here, with MalformedQueryString or InvalidQueryParameter.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from rookery.api.operation import ApiError

MAX_FIELDS = 20_000
MAX_DEPTH = 12  # EC2's deepest input has nine parts

Tree = dict[str, Any]

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def fields(raw: bytes) -> dict[str, str]:
    """The fields of an application/x-www-form-urlencoded text, in order."""
    text = _text(raw)
    if _BAD_ESCAPE.search(text):
        raise malformed("A '%' must be followed by two hexadecimal digits.")
    if text.count("&") >= MAX_FIELDS:
        raise malformed(f"A request has at most {MAX_FIELDS} parameters.")
    found: dict[str, str] = {}
    for field in text.split("&"):
        if field:
            name, _, value = field.partition("=")
            _add(found, _unquoted(name), _unquoted(value))
    return found


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise malformed("The request is not UTF-8.") from error


def _add(found: dict[str, str], name: str, value: str) -> None:
    if name in found:
        raise ApiError(
            "InvalidQueryParameter", f"The parameter '{_shortened(name)}' was given more than once."
        )
    if _NOT_IN_XML.search(name) or _NOT_IN_XML.search(value):
        raise malformed("The request holds control characters.")
    found[name] = value


def _unquoted(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError as error:
        raise malformed("A parameter is not UTF-8.") from error


def tree(flat: dict[str, str]) -> Tree:
    """Of dotted names. Raises MalformedQueryString when a name is a value and a branch at once, or too deep."""
    root: Tree = {}
    for name, value in flat.items():
        if "." not in name:
            _set(root, name, value, name)
        else:
            _branch(root, name, value)
    return root


def _branch(root: Tree, name: str, value: str) -> None:
    parts = name.split(".")
    if len(parts) > MAX_DEPTH:
        raise malformed(f"The parameter '{_shortened(name)}' is nested too deeply.")
    node = root
    for part in parts[:-1]:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise malformed(f"The parameter '{_shortened(name)}' contradicts another one.")
    _set(node, parts[-1], value, name)


def _set(node: Tree, part: str, value: str, name: str) -> None:
    if part in node:
        raise malformed(f"The parameter '{_shortened(name)}' contradicts another one.")
    node[part] = value


def malformed(why: str) -> ApiError:
    return ApiError("MalformedQueryString", f"The query string is malformed. {why}")


def _shortened(name: str) -> str:
    return name if len(name) <= 80 else name[:80] + "..."
