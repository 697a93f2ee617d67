"""Tags: taken from requests, checked, rendered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rookery.api.errors import invalid_parameter, invalid_value
from rookery.api.operation import ApiError, Request

MAX_TAGS = 50  # per resource
MAX_KEY = 127  # characters, as EC2 says; 128 elsewhere at AWS
MAX_VALUE = 256


def tags_for(request: Request, resource_type: str, allowed: Collection[str] = ()) -> dict[str, str]:
    """What TagSpecifications give to `resource_type` ("vpc").

    `allowed` names further types that this operation tags; any other is InvalidParameterValue. Raises
    TagLimitExceeded, InvalidTagKey.Malformed, InvalidParameterValue."""
    tags: dict[str, str] = {}
    for specification in request.parameters.get("TagSpecifications") or ():
        given = specification.get("ResourceType")
        _check_type(given, resource_type, allowed)
        more = checked_tags(specification.get("Tags") or ())
        if given == resource_type:
            tags.update(more)
    check_count(tags)
    return tags


def _check_type(given: str | None, resource_type: str, allowed: Collection[str]) -> None:
    if given is None:
        raise invalid_parameter("Tag specification resource type must have a value")
    if given != resource_type and given not in allowed:
        raise invalid_parameter(f"'{given}' is not a valid taggable resource type for this operation.")


def checked_tags(pairs: Collection[Mapping[str, Any]]) -> dict[str, str]:
    """[{"Key": .., "Value": ..}] as a dict. A key given twice is refused."""
    tags: dict[str, str] = {}
    for pair in pairs:
        key, value = pair.get("Key") or "", pair.get("Value") or ""
        _check_key(key)
        if len(value) > MAX_VALUE:
            raise invalid_value("tag value", value, f"A value has at most {MAX_VALUE} characters.")
        if key in tags:
            raise invalid_parameter(f"Duplicate tag key '{key}' specified.")
        tags[key] = value
    return tags


def check_tag_names(pairs: Collection[Mapping[str, Any]]) -> None:
    """Of tags to delete."""
    for pair in pairs:
        _check_key(pair.get("Key") or "")


def _check_key(key: str) -> None:
    if not key:
        raise invalid_parameter("Tag key cannot be empty")
    if key.lower().startswith("aws:"):
        raise invalid_parameter("Tag keys starting with 'aws:' are reserved for internal use")
    if len(key) > MAX_KEY:
        raise ApiError(
            "InvalidTagKey.Malformed", f"Tag key exceeds the maximum length of {MAX_KEY} characters"
        )


def check_count(tags: Collection[str]) -> None:
    """Of one resource, all together."""
    if len(tags) > MAX_TAGS:
        raise ApiError("TagLimitExceeded", f"The maximum number of Tags for a resource is {MAX_TAGS}.")


def render_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
