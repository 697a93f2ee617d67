"""What ELBv2 tells beside balancers, targets and listeners: limits, capacity, TLS policies."""

from __future__ import annotations

from typing import NamedTuple

from rookery.api.handlers.balancer_arns import find_balancer
from rookery.api.handlers.balancer_pages import balancing_page
from rookery.api.handlers.listener_actions import MOST_GROUPS
from rookery.api.operation import ApiError, Outcome, Request, View, balancing_operation


class Limit(NamedTuple):
    name: str
    most: int


@balancing_operation("DescribeAccountLimits")
def describe_account_limits(request: Request, _view: View) -> Outcome:
    """Of what Rookery builds."""
    quotas = request.quotas
    limits = [
        Limit("listeners-per-network-load-balancer", quotas.listeners_per_balancer),
        Limit("network-load-balancers", quotas.load_balancers),
        Limit("target-groups", quotas.target_groups),
        Limit("target-groups-per-action-on-network-load-balancer", MOST_GROUPS),
        Limit("targets-per-availability-zone-per-network-load-balancer", quotas.targets_per_zone),
        Limit("targets-per-network-load-balancer", quotas.targets_per_balancer),
    ]
    return Outcome(
        result=balancing_page(
            request,
            limits,
            "Limits",
            lambda limit: {"Name": limit.name, "Max": str(limit.most)},
            position=lambda limit: (0.0, limit.name),
        )
    )


@balancing_operation("DescribeCapacityReservation")
def describe_capacity_reservation(request: Request, view: View) -> Outcome:
    """Nobody can reserve any."""
    find_balancer(view, request.parameters["LoadBalancerArn"])
    return Outcome(result={"CapacityReservationState": []})


@balancing_operation("DescribeSSLPolicies")
def describe_ssl_policies(request: Request, _view: View) -> Outcome:
    """There are none: no listener speaks TLS."""
    if request.parameters.get("Names"):
        raise ApiError("SSLPolicyNotFound", "The specified SSL policy does not exist")
    return Outcome(result={"SslPolicies": []})
