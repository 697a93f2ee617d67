"""Internet gateways and egress-only gateways through boto3 (behaviour/05: T5-08, T5-09, T5-14)."""

from __future__ import annotations

import pytest

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.quotas import Quotas
from rookery.testing.memory_store import MemoryStore
from rookery.testing.running_api import RunningApi

NOBODYS = "igw-0123456789abcdef0"


@pytest.fixture
def vpc_id(ec2):
    return ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


@pytest.fixture
def gateway_id(ec2):
    return new_gateway(ec2)


def new_gateway(ec2, **more):
    return ec2.create_internet_gateway(**more)["InternetGateway"]["InternetGatewayId"]


def only(ec2, gateway_id):
    (found,) = ec2.describe_internet_gateways(InternetGatewayIds=[gateway_id])["InternetGateways"]
    return found


def main_table(ec2, vpc_id):
    chosen = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "association.main", "Values": ["true"]}]
    (table,) = ec2.describe_route_tables(Filters=chosen)["RouteTables"]
    return table


def test_a_gateway_is_made_attached_detached_and_deleted(ec2, refused, vpc_id):
    tags = [{"ResourceType": "internet-gateway", "Tags": [{"Key": "Name", "Value": "out"}]}]
    made = ec2.create_internet_gateway(TagSpecifications=tags)["InternetGateway"]
    gateway_id = made["InternetGatewayId"]
    assert made == {
        "InternetGatewayId": gateway_id,
        "OwnerId": "123456789012",
        "Attachments": [],
        "Tags": [{"Key": "Name", "Value": "out"}],
    }
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    assert only(ec2, gateway_id)["Attachments"] == [{"State": "available", "VpcId": vpc_id}]
    with refused("DependencyViolation") as refusal:
        ec2.delete_internet_gateway(InternetGatewayId=gateway_id)
    assert refusal.message == f"The internetGateway '{gateway_id}' has dependencies and cannot be deleted."
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc_id)
    ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    assert only(ec2, gateway_id)["Attachments"] == []
    ec2.delete_internet_gateway(InternetGatewayId=gateway_id)
    with refused("InvalidInternetGatewayID.NotFound") as refusal:
        ec2.delete_internet_gateway(InternetGatewayId=gateway_id)
    assert refusal.message == f"The internetGateway ID '{gateway_id}' does not exist"
    ec2.delete_vpc(VpcId=vpc_id)


def test_a_vpc_has_one_gateway_and_a_gateway_one_vpc(ec2, refused, vpc_id, gateway_id):
    """T5-14."""
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    with refused("InvalidParameterValue") as refusal:
        ec2.attach_internet_gateway(InternetGatewayId=new_gateway(ec2), VpcId=vpc_id)
    assert refusal.message == f"Network {vpc_id} already has an internet gateway attached"
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    with refused("Resource.AlreadyAssociated") as refusal:
        ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=other)
    assert refusal.message == f"resource {gateway_id} is already attached to network {vpc_id}"
    with refused("Gateway.NotAttached") as refusal:
        ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=other)
    assert refusal.message == f"resource {gateway_id} is not attached to network {other}"


@pytest.mark.parametrize(
    ("gateway", "code"),
    [(NOBODYS, "InvalidInternetGatewayID.NotFound"), ("igw-x", "InvalidInternetGatewayId.Malformed")],
)
def test_an_unknown_gateway_is_told_from_a_malformed_id(ec2, refused, vpc_id, gateway, code):
    with refused(code):
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc_id)
    with refused(code):
        ec2.describe_internet_gateways(InternetGatewayIds=[gateway])


def test_gateways_are_found_by_their_attachment_owner_and_tags(ec2, vpc_id, gateway_id):
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    ec2.create_tags(Resources=[gateway_id], Tags=[{"Key": "team", "Value": "net"}])
    loose = new_gateway(ec2)
    for name, value, expected in (
        ("attachment.vpc-id", vpc_id, {gateway_id}),
        ("internet-gateway-id", loose, {loose}),
        ("tag:team", "net", {gateway_id}),
    ):
        found = ec2.describe_internet_gateways(Filters=[{"Name": name, "Values": [value]}])
        assert {one["InternetGatewayId"] for one in found["InternetGateways"]} == expected, name
    attached = [{"Name": "attachment.state", "Values": ["available"]}]
    assert len(ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]) == 2
    (tag,) = ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["internet-gateway"]}])["Tags"]
    assert (tag["ResourceId"], tag["Value"]) == (gateway_id, "net")


def test_the_default_vpc_begins_with_a_gateway_and_a_route_to_it(ec2):
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    (gateway,) = ec2.describe_internet_gateways()["InternetGateways"]
    assert gateway["Attachments"] == [{"State": "available", "VpcId": vpc["VpcId"]}]
    assert main_table(ec2, vpc["VpcId"])["Routes"][1] == {
        "DestinationCidrBlock": "0.0.0.0/0",
        "GatewayId": gateway["InternetGatewayId"],
        "Origin": "CreateRoute",
        "State": "active",
    }


def test_the_gateway_stays_while_a_public_address_is_in_the_vpc(api, ec2, refused, vpc_id, gateway_id):
    """T5-09: and leaves its route behind as a black hole."""
    api.add_pool()
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    table = main_table(ec2, vpc_id)["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway_id)
    public = [{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}]
    (instance,) = ec2.run_instances(
        ImageId=NAMESPACE_IMAGE.id, MinCount=1, MaxCount=1, NetworkInterfaces=public
    )["Instances"]
    with refused("DependencyViolation") as refusal:
        ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    assert refusal.message == (
        f"Network {vpc_id} has some mapped public address(es). "
        "Please unmap those public address(es) before detaching the gateway."
    )
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    (_, route) = main_table(ec2, vpc_id)["Routes"]
    assert (route["GatewayId"], route["State"]) == (gateway_id, "blackhole")
    ec2.delete_internet_gateway(InternetGatewayId=gateway_id)
    assert main_table(ec2, vpc_id)["Routes"][1]["State"] == "blackhole"


def test_a_route_to_a_gateway_that_moved_to_another_vpc_is_a_black_hole(ec2, vpc_id, gateway_id):
    table = main_table(ec2, vpc_id)["RouteTableId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway_id)
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id)
    ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=other)
    assert main_table(ec2, vpc_id)["Routes"][1]["State"] == "blackhole"


# -------------------------------------------------------------------------------------------------- egress-only ones


def test_an_egress_only_gateway_lives_and_dies_with_its_attachment(ec2, refused, vpc_id):
    asked = {"VpcId": vpc_id, "ClientToken": "once"}
    answer = ec2.create_egress_only_internet_gateway(**asked)
    made = answer["EgressOnlyInternetGateway"]
    identity = made["EgressOnlyInternetGatewayId"]
    assert made["Attachments"] == [{"State": "attached", "VpcId": vpc_id}]
    assert answer["ClientToken"] == "once"
    again = ec2.create_egress_only_internet_gateway(**asked)["EgressOnlyInternetGateway"]
    assert again["EgressOnlyInternetGatewayId"] == identity
    with refused("InvalidParameterValue"):
        ec2.create_egress_only_internet_gateway(VpcId=vpc_id)
    (found,) = ec2.describe_egress_only_internet_gateways(EgressOnlyInternetGatewayIds=[identity])[
        "EgressOnlyInternetGateways"
    ]
    assert found["Attachments"] == made["Attachments"]
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc_id)
    gone = ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=identity)
    assert gone["ReturnCode"] is True
    with refused("InvalidEgressOnlyInternetGatewayId.NotFound"):
        ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=identity)
    with refused("InvalidEgressOnlyInternetGatewayId.Malformed"):
        ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId="eigw-x")
    ec2.delete_vpc(VpcId=vpc_id)


def test_a_route_to_an_egress_only_gateway_is_for_ipv6_and_outlives_it(ec2, refused, vpc_id):
    made = ec2.create_egress_only_internet_gateway(VpcId=vpc_id)["EgressOnlyInternetGateway"]
    target = {"EgressOnlyInternetGatewayId": made["EgressOnlyInternetGatewayId"]}
    table = main_table(ec2, vpc_id)["RouteTableId"]
    with refused("InvalidParameterValue"):
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)
    ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", **target)
    chosen = [{"Name": "route.egress-only-internet-gateway-id", "Values": list(target.values())}]
    (found,) = ec2.describe_route_tables(Filters=chosen)["RouteTables"]
    assert found["Routes"][1] == {
        "DestinationIpv6CidrBlock": "::/0",
        **target,
        "Origin": "CreateRoute",
        "State": "active",
    }
    ec2.delete_egress_only_internet_gateway(**target)
    assert main_table(ec2, vpc_id)["Routes"][1]["State"] == "blackhole"


def test_an_account_has_as_many_gateways_as_its_quota_says(refused):
    with RunningApi(MemoryStore(), quotas=Quotas(internet_gateways=2, egress_only_gateways=1)) as running:
        running.add_hosts()
        ec2 = running.client()
        new_gateway(ec2)  # beside that of the default VPC
        with refused("InternetGatewayLimitExceeded"):
            new_gateway(ec2)
        vpcs = [ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in range(2)]
        ec2.create_egress_only_internet_gateway(VpcId=vpcs[0])
        with refused("EgressOnlyInternetGatewayLimitExceeded"):
            ec2.create_egress_only_internet_gateway(VpcId=vpcs[1])
