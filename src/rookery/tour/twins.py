"""The tour's stage: two VPCs with the same addresses, an instance in each zone of each, found again by their Name tags.

        VPC red   10.0.0.0/16                      VPC blue  10.0.0.0/16
    red-1 10.0.1.10      red-2 10.0.2.10       blue-1 10.0.1.20     blue-2 10.0.2.10
    zone a, host-1       zone b, host-2        zone a, host-3       zone b, host-4       (placed by the API)

10.0.2.10 is in both; 10.0.1.10 only in red, 10.0.1.20 only in blue. Every instance serves its name on port 80.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rookery.region.access import client_environment
from rookery.region.errors import RegionError

BLOCK = "10.0.0.0/16"
SUBNETS = {"a": "10.0.1.0/24", "b": "10.0.2.0/24"}
PATIENCE = 30.0
SERVE_NAME = """#!/bin/sh
mkdir -p /run/page && cd /run/page && echo {name} > index.html && exec python3 -m http.server 80
"""


class Actor(NamedTuple):
    name: str
    vpc: str
    zone: str
    address: str


ACTORS = (
    Actor("red-1", "red", "a", "10.0.1.10"),
    Actor("red-2", "red", "b", "10.0.2.10"),
    Actor("blue-1", "blue", "a", "10.0.1.20"),
    Actor("blue-2", "blue", "b", "10.0.2.10"),
)


class StageError(RegionError):
    """The API refused, or an instance does not start."""


def set_up(name: str) -> dict[str, str]:
    """Instance ids by name; makes what is missing. Returns when the API says that all run."""
    ec2 = client(name)
    try:
        vpcs = {colour: _vpc(ec2, colour) for colour in ("red", "blue")}
        subnets = {
            (colour, zone): _subnet(ec2, vpcs[colour], colour, zone) for colour in vpcs for zone in SUBNETS
        }
        ids = {actor.name: _instance(ec2, actor, subnets[actor.vpc, actor.zone]) for actor in ACTORS}
        wait_running(ec2, list(ids.values()))
    except (BotoCoreError, ClientError) as refused:
        raise StageError(f"the API: {refused}") from refused
    return ids


def client(name: str, aws_region: str = "", service: str = "ec2") -> Any:
    """A botocore client of one of the region's APIs. `aws_region`: not the usual one. An account has room for five VPCs in each, and
    every tour can be taken after every other."""
    variables = client_environment(name)
    return botocore.session.Session().create_client(
        service,
        region_name=aws_region or variables["AWS_REGION"],
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"max_attempts": 0}),
    )


def named(name: str, **more: str) -> list[dict[str, Any]]:
    filters = {"tag:Name": name, **{key.replace("_", "-"): value for key, value in more.items()}}
    return [{"Name": key, "Values": value.split(",")} for key, value in filters.items()]


def named_tags(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def _vpc(ec2: Any, colour: str) -> str:
    found = ec2.describe_vpcs(Filters=named(colour))["Vpcs"]
    made = (
        found[0] if found else ec2.create_vpc(CidrBlock=BLOCK, TagSpecifications=named_tags("vpc", colour))["Vpc"]
    )
    return made["VpcId"]


def _subnet(ec2: Any, vpc_id: str, colour: str, zone: str) -> str:
    name = f"{colour}-{zone}"
    found = ec2.describe_subnets(Filters=named(name, vpc_id=vpc_id))["Subnets"]
    if found:
        return found[0]["SubnetId"]
    made = ec2.create_subnet(
        VpcId=vpc_id,
        CidrBlock=SUBNETS[zone],
        AvailabilityZone=f"{ec2.meta.region_name}{zone}",
        TagSpecifications=named_tags("subnet", name),
    )
    return made["Subnet"]["SubnetId"]


def _instance(ec2: Any, actor: Actor, subnet_id: str) -> str:
    filters = named(actor.name, subnet_id=subnet_id, instance_state_name="pending,running,stopping,stopped")
    found = ec2.describe_instances(Filters=filters)["Reservations"]
    if found:
        instance = found[0]["Instances"][0]
        if instance["State"]["Name"].startswith("stop"):
            ec2.start_instances(InstanceIds=[instance["InstanceId"]])
        return instance["InstanceId"]
    made = ec2.run_instances(
        ImageId=ec2.describe_images()["Images"][0]["ImageId"],
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet_id,
        PrivateIpAddress=actor.address,
        UserData=SERVE_NAME.format(name=actor.name),
        TagSpecifications=named_tags("instance", actor.name),
    )
    return made["Instances"][0]["InstanceId"]


def wait_running(ec2: Any, ids: list[str]) -> None:
    def states() -> set[str]:
        reservations = ec2.describe_instances(InstanceIds=ids)["Reservations"]
        return {instance["State"]["Name"] for one in reservations for instance in one["Instances"]}

    wait_until(lambda: states() == {"running"}, lambda: f"the instances do not all run: {states()}")


def wait_until(true: Callable[[], object], complaint: Callable[[], str]) -> None:
    """Raises StageError when PATIENCE is over."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise StageError(complaint())
        time.sleep(0.05)
