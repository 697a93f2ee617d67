"""The Filters of a describe call: declared per kind as name -> value(s) of an object, matched here.

A resource passes when it passes every filter; it passes a filter when one of its values matches one of the filter's.
Values may hold the wildcards * and ?, taken literally behind a backslash. `tag:<key>` and `tag-key` work everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from rookery.api.errors import invalid_parameter
from rookery.api.operation import ApiError, View

R = TypeVar("R")

Value = str | bool | int | None
Values = Value | Iterable[Value]
Filters = Mapping[str, Callable[[Any, View], Values]]

MAX_VALUES = 200  # per request, all filters together

_Match = Callable[[str], bool]
_ANY_WILDCARD = re.compile(r"[*?\\]")
_TOKENS = re.compile(r"\\(.)|([*?])|(.)", re.DOTALL)


def apply_filters(
    resources: Iterable[R], given: Sequence[Mapping[str, Any]] | None, filters: Filters, view: View
) -> list[R]:
    """`given` is the request's Filters: [{"Name": .., "Values": [..]}]. Raises InvalidParameterValue for a name that
    `filters` does not know, FilterLimitExceeded."""
    tests = [_test_of(one, filters, view) for one in given or ()]
    _check_limit(given or ())
    return [resource for resource in resources if all(test(resource) for test in tests)]


def _check_limit(given: Sequence[Mapping[str, Any]]) -> None:
    if sum(len(one.get("Values") or ()) for one in given) > MAX_VALUES:
        raise ApiError("FilterLimitExceeded", f"The maximum number of filter values is {MAX_VALUES}")


def _test_of(one: Mapping[str, Any], filters: Filters, view: View) -> Callable[[Any], bool]:
    name = one.get("Name") or ""
    patterns = one.get("Values") or ()
    matchers = [matcher(pattern) for pattern in patterns]
    value_of = _value_function(name, filters)
    if value_of is None:
        raise invalid_parameter(f"The filter '{name}' is invalid")
    return lambda resource: any(
        matches(text) for text in _texts(value_of(resource, view)) for matches in matchers
    )


def _value_function(name: str, filters: Filters) -> Callable[[Any, View], Values] | None:
    if name in filters:
        return filters[name]
    if name == "tag-key":
        return lambda resource, _view: tuple(_tags_of(resource))
    if name.startswith("tag:") and len(name) > 4:
        key = name[4:]
        return lambda resource, _view: _tags_of(resource).get(key)
    return None


def _tags_of(resource: Any) -> Mapping[str, str]:
    return getattr(resource, "tags", {})


def _texts(values: Values) -> Iterable[str]:
    if values is None:
        return ()
    if isinstance(values, str | bool | int):
        return (_text(values),)
    return [_text(value) for value in values if value is not None]


def _text(value: str | bool | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@lru_cache(maxsize=4096)
def matcher(pattern: str) -> _Match:
    """Of a filter's value. Case matters. No regular expression: a client's pattern must not cost exponential time."""
    if not _ANY_WILDCARD.search(pattern):
        return pattern.__eq__
    tokens = tuple(_token(match) for match in _TOKENS.finditer(pattern))
    return lambda text: _matches(tokens, text)


def _token(match: re.Match[str]) -> str:
    """One character to match; empty: any one; '**': any number of any."""
    escaped, wildcard, literal = match.groups()
    if wildcard:
        return "**" if wildcard == "*" else ""
    return escaped or literal


def _matches(tokens: tuple[str, ...], text: str) -> bool:
    """Greedy, going back to the last star only: at most len(tokens) * len(text) steps."""
    at = token = 0
    star = resume = -1
    while at < len(text):
        if token < len(tokens) and tokens[token] == "**":
            star, resume, token = token, at, token + 1
        elif token < len(tokens) and tokens[token] in ("", text[at]):
            at, token = at + 1, token + 1
        elif star >= 0:
            resume += 1
            at, token = resume, star + 1
        else:
            return False
    return all(rest == "**" for rest in tokens[token:])
