"""The stage of these tests: a VPC of an account that nobody else uses, both address families, three subnets.

    10.30.0.0/16
    left   10.30.1.0/24 (zone a)   client .10   near .20
    right  10.30.2.0/24 (zone b)   server .10
    middle 10.30.3.0/24 (zone a)   box .10            (an appliance, when a test makes it one)

Every instance begins a test with a security group of its own that admits everything, and every subnet with the default ACL.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest

from rookery.region.ready import host_states
from rookery.region.status import current, live_generation
from rookery.tour.permission import rule
from rookery.tour.talk import Talker, talker_in
from tests.conftest import SHARED
from tests.executing import execute
from tests.rules.appliance import Tables, forwarding
from tests.waiting import until

CIDRS = {"left": ("10.30.1.0/24", 0), "right": ("10.30.2.0/24", 1), "middle": ("10.30.3.0/24", 0)}
ACTORS = {
    "client": ("left", "10.30.1.10"),
    "near": ("left", "10.30.1.20"),
    "server": ("right", "10.30.2.10"),
    "box": ("middle", "10.30.3.10"),
}
PATIENCE = 0.7  # a packet of this machine needs less than a hundredth of that
SERVICES = (22, 80, 443)
ALL = [rule("-1"), rule("-1", source="::/0")]


@dataclass
class Stage:
    """Ids by name."""

    region: Any
    ec2: Any
    vpc: str = ""
    zones: list[str] = field(default_factory=list)
    subnets: dict[str, str] = field(default_factory=dict)
    blocks_v6: dict[str, str] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, str] = field(default_factory=dict)
    talkers: dict[str, Talker] = field(default_factory=dict)
    worn: dict[str, tuple[str, ...]] = field(default_factory=dict)
    made: int = 0

    def make_subnet(self, name: str, vpc: str, cidr: str, zone: int) -> str:
        made = self.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=self.zones[zone])
        self.subnets[name] = made["Subnet"]["SubnetId"]
        return self.subnets[name]

    def ipv6_block(self, vpc: str) -> str:
        """Of a VPC that was made with one."""
        found = self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]
        return found["Ipv6CidrBlock"]

    def give_ipv6(self, subnet: str, block: str) -> None:
        self.ec2.associate_subnet_cidr_block(SubnetId=self.subnets[subnet], Ipv6CidrBlock=block)
        self.blocks_v6[subnet] = block

    def launch(self, name: str, subnet: str, address: str, **more: Any) -> None:
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        asked = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
        made = self.ec2.run_instances(
            **asked, SubnetId=self.subnets[subnet], PrivateIpAddress=address, **more
        )["Instances"][0]
        self.instances[name] = made["InstanceId"]
        self.interfaces[name] = made["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def wait_until_running(self) -> None:
        waiter = self.ec2.get_waiter("instance_running")
        waiter.wait(
            InstanceIds=list(self.instances.values()), WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
        )

    def talk(self, name: str) -> Talker:
        """The program in the instance; it serves TCP on SERVICES and listens on UDP 53."""
        if name not in self.talkers:
            talker = self.talkers[name] = talker_in(self.region.name, self.instances[name])
            for port in SERVICES:
                talker("serve", port)
            talker("listen", 53)
        return self.talkers[name]

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[bytes]:
        return execute(self.region.name, self.instances[name], *command)

    def ping(self, name: str, address: str, *options: str) -> bool:
        return self.run(name, "ping", "-c1", "-W1", *options, address).returncode == 0

    def now(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Waits until every host has applied the change."""
        generation = answer["ResponseMetadata"]["HTTPHeaders"].get("x-rookery-generation")
        if generation:
            until(lambda: live_generation(self.region.name) >= int(generation), "every host has it")
        return answer

    def address(self, name: str) -> str:
        return ACTORS[name][1]

    def address_v6(self, name: str) -> str:
        found = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[self.interfaces[name]])
        return found["NetworkInterfaces"][0]["Ipv6Addresses"][0]["Ipv6Address"]

    def group(self, ingress: list[dict[str, Any]], egress: list[dict[str, Any]] = ALL, vpc: str = "") -> str:
        """A new security group that admits this and no more."""
        self.made += 1
        name = f"group {self.made}"
        made = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc or self.vpc)["GroupId"]
        standard = self.ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"][0]["IpPermissionsEgress"]
        self.ec2.revoke_security_group_egress(GroupId=made, IpPermissions=standard)
        if egress:
            self.ec2.authorize_security_group_egress(GroupId=made, IpPermissions=egress)
        if ingress:
            self.now(self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=ingress))
        return made

    def admit(self, group: str, *rules: dict[str, Any]) -> None:
        self.now(self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=list(rules)))

    def revoke(self, group: str, *rules: dict[str, Any]) -> None:
        self.now(self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=list(rules)))

    def wear(self, name: str, *groups: str) -> None:
        """From now on the instance's interface has these groups."""
        if self.worn.get(name) == groups:
            return
        self.worn[name] = groups
        self.now(
            self.ec2.modify_network_interface_attribute(
                NetworkInterfaceId=self.interfaces[name], Groups=list(groups)
            )
        )

    def drops(self, reason: str) -> int:
        """Packets dropped for this reason, on all hosts, so far."""
        told = [host.status.counters for host in host_states(current(self.region.name)) if host.status]
        return sum(counters[reason]["packets"] for counters in told if reason in counters)

    def trace(self, *words: str) -> str:
        """What `rookery trace` says, whatever becomes of the packet."""
        return self.region.rookery("trace", *words).stdout.decode()

    def end(self) -> None:
        for talker in self.talkers.values():
            talker.end()


def make_stage(region: Any) -> Stage:
    _, key = region.new_account()
    stage = Stage(region, region.client(key=key))
    stage.zones = sorted(z["ZoneName"] for z in stage.ec2.describe_availability_zones()["AvailabilityZones"])
    return stage


def furnish(stage: Stage) -> None:
    """The VPC drawn above, everybody running."""
    made = stage.ec2.create_vpc(CidrBlock="10.30.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    stage.vpc = made["VpcId"]
    block = stage.ipv6_block(stage.vpc)
    for index, (name, (cidr, zone)) in enumerate(CIDRS.items()):
        stage.make_subnet(name, stage.vpc, cidr, zone)
        stage.give_ipv6(name, str(list(ip_network(block).subnets(new_prefix=64))[index]))
    for name, (subnet, address) in ACTORS.items():
        stage.launch(name, subnet, address, Ipv6AddressCount=1)
    stage.wait_until_running()


@pytest.fixture(scope="session")
def whole_stage(region: Any) -> Stage:
    stage = make_stage(region)
    SHARED.callback(stage.end)
    furnish(stage)
    return stage


@pytest.fixture(scope="session")
def open_group(whole_stage: Stage) -> str:
    return whole_stage.group(ALL)


@pytest.fixture
def stage(whole_stage: Stage, open_group: str) -> Stage:
    for name in ACTORS:
        whole_stage.wear(name, open_group)
    return whole_stage


@pytest.fixture
def tables(stage: Stage) -> Iterator[Tables]:
    made = Tables(stage)
    yield made
    made.go()


@pytest.fixture
def box(stage: Stage) -> Iterator[str]:
    """The appliance's interface."""
    with forwarding(stage, "box") as interface:
        yield interface
