"""Listeners and target groups: which may be put together, and what is refused.

internet -- igw -- VPC 10.0.0.0/16: subnet a (zone a, cell-0), subnet b (zone b, cell-1)
"""

from __future__ import annotations

import pytest

from rookery.api.quotas import Quotas
from tests.api.balancer_scene import (
    attributes,
    balance,
    balanced_account,
    deregister,
    elb,
    forward,
    group,
    listen,
    modify,
    refusal,
    register,
    web_instances,
)

PRESERVE = "preserve_client_ip.enabled"
PROXY = "proxy_protocol_v2.enabled"


@pytest.fixture
def here():
    return balanced_account()


@pytest.fixture
def balancer(here):
    return balance(here)


def asked(balancer, *targets, port=80, protocol="TCP"):
    return {
        "LoadBalancerArn": balancer["LoadBalancerArn"],
        "Port": port,
        "Protocol": protocol,
        "DefaultActions": forward(*targets),
    }


def test_a_listener_is_named_after_its_balancer_and_forwards(here, balancer):
    target_group = group(here)
    made = listen(here, balancer, target_group)
    path = balancer["LoadBalancerArn"].partition("loadbalancer/")[2]
    assert f":listener/{path}/" in made["ListenerArn"]
    (action,) = made["DefaultActions"]
    assert (action["Type"], action["TargetGroupArn"]) == ("forward", target_group)
    (used,) = elb(here, "DescribeTargetGroups", LoadBalancerArn=balancer["LoadBalancerArn"])["TargetGroups"]
    assert used["LoadBalancerArns"] == [balancer["LoadBalancerArn"]]


MATRIX = {("TCP", "TCP"), ("TCP", "TCP_UDP"), ("UDP", "UDP"), ("UDP", "TCP_UDP"), ("TCP_UDP", "TCP_UDP")}


@pytest.mark.parametrize("listener", ["TCP", "UDP", "TCP_UDP"])
@pytest.mark.parametrize("target", ["TCP", "UDP", "TCP_UDP"])
def test_listeners_and_target_groups_agree_on_a_protocol(here, balancer, listener, target):
    target_group = group(here, Protocol=target)
    if (listener, target) in MATRIX:
        assert listen(here, balancer, target_group, protocol=listener)["Protocol"] == listener
    else:
        wrong = asked(balancer, target_group, protocol=listener)
        assert refusal(here, "CreateListener", **wrong) == "IncompatibleProtocols"


@pytest.mark.parametrize(
    ("protocol", "code"),
    [
        ("HTTP", "UnsupportedProtocol"),
        ("HTTPS", "UnsupportedProtocol"),
        ("GENEVE", "UnsupportedProtocol"),
        ("TLS", "UnsupportedOperation"),
        ("QUIC", "UnsupportedOperation"),
    ],
)
def test_other_protocols_are_refused(here, balancer, protocol, code):
    assert refusal(here, "CreateListener", **asked(balancer, group(here), protocol=protocol)) == code
    if code == "UnsupportedOperation":
        assert refusal(here, "CreateTargetGroup", Name="x", Protocol=protocol, Port=1, VpcId=here.vpc.id) == code


def test_one_listener_has_a_port_and_the_same_call_again_answers_it(here, balancer):
    tcp, udp = group(here), group(here, "dns", Protocol="UDP")
    first = listen(here, balancer, tcp)
    assert listen(here, balancer, tcp)["ListenerArn"] == first["ListenerArn"]
    assert refusal(here, "CreateListener", **asked(balancer, udp, protocol="UDP")) == "DuplicateListener"
    second = listen(here, balancer, tcp, port=81)
    taken = {"ListenerArn": second["ListenerArn"], "Port": 80}
    assert refusal(here, "ModifyListener", **taken) == "DuplicateListener"


def test_a_listener_changes_its_port_its_protocol_and_where_it_sends(here, balancer):
    tcp, both = group(here), group(here, "both", Protocol="TCP_UDP")
    arn = listen(here, balancer, tcp)["ListenerArn"]
    wrong = {"ListenerArn": arn, "Protocol": "UDP"}
    assert refusal(here, "ModifyListener", **wrong) == "IncompatibleProtocols"
    (changed,) = elb(here, "ModifyListener", **wrong, Port=53, DefaultActions=forward(both))["Listeners"]
    assert (changed["Port"], changed["Protocol"]) == (53, "UDP")
    assert elb(here, "DescribeListeners", ListenerArns=[arn])["Listeners"] == [changed]
    elb(here, "DeleteListener", ListenerArn=arn)
    assert refusal(here, "DeleteListener", ListenerArn=arn) == "ListenerNotFound"
    assert elb(here, "DescribeListeners", LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"] == []
    assert refusal(here, "DescribeListeners") == "ValidationError"


def test_weights_are_told_as_they_were_said(here, balancer):
    one, two = group(here, "one"), group(here, "two")
    made = listen(here, balancer, (one, 10), (two, 0))
    (action,) = made["DefaultActions"]
    assert action["ForwardConfig"]["TargetGroups"] == [
        {"TargetGroupArn": one, "Weight": 10},
        {"TargetGroupArn": two, "Weight": 0},
    ]
    assert "TargetGroupArn" not in action
    for wrong in ((one, 1000), (one, -1)):
        assert refusal(here, "CreateListener", **asked(balancer, wrong, (two, 1), port=81)) == "ValidationError"
    assert refusal(here, "CreateListener", **asked(balancer, (one, 1), (one, 2), port=81)) == "ValidationError"


def test_actions_that_a_network_balancer_has_not_are_invalid(here, balancer):
    target_group = group(here)
    usual = asked(balancer, target_group)
    sticky = {
        "TargetGroups": [{"TargetGroupArn": target_group}],
        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
    }
    for actions, code in (
        ([], "InvalidLoadBalancerAction"),
        (forward(target_group) * 2, "InvalidLoadBalancerAction"),
        ([{"Type": "redirect"}], "InvalidLoadBalancerAction"),
        ([{"Type": "forward"}], "ValidationError"),
        ([{"Type": "forward", "ForwardConfig": sticky}], "UnsupportedOperation"),
        (forward(target_group[:-1] + ("0" if target_group[-1] != "0" else "1")), "TargetGroupNotFound"),
    ):
        assert refusal(here, "CreateListener", **{**usual, "DefaultActions": actions}) == code
    certified = {**usual, "Certificates": [{"CertificateArn": "arn:aws:acm:x"}]}
    assert refusal(here, "CreateListener", **certified) == "UnsupportedOperation"


def test_a_target_group_serves_one_balancer_in_its_own_vpc(here, balancer):
    target_group = group(here)
    listen(here, balancer, target_group)
    other = balance(here, "other")
    assert refusal(here, "CreateListener", **asked(other, target_group)) == "TargetGroupAssociationLimit"
    elsewhere = group(here, "elsewhere", VpcId=here.view.make_vpc("10.1.0.0/16").id)
    assert refusal(here, "CreateListener", **asked(other, elsewhere)) == "InvalidConfigurationRequest"


def test_a_balancer_has_as_many_listeners_as_its_quota_says(here, balancer):
    here.view.quotas = Quotas(listeners_per_balancer=1)
    target_group = group(here)
    listen(here, balancer, target_group)
    assert refusal(here, "CreateListener", **asked(balancer, target_group, port=81)) == "TooManyListeners"


def test_a_target_group_in_use_stays(here, balancer):  # T7-19
    target_group = group(here)
    arn = listen(here, balancer, target_group)["ListenerArn"]
    assert refusal(here, "DeleteTargetGroup", TargetGroupArn=target_group) == "ResourceInUse"
    elb(here, "DeleteListener", ListenerArn=arn)
    elb(here, "DeleteTargetGroup", TargetGroupArn=target_group)
    assert elb(here, "DeleteTargetGroup", TargetGroupArn=target_group) == {}
    assert refusal(here, "DescribeTargetGroups", TargetGroupArns=[target_group]) == "TargetGroupNotFound"


# ------------------------------------------------------------------------------------------------------- target groups


def test_a_target_group_checks_as_aws_does_where_nobody_says_otherwise(here):
    group(here)
    group(here, "http", HealthCheckProtocol="HTTP")
    http, tcp = sorted(elb(here, "DescribeTargetGroups")["TargetGroups"], key=lambda one: one["TargetGroupName"])[:2]
    assert (tcp["HealthCheckProtocol"], tcp["HealthCheckPort"], tcp["HealthCheckTimeoutSeconds"]) == ("TCP", "traffic-port", 10)
    assert (tcp["HealthCheckIntervalSeconds"], tcp["HealthyThresholdCount"], tcp["UnhealthyThresholdCount"]) == (30, 5, 2)
    assert "HealthCheckPath" not in tcp
    assert (http["HealthCheckPath"], http["Matcher"]) == ("/", {"HttpCode": "200-399"})
    assert http["HealthCheckTimeoutSeconds"] == 6


def test_a_target_group_of_the_same_name_needs_the_same_settings(here):
    first = group(here)
    assert group(here) == first
    same = {"Name": "web", "Protocol": "TCP", "VpcId": here.vpc.id}
    assert refusal(here, "CreateTargetGroup", **same, Port=81) == "DuplicateTargetGroupName"
    here.view.quotas = Quotas(target_groups=1)
    assert refusal(here, "CreateTargetGroup", **{**same, "Name": "x"}, Port=1) == "TooManyTargetGroups"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"Port": None}, "ValidationError"),
        ({"Protocol": None}, "ValidationError"),
        ({"VpcId": None}, "ValidationError"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "ValidationError"),
        ({"TargetType": "alb"}, "UnsupportedOperation"),
        ({"TargetType": "lambda"}, "UnsupportedOperation"),
        ({"IpAddressType": "dualstack"}, "ValidationError"),
        ({"HealthCheckEnabled": False}, "InvalidConfigurationRequest"),
        ({"HealthCheckProtocol": "UDP"}, "ValidationError"),
        ({"HealthCheckPort": "0"}, "ValidationError"),
        ({"HealthCheckPort": "http"}, "ValidationError"),
        ({"HealthCheckPath": "/up"}, "InvalidConfigurationRequest"),
        ({"HealthCheckProtocol": "HTTP", "HealthCheckPath": "up"}, "ValidationError"),
        ({"HealthCheckProtocol": "HTTP", "Matcher": {"HttpCode": "199"}}, "ValidationError"),
        ({"HealthCheckProtocol": "HTTP", "Matcher": {"GrpcCode": "0"}}, "UnsupportedOperation"),
        ({"HealthCheckIntervalSeconds": 5}, "ValidationError"),  # less than the timeout
    ],
)
def test_what_is_wrong_with_a_target_group_is_told(here, wrong, code):
    usual = {"Name": "web", "Protocol": "TCP", "Port": 80, "VpcId": here.vpc.id}
    given = {name: value for name, value in {**usual, **wrong}.items() if value is not None}
    assert refusal(here, "CreateTargetGroup", **given) == code


def test_a_health_check_changes_and_keeps_what_is_not_said(here):
    arn = group(here, HealthCheckIntervalSeconds=60)
    (changed,) = elb(here, "ModifyTargetGroup", TargetGroupArn=arn, HealthyThresholdCount=3, HealthCheckPort="8080")["TargetGroups"]
    assert (changed["HealthyThresholdCount"], changed["HealthCheckIntervalSeconds"]) == (3, 60)
    assert changed["HealthCheckPort"] == "8080"
    (changed,) = elb(
        here, "ModifyTargetGroup", TargetGroupArn=arn, HealthCheckProtocol="HTTP", Matcher={"HttpCode": "200,301-302"}
    )["TargetGroups"]
    assert (changed["HealthCheckPath"], changed["Matcher"]) == ("/", {"HttpCode": "200,301-302"})


# ---------------------------------------------------------------------------------------------------------- attributes


@pytest.mark.parametrize(
    ("target_type", "protocol", "preserved"),
    [
        ("instance", "TCP", "true"),
        ("instance", "UDP", "true"),
        ("ip", "TCP", "false"),
        ("ip", "UDP", "true"),
        ("ip", "TCP_UDP", "true"),
    ],
)
def test_whether_clients_are_preserved_follows_from_type_and_protocol(here, target_type, protocol, preserved):
    named = {"TargetGroupArn": group(here, TargetType=target_type, Protocol=protocol)}
    assert attributes(here, "DescribeTargetGroupAttributes", **named)[PRESERVE] == preserved
    wanted = {PRESERVE: "false" if preserved == "true" else "true"}
    if protocol == "TCP":
        modify(here, "ModifyTargetGroupAttributes", wanted, **named)
        assert attributes(here, "DescribeTargetGroupAttributes", **named)[PRESERVE] == wanted[PRESERVE]
    else:
        pairs = [{"Key": PRESERVE, "Value": "false"}]
        code = refusal(here, "ModifyTargetGroupAttributes", Attributes=pairs, **named)
        assert code == "InvalidConfigurationRequest"


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "TCP_UDP"])
def test_only_targets_of_tcp_can_be_told_of_their_clients_by_proxy_protocol(here, protocol):
    named = {"TargetGroupArn": group(here, Protocol=protocol)}
    assert attributes(here, "DescribeTargetGroupAttributes", **named)[PROXY] == "false"
    if protocol == "TCP":
        modify(here, "ModifyTargetGroupAttributes", {PROXY: "true"}, **named)
        assert attributes(here, "DescribeTargetGroupAttributes", **named)[PROXY] == "true"
    else:
        pairs = [{"Key": PROXY, "Value": "true"}]
        code = refusal(here, "ModifyTargetGroupAttributes", Attributes=pairs, **named)
        assert code == "InvalidConfigurationRequest"


@pytest.mark.parametrize(("protocol", "cut"), [("TCP", "false"), ("UDP", "true"), ("TCP_UDP", "true")])
def test_connections_of_deregistered_targets_end_by_default_only_with_udp(here, protocol, cut):
    told = attributes(here, "DescribeTargetGroupAttributes", TargetGroupArn=group(here, Protocol=protocol))
    assert told["deregistration_delay.connection_termination.enabled"] == cut
    assert told["deregistration_delay.timeout_seconds"] == "300"
    assert told["load_balancing.cross_zone.enabled"] == "use_load_balancer_configuration"
    assert told["target_health_state.unhealthy.connection_termination.enabled"] == "true"


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("colour", "blue", "ValidationError"),
        ("deregistration_delay.timeout_seconds", "3601", "ValidationError"),
        ("deregistration_delay.timeout_seconds", "-1", "ValidationError"),
        ("stickiness.type", "lb_cookie", "ValidationError"),
        (PRESERVE, "yes", "ValidationError"),
        ("target_group_health.dns_failover.minimum_healthy_targets.count", "0", "ValidationError"),
        ("target_health_state.unhealthy.draining_interval_seconds", "60", "UnsupportedOperation"),
        (PROXY, "2", "ValidationError"),
    ],
)
def test_attributes_of_target_groups_have_their_ranges(here, key, value, code):
    pairs = [{"Key": key, "Value": value}]
    assert refusal(here, "ModifyTargetGroupAttributes", TargetGroupArn=group(here), Attributes=pairs) == code


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("idle_timeout.timeout_seconds", "60", "ValidationError"),
        ("access_logs.s3.enabled", "true", "UnsupportedOperation"),
        ("secondary_ips.auto_assigned.per_subnet", "8", "ValidationError"),
        ("secondary_ips.auto_assigned.per_subnet", "7", "UnsupportedOperation"),
        ("dns_record.client_routing_policy", "availability_zone_affinity", "UnsupportedOperation"),
        ("zonal_shift.config.enabled", "true", "UnsupportedOperation"),
        ("load_balancing.cross_zone.enabled", "maybe", "ValidationError"),
    ],
)
def test_attributes_of_balancers_have_their_ranges(here, balancer, key, value, code):
    named = {"LoadBalancerArn": balancer["LoadBalancerArn"], "Attributes": [{"Key": key, "Value": value}]}
    assert refusal(here, "ModifyLoadBalancerAttributes", **named) == code


def test_a_balancers_attributes_begin_as_aws_s_do_and_are_kept(here, balancer):
    named = {"LoadBalancerArn": balancer["LoadBalancerArn"]}
    told = attributes(here, "DescribeLoadBalancerAttributes", **named)
    assert told["load_balancing.cross_zone.enabled"] == told["deletion_protection.enabled"] == "false"
    assert told["dns_record.client_routing_policy"] == "any_availability_zone"
    modify(here, "ModifyLoadBalancerAttributes", {"load_balancing.cross_zone.enabled": "true"}, **named)
    after = attributes(here, "DescribeLoadBalancerAttributes", **named)
    assert {key for key in told if told[key] != after[key]} == {"load_balancing.cross_zone.enabled"}


def test_tcp_listeners_have_an_idle_timeout(here, balancer):
    tcp = {"ListenerArn": listen(here, balancer, group(here))["ListenerArn"]}
    assert attributes(here, "DescribeListenerAttributes", **tcp) == {"tcp.idle_timeout.seconds": "350"}
    modify(here, "ModifyListenerAttributes", {"tcp.idle_timeout.seconds": "60"}, **tcp)
    assert attributes(here, "DescribeListenerAttributes", **tcp) == {"tcp.idle_timeout.seconds": "60"}
    for value in ("59", "6001"):
        pairs = [{"Key": "tcp.idle_timeout.seconds", "Value": value}]
        assert refusal(here, "ModifyListenerAttributes", **tcp, Attributes=pairs) == "ValidationError"
    dns = group(here, "dns", Protocol="UDP")
    udp = {"ListenerArn": listen(here, balancer, dns, port=53, protocol="UDP")["ListenerArn"]}
    assert attributes(here, "DescribeListenerAttributes", **udp) == {}
    pairs = [{"Key": "tcp.idle_timeout.seconds", "Value": "60"}]
    assert refusal(here, "ModifyListenerAttributes", **udp, Attributes=pairs) == "InvalidConfigurationRequest"


def test_target_groups_of_one_listener_treat_clients_alike(here, balancer):
    one, two = group(here, "one"), group(here, "two", TargetType="ip")
    pair = ((one, 1), (two, 1))
    assert refusal(here, "CreateListener", **asked(balancer, *pair)) == "UnsupportedOperation"
    modify(here, "ModifyTargetGroupAttributes", {PRESERVE: "true"}, TargetGroupArn=two)
    listen(here, balancer, *pair)
    pairs = [{"Key": "stickiness.enabled", "Value": "true"}]
    assert refusal(here, "ModifyTargetGroupAttributes", TargetGroupArn=one, Attributes=pairs) == "UnsupportedOperation"


# -------------------------------------------------------------------------------------------------------------- targets


def codes(here, arn, *targets):
    return [refusal(here, "RegisterTargets", TargetGroupArn=arn, Targets=[target]) for target in targets]


def test_targets_that_cannot_be_reached_are_invalid(here):
    arn = group(here)
    (instance,) = web_instances(here, 1)
    here.view.call("StopInstances", InstanceIds=[instance])
    elsewhere = group(here, "elsewhere", VpcId=here.view.make_vpc("10.1.0.0/16").id)
    assert codes(here, arn, {"Id": instance}, {"Id": "i-0123456789abcdef0"}) == ["InvalidTarget"] * 2
    assert codes(here, arn, {"Id": "10.0.1.5"}) == ["ValidationError"]
    assert codes(here, elsewhere, {"Id": web_instances(here, 1)[0]}) == ["InvalidTarget"]
    assert codes(here, arn, {"Id": web_instances(here, 1)[0], "AvailabilityZone": "all"}) == ["ValidationError"]


def test_addresses_are_of_the_vpc_or_private_ones_with_a_zone(here):
    arn = group(here, TargetType="ip")
    assert codes(here, arn, {"Id": "8.8.8.8"}, {"Id": "10.0.200.1"}) == ["InvalidTarget"] * 2
    assert codes(here, arn, {"Id": "i-0123456789abcdef0"}, {"Id": "192.168.0.1"}) == ["ValidationError"] * 2
    assert codes(here, arn, {"Id": "10.0.1.9", "AvailabilityZone": "us-east-1b"}) == ["ValidationError"]
    assert codes(here, arn, {"Id": "192.168.0.1", "AvailabilityZone": "us-east-1x"}) == ["ValidationError"]
    outside = {"Id": "192.168.0.1", "AvailabilityZone": "all"}
    elb(here, "RegisterTargets", TargetGroupArn=arn, Targets=[{"Id": "10.0.1.9"}, outside])
    told = elb(here, "DescribeTargetHealth", TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert [one["Target"]["AvailabilityZone"] for one in told] == ["us-east-1a", "all"]


def test_only_registered_targets_are_deregistered(here):
    arn = group(here, TargetType="ip")
    register(here, arn, "10.0.1.9", ("10.0.1.9", 8080))
    missing = {"TargetGroupArn": arn, "Targets": [{"Id": "10.0.1.9", "Port": 81}]}
    assert refusal(here, "DeregisterTargets", **missing) == "InvalidTarget"
    deregister(here, arn, "10.0.1.9")
    (left,) = elb(here, "DescribeTargetHealth", TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert left["Target"]["Port"] == 8080


def test_quotas_of_targets_are_kept(here, balancer):
    arn = group(here, TargetType="ip")
    here.view.quotas = Quotas(targets_per_group=1)
    two = [{"Id": "10.0.1.9"}, {"Id": "10.0.1.10"}]
    assert refusal(here, "RegisterTargets", TargetGroupArn=arn, Targets=two) == "TooManyTargets"
    listen(here, balancer, arn)
    for quotas, code in (
        (Quotas(targets_per_balancer=1), "TooManyTargets"),
        (Quotas(targets_per_zone=1), "TooManyTargets"),
    ):
        here.view.quotas = quotas
        assert refusal(here, "RegisterTargets", TargetGroupArn=arn, Targets=two) == code
    here.view.quotas = Quotas(registrations_per_target=1)
    same = [{"Id": "10.0.1.9"}, {"Id": "10.0.1.9", "Port": 81}]
    assert refusal(here, "RegisterTargets", TargetGroupArn=arn, Targets=same) == "TooManyRegistrationsForTargetId"
    here.view.quotas = Quotas(targets_per_zone=1)
    register(here, arn, "10.0.1.9", "10.0.2.9")  # in a zone each
