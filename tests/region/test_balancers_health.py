"""Health checks of a running region, on real packets: targets get flows when they pass, and lose them when they fail.

    client, one -- host in zone a --+-- node-1 .. node-4 (cell-1)
    two         -- host in zone b --+
    balancer: an address in each zone (tests/region/balancer_stage.py)
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from rookery.hyperplane.health import FAILED, WRONG_CODE
from rookery.region.layout import Layout
from rookery.region.supervisor import read_records
from tests.cloudwatch import measured
from tests.conftest import RunningRegion
from tests.region.balancer_stage import CHECK, Stage
from tests.waiting import until

pytestmark = pytest.mark.real_packets
HEALTHY = ("healthy", "")
CROSS_ZONE = "load_balancing.cross_zone.enabled"
ZONES = ({"AvailabilityZone": "us-east-1a"}, {"AvailabilityZone": "us-east-1b"})
LONG = 60.0  # seconds for what takes a few, with other regions beside this one (bench.target_changes measures how long it takes)


@pytest.fixture(scope="module")
def stage(module_region: Callable[..., RunningRegion]) -> Stage:
    return Stage(module_region(2, 2, "--nodes", "4"))


def test_a_target_gets_its_first_connection_soon_after_it_was_registered(stage: Stage):
    stage.register("one", group=stage.hopeless)
    stage.register("one", group=stage.unknown)
    assert (stage.answer(), stage.answer(port=83)) == ("", "")
    assert stage.health(stage.unknown)["one"][0] == "initial"  # of whom nothing is known gets nothing
    stage.register("one")
    until(lambda: stage.answer() == "one", "the client reaches it", LONG)
    assert stage.health() == {"one": HEALTHY}


def test_checks_come_from_the_balancers_address_and_name_it(stage: Stage):
    """7.4: the Host header has the node's address and the listener's port."""
    address = stage.addresses["a"]
    assert stage.checks_seen_by("one") == {(address, f"{address}:80", "ELB-HealthChecker/2.0", "/up")}


def test_each_zones_address_checks_its_own_targets_and_all_of_them_across_zones(stage: Stage):
    """T7-03."""
    stage.register("two")
    until(lambda: stage.answer("b") == "two", "the other zone's target is healthy", LONG)
    assert (stage.answers(6), stage.answers(6, "b")) == ({"one"}, {"two"})
    assert {who for who, *_ in stage.checks_seen_by("two")} == {stage.addresses["b"]}
    on = [{"Key": CROSS_ZONE, "Value": "true"}]
    stage.elb.modify_load_balancer_attributes(LoadBalancerArn=stage.balancer, Attributes=on)
    until(lambda: stage.answer("b") == "one", "flows cross zones", LONG)
    everybody = {*stage.addresses.values()}
    until(lambda: {who for who, *_ in stage.checks_seen_by("two")} == everybody, "checks cross zones", LONG)


def test_a_group_that_gets_a_listener_later_is_checked_from_then_on(stage: Stage):
    """By TCP, at a port of its own."""
    group = stage.new_group("later", Protocol="TCP", Port=8080)
    stage.register("one", group=group)
    assert stage.health(group) == {"one": ("unused", "Target.NotInUse")}
    stage.listen(81, group)
    until(lambda: stage.health(group) == {"one": HEALTHY}, "it is checked", LONG)
    until(lambda: stage.answer(port=81) == "one", "it gets flows", LONG)


def test_the_targets_of_udp_are_checked_by_tcp(stage: Stage):
    group = stage.new_group("names", Protocol="UDP", Port=5353, HealthCheckPort="8080")
    stage.listen(5353, group, "UDP")
    stage.register("two", group=group)
    until(lambda: stage.health(group) == {"two": HEALTHY}, "it is healthy by the check's port", LONG)


def test_whoever_fails_gets_no_flows_any_more(stage: Stage):
    """T7-08."""
    stage.run("one", "sh", "-c", "echo 503 > /tmp/code")
    until(lambda: stage.health()["one"] == ("unhealthy", WRONG_CODE), "one is unhealthy", LONG)
    until(lambda: stage.answers(6) == {"two"}, "flows avoid it", LONG)


def test_where_all_fail_all_get_flows(stage: Stage):
    """T7-09: the group of which nobody passes, since the first of these tests."""
    until(lambda: stage.health(stage.hopeless) == {"one": ("unhealthy", FAILED)}, "it is unhealthy", LONG)
    until(lambda: stage.answer(port=82) == "one", "it is reached nevertheless", LONG)


@pytest.fixture(scope="module")
def cloudwatch(stage: Stage) -> Any:
    return stage.region.client("cloudwatch")


def test_what_the_balancer_does_is_measured(stage: Stage, cloudwatch: Any):
    """T7-09: the group of which nobody passes got a flow. Checks are no traffic."""

    def of(*asked: str, **more: str) -> float:
        statistic, name = asked
        dimensions = {"LoadBalancer": stage.balancer.partition("loadbalancer/")[2], **more}
        return measured(cloudwatch, "AWS/NetworkELB", name, statistic, dimensions)

    def flows() -> list[float]:
        return [of("Sum", "NewFlowCount_TCP", **more) for more in ({}, *ZONES)]

    until(lambda: of("Sum", "UnhealthyRoutingFlowCount") > 0, "it is counted", LONG)
    until(lambda: (found := flows())[0] == sum(found[1:]) > 0 < min(found), lambda: f"each zone has flows: {flows()}", LONG)
    targets = stage.group.rpartition(":")[2]
    until(lambda: of("Maximum", "HealthyHostCount", TargetGroup=targets) == 2, "both were healthy", LONG)
    until(lambda: of("Maximum", "UnHealthyHostCount", TargetGroup=targets) == 1, "one fails", LONG)
    assert of("Sum", "NewFlowCount_UDP") == 0


def agents(stage: Stage) -> dict[str, int]:
    """Process ids of the nodes'."""
    return {one.name: one.pid for one in read_records(Layout(stage.region.name)) if one.name.startswith("node-")}


def test_agents_that_begin_anew_forget_nothing_and_check_by_other_settings_at_once(stage: Stage):
    """What answers 503 is well enough for TCP."""
    health, before = stage.health(), agents(stage)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(agents(stage)) == 4 and not before.items() & agents(stage).items(), "others take their places", LONG)
    assert (stage.health(), stage.answers(4)) == (health, {"two"})
    stage.elb.modify_target_group(
        TargetGroupArn=stage.group, HealthCheckProtocol="TCP", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=4
    )
    until(lambda: stage.health() == {"one": HEALTHY, "two": HEALTHY}, "one passes", LONG)
    until(lambda: stage.answers(6) == {"one", "two"}, "flows go there again", LONG)


def test_a_target_gets_its_last_new_connection_soon_after_it_was_deregistered(stage: Stage):
    stage.deregister("one")
    assert stage.health()["one"] == ("draining", "Target.DeregistrationInProgress")
    until(lambda: stage.answers(8) == {"two"}, "nothing new goes there", LONG)


TELLS = """
import socket
with socket.create_server(("", 7000)) as here:
    while True:
        connection, (seen, _) = here.accept()
        header, _ = connection.recv(100, socket.MSG_WAITALL), connection.recv(1000)
        told = {0x20: "nobody", 0x21: ".".join(map(str, header[16:20]))}[header[12]]
        connection.sendall(f"HTTP/1.0 200\\r\\n\\r\\n{told} {seen}".encode())
        connection.close()
"""


def test_a_target_is_told_its_clients_address_by_proxy_protocol(stage: Stage):
    """T7-16: though it sees the balancer's. Its checks come to the same port, and tell of nobody."""
    told = {"proxy_protocol_v2.enabled": "true", "preserve_client_ip.enabled": "false"}
    group = stage.new_group("told", Port=7000, **CHECK)
    attributes = [{"Key": name, "Value": value} for name, value in told.items()]
    stage.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=attributes)
    stage.listen(7000, group)
    stage.run("two", "sh", "-c", f"python3 -c '{TELLS}' > /tmp/tells 2>&1 &")
    stage.register("two", group=group)
    until(lambda: stage.health(group) == {"two": HEALTHY}, "it reads a check's header, and what is asked behind it", LONG)
    until(lambda: stage.answer("b", 7000) == f"10.62.1.10 {stage.addresses['b']}", "it is told", LONG)
