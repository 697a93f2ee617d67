"""CreateTags, DeleteTags, DescribeTags: for every kind of thing alike."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from rookery.api.errors import missing_parameter, unsupported
from rookery.api.filters import apply_filters
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import check_count, check_tag_names, checked_tags
from rookery.model.objects import RESOURCES, Resource

_KINDS = {kind.PREFIX: kind for kind in RESOURCES}


class Tagged(NamedTuple):
    """One tag of one resource: what DescribeTags lists."""

    resource: Resource
    key: str
    value: str

    @property
    def tags(self) -> dict[str, str]:
        return {self.key: self.value}


FILTERS = {
    "key": lambda one, _view: one.key,
    "value": lambda one, _view: one.value,
    "resource-id": lambda one, _view: one.resource.id,
    "resource-type": lambda one, _view: one.resource.KIND,
}


@operation("CreateTags")
def create_tags(request: Request, view: View) -> Outcome:
    added = checked_tags(request.parameters["Tags"])
    if not added:
        raise missing_parameter("Tag")
    resources = _resources(request, view)
    changed = [replace(one, tags={**one.tags, **added}) for one in resources]
    for one in changed:
        check_count(one.tags)
    return Outcome(puts=_really_changed(changed, resources))


@operation("DeleteTags")
def delete_tags(request: Request, view: View) -> Outcome:
    """Without Tags: all of them. A tag with a value is deleted only where it has this value."""
    resources = _resources(request, view)
    unwanted = request.parameters.get("Tags")
    if unwanted is not None:
        check_tag_names(unwanted)
    changed = [replace(one, tags=_kept(one.tags, unwanted)) for one in resources]
    return Outcome(puts=_really_changed(changed, resources))


def _kept(tags: dict[str, str], unwanted: list[dict[str, Any]] | None) -> dict[str, str]:
    if unwanted is None:
        return {}
    gone = {one["Key"] for one in unwanted if "Value" not in one or tags.get(one["Key"]) == one["Value"]}
    return {key: value for key, value in tags.items() if key not in gone}


def _really_changed(after: list[Resource], before: list[Resource]) -> tuple[Resource, ...]:
    return tuple(new for new, old in zip(after, before, strict=True) if new.tags != old.tags)


def _resources(request: Request, view: View) -> list[Resource]:
    wanted = dict.fromkeys(request.parameters["Resources"])
    if not wanted:
        raise missing_parameter("ResourceId")
    found = [find(view, _kind_of(resource_id), resource_id) for resource_id in wanted]
    for one in found:
        if one.account != request.account:  # a peering connection of which it is the accepter
            raise unsupported(f"Tags of {one.id} are its requester's: the accepter cannot have any yet.")
    return found


def _kind_of(resource_id: str) -> type[Resource]:
    kind = _KINDS.get(resource_id.rpartition("-")[0])
    if kind is None:
        raise ApiError("InvalidID", f"The ID '{resource_id[:80]}' is not valid")
    return kind


@operation("DescribeTags")
def describe_tags(request: Request, view: View) -> Outcome:
    rows = [
        Tagged(one, key, value)
        for kind in RESOURCES
        for one in view.all(kind)
        if one.account == request.account
        for key, value in one.tags.items()
    ]
    chosen = apply_filters(rows, request.parameters.get("Filters"), FILTERS, view)
    found = page(request, chosen, position=lambda one: (one.resource.created, f"{one.resource.id}/{one.key}"))
    return Outcome(result=found.result("Tags", [_render(one) for one in found.items]))


def _render(one: Tagged) -> dict[str, str]:
    return {
        "ResourceId": one.resource.id,
        "ResourceType": one.resource.KIND,
        "Key": one.key,
        "Value": one.value,
    }
