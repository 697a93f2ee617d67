"""CreateTags, DeleteTags, DescribeTags: for every kind of thing alike; a security group's rules have tags of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from rookery.api.errors import missing_parameter, unsupported
from rookery.api.filters import apply_filters
from rookery.api.handlers.describe_security_group_rules import every_rule, held_rules
from rookery.api.handlers.metadata_options import check_shown_tags
from rookery.api.handlers.security_group_shape import HeldRule
from rookery.api.lookup import find
from rookery.api.operation import ApiError, Outcome, Request, View, operation
from rookery.api.pages import page
from rookery.api.tags import check_count, check_tag_names, checked_tags
from rookery.model.objects import (
    RESOURCES,
    Instance,
    MetadataDefaults,
    NatGateway,
    PrivateZone,
    Resource,
    SecurityGroup,
)

_WITHOUT_ID = (PrivateZone, MetadataDefaults)  # nobody knows theirs
_TYPES = {NatGateway.KIND: "natgateway"}  # where tags have a word of their own for it
_KINDS = {kind.PREFIX: kind for kind in RESOURCES if kind not in _WITHOUT_ID}


class Tagged(NamedTuple):
    """One tag of one resource: what DescribeTags lists."""

    resource: Resource | HeldRule
    key: str
    value: str

    @property
    def tags(self) -> dict[str, str]:
        return {self.key: self.value}


FILTERS = {
    "key": lambda one, _view: one.key,
    "value": lambda one, _view: one.value,
    "resource-id": lambda one, _view: one.resource.id,
    "resource-type": lambda one, _view: _type_of(one.resource),
}


@operation("CreateTags")
def create_tags(request: Request, view: View) -> Outcome:
    added = checked_tags(request.parameters["Tags"])
    if not added:
        raise missing_parameter("Tag")
    return _retagged(request, view, lambda tags: _checked({**tags, **added}))


def _checked(tags: dict[str, str]) -> dict[str, str]:
    check_count(tags)
    return tags


@operation("DeleteTags")
def delete_tags(request: Request, view: View) -> Outcome:
    """Without Tags: all of them. A tag with a value is deleted only where it has this value."""
    unwanted = request.parameters.get("Tags")
    if unwanted is not None:
        check_tag_names(unwanted)
    return _retagged(request, view, lambda tags: _kept(tags, unwanted))


def _kept(tags: dict[str, str], unwanted: list[dict[str, Any]] | None) -> dict[str, str]:
    if unwanted is None:
        return {}
    gone = {one["Key"] for one in unwanted if "Value" not in one or tags.get(one["Key"]) == one["Value"]}
    return {key: value for key, value in tags.items() if key not in gone}


def _retagged(request: Request, view: View, change: Callable[[dict[str, str]], dict[str, str]]) -> Outcome:
    """A group that is named together with rules of it is put once."""
    changed: dict[str, Resource] = {}
    for one in _asked(request, view):
        if isinstance(one, HeldRule):
            group = changed.get(one.group.id, one.group)
            assert isinstance(group, SecurityGroup)
            rule = replace(one.rule, tags=change(one.tags))
            rules = tuple(rule if held.id == rule.id else held for held in group.rules)
            changed[group.id] = replace(group, rules=rules)
        else:
            before = changed.get(one.id, one)
            changed[one.id] = _with_tags(before, change(before.tags))
    return Outcome(puts=tuple(one for one in changed.values() if one != view.get(type(one), one.id)))


def _with_tags(before: Resource, tags: dict[str, str]) -> Resource:
    if isinstance(before, Instance):
        check_shown_tags(before.metadata, tags)
    return replace(before, tags=tags)


def _asked(request: Request, view: View) -> list[Resource | HeldRule]:
    wanted = dict.fromkeys(request.parameters["Resources"])
    if not wanted:
        raise missing_parameter("ResourceId")
    return [_thing(request, view, resource_id) for resource_id in wanted]


def _thing(request: Request, view: View, resource_id: str) -> Resource | HeldRule:
    if resource_id.startswith("sgr-"):
        return held_rules(view, [resource_id])[0]
    found = find(view, _kind_of(resource_id), resource_id)
    if found.account != request.account:  # a peering connection of which it is the accepter
        raise unsupported(f"Tags of {found.id} are its requester's: the accepter cannot have any yet.")
    return found


def _kind_of(resource_id: str) -> type[Resource]:
    kind = _KINDS.get(resource_id.rpartition("-")[0])
    if kind is None:
        raise ApiError("InvalidID", f"The ID '{resource_id[:80]}' is not valid")
    return kind


@operation("DescribeTags")
def describe_tags(request: Request, view: View) -> Outcome:
    resources = (one for kind in RESOURCES for one in view.all(kind) if one.account == request.account)
    tagged: list[Resource | HeldRule] = [*resources, *every_rule(view)]
    rows = [Tagged(one, key, value) for one in tagged for key, value in one.tags.items()]
    chosen = apply_filters(rows, request.parameters.get("Filters"), FILTERS, view)
    found = page(request, chosen, position=lambda one: (one.resource.created, f"{one.resource.id}/{one.key}"))
    return Outcome(result=found.result("Tags", [_render(one) for one in found.items]))


def _type_of(resource: Resource | HeldRule) -> str:
    return _TYPES.get(resource.KIND, resource.KIND)


def _render(one: Tagged) -> dict[str, str]:
    return {
        "ResourceId": one.resource.id,
        "ResourceType": _type_of(one.resource),
        "Key": one.key,
        "Value": one.value,
    }
