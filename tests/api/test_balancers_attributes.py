"""Whatever can be set of balancers, target groups and listeners changes what cells do, what names lead to, or what calls do: nothing is
stored and ignored.

balancer's address in a (cell-0) -- one (fails), three (passes), five (drains)        in b (cell-1) -- two, six (pass), four (was drained)
"""

from __future__ import annotations

import pytest

from rookery.api.handlers.balancer_resolution import names_of
from rookery.api.handlers.balancer_state import balancers_proceed
from rookery.api.handlers.registered_targets import aged
from rookery.api.operation import ApiError
from tests.api.balancer_scene import (
    FAILED,
    HEALTHY,
    address_of,
    attributes,
    balance,
    balanced_account,
    checks_find,
    deregister,
    elb,
    group,
    intent,
    listen,
    modify,
    refusal,
    register,
    stored_balancer,
    stored_group,
    web_instances,
)

LEAST_FOR_NAMES = "target_group_health.dns_failover.minimum_healthy_targets"
LEAST_FOR_ROUTING = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"
CHANGES = {  # another value than the one that it has
    "LoadBalancer": {
        "access_logs.s3.enabled": "true",
        "deletion_protection.enabled": "true",
        "load_balancing.cross_zone.enabled": "true",
        "dns_record.client_routing_policy": "availability_zone_affinity",
        "secondary_ips.auto_assigned.per_subnet": "1",
        "zonal_shift.config.enabled": "true",
        "ipv6.deny_all_igw_traffic": "false",
    },
    "TargetGroup": {
        "deregistration_delay.timeout_seconds": "50",
        "deregistration_delay.connection_termination.enabled": "true",
        "preserve_client_ip.enabled": "false",
        "proxy_protocol_v2.enabled": "true",
        "stickiness.enabled": "true",
        "load_balancing.cross_zone.enabled": "true",
        f"{LEAST_FOR_NAMES}.count": "2",
        f"{LEAST_FOR_NAMES}.percentage": "60",
        f"{LEAST_FOR_ROUTING}.count": "2",
        f"{LEAST_FOR_ROUTING}.percentage": "60",
        "target_health_state.unhealthy.connection_termination.enabled": "false",
        "target_health_state.unhealthy.draining_interval_seconds": "60",
    },
    "Listener": {"tcp.idle_timeout.seconds": "60"},
}
# Nothing follows from these at AWS either: where logs would go that are not enabled; and there is one type.
WITHOUT_CONSEQUENCE = {"access_logs.s3.bucket", "access_logs.s3.prefix", "stickiness.type"}


@pytest.fixture
def here():
    found = balanced_account()
    balancer, arn = balance(found), group(found)
    found.arns = {"LoadBalancer": balancer["LoadBalancerArn"], "TargetGroup": arn}
    found.arns["Listener"] = listen(found, balancer, arn)["ListenerArn"]
    one, two, three, four, five, six = web_instances(found, 6)
    register(found, arn, one, two, three, four, five, six)
    found.words = {f"{address_of(found, each)}:80": HEALTHY for each in (two, three, six)}
    found.words[f"{address_of(found, one)}:80"] = FAILED
    for cell in ("cell-0", "cell-1"):
        checks_find(found, arn, found.words, cell)
    deregister(found, arn, four)
    found.view.now += 300
    found.view.apply(balancers_proceed(found.view, found.view.now))
    deregister(found, arn, five)
    return found


def consequences(here):
    balancer, targets = stored_balancer(here), stored_group(here, here.arns["TargetGroup"])
    cells = [intent(here, {targets.id: here.words}, cell) for cell in ("cell-0", "cell-1")]
    later = aged(here.view, targets, here.view.now + 100)
    held = (cell.attachments for cell in cells), (cell.services for cell in cells), (cell.targets for cell in cells)
    names = names_of(here.view, balancer).records
    return [*map(list, held)], names, [one.state for one in later.targets]


@pytest.mark.parametrize(("of", "key", "value"), [(of, key, value) for of, keys in CHANGES.items() for key, value in keys.items()])
def test_what_is_set_has_consequences_or_is_refused(here, of, key, value):
    before, named = consequences(here), {f"{of}Arn": here.arns[of]}
    assert attributes(here, f"Describe{of}Attributes", **named)[key] != value
    try:
        modify(here, f"Modify{of}Attributes", {key: value}, **named)
    except ApiError as error:
        assert error.code == "UnsupportedOperation"
        return
    if key == "deletion_protection.enabled":
        assert refusal(here, "DeleteLoadBalancer", **named) == "OperationNotPermitted"
        return
    assert consequences(here) != before


@pytest.mark.parametrize("of", CHANGES)
def test_these_are_all_that_can_be_set(here, of):
    told = attributes(here, f"Describe{of}Attributes", **{f"{of}Arn": here.arns[of]})
    assert told.keys() - WITHOUT_CONSEQUENCE == CHANGES[of].keys()


def test_what_is_said_already_may_be_said_again(here):
    named = {"LoadBalancerArn": here.arns["LoadBalancer"]}
    told = attributes(here, "DescribeLoadBalancerAttributes", **named)
    modify(here, "ModifyLoadBalancerAttributes", told, **named)
    assert elb(here, "DescribeLoadBalancerAttributes", **named)["Attributes"] == [{"Key": k, "Value": v} for k, v in told.items()]
