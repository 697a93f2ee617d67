"""ARNs of ELBv2, and from one to the thing itself or to AWS's error."""

from __future__ import annotations

import re
from typing import TypeVar

from rookery.api.operation import ApiError, Request, View
from rookery.model.balancers import Listener, LoadBalancer, TargetGroup
from rookery.model.objects import Resource

R = TypeVar("R", bound=Resource)

_NAME = "[A-Za-z0-9-]{1,32}"
_DIGITS = "[0-9a-f]{16}"
_FORMS: tuple[tuple[type[Resource], re.Pattern[str]], ...] = (
    (LoadBalancer, re.compile(f"loadbalancer/net/(?P<name>{_NAME})/(?P<digits>{_DIGITS})")),
    (TargetGroup, re.compile(f"targetgroup/(?P<name>{_NAME})/(?P<digits>{_DIGITS})")),
    (Listener, re.compile(f"listener/net/(?P<name>{_NAME})/{_DIGITS}/(?P<digits>{_DIGITS})")),
)
_NOUNS: dict[type[Resource], tuple[str, str, str]] = {
    LoadBalancer: ("load balancer", "LoadBalancerNotFound", "Load balancer"),
    TargetGroup: ("target group", "TargetGroupNotFound", "Target group"),
    Listener: ("listener", "ListenerNotFound", "Listener"),
}
# Of what ELBv2 has beside these: well-formed, and never there.
_OTHERS = re.compile(r"(?:loadbalancer|listener|listener-rule|targetgroup|truststore)/[A-Za-z0-9/-]{1,200}")


def new_id(request: Request, kind: type[Resource]) -> str:
    """The last sixteen digits are those of its ARN."""
    return f"{kind.PREFIX}-{request.ids.new(kind.PREFIX)[-16:]}"


def _arn(one: Resource, tail: str) -> str:
    return f"arn:aws:elasticloadbalancing:{one.region}:{one.account}:{tail}"


def group_arn(group: TargetGroup) -> str:
    return _arn(group, f"targetgroup/{group.name}/{group.digits}")


def listener_arn(view: View, listener: Listener) -> str:
    return _arn(listener, f"listener/{balancer_of(view, listener).path}/{listener.digits}")


def balancer_of(view: View, listener: Listener) -> LoadBalancer:
    """A listener ends with its balancer."""
    found = view.get(LoadBalancer, listener.balancer_id)
    if found is None:
        raise ValueError(f"{listener.id} listens at {listener.balancer_id}, which is gone")
    return found


def arn_of(view: View, one: Resource) -> str:
    if isinstance(one, LoadBalancer):
        return one.arn
    if isinstance(one, TargetGroup):
        return group_arn(one)
    if isinstance(one, Listener):
        return listener_arn(view, one)
    raise TypeError(f"{one.id} has no ARN of ELBv2")


def find_balancer(view: View, arn: str) -> LoadBalancer:
    return _find(view, LoadBalancer, arn)


def find_group(view: View, arn: str) -> TargetGroup:
    return _find(view, TargetGroup, arn)


def find_listener(view: View, arn: str) -> Listener:
    return _find(view, Listener, arn)


def _find(view: View, kind: type[R], arn: str) -> R:
    """Raises ValidationError, or the kind's NotFound."""
    found = find_anything(view, arn)
    if isinstance(found, kind):
        return found
    if _kind_of(arn) is kind or _kind_of(arn) is None:
        raise not_found(kind, arn)
    raise malformed(arn, _NOUNS[kind][0])


def is_there(view: View, kind: type[Resource], arn: str) -> bool:
    """Raises ValidationError for what is the ARN of another kind, or none."""
    if _kind_of(arn) not in (kind, None):
        raise malformed(arn, _NOUNS[kind][0])
    return isinstance(find_anything(view, arn), kind)


def not_found(kind: type[Resource], *arns: str) -> ApiError:
    _, code, noun = _NOUNS[kind]
    several = len(arns) > 1
    return ApiError(code, f"{noun}{'s' if several else ''} '{', '.join(arns)}' not found")


def find_anything(view: View, arn: str) -> Resource | None:
    """None: it is not there. Raises ValidationError: it is no ARN of ELBv2."""
    for kind, form in _FORMS:
        matched = form.fullmatch(_tail(arn))
        found = view.get(kind, f"{kind.PREFIX}-{matched['digits']}") if matched else None
        if found is not None and arn_of(view, found) == arn:
            return found
    if not _OTHERS.fullmatch(_tail(arn)):
        raise malformed(arn, "resource")
    return None


def _tail(arn: str) -> str:
    """Empty: no ARN of ELBv2, of whatever account and region."""
    parts = arn.split(":", 5)
    return parts[5] if len(parts) == 6 and parts[2] == "elasticloadbalancing" else ""


def _kind_of(arn: str) -> type[Resource] | None:
    return next((kind for kind, form in _FORMS if form.fullmatch(_tail(arn))), None)


def malformed(arn: str, noun: str) -> ApiError:
    return ApiError("ValidationError", f"'{arn[:200]}' is not a valid {noun} ARN")
