"""Which names and descriptions security groups and their rules may have."""

from __future__ import annotations

import re

from rookery.api.errors import invalid_parameter, invalid_value, missing_parameter
from rookery.api.operation import ApiError

MOST_CHARACTERS = 255

_ALLOWED = r"a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
_WORDS = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]*\Z")


def _are_allowed(text: str) -> bool:
    return len(text) <= MOST_CHARACTERS and bool(_WORDS.match(text))


def group_name(given: str) -> str:
    """As it is kept: spaces at its end are dropped. Raises MissingParameter, InvalidParameterValue,
    InvalidGroup.Reserved."""
    name = given.rstrip(" ")
    if not name:
        raise missing_parameter("GroupName")
    if not _are_allowed(name):
        raise invalid_value("GroupName", name[:80], f"It has at most 255 characters of {_ALLOWED}")
    if name == "default":
        raise invalid_parameter("Cannot use reserved security group name: default")
    if name.startswith("sg-"):
        raise ApiError("InvalidGroup.Reserved", f"The name '{name}' is reserved: no name begins with 'sg-'.")
    return name


def group_description(given: str) -> str:
    """Raises MissingParameter, InvalidParameterValue."""
    if not given:
        raise missing_parameter("GroupDescription")
    if not _are_allowed(given):
        why = f"It has at most 255 characters of {_ALLOWED}"
        raise invalid_value("GroupDescription", given[:80], why)
    return given


def rule_description(given: str | None) -> str:
    """Raises InvalidParameterValue."""
    if given and not _are_allowed(given):
        raise invalid_parameter(
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following "
            f"set: {_ALLOWED}"
        )
    return given or ""
