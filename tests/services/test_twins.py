"""Two VPCs whose instances have one address, on one host: each is told of itself.

    host-1    red 10.41.1.10, blue 10.41.1.10; the same services at the same addresses
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rookery.region.inside import entering

ADDRESS = "10.41.1.10"
LEASE = "cat > /tmp/t << 'END'\n#!/bin/sh\necho $1 $ip $domain\nEND\nchmod +x /tmp/t; busybox udhcpc -i eth0 -f -q -n -t 10 -T 1 -s /tmp/t"
NAME = "import socket, sys; print(socket.gethostbyname(sys.argv[1]))"
METADATA = "curl --silent --show-error --max-time 5 http://169.254.169.254/latest/meta-data/"


class Twins:
    def __init__(self, region: Any):
        self.region = region
        self.ec2 = region.client()
        self.vpcs: dict[str, str] = {}
        self.instances: dict[str, str] = {}

    def launch(self, name: str) -> None:
        vpc = self.vpcs[name] = self.ec2.create_vpc(CidrBlock="10.41.0.0/16")["Vpc"]["VpcId"]
        configured = [{"Key": "domain-name", "Values": [f"{name}.example"]},
                      {"Key": "domain-name-servers", "Values": ["AmazonProvidedDNS"]}]  # fmt: skip
        options = self.ec2.create_dhcp_options(DhcpConfigurations=configured)["DhcpOptions"]["DhcpOptionsId"]
        self.ec2.associate_dhcp_options(DhcpOptionsId=options, VpcId=vpc)
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.41.1.0/24")["Subnet"]["SubnetId"]
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        asked = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
        made = self.ec2.run_instances(**asked, SubnetId=subnet, PrivateIpAddress=ADDRESS)["Instances"][0]
        self.instances[name] = made["InstanceId"]

    def inside(self, name: str, *command: str) -> str:
        enter, environment = entering(self.region.name, self.instances[name], list(command))
        done = subprocess.run(enter, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def twins(fresh_region: Callable[..., Any]) -> Iterator[Twins]:
    made = Twins(fresh_region(1, 1))
    for name in ("red", "blue"):
        made.launch(name)
    waiter = made.ec2.get_waiter("instance_running")
    waiter.wait(InstanceIds=list(made.instances.values()), WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    yield made


def test_twins_on_one_host_each_hear_of_their_own_lease_names_and_metadata(twins: Twins):
    for name, instance in twins.instances.items():
        assert f"bound {ADDRESS} {name}.example" in twins.inside(name, "sh", "-c", LEASE)
        assert f"search {name}.example" in twins.inside(name, "cat", "/etc/resolv.conf")
        assert twins.inside(name, "sh", "-c", f"{METADATA}instance-id") == instance
        mac = twins.inside(name, "sh", "-c", f"{METADATA}mac")
        vpc = twins.inside(name, "sh", "-c", f"{METADATA}network/interfaces/macs/{mac}/vpc-id")
        assert vpc == twins.vpcs[name]
        assert twins.inside(name, "python3", "-c", NAME, "ip-10-41-1-10.ec2.internal").strip() == ADDRESS
