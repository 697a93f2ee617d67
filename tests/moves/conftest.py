"""The stage of these tests: a VPC of an account that nobody else uses.

    front  10.20.1.0/24 (zone a)   a 10.20.1.5    b 10.20.1.100.. (on another host)    near 10.20.1.20
    data   10.20.2.0/24 (zone a)   data 10.20.2.5
    far    10.20.3.0/24 (zone b)   far 10.20.3.5
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rookery.region import directory
from rookery.region.inside import entering
from rookery.region.layout import Layout
from tests.executing import execute
from tests.waiting import until

STREAM = Path(__file__).with_name("stream.py").read_text()
CIDRS = {"front": ("10.20.1.0/24", "a"), "data": ("10.20.2.0/24", "a"), "far": ("10.20.3.0/24", "b")}


class Inside:
    """A program that runs in an instance until its stdin is closed."""

    def __init__(self, stage: Stage, name: str, *words: str):
        enter, environment = entering(
            stage.region.name, stage.instances[name], ["python3", "-c", STREAM, *words]
        )
        self._process = subprocess.Popen(
            enter, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout.readline() == "ready\n"

    def end(self) -> Any:
        """What it prints at its end."""
        said, _ = self._process.communicate(timeout=20)
        assert self._process.returncode == 0
        return json.loads(said)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass
class Stage:
    """Ids by name."""

    region: Any
    ec2: Any
    subnets: dict[str, str] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[bytes]:
        """`command` inside the instance; the result, whatever its exit code."""
        return execute(self.region.name, self.instances[name], *command)

    def said(self, name: str, *command: str) -> str:
        done = self.run(name, *command)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    @contextmanager
    def inside(self, name: str, *words: str) -> Iterator[Inside]:
        """stream.py `words` in the instance."""
        program = Inside(self, name, *words)
        try:
            yield program
        finally:
            program.kill()

    def host(self, name: str) -> str:
        return directory.read(Layout(self.region.name)).instance(self.instances[name]).host

    def live(self) -> int:
        found = directory.read(Layout(self.region.name)).live
        return found.generation if found else 0

    def drops(self, reason: str) -> int:
        """Packets dropped for this reason, on all hosts, so far."""
        hosts = self.region.asked("status")["hosts"]
        return sum(h["status"]["counters"].get(reason, {}).get("packets", 0) for h in hosts)

    def mapped(self, address: str) -> bool:
        """Whether a mapping of the address, in any VPC, is in some host's kernel or to be there."""
        return address in json.dumps(self.region.asked("mappings"))

    def launch(self, name: str, subnet: str, address: str) -> None:
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
        made = self.ec2.run_instances(**asked, SubnetId=self.subnets[subnet], PrivateIpAddress=address)
        self.instances[name] = made["Instances"][0]["InstanceId"]

    def launch_beside(self, name: str, other: str, subnet: str, addresses: Iterator[str]) -> None:
        """On another host of the zone than `other`: placement fills the emptier host first, sooner or later it is that."""
        for address in addresses:
            self.launch(name, subnet, address)
            if self.host(name) != self.host(other):
                return
        raise AssertionError(f"all went to the host of {other}")

    def wait_until_running(self) -> None:
        waiter = self.ec2.get_waiter("instance_running")
        waiter.wait(
            InstanceIds=list(self.instances.values()), WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
        )

    def instance(self, name: str) -> dict[str, Any]:
        answer = self.ec2.describe_instances(InstanceIds=[self.instances[name]])
        return answer["Reservations"][0]["Instances"][0]

    def first_interface(self, name: str) -> str:
        found = self.instance(name)["NetworkInterfaces"]
        return next(each["NetworkInterfaceId"] for each in found if each["Attachment"]["DeviceIndex"] == 0)

    def interface(self, eni: str) -> dict[str, Any]:
        return self.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]

    def make_interface(self, subnet: str, **more: Any) -> dict[str, Any]:
        made = self.ec2.create_network_interface(SubnetId=self.subnets[subnet], **more)
        return made["NetworkInterface"]

    def plug(self, eni: str, name: str, index: int = 1) -> str:
        """Until the API says attached; the attachment's id."""
        attached = self.ec2.attach_network_interface(
            NetworkInterfaceId=eni, InstanceId=self.instances[name], DeviceIndex=index
        )
        until(lambda: self.interface(eni)["Attachment"]["Status"] == "attached", "attached")
        return attached["AttachmentId"]

    def unplug(self, eni: str) -> None:
        """Until the API says that it is available."""
        held = self.interface(eni).get("Attachment")
        if held:
            self.ec2.detach_network_interface(AttachmentId=held["AttachmentId"])
        until(lambda: self.interface(eni)["Status"] == "available", "detached")


@pytest.fixture(scope="session")
def stage(region) -> Stage:
    _, key = region.new_account()
    made = Stage(region, region.client(key=key))
    vpc = made.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    zones = sorted(z["ZoneName"] for z in made.ec2.describe_availability_zones()["AvailabilityZones"])
    for name, (cidr, letter) in CIDRS.items():
        zone = zones["ab".index(letter)]
        subnet = made.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]
        made.subnets[name] = subnet["SubnetId"]
    made.launch("a", "front", "10.20.1.5")
    made.launch("near", "front", "10.20.1.20")
    made.launch("data", "data", "10.20.2.5")
    made.launch("far", "far", "10.20.3.5")
    made.launch_beside("b", "a", "front", (f"10.20.1.{last}" for last in range(100, 200)))
    made.wait_until_running()
    return made
