"""AddTags, RemoveTags, DescribeTags of ELBv2: up to twenty ARNs at once, of balancers, target groups and listeners."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from rookery.api.handlers.balancer_arns import find_anything, not_found
from rookery.api.handlers.balancer_names import check_count, checked_tags
from rookery.api.operation import ApiError, Outcome, Request, View, balancing_operation
from rookery.api.tags import render_tags
from rookery.model.balancers import Listener, LoadBalancer, TargetGroup
from rookery.model.objects import Resource

MOST_AT_ONCE = 20
_KINDS: dict[str, type[Resource]] = {"loadbalancer": LoadBalancer, "targetgroup": TargetGroup, "listener": Listener}


@balancing_operation("AddTags")
def add_tags(request: Request, view: View) -> Outcome:
    added = checked_tags(request.parameters["Tags"])
    return _retagged(request, view, lambda tags: check_count({**tags, **added}))


@balancing_operation("RemoveTags")
def remove_tags(request: Request, view: View) -> Outcome:
    gone = set(request.parameters["TagKeys"])
    return _retagged(request, view, lambda tags: {k: v for k, v in tags.items() if k not in gone})


def _retagged(request: Request, view: View, change: Callable[[dict[str, str]], dict[str, str]]) -> Outcome:
    named = _named(view, request.parameters["ResourceArns"])
    changed = [replace(one, tags=change(one.tags)) for one in named.values()]
    return Outcome(puts=tuple(one for one in changed if one != view.get(type(one), one.id)))


@balancing_operation("DescribeTags")
def describe_tags(request: Request, view: View) -> Outcome:
    named = _named(view, request.parameters["ResourceArns"])
    shapes = [{"ResourceArn": arn, "Tags": render_tags(one.tags)} for arn, one in named.items()]
    return Outcome(result={"TagDescriptions": shapes})


def _named(view: View, arns: list[str]) -> dict[str, Resource]:
    """Each once, by ARN. Raises ValidationError, or the kind's NotFound."""
    if len(arns) > MOST_AT_ONCE:
        raise ApiError("ValidationError", f"A request names at most {MOST_AT_ONCE} resources")
    return {arn: _thing(view, arn) for arn in arns}


def _thing(view: View, arn: str) -> Resource:
    found = find_anything(view, arn)
    if found is not None:
        return found
    word = arn.split(":", 5)[5].partition("/")[0]
    kind = _KINDS.get(word)
    if kind is None:
        code = "RuleNotFound" if word == "listener-rule" else "TrustStoreNotFound"
        raise ApiError(code, f"'{arn}' not found")
    raise not_found(kind, arn)
