"""Names of things of ELBv2, and the tags they begin with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rookery.api.operation import ApiError

MAX_TAGS = 50
_TEXT = re.compile(r"[\w\s.:/=+\-@]*\Z")
_NAME = re.compile(r"[A-Za-z0-9-]{1,32}\Z")


def checked_name(name: str, noun: str) -> str:
    """Raises ValidationError."""
    if not _NAME.match(name):
        why = (
            "can only contain characters that are alphanumeric characters and hyphens(-), at most 32 of them"
        )
        raise ApiError("ValidationError", f"The {noun} name '{name[:80]}' {why}")
    if name.startswith("-") or name.endswith("-"):
        raise ApiError("ValidationError", f"The {noun} name '{name}' cannot begin or end with a hyphen(-)")
    if noun == "load balancer" and name.startswith("internal-"):
        raise ApiError("ValidationError", f"The {noun} name '{name}' cannot begin with 'internal-'")
    return name


def checked_tags(pairs: Sequence[dict[str, Any]] | None) -> dict[str, str]:
    """Raises ValidationError, DuplicateTagKeys, TooManyTags."""
    tags: dict[str, str] = {}
    for pair in pairs or ():
        key, value = pair["Key"], pair.get("Value") or ""
        if not (_TEXT.match(key) and _TEXT.match(value)):
            raise ApiError("ValidationError", f"The tag '{key[:80]}' holds characters that tags do not have")
        if key.lower().startswith("aws:"):
            raise ApiError("ValidationError", "Tag keys that begin with 'aws:' are reserved for internal use")
        if key in tags:
            raise ApiError("DuplicateTagKeys", f"Duplicate tag key '{key}' specified")
        tags[key] = value
    return check_count(tags)


def check_count(tags: dict[str, str]) -> dict[str, str]:
    """Of one resource, all together."""
    if len(tags) > MAX_TAGS:
        raise ApiError("TooManyTags", f"The maximum number of tags for a resource is {MAX_TAGS}")
    return tags
