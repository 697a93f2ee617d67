"""DescribeTargetHealth: what the cells' checks found of each target, and why some are not checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rookery.api.handlers.balancer_arns import find_group
from rookery.api.handlers.balancer_resolution import ViewLookup
from rookery.api.handlers.balancer_shape import interface_in
from rookery.api.handlers.cells import works_by
from rookery.api.handlers.listener_actions import balancers_of
from rookery.api.handlers.unbuilt import honour_only
from rookery.api.operation import Outcome, Request, View, balancing_operation
from rookery.intent.balanced_targets import ALL_ZONES, NOT_CHECKED, Found, place_of
from rookery.model.balancers import DRAINED, DRAINING, TRAFFIC_PORT, LoadBalancer, Target, TargetGroup
from rookery.model.objects import Instance

_DESCRIPTIONS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.ResponseCodeMismatch": "Health checks failed with these codes",
    "Target.Timeout": "Request timed out",
    "Target.NotRegistered": "Target is not registered to the target group",
}


class Told(NamedTuple):
    """`TargetHealth`."""

    state: str
    reason: str = ""
    description: str = ""


@balancing_operation("DescribeTargetHealth")
def describe_target_health(request: Request, view: View) -> Outcome:
    """Of those that are asked for, also ones that are not registered; else of all."""
    honour_only(request.parameters, {"TargetGroupArn", "Targets"}, {"Include": ()})
    group = find_group(view, request.parameters["TargetGroupArn"])
    known = {target.key: target for target in group.targets if target.state != DRAINED}
    asked = request.parameters.get("Targets")
    keys = [(one["Id"], one.get("Port", group.port)) for one in asked] if asked else list(known)
    teller = _Teller(view, group)
    shapes = [
        _shape(group, key, known.get(key), teller.of(known[key]) if key in known else _not_registered())
        for key in dict.fromkeys(keys)
    ]
    return Outcome(result={"TargetHealthDescriptions": shapes})


def _not_registered() -> Told:
    return _with_description("unused", "Target.NotRegistered")


def _with_description(state: str, reason: str) -> Told:
    return Told(state, reason, _DESCRIPTIONS.get(reason, ""))


def _shape(group: TargetGroup, key: tuple[str, int], target: Target | None, told: Told) -> dict[str, Any]:
    target_id, port = key
    named: dict[str, Any] = {"Id": target_id, "Port": port}
    if target and target.zone:
        named["AvailabilityZone"] = target.zone
    health = {"State": told.state, "Reason": told.reason or None, "Description": told.description or None}
    checked = group.check.port if group.check.port != TRAFFIC_PORT else port
    return {"Target": named, "HealthCheckPort": str(checked), "TargetHealth": health}


class _Teller:
    """Of one group's targets."""

    def __init__(self, view: View, group: TargetGroup):
        self._view = view
        self._group = group
        self._lookup = ViewLookup(view)
        self._balancers = balancers_of(view, group)
        self._found = Found(group, view.target_health())

    def of(self, target: Target) -> Told:
        if target.state == DRAINING:
            return _with_description("draining", "Target.DeregistrationInProgress")
        if not self._balancers:
            why = "Target group is not configured to receive traffic from the load balancer"
            return Told("unused", "Target.NotInUse", why)
        place = place_of(self._group, target, self._lookup)
        if place is None:
            return Told(
                "unused", "Target.InvalidState", f"Target is in the {self._instance_state(target)} state"
            )
        if not _has_zone(self._balancers, place.zone):
            why = "Target is in an Availability Zone that is not enabled for the load balancer"
            return Told("unused", "Target.NotInUse", why)
        word = self._found.of(place, target.port)
        if word == NOT_CHECKED and not self._is_known_to_cells():
            return _with_description("initial", "Elb.RegistrationInProgress")
        return _with_description(*word)

    def _instance_state(self, target: Target) -> str:
        instance = self._view.get(Instance, target.id)
        return instance.wanted if instance else "terminated"

    def _is_known_to_cells(self) -> bool:
        """They work by the group as it is now."""
        revision = self._view.changed_at(self._group)
        fronts = [interface_in(self._view, zone) for one in self._balancers for zone in one.zones]
        return all(
            front.cell_attachment and works_by(self._view, front.cell_attachment, revision)
            for front in fronts
        )


def _has_zone(balancers: Sequence[LoadBalancer], zone: str) -> bool:
    return zone == ALL_ZONES or any(zone == each.zone for one in balancers for each in one.zones)
