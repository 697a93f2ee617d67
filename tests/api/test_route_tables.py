"""Route tables and their associations through boto3 (behaviour/03)."""

from __future__ import annotations

import pytest


@pytest.fixture
def vpc_id(ec2):
    return ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


@pytest.fixture
def subnet_id(ec2, vpc_id):
    return ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]


@pytest.fixture
def table_id(ec2, vpc_id):
    return ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]


def main_of(ec2, vpc_id):
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "association.main", "Values": ["true"]}]
    (table,) = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    return table


def test_a_subnet_is_associated_moved_and_freed(ec2, refused, vpc_id, subnet_id, table_id):
    first = ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnet_id)["AssociationId"]
    assert ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnet_id)["AssociationId"] == first
    other = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    with refused("Resource.AlreadyAssociated"):
        ec2.associate_route_table(RouteTableId=other, SubnetId=subnet_id)
    with refused("DependencyViolation"):
        ec2.delete_route_table(RouteTableId=table_id)
    moved = ec2.replace_route_table_association(AssociationId=first, RouteTableId=other)["NewAssociationId"]
    (found,) = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet_id]}])[
        "RouteTables"
    ]
    assert found["RouteTableId"] == other
    ec2.delete_route_table(RouteTableId=table_id)
    ec2.disassociate_route_table(AssociationId=moved)
    with refused("InvalidAssociationID.NotFound"):
        ec2.disassociate_route_table(AssociationId=moved)
    ec2.delete_route_table(RouteTableId=other)


def test_the_main_table_can_be_replaced_but_not_freed_or_deleted(ec2, refused, vpc_id, table_id):
    main = main_of(ec2, vpc_id)
    association = main["Associations"][0]["RouteTableAssociationId"]
    with refused("InvalidParameterValue"):
        ec2.disassociate_route_table(AssociationId=association)
    with refused("DependencyViolation"):
        ec2.delete_route_table(RouteTableId=main["RouteTableId"])
    ec2.replace_route_table_association(AssociationId=association, RouteTableId=table_id)
    assert main_of(ec2, vpc_id)["RouteTableId"] == table_id
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc_id)  # the former main table is now one of the user's
    ec2.delete_route_table(RouteTableId=main["RouteTableId"])
    ec2.delete_vpc(VpcId=vpc_id)


def test_a_deleted_subnet_takes_its_association_along(ec2, subnet_id, table_id):
    ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnet_id)
    ec2.delete_subnet(SubnetId=subnet_id)
    (table,) = ec2.describe_route_tables(RouteTableIds=[table_id])["RouteTables"]
    assert table["Associations"] == []


def test_a_table_and_a_subnet_of_two_vpcs_do_not_meet(ec2, refused, subnet_id):
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    stranger = ec2.create_route_table(VpcId=other)["RouteTable"]["RouteTableId"]
    with refused("InvalidParameterValue"):
        ec2.associate_route_table(RouteTableId=stranger, SubnetId=subnet_id)


@pytest.mark.parametrize(
    ("route", "code"),
    [
        ({"DestinationCidrBlock": "nonsense", "GatewayId": "igw-0123456789abcdef0"}, "InvalidParameterValue"),
        ({"GatewayId": "igw-0123456789abcdef0"}, "MissingParameter"),
        ({"DestinationCidrBlock": "0.0.0.0/0"}, "MissingParameter"),
        (
            {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "a", "NatGatewayId": "b"},
            "InvalidParameterCombination",
        ),
        ({"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "a"}, "RouteAlreadyExists"),
        ({"DestinationCidrBlock": "10.0.1.0/24", "GatewayId": "a"}, "InvalidParameterValue"),
        ({"DestinationCidrBlock": "169.254.169.0/24", "GatewayId": "a"}, "InvalidParameterValue"),
        (
            {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-0123456789abcdef0"},
            "InvalidGatewayID.NotFound",
        ),
    ],
)
def test_a_route_that_makes_no_sense_is_refused(ec2, refused, table_id, route, code):
    with refused(code):
        ec2.create_route(RouteTableId=table_id, **route)


def test_local_routes_stay(ec2, refused, table_id):
    with refused("InvalidParameterValue"):
        ec2.delete_route(RouteTableId=table_id, DestinationCidrBlock="10.0.0.0/16")
    with refused("InvalidRoute.NotFound"):
        ec2.delete_route(RouteTableId=table_id, DestinationCidrBlock="10.9.0.0/16")
    ec2.replace_route(RouteTableId=table_id, DestinationCidrBlock="10.0.0.0/16", LocalTarget=True)


def test_zones_regions_and_attributes_are_told(api, ec2, refused):
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [(one["ZoneName"], one["ZoneId"], one["State"]) for one in zones] == [
        ("us-east-1a", "use1-az1", "available"),
        ("us-east-1b", "use1-az2", "available"),
    ]
    with refused("InvalidParameterValue"):
        ec2.describe_availability_zones(ZoneNames=["us-east-1z"])
    mine = api.client(region="xx-nowhere-1").describe_regions()["Regions"]
    assert {"us-east-1", "xx-nowhere-1"} <= {one["RegionName"] for one in mine}
    values = {one["AttributeName"]: one for one in ec2.describe_account_attributes()["AccountAttributes"]}
    assert values["default-vpc"]["AttributeValues"][0]["AttributeValue"].startswith("vpc-")
