"""What a launch takes for its metadata options where it says nothing: of an account in an AWS region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from rookery.api.errors import unsupported
from rookery.api.handlers.metadata_options import check_hop_limit
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.model.objects import MetadataDefaults, MetadataOptions

NO_PREFERENCE: tuple[Any, ...] = ("no-preference", -1)  # takes one back
_MEMBERS = {
    "HttpTokens": "tokens",
    "HttpPutResponseHopLimit": "hop_limit",
    "HttpEndpoint": "endpoint",
    "InstanceMetadataTags": "tags_in_metadata",
}


def launch_options(view: View) -> MetadataOptions:
    """Of an instance whose launch says nothing."""
    found = _held(view)
    if found is None:
        return MetadataOptions()
    said = {"tokens": found.tokens, "hop_limit": found.hop_limit, "endpoint": found.endpoint}
    said["tags"] = found.tags_in_metadata
    return replace(MetadataOptions(), **{name: value for name, value in said.items() if value})


def _held(view: View) -> MetadataDefaults | None:
    return next(iter(view.all(MetadataDefaults)), None)


@operation("GetInstanceMetadataDefaults")
def get_instance_metadata_defaults(_request: Request, view: View) -> Outcome:
    found = _held(view)
    said = {name: getattr(found, field) for name, field in _MEMBERS.items()} if found else {}
    shape = {name: value for name, value in said.items() if value}
    return Outcome(result={"AccountLevel": {**shape, "ManagedBy": "account"} if shape else {}})


@operation("ModifyInstanceMetadataDefaults")
def modify_instance_metadata_defaults(request: Request, view: View) -> Outcome:
    changed = _changed(request.parameters)
    if request.parameters.get("HttpTokensEnforced") == "enabled":
        raise unsupported("Rookery does not refuse launches whose tokens are optional yet.")
    if not changed and "HttpTokensEnforced" not in request.parameters:
        raise ApiError("MissingParameter", "The request must contain at least one default to modify")
    before = _held(view) or MetadataDefaults(
        account=request.account,
        region=request.region,
        id=request.ids.new(MetadataDefaults.PREFIX),
        created=request.now,
    )
    after = replace(before, **changed)
    return Outcome(result={"Return": True}, puts=(after,) if after != before else ())


def _changed(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is not said any more is empty."""
    hops = given.get("HttpPutResponseHopLimit")
    if hops is not None and hops not in NO_PREFERENCE:
        check_hop_limit(hops)
    said = {field: given[name] for name, field in _MEMBERS.items() if given.get(name) is not None}
    empty = MetadataDefaults(account="", region="", id="")
    return {
        field: getattr(empty, field) if value in NO_PREFERENCE else value for field, value in said.items()
    }
