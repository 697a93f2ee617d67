"""VPCs through boto3 (behaviour/01: T1-01 to T1-03, T1-16, T1-20)."""

from __future__ import annotations

import pytest

from tests.api.edge_scene import without_internet_gateway


@pytest.mark.parametrize(
    "cidr", ["10.0.0.0/15", "10.0.0.0/29", "169.254.0.0/16", "127.0.0.0/16", "224.0.0.0/16"]
)
def test_a_block_of_the_wrong_size_or_range_is_refused(ec2, refused, cidr):
    with refused("InvalidVpc.Range") as refusal:
        ec2.create_vpc(CidrBlock=cidr)
    assert refusal.message == f"The CIDR '{cidr}' is invalid."


@pytest.mark.parametrize(
    "cidr", ["nonsense", "10.0.0.0", "10.0.0.256/16", "10.0.0.0/33", "010.0.0.0/16", "::/16"]
)
def test_what_is_no_block_is_an_invalid_value(ec2, refused, cidr):
    with refused("InvalidParameterValue") as refusal:
        ec2.create_vpc(CidrBlock=cidr)
    assert (
        refusal.message
        == f"Value ({cidr}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
    )


def test_a_vpc_without_a_block_misses_a_parameter(ec2, refused):
    with refused("MissingParameter") as refusal:
        ec2.create_vpc()
    assert refusal.message == "The request must contain the parameter cidrBlock"


def test_host_bits_are_dropped(ec2):
    assert ec2.create_vpc(CidrBlock="10.0.5.7/16")["Vpc"]["CidrBlock"] == "10.0.0.0/16"


def test_a_new_vpc_has_its_main_route_table_and_attributes(ec2):
    vpc = ec2.create_vpc(
        CidrBlock="10.0.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "a & <b>"}]}],
    )["Vpc"]
    assert vpc["State"] == "pending"
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc["VpcId"]])
    (found,) = ec2.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"]
    association = found["CidrBlockAssociationSet"][0].pop("AssociationId")
    assert association.startswith("vpc-cidr-assoc-")
    (default,) = ec2.describe_dhcp_options()["DhcpOptions"]
    assert found == {
        "VpcId": vpc["VpcId"],
        "OwnerId": "123456789012",
        "State": "available",
        "CidrBlock": "10.0.0.0/16",
        "CidrBlockAssociationSet": [{"CidrBlock": "10.0.0.0/16", "CidrBlockState": {"State": "associated"}}],
        "Ipv6CidrBlockAssociationSet": [],
        "DhcpOptionsId": default["DhcpOptionsId"],
        "InstanceTenancy": "default",
        "IsDefault": False,
        "Tags": [{"Key": "Name", "Value": "a & <b>"}],
    }
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])[
        "RouteTables"
    ]
    assert [one["Main"] for one in table["Associations"]] == [True]
    assert table["Routes"] == [
        {
            "DestinationCidrBlock": "10.0.0.0/16",
            "GatewayId": "local",
            "Origin": "CreateRouteTable",
            "State": "active",
        }
    ]


def attribute(ec2, vpc_id, name):
    answer = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=name)
    return answer[name[0].upper() + name[1:]]["Value"]


def test_dns_attributes_have_awss_defaults_and_can_be_changed(ec2):
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    assert attribute(ec2, vpc_id, "enableDnsSupport") is True
    assert attribute(ec2, vpc_id, "enableDnsHostnames") is False
    assert attribute(ec2, vpc_id, "enableNetworkAddressUsageMetrics") is False
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    assert attribute(ec2, vpc_id, "enableDnsHostnames") is True


def test_hostnames_need_support(ec2, refused):
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsSupport={"Value": False})
    with refused("InvalidParameterValue"):
        ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    with refused("InvalidParameterCombination"):
        ec2.modify_vpc_attribute(
            VpcId=vpc_id, EnableDnsHostnames={"Value": True}, EnableDnsSupport={"Value": True}
        )


def test_a_vpc_with_a_subnet_is_not_deleted(ec2, refused):
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    with refused("DependencyViolation") as refusal:
        ec2.delete_vpc(VpcId=vpc_id)
    assert refusal.message == f"The vpc '{vpc_id}' has dependencies and cannot be deleted."
    ec2.delete_subnet(SubnetId=subnet_id)
    ec2.delete_vpc(VpcId=vpc_id)
    with refused("InvalidVpcID.NotFound") as refusal:
        ec2.delete_vpc(VpcId=vpc_id)
    assert refusal.message == f"The vpc ID '{vpc_id}' does not exist"
    assert ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["RouteTables"] == []


def test_a_malformed_id_is_told_from_an_unknown_one(ec2, refused):
    with refused("InvalidVpcID.Malformed"):
        ec2.describe_vpcs(VpcIds=["vpc-xyz"])
    with refused("InvalidVpcID.NotFound"):
        ec2.describe_vpcs(VpcIds=["vpc-0123456789abcdef0"])


def test_every_account_and_region_begins_with_its_default_vpc(api, ec2):
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    assert (vpc["IsDefault"], vpc["CidrBlock"]) == (True, "172.31.0.0/16")
    subnets = ec2.describe_subnets()["Subnets"]
    assert {one["AvailabilityZone"]: one["CidrBlock"] for one in subnets} == {
        "us-east-1a": "172.31.0.0/20",
        "us-east-1b": "172.31.16.0/20",
    }
    assert all(one["DefaultForAz"] and one["MapPublicIpOnLaunch"] for one in subnets)
    (other,) = api.client(region="eu-west-1").describe_vpcs()["Vpcs"]
    assert other["VpcId"] != vpc["VpcId"]


def test_accounts_and_regions_do_not_see_each_other(api, ec2, refused):
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    api.add_key("AKIDOTHER", "another", "210987654321")
    for stranger in (api.client(region="us-west-2"), api.client(access_key="AKIDOTHER", secret="another")):
        assert vpc_id not in [one["VpcId"] for one in stranger.describe_vpcs()["Vpcs"]]
        with refused("InvalidVpcID.NotFound"):
            stranger.delete_vpc(VpcId=vpc_id)


def test_there_is_one_default_vpc(ec2, refused):
    with refused("DefaultVpcAlreadyExists"):
        ec2.create_default_vpc()
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    with refused("DefaultSubnetAlreadyExistsInAvailabilityZone"):
        ec2.create_default_subnet(AvailabilityZone="us-east-1a")
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc["VpcId"])  # its internet gateway
    without_internet_gateway(ec2, vpc["VpcId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    with refused("DefaultVpcDoesNotExist"):
        ec2.create_default_subnet(AvailabilityZone="us-east-1a")
    assert ec2.describe_vpcs()["Vpcs"] == []
    assert ec2.create_default_vpc()["Vpc"]["IsDefault"] is True
    assert len(ec2.describe_subnets()["Subnets"]) == 2


@pytest.mark.parametrize(
    ("primary", "secondary", "accepted"),
    [
        ("10.0.0.0/16", "192.168.0.0/24", False),
        ("10.0.0.0/16", "172.16.0.0/16", False),
        ("10.0.0.0/16", "198.19.0.0/16", False),
        ("10.0.0.0/16", "10.1.0.0/16", True),
        ("10.1.0.0/16", "10.0.0.0/24", False),
        ("10.2.0.0/16", "10.0.0.0/24", True),
        ("10.0.0.0/16", "100.64.0.0/16", True),
        ("10.0.0.0/16", "52.0.0.0/16", True),
        ("10.0.0.0/16", "10.0.1.0/24", False),
        ("172.16.0.0/16", "172.17.0.0/16", True),
        ("172.16.0.0/16", "172.31.0.0/24", False),
        ("172.16.0.0/16", "10.0.0.0/16", False),
        ("192.168.0.0/24", "192.168.1.0/24", True),
        ("192.168.0.0/24", "10.0.0.0/16", False),
        ("198.19.0.0/16", "10.0.0.0/16", False),
        ("198.19.0.0/16", "100.64.0.0/16", True),
        ("100.64.0.0/16", "10.0.0.0/16", False),
        ("100.64.0.0/16", "198.19.0.0/16", False),
        ("100.64.0.0/16", "100.65.0.0/16", True),
        ("52.0.0.0/16", "192.168.0.0/16", False),
    ],
)
def test_a_secondary_block_follows_the_range_matrix(ec2, refused, primary, secondary, accepted):
    vpc_id = ec2.create_vpc(CidrBlock=primary)["Vpc"]["VpcId"]
    if not accepted:
        with refused("InvalidVpc.Range"):
            ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock=secondary)
        return
    answer = ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock=secondary)
    assert answer["CidrBlockAssociation"]["CidrBlock"] == secondary
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["RouteTables"]
    assert [route["DestinationCidrBlock"] for route in table["Routes"]] == [primary, secondary]


def test_a_secondary_block_goes_when_it_is_empty_and_the_primary_never(ec2, refused):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    vpc_id = vpc["VpcId"]
    association = ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock="10.1.0.0/16")["CidrBlockAssociation"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    with refused("DependencyViolation"):
        ec2.disassociate_vpc_cidr_block(AssociationId=association["AssociationId"])
    ec2.delete_subnet(SubnetId=subnet_id)
    ec2.disassociate_vpc_cidr_block(AssociationId=association["AssociationId"])
    with refused("InvalidVpcCidrBlockAssociationID.NotFound"):
        ec2.disassociate_vpc_cidr_block(AssociationId=association["AssociationId"])
    (found,) = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
    assert [one["CidrBlock"] for one in found["CidrBlockAssociationSet"]] == ["10.0.0.0/16"]
    with refused("OperationNotPermitted"):
        ec2.disassociate_vpc_cidr_block(AssociationId=vpc["CidrBlockAssociationSet"][0]["AssociationId"])


def test_a_vpc_has_at_most_five_blocks(ec2, refused):
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    for second in range(1, 5):
        ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock=f"10.{second}.0.0/16")
    with refused("CidrLimitExceeded"):
        ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock="10.5.0.0/16")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cidr-block", "10.9.0.0/16"),
        ("cidr-block", "10.9.*"),
        ("is-default", "false"),
        ("tag:Name", "wan?ed"),
        ("tag-key", "Name"),
        ("state", "available"),
    ],
)
def test_filters_find_what_they_name(ec2, name, value):
    vpc_id = ec2.create_vpc(
        CidrBlock="10.9.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "wanted"}]}],
    )["Vpc"]["VpcId"]
    found = ec2.describe_vpcs(Filters=[{"Name": name, "Values": [value, "other"]}])["Vpcs"]
    assert vpc_id in [one["VpcId"] for one in found]


def test_an_unknown_filter_is_refused_and_a_known_one_may_match_nothing(ec2, refused):
    with refused("InvalidParameterValue") as refusal:
        ec2.describe_vpcs(Filters=[{"Name": "colour", "Values": ["red"]}])
    assert refusal.message == "The filter 'colour' is invalid"
    assert ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["1.2.3.4/16"]}])["Vpcs"] == []
