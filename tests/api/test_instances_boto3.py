"""Instances, interfaces and keys through boto3 and the AWS CLI, against the real front.

boto3 --HTTP, SigV4--> front, handlers --> MemoryStore <-- `hosts`: does at once whatever the store asks of hosts
"""

from __future__ import annotations

import base64
import concurrent.futures
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.testing.running_api import ACCESS_KEY, SECRET

AWS_CLI = Path(sys.executable).parent / "aws"


@pytest.fixture
def hosts(api):
    """Called: every instance is what it was wanted to be, and every host knows of it."""
    return api.hosts_obey


@pytest.fixture
def subnet(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]


def run(ec2, **parameters):
    parameters = {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "MaxCount": 1, **parameters}
    return ec2.run_instances(**parameters)["Instances"]


def ids(instances):
    return [each["InstanceId"] for each in instances]


def test_an_instance_lives_through_every_waiter(ec2, hosts, subnet):
    (instance,) = run(ec2, SubnetId=subnet, InstanceType="t3.nano")
    name = [instance["InstanceId"]]
    assert instance["State"]["Name"] == "pending"
    hosts()
    ec2.get_waiter("instance_running").wait(InstanceIds=name)
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=name)
    ec2.stop_instances(InstanceIds=name)
    hosts()
    ec2.get_waiter("instance_stopped").wait(InstanceIds=name)
    ec2.start_instances(InstanceIds=name)
    hosts()
    ec2.get_waiter("instance_running").wait(InstanceIds=name)
    ec2.reboot_instances(InstanceIds=name)
    ec2.terminate_instances(InstanceIds=name)
    hosts()
    ec2.get_waiter("instance_terminated").wait(InstanceIds=name)


def test_a_default_subnet_serves_who_names_none(ec2):
    (instance,) = run(ec2)
    (vpc,) = ec2.describe_vpcs(VpcIds=[instance["VpcId"]])["Vpcs"]
    assert vpc["IsDefault"]
    (subnet,) = ec2.describe_subnets(SubnetIds=[instance["SubnetId"]])["Subnets"]
    assert subnet["AvailableIpAddressCount"] == 4096 - 5 - 1


def test_launch_times_tags_and_user_data_arrive_as_they_were_given(ec2, subnet):
    tags = [{"Key": "Name", "Value": "a & <b> ü"}]
    (instance,) = run(
        ec2,
        SubnetId=subnet,
        UserData="#!/bin/sh\necho ü\n",
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    assert instance["Tags"] == tags
    (described,) = ec2.describe_instances(InstanceIds=ids([instance]))["Reservations"][0]["Instances"]
    assert described["LaunchTime"] == instance["LaunchTime"]
    answer = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
    assert base64.b64decode(answer["UserData"]["Value"]).decode() == "#!/bin/sh\necho ü\n"


def test_user_data_is_replaced_while_stopped(ec2, hosts, subnet):
    (instance,) = run(ec2, SubnetId=subnet)
    name = instance["InstanceId"]
    hosts()
    ec2.stop_instances(InstanceIds=[name])
    hosts()
    ec2.modify_instance_attribute(InstanceId=name, UserData={"Value": b"#!/bin/sh\nexit 3\n"})
    answer = ec2.describe_instance_attribute(InstanceId=name, Attribute="userData")
    assert base64.b64decode(answer["UserData"]["Value"]) == b"#!/bin/sh\nexit 3\n"


def test_a_dry_run_changes_nothing(ec2, refused, subnet):
    with refused("DryRunOperation") as refusal:
        run(ec2, SubnetId=subnet, DryRun=True)
    assert refusal.status == 412
    with refused("InvalidAMIID.NotFound"):
        run(ec2, SubnetId=subnet, DryRun=True, ImageId="ami-0123456789abcdef0")
    assert ec2.describe_instances()["Reservations"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_a_client_token_launches_once_and_tells_the_present_state(ec2, hosts, refused, subnet):
    first = run(ec2, SubnetId=subnet, MaxCount=3, ClientToken="launch-1")
    hosts()
    again = run(ec2, SubnetId=subnet, MaxCount=3, ClientToken="launch-1")
    assert ids(again) == ids(first)
    assert {each["State"]["Name"] for each in again} == {"running"}
    assert {each["ClientToken"] for each in again} == {"launch-1"}
    with refused("IdempotentParameterMismatch"):
        run(ec2, SubnetId=subnet, MaxCount=2, ClientToken="launch-1")
    ec2.terminate_instances(InstanceIds=ids(first))
    assert ids(run(ec2, SubnetId=subnet, MaxCount=3, ClientToken="launch-1")) == ids(first)


def test_a_hundred_at_once_are_spread_and_paged(ec2, subnet):
    assert len(run(ec2, SubnetId=subnet, MinCount=100, MaxCount=100)) == 100
    pages = ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 30})
    sizes = [sum(len(each["Instances"]) for each in page["Reservations"]) for page in pages]
    assert sizes == [30, 30, 30, 10]
    pages = ec2.get_paginator("describe_network_interfaces").paginate(PaginationConfig={"PageSize": 40})
    addresses = {each["PrivateIpAddress"] for page in pages for each in page["NetworkInterfaces"]}
    assert len(addresses) == 100


def test_no_capacity_is_a_server_error_that_clients_retry(ec2, refused):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    wide = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/20")["Subnet"]["SubnetId"]
    with refused("InsufficientInstanceCapacity") as refusal:
        run(ec2, SubnetId=wide, MinCount=1001, MaxCount=1001)  # two hosts of 500 in the zone
    assert refusal.status == 500


def test_concurrent_requests_never_share_an_address(api, ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    small = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/28")["Subnet"]["SubnetId"]
    clients = [api.client() for _ in range(4)]

    def create(number):
        try:
            answer = clients[number % 4].create_network_interface(SubnetId=small)
        except ec2.exceptions.ClientError as error:
            return error.response["Error"]["Code"]
        return answer["NetworkInterface"]["PrivateIpAddress"]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(create, range(16)))
    assert sorted(set(answers) - {"InsufficientFreeAddressesInSubnet"}) == sorted(
        f"10.0.1.{last}" for last in range(4, 15)
    )
    assert answers.count("InsufficientFreeAddressesInSubnet") == 5
    (described,) = ec2.describe_subnets(SubnetIds=[small])["Subnets"]
    assert described["AvailableIpAddressCount"] == 0


def test_interfaces_have_their_own_life(ec2, hosts, refused, subnet):
    spare = ec2.create_network_interface(SubnetId=subnet, Description="spare", PrivateIpAddress="10.0.1.50")
    name = spare["NetworkInterface"]["NetworkInterfaceId"]
    ec2.get_waiter("network_interface_available").wait(NetworkInterfaceIds=[name])
    (instance,) = run(
        ec2,
        NetworkInterfaces=[
            {"DeviceIndex": 0, "SubnetId": subnet},
            {"DeviceIndex": 1, "NetworkInterfaceId": name},
        ],
    )
    with refused("InvalidParameterValue") as refusal:
        ec2.delete_network_interface(NetworkInterfaceId=name)
    assert refusal.message == f"Network interface '{name}' is currently in use."
    (held,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[name])["NetworkInterfaces"]
    assert (held["Status"], held["Attachment"]["InstanceId"]) == ("in-use", instance["InstanceId"])
    ec2.terminate_instances(InstanceIds=ids([instance]))
    (left,) = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert (left["NetworkInterfaceId"], left["Status"]) == (name, "available")
    ec2.delete_network_interface(NetworkInterfaceId=name)
    with refused("InvalidNetworkInterfaceID.NotFound"):
        ec2.describe_network_interfaces(NetworkInterfaceIds=[name])


def test_a_subnet_can_go_as_soon_as_its_instances_were_terminated(ec2, refused, subnet):
    (instance,) = run(ec2, SubnetId=subnet)
    with refused("DependencyViolation"):
        ec2.delete_subnet(SubnetId=subnet)
    ec2.terminate_instances(InstanceIds=ids([instance]))
    ec2.delete_subnet(SubnetId=subnet)


def test_instances_and_interfaces_are_tagged_and_untagged(ec2, subnet):
    (instance,) = run(ec2, SubnetId=subnet)
    both = [instance["InstanceId"], instance["NetworkInterfaces"][0]["NetworkInterfaceId"]]
    ec2.create_tags(Resources=both, Tags=[{"Key": "Role", "Value": "web"}])
    filters = [{"Name": "tag:Role", "Values": ["w*"]}]
    assert len(ec2.describe_instances(Filters=filters)["Reservations"]) == 1
    assert len(ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]) == 1
    ec2.delete_tags(Resources=both, Tags=[{"Key": "Role"}])
    assert ec2.describe_instances(Filters=filters)["Reservations"] == []


def test_accounts_and_regions_do_not_see_each_others_instances(api, ec2, refused, subnet):
    (instance,) = run(ec2, SubnetId=subnet)
    api.add_key("AKIDOTHER", "other-secret", account="210987654321")
    elsewhere = api.client(region="eu-west-1")
    other = api.client(access_key="AKIDOTHER", secret="other-secret")
    for client in (elsewhere, other):
        assert client.describe_instances()["Reservations"] == []
        with refused("InvalidInstanceID.NotFound"):
            client.terminate_instances(InstanceIds=ids([instance]))
    (there,) = run(elsewhere)
    assert there["PrivateDnsName"].endswith(".eu-west-1.compute.internal")
    assert there["Placement"]["AvailabilityZone"].startswith("eu-west-1")


def test_a_key_pair_is_made_used_and_deleted(ec2, refused, subnet):
    made = ec2.create_key_pair(KeyName="me", KeyType="ed25519")
    assert made["KeyMaterial"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    public = ec2.describe_key_pairs(KeyNames=["me"], IncludePublicKey=True)["KeyPairs"][0]["PublicKey"]
    imported = ec2.import_key_pair(KeyName="again", PublicKeyMaterial=public.encode())
    assert imported["KeyFingerprint"] == made["KeyFingerprint"]
    assert run(ec2, SubnetId=subnet, KeyName="me")[0]["KeyName"] == "me"
    ec2.delete_key_pair(KeyName="me")
    with refused("InvalidKeyPair.NotFound"):
        run(ec2, SubnetId=subnet, KeyName="me")


def test_catalogues_come_through_the_wire(ec2):
    assert ec2.describe_images(Owners=["rookery"])["Images"][0]["ImageId"] == NAMESPACE_IMAGE.id
    (kind,) = ec2.describe_instance_types(InstanceTypes=["t3.micro"])["InstanceTypes"]
    assert kind["NetworkInfo"]["Ipv4AddressesPerInterface"] == 2
    offerings = ec2.describe_instance_type_offerings(LocationType="availability-zone")
    assert {each["Location"] for each in offerings["InstanceTypeOfferings"]} == {"us-east-1a", "us-east-1b"}
    assert ec2.describe_volumes()["Volumes"] == []
    assert ec2.describe_instance_credit_specifications()["InstanceCreditSpecifications"] == []


def test_the_aws_cli_launches_and_terminates(api, subnet):
    def aws(*arguments):
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": api.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        done = subprocess.run(
            [str(AWS_CLI), "ec2", *arguments, "--output", "json"],
            env=environment,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    launched = aws("run-instances", "--image-id", NAMESPACE_IMAGE.id, "--subnet-id", subnet, "--count", "2")
    names = ids(launched["Instances"])
    assert len(names) == 2
    ended = aws("terminate-instances", "--instance-ids", *names)
    assert {each["CurrentState"]["Name"] for each in ended["TerminatingInstances"]} == {"shutting-down"}
