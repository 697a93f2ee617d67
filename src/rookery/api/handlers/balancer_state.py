"""What the API does by itself for load balancers: draining ends, flows of groups without weight end, and names follow what health checks
find."""

from __future__ import annotations

from rookery.api.handlers.balancer_resolution import stale_names
from rookery.api.handlers.registered_targets import aged
from rookery.api.handlers.shut_groups import shut_or_open
from rookery.api.operation import Outcome, View
from rookery.model.balancers import TargetGroup


def balancers_proceed(view: View, now: float) -> Outcome:
    """A rule of rookery.api.handlers.housekeeping. Nothing else changes these things by itself."""
    groups = [after for one in view.all(TargetGroup) if (after := shut_or_open(view, aged(view, one, now), now)) is not one]
    return Outcome(puts=(*groups, *stale_names(view)))
