"""A balancer's VPC on real hosts and a real cell; of the region's first account.

    10.62.0.0/16          subnet a 10.62.1.0/24 (zone a)    subnet b 10.62.2.0/24 (zone b)
    client                .10
    targets               one .11                           two .11
    balancer, internal    an address                        an address

Every target tells its name at ports 80 and 8080, whatever is asked for; where /tmp/code has a code it answers with that. Who asked, and
for which Host, is in /tmp/asked.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from rookery.region.inside import entering
from tests.conftest import RunningRegion
from tests.region.gateway_stage import printed

VPC = "10.62.0.0/16"
PLACES = {"client": ("a", 10), "one": ("a", 11), "two": ("b", 11)}
NUMBERS = {"a": 1, "b": 2}
WAIT = {"Delay": 0.2, "MaxAttempts": 600}
PATIENCE = 10.0  # seconds
SERVE = """#!/bin/sh
exec python3 -c '
import pathlib, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        with open("/tmp/asked", "a") as asked:
            print(self.client_address[0], self.headers["Host"], self.headers["User-Agent"], self.path, file=asked)
        told = pathlib.Path("/tmp/code")
        self.send_response(int(told.read_text()) if told.exists() else 200)
        self.end_headers()
        self.wfile.write(b"{name}")
    def log_message(self, *_):
        pass
threading.Thread(target=ThreadingHTTPServer(("0.0.0.0", 8080), Page).serve_forever).start()
ThreadingHTTPServer(("0.0.0.0", 80), Page).serve_forever()'
"""
CHECK = {
    "HealthCheckProtocol": "HTTP",
    "HealthCheckPath": "/up",
    "HealthCheckIntervalSeconds": 5,
    "HealthCheckTimeoutSeconds": 4,  # a busy machine is no failing target
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 2,
}


class Stage:
    """`instances`: by name; `group`: behind port 80; `hopeless`: behind port 82, nobody listens where it is checked; `unknown`: behind port 83,
    the same, and the check that would prove it comes after five minutes."""

    def __init__(self, region: RunningRegion):
        self.region, self.ec2, self.elb = region, region.client(), region.client("elbv2")
        self.vpc = self.ec2.create_vpc(CidrBlock=VPC)["Vpc"]["VpcId"]
        self.subnets = {name: self._subnet(name) for name in NUMBERS}
        self._admit_everybody()
        self.instances = {name: self._launch(name) for name in PLACES}
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[*self.instances.values()], WaiterConfig=WAIT)
        subnets = [*self.subnets.values()]
        (made,) = self.elb.create_load_balancer(Name="web", Type="network", Scheme="internal", Subnets=subnets)["LoadBalancers"]
        self.balancer = made["LoadBalancerArn"]
        self.group = self.new_group("web", **CHECK)
        self.listen(80, self.group)
        self.hopeless = self.new_group("hopeless", **{**CHECK, "HealthCheckPort": "9999"})
        self.listen(82, self.hopeless)
        self.unknown = self.new_group("unknown", **{**CHECK, "HealthCheckPort": "9999", "HealthCheckIntervalSeconds": 300})
        self.listen(83, self.unknown)

    def _subnet(self, name: str) -> str:
        zone, cidr = f"us-east-1{name}", f"10.62.{NUMBERS[name]}.0/24"
        return self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]

    def _admit_everybody(self) -> None:
        of_vpc = [{"Name": "vpc-id", "Values": [self.vpc]}]
        (group,) = self.ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": VPC}]}]
        self.ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=everything)

    def _launch(self, name: str) -> str:
        subnet, number = PLACES[name]
        (made,) = self.ec2.run_instances(
            ImageId=self.ec2.describe_images()["Images"][0]["ImageId"],
            SubnetId=self.subnets[subnet],
            PrivateIpAddress=f"10.62.{NUMBERS[subnet]}.{number}",
            UserData=SERVE.replace("{name}", name) if name != "client" else "",
            MinCount=1,
            MaxCount=1,
        )["Instances"]
        return made["InstanceId"]

    # What is balanced

    def new_group(self, name: str, **settings: Any) -> str:
        asked = {"Name": name, "Protocol": "TCP", "Port": 80, "VpcId": self.vpc, "TargetType": "instance", **settings}
        return self.elb.create_target_group(**asked)["TargetGroups"][0]["TargetGroupArn"]

    def listen(self, port: int, group: str, protocol: str = "TCP") -> str:
        action = {"Type": "forward", "TargetGroupArn": group}
        (made,) = self.elb.create_listener(
            LoadBalancerArn=self.balancer, Protocol=protocol, Port=port, DefaultActions=[action]
        )["Listeners"]
        return made["ListenerArn"]

    def register(self, *names: str, group: str = "", **more: Any) -> None:
        targets = [{"Id": self.instances[name], **more} for name in names]
        self.elb.register_targets(TargetGroupArn=group or self.group, Targets=targets)

    def deregister(self, *names: str, group: str = "") -> None:
        targets = [{"Id": self.instances[name]} for name in names]
        self.elb.deregister_targets(TargetGroupArn=group or self.group, Targets=targets)

    def health(self, group: str = "") -> dict[str, tuple[str, str]]:
        """By the target's name: state and reason."""
        names = {instance: name for name, instance in self.instances.items()}
        told = self.elb.describe_target_health(TargetGroupArn=group or self.group)["TargetHealthDescriptions"]
        return {
            names[one["Target"]["Id"]]: (one["TargetHealth"]["State"], one["TargetHealth"].get("Reason", "")) for one in told
        }

    @cached_property
    def addresses(self) -> dict[str, str]:
        """The balancer's, by its subnets' names."""
        of_it = [{"Name": "description", "Values": ["ELB net/web/*"]}]
        found = self.ec2.describe_network_interfaces(Filters=of_it)["NetworkInterfaces"]
        names = {subnet: name for name, subnet in self.subnets.items()}
        return {names[one["SubnetId"]]: one["PrivateIpAddress"] for one in found}

    # In an instance

    def run(self, name: str, *words: str) -> str:
        """What it prints; empty when it fails."""
        enter, environment = entering(self.region.name, self.instances[name], list(words))
        return printed(enter, environment)

    def answer(self, subnet: str = "a", port: int = 80, patience: float = 0.7) -> str:
        """Name of the target to which a new connection of the client's goes; empty: to none."""
        return self.run("client", "curl", "-s", "-m", str(patience), f"http://{self.addresses[subnet]}:{port}/")

    def answers(self, times: int, subnet: str = "a", port: int = 80) -> set[str]:
        """Of so many connections one after the other; each has the time that a busy machine takes."""
        return {self.answer(subnet, port, PATIENCE) for _ in range(times)}

    def checks_seen_by(self, name: str) -> set[tuple[str, ...]]:
        """(who asked, Host, user agent, path)"""
        lines = self.run(name, "cat", "/tmp/asked").splitlines()
        return {tuple(line.split()) for line in lines if "ELB-HealthChecker" in line}
