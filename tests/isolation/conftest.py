"""The stage of these tests: two VPCs of the same addresses, of an account that nobody else uses.

    red   10.0.0.0/16      red-a1 10.0.1.5, red-a2 10.0.1.6 (zone a)      red-b1 10.0.2.5 (zone b)
    blue  10.0.0.0/16      blue-a1 10.0.1.5                               blue-b9 10.0.2.9 (zone b: nobody has it in red)
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest

from rookery.region.ready import host_states
from rookery.region.status import current
from tests.executing import execute

PLAN = {
    "red": {"a1": ("a", "10.0.1.5"), "a2": ("a", "10.0.1.6"), "b1": ("b", "10.0.2.5")},
    "blue": {"a1": ("a", "10.0.1.5"), "b9": ("b", "10.0.2.9")},
}
CIDRS = {"a": "10.0.1.0/24", "b": "10.0.2.0/24"}


@dataclass
class Stage:
    """Instances by name ("red-a1"): id, and interface as the API describes it."""

    region: Any
    ec2: Any
    subnets: dict[str, str] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[bytes]:
        """`command` inside the instance, as `rookery exec` runs it; the result, whatever its exit code."""
        return execute(self.region.name, self.instances[name], *command)

    def mac(self, name: str) -> str:
        return self.interfaces[name]["MacAddress"]

    def drops(self, reason: str) -> int:
        """Packets dropped for this reason, on all hosts, so far."""
        told = [host.status.counters for host in host_states(current(self.region.name)) if host.status]
        return sum(counters[reason]["packets"] for counters in told if reason in counters)

    def make_vpc(self, vpc: str) -> None:
        vpc_id = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zones = sorted(z["ZoneName"] for z in self.ec2.describe_availability_zones()["AvailabilityZones"])
        for letter, zone in zip("ab", zones, strict=True):
            made = self.ec2.create_subnet(VpcId=vpc_id, CidrBlock=CIDRS[letter], AvailabilityZone=zone)
            self.subnets[f"{vpc}-{letter}"] = made["Subnet"]["SubnetId"]
        for name, (letter, address) in PLAN[vpc].items():
            self.launch(f"{vpc}-{name}", self.subnets[f"{vpc}-{letter}"], address)

    def launch(self, name: str, subnet: str, address: str) -> None:
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
        made = self.ec2.run_instances(**asked, SubnetId=subnet, PrivateIpAddress=address)["Instances"][0]
        self.instances[name] = made["InstanceId"]
        self.interfaces[name] = made["NetworkInterfaces"][0]

    def wait_until_running(self) -> None:
        waiter = self.ec2.get_waiter("instance_running")
        waiter.wait(
            InstanceIds=list(self.instances.values()), WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
        )


@pytest.fixture(scope="session")
def stage(region) -> Stage:
    _, key = region.new_account()
    made = Stage(region, region.client(key=key))
    for vpc in PLAN:
        made.make_vpc(vpc)
    made.wait_until_running()
    return made
