"""From calls to what a cell must hold of load balancers: who gets the flows of which address, and how they are treated.

client -- balancer's address in a (cell-0), in b (cell-1) -- instances one (a), two (b), three (a)
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.api.handlers.balancer_state import balancers_proceed
from rookery.intent.cell import HealthCheckIntent
from rookery.intent.groups import group_set
from rookery.model.objects import SecurityGroup
from tests.api.balancer_scene import (
    FAILED,
    HEALTHY,
    address_of,
    balance,
    balanced_account,
    checks_find,
    deregister,
    elb,
    forward,
    fronts,
    group,
    intent,
    listen,
    modify,
    register,
    stored_balancer,
    stored_group,
    target_health,
    web_instances,
)

PRESERVE = "preserve_client_ip.enabled"
CROSS = "load_balancing.cross_zone.enabled"
TCP, UDP = 6, 17


@pytest.fixture
def here():
    found = balanced_account()
    found.balancer = balance(found)
    found.group = group(found)
    listen(found, found.balancer, found.group)
    found.instances = web_instances(found, 3)
    found.one, found.two, found.three = (address_of(found, each) for each in found.instances)
    register(found, found.group, *found.instances)
    return found


def words(here, *, failed=(), healthy=None):
    """Every target is healthy unless said otherwise."""
    good = (here.one, here.two, here.three) if healthy is None else healthy
    return {f"{address}:80": FAILED if address in failed else HEALTHY for address in (*good, *failed)}


def seen(here, found=None, cell="cell-0"):
    said = words(here) if found is None else found
    return intent(here, {stored_group(here, here.group).id: said}, cell)


def takers(here, found=None, cell="cell-0"):
    """Addresses that get new flows, of the one service."""
    (service,) = seen(here, found, cell).services
    return {address for (_, address, _), _ in service.choices}


def target(here, address, found=None):
    (row,) = [one for one in seen(here, found).targets if one.address == address]
    return row


def test_an_attachment_is_the_balancers_interface_in_the_cells_zone(here):
    for cell, zone, subnet in (("cell-0", "us-east-1a", here.a), ("cell-1", "us-east-1b", here.b)):
        (row,) = seen(here, cell=cell).attachments
        front = fronts(here)[zone]
        assert (row.id, row.interface, row.primary) == (front.id, front.number, front.primary)
        assert (row.of, row.kind, row.account) == (stored_balancer(here).id, "balancer", "123456789012")
        assert (row.vni, row.subnet, row.zone) == (here.vpc.vni, subnet.number, "ab".index(zone[-1]))
        assert (row.group_set, row.groups_see_client) == (0, True)
        assert row.acl
    assert seen(here, cell="cell-2") == ((), (), ())


def test_a_balancers_groups_are_asked_at_its_address(here):
    (default,) = [one.id for one in here.view.in_vpc(SecurityGroup, here.vpc.id) if one.is_default]
    balance(here, "guarded", SecurityGroups=[default], Subnets=[here.a.id])
    sets = {row.of: row.group_set for row in seen(here).attachments}
    assert sets[stored_balancer(here, "guarded").id] == group_set([default])


def test_each_zones_address_sends_to_its_own_zone(here):  # T7-03
    assert takers(here) == {here.one, here.three}
    assert takers(here, cell="cell-1") == {here.two}


@pytest.mark.parametrize("by", ["balancer", "group"])
def test_with_zones_crossed_each_address_sends_to_all(here, by):  # T7-03
    if by == "balancer":
        named = {"LoadBalancerArn": here.balancer["LoadBalancerArn"]}
        modify(here, "ModifyLoadBalancerAttributes", {CROSS: "true"}, **named)
    else:
        modify(here, "ModifyTargetGroupAttributes", {CROSS: "true"}, TargetGroupArn=here.group)
    assert takers(here) == {here.one, here.two, here.three}
    modify(here, "ModifyTargetGroupAttributes", {CROSS: "false"}, TargetGroupArn=here.group)
    assert takers(here) == {here.one, here.three}


def test_an_unhealthy_target_gets_no_new_flow_and_its_old_ones_end(here):  # T7-08
    found = words(here, failed=[here.one])
    assert takers(here, found) == {here.three}
    assert target(here, here.one, found).terminates
    assert not target(here, here.three, found).terminates
    modify(
        here,
        "ModifyTargetGroupAttributes",
        {"target_health_state.unhealthy.connection_termination.enabled": "false"},
        TargetGroupArn=here.group,
    )
    assert not target(here, here.one, found).terminates


def test_when_all_are_unhealthy_all_get_flows_and_keep_them(here):  # T7-09
    found = words(here, failed=[here.one, here.two, here.three], healthy=())
    assert takers(here, found) == {here.one, here.three}
    assert not target(here, here.one, found).terminates
    assert not target(here, here.one, found).healthy


def test_each_address_sends_to_whom_it_finds_healthy_itself(here):
    """A target that another of the balancer's addresses does not reach is told to be unhealthy, and keeps its flows."""
    by_a = f"{here.one}:80@{fronts(here)['us-east-1a'].number}"
    found = words(here, failed=[here.one]) | {by_a: HEALTHY}
    assert takers(here, found) == {here.one, here.three}
    assert (target(here, here.one, found).terminates, target(here, here.one, found).healthy) == (False, True)
    checks_find(here, here.group, found)
    assert target_health(here, here.group)[here.instances[0], 80] == FAILED
    by_a = f"{here.three}:80@{fronts(here)['us-east-1a'].number}"
    assert takers(here, words(here) | {by_a: FAILED}) == {here.one}


def test_too_few_healthy_targets_are_as_good_as_none(here):
    least = {"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "60"}
    modify(here, "ModifyTargetGroupAttributes", least, TargetGroupArn=here.group)
    assert takers(here, words(here, failed=[here.one])) == {here.one, here.three}


def test_a_target_gets_flows_after_its_first_check_and_not_before(here):
    assert takers(here, {f"{here.two}:80": HEALTHY}) == set()
    assert takers(here, {f"{here.one}:80": HEALTHY}) == {here.one}
    assert takers(here, words(here, healthy=(), failed=[here.one])) == {here.one}


def test_a_deregistered_target_drains_and_keeps_its_flows_unless_they_are_to_end(here):  # T7-10
    deregister(here, here.group, here.instances[0])
    assert takers(here) == {here.three}
    row = target(here, here.one)
    assert (row.draining, row.terminates, row.healthy) == (True, False, False)
    here.view.now += 300
    here.view.apply(balancers_proceed(here.view, here.view.now))
    assert not target(here, here.one).terminates
    cut = {"deregistration_delay.connection_termination.enabled": "true"}
    modify(here, "ModifyTargetGroupAttributes", cut, TargetGroupArn=here.group)
    assert target(here, here.one).terminates


def test_an_instances_target_is_the_primary_address_of_its_first_interface(here):
    row = target(here, here.one)
    assert (row.group, row.vni, row.port, row.zone) == (stored_group(here, here.group).id, here.vpc.vni, 80, 0)
    assert row.interface
    here.view.call("StopInstances", InstanceIds=[here.instances[0]])
    assert here.one not in {one.address for one in seen(here).targets}
    assert takers(here) == {here.three}


def test_addresses_are_targets_with_the_interface_that_has_them_if_any(here):
    interface = target(here, here.two).interface
    other = group(here, "other", TargetType="ip")
    listen(here, here.balancer, other, port=81)
    outside = {"Id": "192.168.0.1", "AvailabilityZone": "all"}
    elb(here, "RegisterTargets", TargetGroupArn=other, Targets=[{"Id": here.two}, outside])
    rows = {row.address: row for row in seen(here).targets if row.group == stored_group(here, other).id}
    assert rows[here.two].interface == interface
    assert (rows["192.168.0.1"].interface, rows["192.168.0.1"].zone) == (0, None)


def test_weights_are_shared_by_a_groups_targets(here):  # T7-17
    heavy = group(here, "heavy")
    register(here, heavy, (here.instances[0], 8080))
    listen(here, here.balancer, (here.group, 10), (heavy, 20), port=81)
    light_id, heavy_id = (stored_group(here, arn).id for arn in (here.group, heavy))
    found = {light_id: words(here), heavy_id: {f"{here.one}:8080": HEALTHY}}
    (service,) = [one for one in intent(here, found).services if one.port == 81]
    assert dict(service.choices) == {
        (light_id, here.one, 80): 1,
        (light_id, here.three, 80): 1,
        (heavy_id, here.one, 8080): 4,
    }


def test_a_group_of_weight_zero_gets_nothing(here):  # T7-17
    other = group(here, "other")
    register(here, other, (here.instances[1], 8080))
    listen(here, here.balancer, (here.group, 0), (other, 1), port=81)
    (service,) = [one for one in seen(here).services if one.port == 81]
    assert service.choices == ()


def test_flows_of_a_group_whose_weight_became_zero_end_after_its_deregistration_delay(here):
    """AWS says: after a while. A listener that gives it more lets them live, and new ones come."""
    other = group(here, "other")
    register(here, other, (here.instances[1], 8080))
    listener = listen(here, here.balancer, (here.group, 1), (other, 1), port=81)

    def weigh(light, heavy):
        weighed = forward((here.group, light), (other, heavy))
        elb(here, "ModifyListener", ListenerArn=listener["ListenerArn"], DefaultActions=weighed)
        here.view.apply(balancers_proceed(here.view, here.view.now))

    def after(seconds):
        here.view.now += seconds
        here.view.apply(balancers_proceed(here.view, here.view.now))
        shut = stored_group(here, other).id
        ends = {one.group == shut: one.terminates for one in seen(here).targets}
        assert not ends[False]
        return ends[True]

    weigh(1, 0)
    assert not after(299)
    assert after(1)
    weigh(1, 1)
    assert not after(0)
    assert not after(1000)
    weigh(1, 0)
    assert not after(1)


def test_what_a_service_does_follows_from_its_listener_and_groups(here):
    (service,) = seen(here).services
    assert (service.protocol, service.port, service.idle_seconds) == (TCP, 80, 350)
    assert (service.preserve_client, service.sticky, service.proxy_protocol) == (True, False, False)
    values = {PRESERVE: "false", "stickiness.enabled": "true", "proxy_protocol_v2.enabled": "true"}
    modify(here, "ModifyTargetGroupAttributes", values, TargetGroupArn=here.group)
    (listener,) = elb(here, "DescribeListeners", LoadBalancerArn=here.balancer["LoadBalancerArn"])["Listeners"]
    idle = {"tcp.idle_timeout.seconds": "60"}
    modify(here, "ModifyListenerAttributes", idle, ListenerArn=listener["ListenerArn"])
    (service,) = seen(here).services
    assert (service.preserve_client, service.sticky, service.proxy_protocol) == (False, True, True)
    assert service.idle_seconds == 60


def test_a_listener_of_both_protocols_is_two_services_with_the_same_targets(here):
    dns = group(here, "dns", Protocol="TCP_UDP", Port=53)
    listen(here, here.balancer, dns, port=53, protocol="TCP_UDP")
    tcp, udp = [one for one in seen(here).services if one.port == 53]
    assert (tcp.protocol, tcp.idle_seconds, udp.protocol, udp.idle_seconds) == (TCP, 350, UDP, 120)
    assert tcp.choices == udp.choices


def test_a_targets_check_is_its_groups(here):
    assert target(here, here.one).check == HealthCheckIntent(listener=80)
    elb(
        here,
        "ModifyTargetGroup",
        TargetGroupArn=here.group,
        HealthCheckProtocol="HTTP",
        HealthCheckPort="8080",
        HealthCheckPath="/up",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        Matcher={"HttpCode": "301,200,200-204"},
    )
    wanted = HealthCheckIntent(protocol="HTTP", port=8080, path="/up", interval=5, timeout=2, listener=80)
    assert target(here, here.one).check == replace(wanted, matcher="200-204,301")


def test_a_check_has_the_proxy_protocols_header_where_the_group_wants_it(here):
    on = [{"Key": "proxy_protocol_v2.enabled", "Value": "true"}]
    elb(here, "ModifyTargetGroupAttributes", TargetGroupArn=here.group, Attributes=on)
    assert target(here, here.one).check == HealthCheckIntent(listener=80, proxy_protocol=True)


def checked_by(here, cell="cell-0"):
    return {row.address: row.checked_by for row in seen(here, cell=cell).targets}


def test_a_target_is_checked_by_every_address_that_may_send_to_it(here):
    a, b = (fronts(here)[zone].number for zone in ("us-east-1a", "us-east-1b"))
    assert checked_by(here) == {here.one: (a,), here.two: (), here.three: (a,)}
    assert checked_by(here, "cell-1") == {here.one: (), here.two: (b,), here.three: ()}
    modify(here, "ModifyLoadBalancerAttributes", {CROSS: "true"}, LoadBalancerArn=here.balancer["LoadBalancerArn"])
    assert checked_by(here) == {here.one: (a,), here.two: (a,), here.three: (a,)}


def test_a_draining_target_is_not_checked_and_a_new_one_is_at_once(here):
    (a,) = checked_by(here)[here.one]
    deregister(here, here.group, here.instances[0])
    assert checked_by(here)[here.one] == ()
    register(here, here.group, here.instances[0])
    assert checked_by(here)[here.one] == (a,)


def test_the_targets_of_a_group_are_checked_as_soon_as_a_listener_leads_to_it(here):
    spare = group(here, "spare")
    register(here, spare, (here.instances[0], 9000))
    assert {row.port for row in seen(here).targets} == {80}
    listen(here, here.balancer, spare, port=81)
    (row,) = [row for row in seen(here).targets if row.port == 9000]
    assert (row.checked_by, row.check.listener) == (checked_by(here)[here.one], 81)


def test_groups_that_no_listener_uses_are_not_the_cells_concern(here):
    register(here, group(here, "spare"), (here.instances[0], 9000))
    assert {row.group for row in seen(here).targets} == {stored_group(here, here.group).id}


def test_rows_are_sorted_by_their_keys(here):
    for number in range(5):
        listen(here, here.balancer, here.group, port=1000 - number)
    for rows in seen(here):
        assert [row.key for row in rows] == sorted(row.key for row in rows)
