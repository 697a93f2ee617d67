"""How many targets a target group, a load balancer and a zone of it may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rookery.api.handlers.balancer_resolution import ViewLookup, groups_of
from rookery.api.operation import ApiError, Request, View
from rookery.intent.balanced_targets import ALL_ZONES, place_of
from rookery.intent.balancer_attributes import crosses_zones
from rookery.model.balancers import REGISTERED, LoadBalancer, Target, TargetGroup


def registered(group: TargetGroup) -> list[Target]:
    return [target for target in group.targets if target.state == REGISTERED]


def check_group(request: Request, group: TargetGroup) -> None:
    """Raises TooManyTargets."""
    most = request.quotas.targets_per_group
    if len(registered(group)) > most:
        raise too_many(f"A target group has at most {most} targets")


def check_balancer(
    request: Request, view: View, balancer: LoadBalancer, changed: Sequence[TargetGroup]
) -> None:
    """`changed`: target groups as they will be, its own or new to it. Raises TooManyTargets, TooManyRegistrationsForTargetId."""
    groups = {group.id: group for group in (*groups_of(view, balancer), *changed)}
    targets = [(group, target) for group in groups.values() for target in registered(group)]
    quotas = request.quotas
    if len(targets) > quotas.targets_per_balancer:
        raise too_many(f"A network load balancer has at most {quotas.targets_per_balancer} targets")
    if (
        targets
        and max(Counter(target.id for _, target in targets).values()) > quotas.registrations_per_target
    ):
        why = (
            f"A target can be registered at most {quotas.registrations_per_target} times with a load balancer"
        )
        raise ApiError("TooManyRegistrationsForTargetId", why)
    most = quotas.targets_per_zone
    if len(targets) > most and max(_by_zone(view, balancer, targets).values()) > most:
        raise too_many(f"A network load balancer has at most {most} targets in each Availability Zone")


def _by_zone(view: View, balancer: LoadBalancer, targets: list[tuple[TargetGroup, Target]]) -> Counter[str]:
    """Those to which an address of the balancer sends: with all zones crossed, all of them."""
    lookup = ViewLookup(view)
    counted: Counter[str] = Counter({ALL_ZONES: 0})
    for group, target in targets:
        place = place_of(group, target, lookup)
        if place is not None:
            counted[ALL_ZONES if crosses_zones(balancer, group) else place.zone] += 1
    return counted


def too_many(why: str) -> ApiError:
    return ApiError("TooManyTargets", why)
