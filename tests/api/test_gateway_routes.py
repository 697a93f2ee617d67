"""Routes to internet gateways, and the route tables of gateways (VPC guide, "Gateway route tables").

igw -- VPC 10.0.0.0/16 -- subnet front 10.0.1.0/24, subnet middle 10.0.9.0/24 with the interface of an appliance
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.fixture
def here(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    front, middle = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 9)
    ]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    appliance = ec2.create_network_interface(SubnetId=middle)["NetworkInterface"]["NetworkInterfaceId"]
    return SimpleNamespace(
        vpc=vpc, front=front, middle=middle, gateway=gateway, appliance=appliance, table=new_table(ec2, vpc)
    )


def new_table(ec2, vpc):
    return ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]


def described(ec2, table):
    return ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]


OUT = {"DestinationCidrBlock": "0.0.0.0/0"}


def test_a_route_to_the_gateway_is_found_and_replaced(ec2, here):
    ec2.create_route(RouteTableId=here.table, **OUT, GatewayId=here.gateway)
    chosen = [{"Name": "route.gateway-id", "Values": [here.gateway]}]
    (found,) = ec2.describe_route_tables(Filters=chosen)["RouteTables"]
    assert found["RouteTableId"] == here.table
    ec2.create_route(RouteTableId=here.table, **OUT, GatewayId=here.gateway)  # the same again
    ec2.replace_route(RouteTableId=here.table, **OUT, NetworkInterfaceId=here.appliance)
    ec2.replace_route(RouteTableId=here.table, **OUT, GatewayId=here.gateway)
    ec2.create_route(RouteTableId=here.table, DestinationIpv6CidrBlock="::/0", GatewayId=here.gateway)
    assert [one["State"] for one in described(ec2, here.table)["Routes"]] == ["active"] * 3


def test_a_gateway_that_is_not_attached_to_the_vpc_is_no_target(ec2, refused, here):
    loose = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    for table, gateway in ((here.table, loose), (new_table(ec2, other), here.gateway)):
        with refused("InvalidParameterValue") as refusal:
            ec2.create_route(RouteTableId=table, **OUT, GatewayId=gateway)
        assert refusal.message == (
            f"route table {table} and network gateway {gateway} belong to different networks"
        )


def test_a_gateway_takes_no_subnet_of_the_vpc_and_no_local_route(ec2, refused, here):
    inside = {"DestinationCidrBlock": "10.0.1.0/24"}
    with refused("InvalidParameterValue"):
        ec2.create_route(RouteTableId=here.table, **inside, GatewayId=here.gateway)
    with refused("InvalidParameterValue"):
        whole = {"DestinationCidrBlock": "10.0.0.0/16"}
        ec2.replace_route(RouteTableId=here.table, **whole, GatewayId=here.gateway)


def test_a_gateway_gets_a_table_another_and_none(ec2, refused, here):
    made = ec2.associate_route_table(RouteTableId=here.table, GatewayId=here.gateway)
    assert made["AssociationState"] == {"State": "associated"}
    again = ec2.associate_route_table(RouteTableId=here.table, GatewayId=here.gateway)
    assert again["AssociationId"] == made["AssociationId"]
    (shown,) = described(ec2, here.table)["Associations"]
    assert shown == {
        "Main": False,
        "RouteTableAssociationId": made["AssociationId"],
        "RouteTableId": here.table,
        "GatewayId": here.gateway,
        "AssociationState": {"State": "associated"},
    }
    other = new_table(ec2, here.vpc)
    with refused("Resource.AlreadyAssociated"):
        ec2.associate_route_table(RouteTableId=other, GatewayId=here.gateway)
    with refused("DependencyViolation"):
        ec2.detach_internet_gateway(InternetGatewayId=here.gateway, VpcId=here.vpc)
    moved = ec2.replace_route_table_association(AssociationId=made["AssociationId"], RouteTableId=other)
    by_gateway = [{"Name": "association.gateway-id", "Values": [here.gateway]}]
    (found,) = ec2.describe_route_tables(Filters=by_gateway)["RouteTables"]
    assert found["RouteTableId"] == other
    mains = [{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [here.vpc]}]
    (main,) = ec2.describe_route_tables(Filters=mains)["RouteTables"]
    assert main["RouteTableId"] not in (here.table, other)
    ec2.disassociate_route_table(AssociationId=moved["NewAssociationId"])
    assert ec2.describe_route_tables(Filters=by_gateway)["RouteTables"] == []
    ec2.detach_internet_gateway(InternetGatewayId=here.gateway, VpcId=here.vpc)


def test_the_table_of_a_gateway_leads_to_appliances_inside_the_vpc_only(ec2, refused, here):
    inside = {"DestinationCidrBlock": "10.0.1.0/24", "NetworkInterfaceId": here.appliance}
    ec2.create_route(RouteTableId=here.table, **inside)
    ec2.associate_route_table(RouteTableId=here.table, GatewayId=here.gateway)
    listed = ec2.create_managed_prefix_list(
        PrefixListName="x", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": "203.0.113.0/24"}]
    )["PrefixList"]["PrefixListId"]
    for route in (
        {**OUT, "GatewayId": here.gateway},
        {**OUT, "NetworkInterfaceId": here.appliance},
        {"DestinationPrefixListId": listed, "NetworkInterfaceId": here.appliance},
    ):
        with refused("InvalidParameterValue"):
            ec2.create_route(RouteTableId=here.table, **route)
    whole = {"DestinationCidrBlock": "10.0.0.0/16"}
    ec2.replace_route(RouteTableId=here.table, **whole, NetworkInterfaceId=here.appliance)
    ec2.replace_route(RouteTableId=here.table, **whole, LocalTarget=True)
    assert len(described(ec2, here.table)["Routes"]) == 2


def test_a_table_that_leads_outside_is_no_table_of_a_gateway(ec2, refused, here):
    ec2.create_route(RouteTableId=here.table, **OUT, GatewayId=here.gateway)
    with refused("InvalidParameterValue"):
        ec2.associate_route_table(RouteTableId=here.table, GatewayId=here.gateway)
    plain = new_table(ec2, here.vpc)
    made = ec2.associate_route_table(RouteTableId=plain, GatewayId=here.gateway)
    with refused("InvalidParameterValue"):
        ec2.replace_route_table_association(AssociationId=made["AssociationId"], RouteTableId=here.table)


@pytest.mark.parametrize(
    ("gateway", "code"),
    [
        ("igw-0123456789abcdef0", "InvalidGatewayID.NotFound"),
        ("vgw-0123456789abcdef0", "InvalidGatewayID.NotFound"),
        ("nonsense", "InvalidParameterValue"),
    ],
)
def test_a_table_is_not_associated_with_a_gateway_that_is_not_there(ec2, refused, here, gateway, code):
    with refused(code):
        ec2.associate_route_table(RouteTableId=here.table, GatewayId=gateway)


def test_a_table_is_associated_with_one_thing_that_is_of_its_vpc(ec2, refused, here):
    with refused("InvalidParameterCombination"):
        ec2.associate_route_table(RouteTableId=here.table, GatewayId=here.gateway, SubnetId=here.front)
    with refused("MissingParameter"):
        ec2.associate_route_table(RouteTableId=here.table)
    loose = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    with refused("InvalidParameterValue"):
        ec2.associate_route_table(RouteTableId=here.table, GatewayId=loose)
