"""Running Rookery regions, the subjects of measurements: two hosts with an instance on each, and what leads out of a VPC."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

from botocore.session import Session

from bench.topology import IPV4, Endpoint, Family, Topology

LAUNCHER = str(Path(__file__).resolve().parents[1] / "rookery")
NAME = os.environ.get("BENCH_REGION", "bench")  # two checkouts may measure on one machine
PORT = int(os.environ.get("BENCH_PORT", "4599"))


def rookery(*words: str) -> str:
    """Runs the launcher. Raises CalledProcessError; what went wrong is on stderr."""
    return subprocess.run(
        [LAUNCHER, *words, "--name", NAME], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def ec2_client() -> Any:
    return client_of("ec2")


def client_of(service: str, key: tuple[str, str] | None = None) -> Any:
    """A botocore client of the region, from what `rookery env` prints; `key`: of another account."""
    lines = [
        line.removeprefix("export ").split("=", 1)
        for line in rookery("env").splitlines()
        if line.startswith("export")
    ]
    values = {key: value.strip("'\"") for key, value in lines}
    identity, secret = key or (values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"])
    return Session().create_client(
        service,
        endpoint_url=values["AWS_ENDPOINT_URL"],
        region_name=values["AWS_REGION"],
        aws_access_key_id=identity,
        aws_secret_access_key=secret,
    )


def make_places(ec2: Any) -> list[str]:
    """Two subnets of a new VPC, in two zones, with both families."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    block = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    zones = [z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"]]
    return [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", Ipv6CidrBlock=str(ipv6), AvailabilityZone=zone
        )["Subnet"]["SubnetId"]
        for number, (zone, ipv6) in enumerate(zip(zones[:2], IPv6Network(block).subnets(new_prefix=64), strict=False))
    ]


def launch_pair(ec2: Any, places: list[str], **more: Any) -> tuple[dict, dict]:
    """Two running instances with an address of each family, one in each place, so on two hosts."""
    image = ec2.describe_images()["Images"][0]["ImageId"]
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "Ipv6AddressCount": 1, **more}
    ids = [ec2.run_instances(**asked, SubnetId=p)["Instances"][0]["InstanceId"] for p in places]
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    found = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    by_id = {i["InstanceId"]: i for r in found for i in r["Instances"]}
    return by_id[ids[0]], by_id[ids[1]]


def make_gateway(ec2: Any, place: str) -> None:
    """An internet gateway for the VPC of the subnet, and a route of its main table to it."""
    vpc = ec2.describe_subnets(SubnetIds=[place])["Subnets"][0]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)


def admit_everybody(ec2: Any, instance: dict) -> None:
    """Into the instance's security groups."""
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    for group in instance["SecurityGroups"]:
        ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=everything)


def allocate(ec2: Any) -> tuple[str, str]:
    """An Elastic IP: its allocation, its address."""
    made = ec2.allocate_address(Domain="vpc")
    return made["AllocationId"], made["PublicIp"]


def address_of(instance: dict, family: Family) -> str:
    if family is IPV4:
        return instance["PrivateIpAddress"]
    return instance["NetworkInterfaces"][0]["Ipv6Addresses"][0]["Ipv6Address"]


def namespace_of(instance: dict) -> str:
    return f"rookery-{NAME}-{instance['InstanceId']}"


def as_topology(name: str, client: dict, server: dict, family: Family = IPV4) -> Topology:
    """Returns when the server answers."""
    here, there = (Endpoint(namespace_of(i), address_of(i, family)) for i in (client, server))
    wait_for_ping(here.namespace, there.address)
    return Topology(name, here, there)


def wait_for_ping(namespace: str, address: str) -> None:
    deadline = time.monotonic() + 15
    while subprocess.run(
        ["ip", "netns", "exec", namespace, "ping", "-c1", "-W1", address],
        check=False,
        stdout=subprocess.DEVNULL,
    ).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{address} does not answer from {namespace}")


@contextmanager
def running_region(hosts: int, edges: int = 0, nodes: int = 0) -> Iterator[None]:
    """The region `bench` in as many zones as it can have, two at most; without edges and without a cell, unless they are what is measured:
    what they do meanwhile costs, too. Taken down whatever happens."""
    shape = {"hosts": hosts, "zones": min(2, hosts), "edges": edges, "nodes": nodes, "port": PORT}
    rookery("up", *(word for name, number in shape.items() for word in (f"--{name}", str(number))))
    try:
        yield
    finally:
        rookery("down")


@contextmanager
def measured_region() -> Iterator[Topology]:
    """Two hosts, one instance on each, who reach each other."""
    with running_region(hosts=2):
        ec2 = ec2_client()
        yield as_topology("rookery", *launch_pair(ec2, make_places(ec2)))
