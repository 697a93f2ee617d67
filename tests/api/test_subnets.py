"""Subnets through boto3 (behaviour/01: T1-05, T1-20)."""

from __future__ import annotations

import pytest


@pytest.fixture
def vpc_id(ec2):
    return ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def test_a_new_subnet_has_awss_attributes(ec2, vpc_id):
    made = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.7/24", AvailabilityZone="us-east-1b")["Subnet"]
    ec2.get_waiter("subnet_available").wait(SubnetIds=[made["SubnetId"]])
    (subnet,) = ec2.describe_subnets(SubnetIds=[made["SubnetId"]])["Subnets"]
    assert subnet == {
        "SubnetId": made["SubnetId"],
        "SubnetArn": f"arn:aws:ec2:us-east-1:123456789012:subnet/{made['SubnetId']}",
        "OwnerId": "123456789012",
        "VpcId": vpc_id,
        "State": "available",
        "CidrBlock": "10.0.1.0/24",
        "AvailableIpAddressCount": 251,
        "AvailabilityZone": "us-east-1b",
        "AvailabilityZoneId": "use1-az2",
        "DefaultForAz": False,
        "MapPublicIpOnLaunch": False,
        "MapCustomerOwnedIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": False,
        "Ipv6CidrBlockAssociationSet": [],
        "Ipv6Native": False,
        "EnableDns64": False,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "Tags": [],
    }


@pytest.mark.parametrize("cidr", ["10.1.0.0/24", "10.0.0.0/29", "10.0.0.0/15", "192.168.0.0/24"])
def test_a_subnet_lies_in_its_vpc_and_has_a_decent_size(ec2, refused, vpc_id, cidr):
    with refused("InvalidSubnet.Range") as refusal:
        ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr)
    assert refusal.message == f"The CIDR '{cidr}' is invalid."


def test_a_subnet_does_not_straddle_two_blocks(ec2, refused):
    vpc_id = ec2.create_vpc(CidrBlock="10.2.0.0/17")["Vpc"]["VpcId"]
    ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock="10.2.128.0/17")
    with refused("InvalidSubnet.Range"):
        ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.2.0.0/16")


def test_siblings_do_not_overlap(ec2, refused, vpc_id):
    ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")
    for cidr in ("10.0.1.0/24", "10.0.1.128/25", "10.0.0.0/20"):
        with refused("InvalidSubnet.Conflict") as refusal:
            ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr)
        assert refusal.message == f"The CIDR '{cidr}' conflicts with another subnet"


def test_an_unknown_zone_is_refused_with_the_known_ones(ec2, refused, vpc_id):
    with refused("InvalidParameterValue") as refusal:
        ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24", AvailabilityZone="us-east-1z")
    assert "us-east-1a, us-east-1b" in refusal.message


def test_a_zone_may_be_named_by_its_id(ec2, vpc_id):
    made = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24", AvailabilityZoneId="use1-az2")["Subnet"]
    assert made["AvailabilityZone"] == "us-east-1b"


def test_a_subnet_of_ipv6_alone_is_refused_as_not_built(ec2, refused, vpc_id):
    with refused("UnsupportedOperation"):
        ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24", Ipv6Native=True)


def test_one_attribute_is_changed_at_a_time(ec2, refused, vpc_id):
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
    ec2.modify_subnet_attribute(SubnetId=subnet_id, PrivateDnsHostnameTypeOnLaunch="resource-name")
    (subnet,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    assert subnet["MapPublicIpOnLaunch"] is True
    assert subnet["PrivateDnsNameOptionsOnLaunch"]["HostnameType"] == "resource-name"
    with refused("InvalidParameterCombination"):
        ec2.modify_subnet_attribute(SubnetId=subnet_id)


def test_a_subnet_with_an_interface_is_not_deleted(ec2, refused, vpc_id):
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    ec2.create_network_interface(SubnetId=subnet_id)
    with refused("DependencyViolation"):
        ec2.delete_subnet(SubnetId=subnet_id)
    (subnet,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    assert subnet["AvailableIpAddressCount"] == 250


@pytest.mark.parametrize("on", [True, False])
def test_its_resolver_makes_addresses_of_ipv6_when_told_so(ec2, vpc_id, on):
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet_id, EnableDns64={"Value": on})
    assert ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]["EnableDns64"] is on
    found = ec2.describe_subnets(Filters=[{"Name": "enable-dns64", "Values": [str(on).lower()]}])["Subnets"]
    assert subnet_id in [one["SubnetId"] for one in found]
