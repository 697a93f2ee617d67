"""NAT gateways of a running region: a private instance reaches the internet through a cell whose nodes die one after the other.

    inner 10.60.2.10 (private) -- host-1 --+-- node-1 .. node-4 (cell-1) --+-- edge-1 -- router -- page 192.0.2.80
      0.0.0.0/0 -> nat in 10.60.1.0/24     +-----------substrate-----------+
      10.60.1.0/24: 0.0.0.0/0 -> internet gateway

    modern, without IPv4 (10.60.3.0/24 and a /64, DNS64): 64:ff9b::/96 -> nat
    beyond 10.60.4.10 (zone b) -- host-2, by inner's table: while that leads to a regional gateway
"""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from rookery.region import namespaces
from rookery.region.inside import entering
from rookery.region.layout import OLD_PAGE_NAME, PAGE_ADDRESSES, Layout
from rookery.region.parts import CONTROLLER
from rookery.region.status import live_generation
from rookery.region.supervisor import read_records
from tests.conftest import RunningRegion
from tests.region.gateway_stage import printed
from tests.waiting import until

pytestmark = pytest.mark.real_packets
PAGE = PAGE_ADDRESSES[0]
RESOLVER_IPV6 = "fd00:ec2::253"
MEGABYTE = 1 << 20
SIZE = 24 * MEGABYTE
CONNECTIONS = 3  # at least: the page asked twice, and the download
HELD = 7  # connections at once
QUOTA = 5  # of Elastic IPs
NODE = "hyperplane"
GOES_ON = 2 * MEGABYTE  # half a second's
WAIT = {"Delay": 0.2, "MaxAttempts": 200}


class Stage:
    """Ids; `public`: the gateway's address."""

    def __init__(self, region: RunningRegion):
        self.region, self.ec2 = region, region.client()
        self.plan = Layout(region.name)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.60.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
        self.gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        outer, self.inner_table = self.subnet(1), ""
        self.lead(self.table, GatewayId=self.gateway)
        address = self.ec2.allocate_address(Domain="vpc")
        self.public, self.allocation = address["PublicIp"], address["AllocationId"]
        made = self.ec2.create_nat_gateway(SubnetId=outer, AllocationId=self.allocation)["NatGateway"]
        self.nat = made["NatGatewayId"]
        self.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[self.nat], WaiterConfig=WAIT)
        self.instance = self.launch(self.subnet(2))
        self.inner_table = self.table
        self.now(self.lead(self.table, NatGatewayId=self.nat))
        self.modern = ""

    def begin_modern(self) -> None:
        """An instance that speaks IPv6 alone."""
        (vpc,) = self.ec2.describe_vpcs(VpcIds=[self.vpc])["Vpcs"]
        block = next(ip_network(vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]).subnets(new_prefix=64))
        subnet = self.subnet(3, Ipv6CidrBlock=str(block))
        self.ec2.modify_subnet_attribute(SubnetId=subnet, EnableDns64={"Value": True})
        self.ec2.create_route(RouteTableId=self.table, DestinationIpv6CidrBlock="64:ff9b::/96", NatGatewayId=self.nat)
        self.modern = self.launch(subnet, PrivateIpAddress="10.60.3.10", Ipv6AddressCount=1)
        self.in_modern("sh", "-c", f"ip -4 address flush dev eth0 && echo nameserver {RESOLVER_IPV6} > /etc/resolv.conf")

    def in_modern(self, *words: str) -> str:
        enter, environment = entering(self.region.name, self.modern, list(words))
        return printed(enter, environment)

    def subnet(self, number: int, zone: str = "us-east-1a", **more: str) -> str:
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.60.{number}.0/24", AvailabilityZone=zone, **more)
        self.table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=self.table, SubnetId=made["Subnet"]["SubnetId"])
        return made["Subnet"]["SubnetId"]

    def lead(self, table: str, **target: str) -> Any:
        return self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)

    def launch(self, subnet: str, **more: Any) -> str:
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        asked = {"ImageId": image, "SubnetId": subnet, "PrivateIpAddress": "10.60.2.10", "MinCount": 1, "MaxCount": 1, **more}
        (made,) = self.ec2.run_instances(**asked)["Instances"]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[made["InstanceId"]], WaiterConfig=WAIT)
        return made["InstanceId"]

    def now(self, answer: Any) -> None:
        generation = int(answer["ResponseMetadata"]["HTTPHeaders"]["x-rookery-generation"])
        until(lambda: live_generation(self.region.name) >= generation, "hosts, edges and nodes follow")

    def run(self, *words: str, instance: str = "") -> str:
        """What it prints, in the instance; empty when it fails."""
        enter, environment = entering(self.region.name, instance or self.instance, list(words))
        return printed(enter, environment)

    def outside(self, *words: str) -> str:
        return printed(namespaces.inside(self.plan.page_namespace, *words))

    def told(self, instance: str = "") -> str:
        """By the page, of who asks."""
        return self.run("curl", "-s", "-m", "3", f"http://{PAGE}/", instance=instance)

    def address_of_nat(self) -> dict[str, Any]:
        (found,) = self.ec2.describe_nat_gateways(NatGatewayIds=[self.nat])["NatGateways"]
        return found["NatGatewayAddresses"][0]


@pytest.fixture(scope="module")
def stage(module_region: Callable[..., RunningRegion]) -> Stage:
    return Stage(module_region(2, 2, "--edges", "1", "--nodes", "4"))


def test_the_server_sees_the_gateways_address_and_a_port_that_it_handed_out(stage: Stage):
    """T6-01."""
    assert stage.told() == f"{PAGE} sees you as {stage.public}\n"


def test_pings_are_answered_and_the_gateway_is_a_hop(stage: Stage):
    """T6-13."""
    assert " 0% packet loss" in stage.run("ping", "-n", "-c", "3", "-i", "0.1", "-W", "2", PAGE)
    inner = stage.address_of_nat()["PrivateIp"]
    enter, environment = entering(stage.region.name, stage.instance, ["ping", "-n", "-c", "1", "-W", "2", "-t", "1", PAGE])
    assert f"From {inner}" in printed(["sh", "-c", '"$@" || true', "sh", *enter], environment)


def test_a_trace_goes_from_node_to_node_and_leaves_no_flow(stage: Stage):
    for _ in range(2):  # the second one would find what the first left
        told = stage.region.asked("trace", stage.instance, PAGE, "--tcp", "4242")
        assert told["seen_as"] == stage.public
        programs = [leg["program"] for leg in told["legs"]]
        assert (programs[1], programs[-1]) == ("host_egress", "blackfoot_outward")
        assert set(programs[2:-1]) == {"hyperplane"}
        steps = [step["step"] for leg in told["legs"] for step in leg["steps"]]
        assert {"decided", "stored", "source_translated"} <= set(steps)
        assert not {"tracked", "directive_cached"} & set(steps)
        allowed = [step["rule"] for leg in told["legs"] for step in leg["steps"] if step["step"] == "acl_allowed" and leg["program"] == NODE]
        assert allowed and all(re.fullmatch(r"acl-[0-9a-f]{17} rule 100 \(allow .*\)", rule) for rule in allowed), allowed


def test_a_flows_state_is_found_at_its_keepers_from_either_end(stage: Stage):
    stage.told()
    decided = [one for one in stage.region.asked("flow", f"{PAGE}:80", "--vpc", stage.vpc)["flows"] if one["age"] is not None]
    flow = min(decided, key=lambda one: one["age"])
    assert (flow["source"], flow["attachment"], flow["public_source"]) == ("10.60.2.10", stage.nat, stage.public)
    roles = {(one["direction"], one["role"]) for one in flow["keepers"]}
    assert roles >= {(way, role) for way in ("outward", "answers") for role in ("primary", "secondary", "top")}
    assert {one["node"] for one in flow["keepers"]} <= {f"node-{number}" for number in (1, 2, 3, 4)}
    for end in (f"{stage.instance}:{flow['source_port']}", f"{stage.public}:{flow['new_source_port']}"):
        (again,) = stage.region.asked("flow", end)["flows"]
        assert (again["source_port"], again["new_source_port"]) == (flow["source_port"], flow["new_source_port"])
    nobody = stage.region.rookery("flow", "10.60.2.10:1")
    assert (nobody.returncode, nobody.stdout) == (1, b"")
    assert b"no node keeps a flow that begins or ends at 10.60.2.10:1" in nobody.stderr


def test_nobody_outside_begins_anything(stage: Stage):
    """T6-09, T6-14."""
    assert stage.outside("ping", "-n", "-c", "1", "-W", "0.7", stage.public) == ""
    assert stage.outside("curl", "-s", "-m", "0.7", f"http://{stage.public}/") == ""
    told = until(lambda: [one for one in stage.region.asked("cell")["causes"] if one["what"] == "drop_no_flow"], "the cell says why")
    assert told[0]["cause"] == f"{stage.nat}: no node knows the flow: idle for more than 350 s, or never begun here"


def test_the_gateway_answers_no_ping_from_inside(stage: Stage):
    """T6-09: of neither address."""
    inner = stage.address_of_nat()["PrivateIp"]
    assert [stage.run("ping", "-n", "-c", "1", "-W", "0.7", one) for one in (inner, stage.public)] == ["", ""]


def test_an_address_that_no_flow_uses_is_gone_long_before_its_time_is_over(stage: Stage):
    spare = stage.ec2.allocate_address(Domain="vpc")["AllocationId"]
    asked = {"NatGatewayId": stage.nat, "AllocationIds": [spare]}
    (added,) = stage.ec2.associate_nat_gateway_address(**asked)["NatGatewayAddresses"]

    def statuses() -> list[str]:
        (found,) = stage.ec2.describe_nat_gateways(NatGatewayIds=[stage.nat])["NatGateways"]
        return [one["Status"] for one in found["NatGatewayAddresses"]]

    until(lambda: statuses() == ["succeeded"] * 2, "it may be used", 30)
    left = {"AssociationIds": [added["AssociationId"]], "MaxDrainDurationSeconds": 4000}
    stage.ec2.disassociate_nat_gateway_address(NatGatewayId=stage.nat, **left)
    assert statuses() == ["succeeded", "disassociating"]
    until(lambda: statuses() == ["succeeded"], "all nodes say that no flow leaves by it", 30)
    stage.ec2.release_address(AllocationId=spare)
    assert stage.told() == f"{PAGE} sees you as {stage.public}\n"


def received(stage: Stage) -> int:
    return int(stage.run("stat", "-c", "%s", "/tmp/fetched") or 0)


def healthy(stage: Stage) -> bool:
    found = json.loads(stage.region.rookery("cell", "--json").stdout)
    return not found["problem"] and not any(node["problem"] for node in found["nodes"])


def test_a_download_goes_on_while_every_node_dies_and_comes_back(stage: Stage):
    """None of the flow's keepers is spared, nor the node that it goes through."""
    fetch = f"curl -s -o /tmp/fetched -w '%{{size_download}} %{{num_connects}}' 'http://{PAGE}/bytes/{SIZE}?rate={4 * MEGABYTE}' > /tmp/said 2>&1; echo >> /tmp/said"
    stage.run("sh", "-c", f"setsid sh -c \"{fetch}\" > /dev/null 2>&1 < /dev/null &")
    until(lambda: received(stage) > 0, "it begins")
    for number in (1, 2, 3, 4):
        node = stage.plan.host_namespace(f"node-{number}")
        namespaces.run("ip", "-n", node, "link", "set", "u0", "down")
        begun = received(stage)
        until(lambda begun=begun: received(stage) >= min(begun + GOES_ON, SIZE), f"it goes on without node-{number}")
        namespaces.run("ip", "-n", node, "link", "set", "u0", "up")
        until(lambda: healthy(stage), f"node-{number} is back")
    until(lambda: stage.run("cat", "/tmp/said"), "it ends", 30)
    assert stage.run("cat", "/tmp/said").split() == [str(SIZE), "1"]


def parts(stage: Stage) -> dict[str, int]:
    """Process ids of the nodes' agents and the controller."""
    records = read_records(stage.plan)
    return {one.name: one.pid for one in records if one.name.startswith("node-") or one.name == CONTROLLER}


def test_agents_of_nodes_and_their_controller_are_killed_and_no_packet_is_lost(stage: Stage):
    enter, environment = entering(stage.region.name, stage.instance, ["ping", "-n", "-q", "-c", "300", "-i", "0.02", "-W", "2", PAGE])
    pings = subprocess.Popen(enter, env=environment, stdout=subprocess.PIPE, text=True)
    before = parts(stage)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(parts(stage)) == 5 and not before.items() & parts(stage).items(), "others take their places")
    said, _ = pings.communicate(timeout=30)
    assert " 0% packet loss" in said
    until(lambda: healthy(stage), "the cell is whole")
    assert stage.told()


@pytest.fixture(scope="module")
def cloudwatch(stage: Stage) -> Any:
    return stage.region.client("cloudwatch")


def measured(cloudwatch: Any, stage: Stage, *names: str, statistic: str = "Sum", nat: str = "") -> list[float]:
    """Of the gateway, in the last hour: what was counted, or the highest."""
    gateway = [{"Name": "NatGatewayId", "Value": nat or stage.nat}]
    now = datetime.datetime.now(datetime.UTC)
    queries = [
        {
            "Id": f"it{number}",
            "MetricStat": {
                "Metric": {"Namespace": "AWS/NATGateway", "MetricName": name, "Dimensions": gateway},
                "Period": 60,
                "Stat": statistic,
            },
        }
        for number, name in enumerate(names)
    ]
    found = cloudwatch.get_metric_data(
        MetricDataQueries=queries, StartTime=now - datetime.timedelta(hours=1), EndTime=now + datetime.timedelta(minutes=1)
    )["MetricDataResults"]
    return [sum(one["Values"]) if statistic == "Sum" else max(one["Values"], default=0) for one in found]


def scraped(stage: Stage, name: str) -> float:
    token = stage.plan.scrape_token.read_text(encoding="ascii").strip()
    asked = urllib.request.Request(f"{stage.region.endpoint}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name + "{") and stage.nat in line)


def test_what_went_through_the_gateway_is_measured(stage: Stage, cloudwatch: Any):
    """The download, although every node was away for a while and every agent has died: a kernel counts, not an agent."""
    until(lambda: measured(cloudwatch, stage, "BytesOutToSource") >= [SIZE], "the download is measured", 20)
    came, told = measured(cloudwatch, stage, "BytesInFromDestination", "BytesOutToSource")
    assert SIZE <= told <= came < 2 * SIZE
    dropped, no_port = measured(cloudwatch, stage, "PacketsDropCount", "ErrorPortAllocation")
    assert (dropped > 0, no_port) == (True, 0)  # who came from outside, unasked
    tries = "ConnectionAttemptCount", "ConnectionEstablishedCount"
    until(lambda: (found := measured(cloudwatch, stage, *tries))[0] == found[1] >= CONNECTIONS, lambda: f"{measured(cloudwatch, stage, *tries)}")
    assert measured(cloudwatch, stage, "PeakBytesPerSecond", statistic="Maximum") >= [GOES_ON / 10]
    until(lambda: scraped(stage, "aws_nat_gateway_bytes_out_to_source_total") >= SIZE, "Prometheus reads it too")
    _, key = stage.region.new_account()
    assert stage.region.client("cloudwatch", key=key).list_metrics()["Metrics"] == []


def test_open_connections_are_held(stage: Stage, cloudwatch: Any):
    """Each by one node as far as the metric goes, though two keep it, in both directions; what is closed is not."""
    slow = f"curl -s -m 60 -o /dev/null 'http://{PAGE}/bytes/{SIZE}?rate={MEGABYTE // 8}' < /dev/null & held=\"$held $!\""
    script = "\n".join([*[slow] * HELD, "read told", "kill $held"])
    enter, environment = entering(stage.region.name, stage.instance, ["sh", "-c", script])
    with subprocess.Popen(enter, env=environment, stdin=subprocess.PIPE) as holding:
        until(lambda: measured(cloudwatch, stage, "ActiveConnectionCount", statistic="Maximum") >= [HELD], "they are held", 20)
        assert measured(cloudwatch, stage, "ActiveConnectionCount", statistic="Maximum") <= [HELD + 1]
        holding.communicate(b"enough\n", timeout=10)


def test_an_instance_without_ipv4_reaches_a_page_that_has_nothing_else(stage: Stage):
    """T6-18: by its name, of which the resolver makes an address behind 64:ff9b::/96."""
    stage.begin_modern()
    until(lambda: stage.in_modern("curl", "-s", "-m", "3", f"http://{OLD_PAGE_NAME}/") == f"{PAGE} sees you as {stage.public}\n", "the page answers")
    assert int(stage.in_modern("curl", "-s", "-m", "20", "-o", "/dev/null", "-w", "%{size_download}", f"http://{OLD_PAGE_NAME}/bytes/{MEGABYTE}")) == MEGABYTE
    assert " 0% packet loss" in stage.in_modern("ping", "-n", "-c", "2", "-i", "0.1", "-W", "2", OLD_PAGE_NAME)


def test_what_is_translated_between_families_is_seen_like_everything(stage: Stage):
    told = stage.region.asked("trace", stage.modern, f"64:ff9b::{PAGE}", "--tcp", "80")
    steps = [step["step"] for leg in told["legs"] for step in leg["steps"]]
    assert told["seen_as"] == stage.public and "family_translated" in steps
    flows = stage.region.asked("flow", stage.modern)["flows"]
    found = next(one for one in flows if one["destination_port"] == 80)
    assert (found["destination"], found["new_destination"], found["public_source"]) == ("64:ff9b::c000:250", PAGE, stage.public)


def addresses_by_zone(stage: Stage, nat: str) -> dict[str, str]:
    """Those by which packets leave."""
    (found,) = stage.ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"]
    return {one["AvailabilityZone"]: one["PublicIp"] for one in found["NatGatewayAddresses"] if one["Status"] == "succeeded"}


def test_a_regional_gateway_serves_a_new_zone_across_zones_and_then_by_its_own_address(stage: Stage, cloudwatch: Any):
    """T6-20: as long as the account may have no other address the zone waits for its own."""
    held = len(stage.ec2.describe_addresses()["Addresses"])
    made = stage.ec2.create_nat_gateway(AvailabilityMode="regional", VpcId=stage.vpc)["NatGateway"]
    nat = made["NatGatewayId"]
    more = [stage.ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(held + 1, QUOTA)]
    stage.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig=WAIT)
    way = {"RouteTableId": stage.inner_table, "DestinationCidrBlock": "0.0.0.0/0"}
    stage.now(stage.ec2.replace_route(**way, NatGatewayId=nat))
    (first,) = addresses_by_zone(stage, nat).values()
    assert stage.told() == f"{PAGE} sees you as {first}\n"
    subnet = stage.subnet(4, "us-east-1b")
    (own,) = stage.ec2.describe_route_tables(RouteTableIds=[stage.table])["RouteTables"]
    association = own["Associations"][0]["RouteTableAssociationId"]
    stage.ec2.replace_route_table_association(AssociationId=association, RouteTableId=stage.inner_table)
    beyond = stage.launch(subnet, PrivateIpAddress="10.60.4.10")
    assert stage.told(beyond) == f"{PAGE} sees you as {first}\n"
    assert list(addresses_by_zone(stage, nat)) == ["us-east-1a"]
    stage.ec2.release_address(AllocationId=more.pop())
    until(lambda: len(addresses_by_zone(stage, nat)) == 2, "the zone has an address of its own", 30)
    second = addresses_by_zone(stage, nat)["us-east-1b"]
    assert [stage.told(one) for one in ("", beyond)] == [f"{PAGE} sees you as {one}\n" for one in (first, second)]
    hop = entering(stage.region.name, beyond, ["ping", "-n", "-c", "1", "-W", "2", "-t", "1", PAGE])
    assert re.search(r"From 169\.254\.1[2-5]\d\.", printed(["sh", "-c", '"$@" || true', "sh", *hop[0]], hop[1]))
    told = stage.region.asked("trace", beyond, PAGE, "--tcp", "80")
    assert told["seen_as"] == second
    ways = {(one["attachment"], one["public_source"]) for one in stage.region.asked("flow", beyond)["flows"]}
    assert ways == {(nat, first), (nat, second)}
    until(lambda: measured(cloudwatch, stage, "ConnectionEstablishedCount", nat=nat) >= [4], "both zones' connections are its own", 20)
    stage.ec2.replace_route(**way, NatGatewayId=stage.nat)
    stage.ec2.delete_nat_gateway(NatGatewayId=nat)
    for one in more:
        stage.ec2.release_address(AllocationId=one)


def test_deleted_the_gateway_leads_nowhere_and_its_address_is_free(stage: Stage):
    """T6-12."""
    stage.ec2.delete_nat_gateway(NatGatewayId=stage.nat)
    stage.ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[stage.nat], WaiterConfig=WAIT)
    until(lambda: stage.told() == "", "nothing passes")
    (table,) = stage.ec2.describe_route_tables(RouteTableIds=[stage.inner_table])["RouteTables"]
    assert {route["State"] for route in table["Routes"] if route.get("NatGatewayId")} == {"blackhole"}
    (address,) = stage.ec2.describe_addresses(AllocationIds=[stage.allocation])["Addresses"]
    assert "AssociationId" not in address
    stage.ec2.release_address(AllocationId=stage.allocation)
