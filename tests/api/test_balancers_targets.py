"""The states of targets, by what the cells' checks find, by time, and by what becomes of their instances; and the names that
follow from them.

client -- VPC 10.0.0.0/16: balancer in a and b -- instance in subnet a, instance in subnet b
"""

from __future__ import annotations

import pytest

from rookery.api.handlers.balancer_state import balancers_proceed
from rookery.api.handlers.registered_targets import KEPT_SECONDS
from rookery.model.balancers import DRAINED
from rookery.model.objects import PrivateZone
from tests.api.balancer_scene import (
    FAILED,
    HEALTHY,
    address_of,
    balance,
    balanced_account,
    checks_find,
    deregister,
    elb,
    fronts,
    group,
    listen,
    modify,
    records,
    refusal,
    register,
    stored_group,
    target_health,
    web_instances,
)

DRAINING = ("draining", "Target.DeregistrationInProgress")
CHECKING = ("initial", "Elb.InitialHealthChecking")


@pytest.fixture
def here():
    found = balanced_account()
    found.balancer = balance(found)
    found.group = group(found)
    found.listener = listen(found, found.balancer, found.group)
    found.one, found.two = web_instances(found)
    register(found, found.group, found.one, found.two)
    found.view.cells_work()
    return found


def words(here, one=None, two=None):
    said = {f"{address_of(here, here.one)}:80": one, f"{address_of(here, here.two)}:80": two}
    return {name: word for name, word in said.items() if word}


def find(here, one=None, two=None):
    checks_find(here, here.group, words(here, one, two))


def states(here):
    told = target_health(here, here.group)
    return told.get((here.one, 80)), told.get((here.two, 80))


def pass_time(here, seconds):
    here.view.now += seconds
    here.view.apply(balancers_proceed(here.view, here.view.now))


def test_a_target_is_initial_until_a_check_of_it_ends(here):
    assert states(here) == (CHECKING, CHECKING)
    find(here, one=HEALTHY)
    assert states(here) == (HEALTHY, CHECKING)


def test_a_target_is_being_registered_until_the_cells_know_of_it(here):
    third = web_instances(here, 1)[0]
    register(here, here.group, third)
    assert target_health(here, here.group)[third, 80] == ("initial", "Elb.RegistrationInProgress")
    here.view.cells_work()
    assert target_health(here, here.group)[third, 80] == CHECKING


def test_what_any_cell_finds_wrong_is_told_and_a_cell_that_has_not_looked_says_nothing(here):
    find(here, one=HEALTHY, two=HEALTHY)
    checks_find(here, here.group, words(here, one=CHECKING, two=CHECKING), cell="cell-1")
    assert states(here) == (HEALTHY, HEALTHY)
    checks_find(here, here.group, words(here, two=FAILED), cell="cell-1")
    assert states(here) == (HEALTHY, FAILED)


def test_targets_of_an_unused_group_are_unused(here):
    elb(here, "DeleteListener", ListenerArn=here.listener["ListenerArn"])
    assert states(here) == (("unused", "Target.NotInUse"),) * 2


def test_targets_in_a_zone_that_the_balancer_has_not_are_unused(here):
    find(here, one=HEALTHY, two=HEALTHY)
    elb(here, "SetSubnets", LoadBalancerArn=here.balancer["LoadBalancerArn"], Subnets=[here.a.id])
    assert states(here) == (HEALTHY, ("unused", "Target.NotInUse"))


def test_targets_whose_instance_is_stopped_or_gone_are_unused(here):
    here.view.call("StopInstances", InstanceIds=[here.one])
    here.view.call("TerminateInstances", InstanceIds=[here.two])
    assert target_health(here, here.group) == {
        (here.one, 80): ("unused", "Target.InvalidState"),
        (here.two, 80): ("unused", "Target.InvalidState"),
    }


def test_a_target_that_is_asked_for_and_not_there_is_told_so(here):
    asked = [{"Id": here.one, "Port": 81}, {"Id": here.one}]
    told = target_health(here, here.group, Targets=asked)
    assert told == {(here.one, 81): ("unused", "Target.NotRegistered"), (here.one, 80): CHECKING}


def test_a_deregistered_target_drains_for_its_delay_and_is_then_unknown(here):  # T7-10
    find(here, one=HEALTHY, two=HEALTHY)
    deregister(here, here.group, here.one)
    assert states(here) == (DRAINING, HEALTHY)
    pass_time(here, 299)
    assert states(here) == (DRAINING, HEALTHY)
    pass_time(here, 1)
    assert states(here) == (None, HEALTHY)
    assert target_health(here, here.group, Targets=[{"Id": here.one}]) == {
        (here.one, 80): ("unused", "Target.NotRegistered")
    }
    again = {"TargetGroupArn": here.group, "Targets": [{"Id": here.one}]}
    assert refusal(here, "DeregisterTargets", **again) == "InvalidTarget"
    assert [one.state for one in stored_group(here, here.group).targets if one.id == here.one] == [DRAINED]
    pass_time(here, KEPT_SECONDS)
    assert [one.id for one in stored_group(here, here.group).targets] == [here.two]


@pytest.mark.parametrize("delay", ["0", "300"])
def test_a_drained_target_whose_flows_end_with_it_is_forgotten_at_once(here, delay):
    said = {"deregistration_delay.timeout_seconds": delay, "deregistration_delay.connection_termination.enabled": "true"}
    modify(here, "ModifyTargetGroupAttributes", said, TargetGroupArn=here.group)
    deregister(here, here.group, here.one)
    pass_time(here, float(delay))
    assert [one.id for one in stored_group(here, here.group).targets] == [here.two]


def test_a_draining_target_is_registered_again(here):
    deregister(here, here.group, here.one)
    deregister(here, here.group, here.one)
    register(here, here.group, here.one)
    pass_time(here, 400)
    assert states(here)[0] is not None


def test_without_a_delay_a_target_is_gone_at_once(here):
    delay = {"deregistration_delay.timeout_seconds": "0"}
    modify(here, "ModifyTargetGroupAttributes", delay, TargetGroupArn=here.group)
    deregister(here, here.group, here.one)
    assert states(here)[0] is None


# ---------------------------------------------------------------------------------------------------------------- names


def test_a_zone_without_a_healthy_target_leaves_the_balancers_name(here):  # T7-22
    first, second = (front.primary for front in fronts(here).values())
    find(here, one=HEALTHY, two=HEALTHY)
    pass_time(here, 1)
    assert records(here)[""] == (first, second)
    find(here, one=FAILED, two=HEALTHY)
    pass_time(here, 1)
    assert records(here) == {"": (second,), "us-east-1a.": (first,), "us-east-1b.": (second,)}


def test_when_no_zone_has_a_healthy_target_the_name_leads_to_all(here):
    find(here, one=FAILED, two=FAILED)
    pass_time(here, 1)
    assert len(records(here)[""]) == 2


def test_with_zones_crossed_one_healthy_target_keeps_both_in_the_name(here):
    crossed = {"load_balancing.cross_zone.enabled": "true"}
    modify(here, "ModifyTargetGroupAttributes", crossed, TargetGroupArn=here.group)
    find(here, one=FAILED, two=HEALTHY)
    pass_time(here, 1)
    assert len(records(here)[""]) == 2


def test_a_zone_whose_own_address_reaches_no_target_leaves_the_name(here):
    """T7-22: though all pass by the other zone's, and zones are crossed."""
    crossed = {"load_balancing.cross_zone.enabled": "true"}
    modify(here, "ModifyTargetGroupAttributes", crossed, TargetGroupArn=here.group)
    first, second = fronts(here).values()
    good = words(here, one=HEALTHY, two=HEALTHY)
    checks_find(here, here.group, good)
    checks_find(here, here.group, good | {f"{place}@{second.number}": FAILED for place in good}, "cell-1")
    pass_time(here, 1)
    assert records(here)[""] == (first.primary,)


def test_a_group_may_ask_for_more_healthy_targets_before_a_zone_answers(here):
    least = {"target_group_health.dns_failover.minimum_healthy_targets.count": "2"}
    modify(here, "ModifyTargetGroupAttributes", least, TargetGroupArn=here.group)
    third = web_instances(here, 1)[0]
    register(here, here.group, third)
    said = {**words(here, one=HEALTHY, two=HEALTHY), f"{address_of(here, third)}:80": HEALTHY}
    checks_find(here, here.group, said)
    pass_time(here, 1)
    assert records(here)[""] == (fronts(here)["us-east-1a"].primary,)


def test_the_names_are_known_in_every_vpc_of_the_owner_and_leave_with_one(here):
    other = here.view.make_vpc("10.1.0.0/16")
    pass_time(here, 1)
    (zone,) = [one for one in here.view.all(PrivateZone) if one.name == here.balancer["DNSName"]]
    assert set(zone.vpc_ids) == {here.vpc.id, other.id}
    assert zone.is_public  # whether the VPC has host names or not
    here.view.call("DeleteVpc", VpcId=other.id)
    assert here.view.get(PrivateZone, zone.id).vpc_ids == (here.vpc.id,)


def test_names_of_a_balancer_that_faces_the_internet_lead_to_public_addresses():
    here = balanced_account()
    balance(here, Scheme="internet-facing")
    assert records(here)[""] == tuple(front.public_address for front in fronts(here).values())
    pass_time(here, 1)
    assert records(here)[""] == tuple(front.public_address for front in fronts(here).values())
