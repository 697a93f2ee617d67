"""A VPC with every way out, on real hosts and edges; of an account that nobody else uses.

    10.70.0.0/16 and a /56                     Elastic IPs     ways out
    front    10.70.1.0/24 (zone a)  web  .10   web, and .50    0.0.0.0/0, ::/0 -> internet gateway
    back     10.70.2.0/24 (zone b)  shy  .10   shy             ::/0 -> egress-only gateway
    guarded  10.70.3.0/24 (zone b)  kept .10   kept            0.0.0.0/0 -> box
    middle   10.70.4.0/24 (zone a)  box  .10   box             0.0.0.0/0 -> internet gateway

box is an appliance: it passes packets on. Every instance tells on port 80 by which address it sees who asks, as the page outside does.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from ipaddress import IPv6Network
from typing import Any

from rookery.region import namespaces
from rookery.region.inside import entering
from rookery.region.layout import Layout
from rookery.region.ready import host_states
from rookery.region.status import current, live_generation
from rookery.tour.permission import rule
from tests.waiting import until

SUBNETS = {"front": 0, "back": 1, "guarded": 1, "middle": 0}  # zone; in the order of their third octets
PLACES = {"web": "front", "shy": "back", "kept": "guarded", "box": "middle"}
SECOND = "10.70.1.50"  # of web
SERVE = """#!/bin/sh
exec python3 -c '
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        text = "{name} sees " + self.client_address[0].removeprefix("::ffff:")
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
class Server(ThreadingHTTPServer):
    address_family = AF_INET6
Server(("::", 80), Page).serve_forever()'
"""
PATIENCE = 0.7  # seconds: a packet of this machine needs less than a hundredth of that


@dataclass
class Stage:
    """Ids and addresses by name."""

    region: Any
    ec2: Any
    vpc: str = ""
    gateway: str = ""
    egress_only: str = ""
    group: str = ""
    subnets: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, str] = field(default_factory=dict)
    ipv6: dict[str, str] = field(default_factory=dict)
    public: dict[str, str] = field(default_factory=dict)

    @property
    def plan(self) -> Layout:
        return Layout(self.region.name)

    def now(self, answer: Any) -> Any:
        """When every host and edge has applied what the answer says."""
        generation = answer["ResponseMetadata"]["HTTPHeaders"].get("x-rookery-generation")
        if generation:
            until(lambda: live_generation(self.region.name) >= int(generation), "hosts and edges follow")
        return answer

    def run(self, name: str, *words: str) -> str:
        """What it prints, in the instance; empty when it fails."""
        enter, environment = entering(self.region.name, self.instances[name], list(words))
        return printed(enter, environment)

    def outside(self, *words: str) -> str:
        """The same at the page outside."""
        return printed(namespaces.inside(self.plan.page_namespace, *words))

    def curl(self, name: str, *words: str, patience: float = 3.0) -> str:
        return self.run(name, "curl", "-s", "-m", str(patience), *words)

    def curl_from_outside(self, *words: str, patience: float = 3.0) -> str:
        return self.outside("curl", "-s", "-m", str(patience), *words)

    def dropped(self, reason: str) -> int:
        """Packets, on all hosts."""
        states = host_states(current(self.region.name))
        return sum(state.status.counters.get(reason, {}).get("packets", 0) for state in states if state.status)

    def route(self, subnet: str, destination: str, **target: str) -> None:
        word = "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"
        self.now(self.ec2.create_route(RouteTableId=self.tables[subnet], **{word: destination}, **target))

    def give(self, name: str, private: str = "") -> str:
        """An Elastic IP."""
        made = self.ec2.allocate_address(Domain="vpc")
        more = {"PrivateIpAddress": private} if private else {}
        asked = {"AllocationId": made["AllocationId"], "NetworkInterfaceId": self.interfaces[name], **more}
        self.now(self.ec2.associate_address(**asked))
        return made["PublicIp"]


def printed(command: Any, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout if done.returncode == 0 else ""


def built(region: Any) -> Stage:
    _, key = region.new_account()
    stage = Stage(region, region.client(key=key))
    _make_vpc(stage)
    for number, name in enumerate(SUBNETS):
        _make_subnet(stage, name, number)
    for name, subnet in PLACES.items():
        _launch(stage, name, subnet)
    waiter = stage.ec2.get_waiter("instance_running")
    waiter.wait(InstanceIds=list(stage.instances.values()), WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    stage.public = {name: stage.give(name) for name in PLACES}
    _lead_out(stage)
    _make_appliance(stage, "box")
    _add_second(stage)
    for name in PLACES:
        until(lambda name=name: stage.curl(name, "http://127.0.0.1/"), f"{name} serves")
    return stage


def _make_vpc(stage: Stage) -> None:
    ec2 = stage.ec2
    stage.vpc = ec2.create_vpc(CidrBlock="10.70.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    stage.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=stage.gateway, VpcId=stage.vpc)
    made = ec2.create_egress_only_internet_gateway(VpcId=stage.vpc)["EgressOnlyInternetGateway"]
    stage.egress_only = made["EgressOnlyInternetGatewayId"]
    stage.group = group(stage, "open", [rule("-1"), rule("-1", source="::/0")])


def group(stage: Stage, name: str, permissions: list[dict[str, Any]]) -> str:
    """That admits so much, and lets everything out."""
    made = stage.ec2.create_security_group(GroupName=name, Description=name, VpcId=stage.vpc)["GroupId"]
    stage.now(stage.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=permissions))
    return made


def _make_subnet(stage: Stage, name: str, number: int) -> None:
    ec2 = stage.ec2
    block = ec2.describe_vpcs(VpcIds=[stage.vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    zones = sorted(zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"])
    made = ec2.create_subnet(
        VpcId=stage.vpc,
        CidrBlock=f"10.70.{number + 1}.0/24",
        Ipv6CidrBlock=str(list(IPv6Network(block).subnets(new_prefix=64))[number]),
        AvailabilityZone=zones[SUBNETS[name]],
    )
    stage.subnets[name] = made["Subnet"]["SubnetId"]
    stage.tables[name] = ec2.create_route_table(VpcId=stage.vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=stage.tables[name], SubnetId=stage.subnets[name])


def _launch(stage: Stage, name: str, subnet: str) -> None:
    image = stage.ec2.describe_images()["Images"][0]["ImageId"]
    number = list(SUBNETS).index(subnet) + 1
    (made,) = stage.ec2.run_instances(
        ImageId=image,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=stage.subnets[subnet],
        PrivateIpAddress=f"10.70.{number}.10",
        Ipv6AddressCount=1,
        SecurityGroupIds=[stage.group],
        UserData=SERVE.replace("{name}", name),
    )["Instances"]
    stage.instances[name] = made["InstanceId"]
    (interface,) = made["NetworkInterfaces"]
    stage.interfaces[name] = interface["NetworkInterfaceId"]
    stage.ipv6[name] = interface["Ipv6Addresses"][0]["Ipv6Address"]


def _lead_out(stage: Stage) -> None:
    stage.route("front", "0.0.0.0/0", GatewayId=stage.gateway)
    stage.route("front", "::/0", GatewayId=stage.gateway)
    stage.route("back", "::/0", EgressOnlyInternetGatewayId=stage.egress_only)
    stage.route("guarded", "0.0.0.0/0", NetworkInterfaceId=stage.interfaces["box"])
    stage.route("middle", "0.0.0.0/0", GatewayId=stage.gateway)


def _make_appliance(stage: Stage, name: str) -> None:
    interface = {"NetworkInterfaceId": stage.interfaces[name]}
    stage.now(stage.ec2.modify_network_interface_attribute(**interface, SourceDestCheck={"Value": False}))
    stage.run(name, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0")


def _add_second(stage: Stage) -> None:
    """A secondary address is the guest's own to configure."""
    asked = {"NetworkInterfaceId": stage.interfaces["web"], "PrivateIpAddresses": [SECOND]}
    stage.now(stage.ec2.assign_private_ip_addresses(**asked))
    stage.run("web", "ip", "address", "replace", f"{SECOND}/24", "dev", "eth0")
    stage.public["web's second"] = stage.give("web", SECOND)
