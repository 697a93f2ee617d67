"""User data in a running region: fetched by the instance itself from its metadata, with nothing but a token that it asked for.

    i-... first-boot ----> 169.254.169.254 of its host
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.waiting import until

# A kilobyte below the largest; bytes that a shell would lose, and no line's end at the end.
EVERY_BYTE = b"#!/bin/sh\necho it ran\nexit 0\n" + bytes(range(256)) * 59 + b"\r\n\r\nthe end"


@pytest.fixture
def ec2(region: Any) -> Any:
    return region.client(key=region.new_account()[1])


def launch(ec2: Any, user_data: bytes, **more: Any) -> str:
    vpc = ec2.create_vpc(CidrBlock="10.41.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.41.1.0/24")["Subnet"]["SubnetId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    asked = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet}
    return ec2.run_instances(**asked, UserData=user_data, **more)["Instances"][0]["InstanceId"]


def read(region: Any, instance: str, name: str) -> bytes:
    """A file of first-boot.sh; empty: it is not there yet, or the instance is not."""
    return region.rookery("exec", instance, "--", "cat", f"/run/instance/{name}").stdout


@pytest.mark.parametrize("tokens", ["optional", "required"])
def test_user_data_arrives_byte_for_byte_and_runs(region: Any, ec2: Any, tokens: str):
    instance = launch(ec2, EVERY_BYTE, MetadataOptions={"HttpTokens": tokens})
    until(lambda: read(region, instance, "user-data.log") == b"it ran\n", lambda: console(ec2, instance))
    assert read(region, instance, "user-data") == EVERY_BYTE
    ec2.terminate_instances(InstanceIds=[instance])


def test_without_metadata_there_is_no_user_data_and_the_console_says_why(region: Any, ec2: Any):
    instance = launch(ec2, EVERY_BYTE, MetadataOptions={"HttpEndpoint": "disabled"})
    until(lambda: "the metadata service answered 403" in console(ec2, instance), lambda: console(ec2, instance))
    assert read(region, instance, "user-data") == b""
    ec2.terminate_instances(InstanceIds=[instance])


def console(ec2: Any, instance: str) -> str:
    return ec2.get_console_output(InstanceId=instance).get("Output", "")
