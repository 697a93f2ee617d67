"""Routes through boto3, with targets that exist (behaviour/03).

VPC 10.0.0.0/16 -- subnet near 10.0.1.0/24
                \\- subnet far  10.0.2.0/24
                \\- subnet middle 10.0.9.0/24 -- interface appliance
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.model.objects import PeeringSide, Vpc, VpcPeering
from rookery.testing.small_view import ACCOUNT, REGION, SmallView


@pytest.fixture
def vpc_id(ec2):
    return ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


@pytest.fixture
def far(ec2, vpc_id):
    return subnet(ec2, vpc_id, "10.0.2.0/24")


@pytest.fixture
def middle(ec2, vpc_id):
    return subnet(ec2, vpc_id, "10.0.9.0/24")


@pytest.fixture
def table_id(ec2, vpc_id):
    return ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]


@pytest.fixture
def appliance(ec2, middle):
    return ec2.create_network_interface(SubnetId=middle)["NetworkInterface"]["NetworkInterfaceId"]


def subnet(ec2, vpc_id, cidr):
    return ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr)["Subnet"]["SubnetId"]


def instance(ec2, subnet_id):
    (made,) = ec2.run_instances(ImageId=NAMESPACE_IMAGE.id, MinCount=1, MaxCount=1, SubnetId=subnet_id)[
        "Instances"
    ]
    return made["InstanceId"], made["NetworkInterfaces"][0]["NetworkInterfaceId"]


def routes(ec2, table_id):
    (table,) = ec2.describe_route_tables(RouteTableIds=[table_id])["RouteTables"]
    return table["Routes"]


LOCAL = {
    "DestinationCidrBlock": "10.0.0.0/16",
    "GatewayId": "local",
    "Origin": "CreateRouteTable",
    "State": "active",
}


def test_a_route_to_a_free_interface_is_a_black_hole(ec2, table_id, appliance):
    made = ec2.create_route(
        RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=appliance
    )
    assert made["Return"] is True
    assert routes(ec2, table_id) == [
        LOCAL,
        {
            "DestinationCidrBlock": "0.0.0.0/0",
            "NetworkInterfaceId": appliance,
            "Origin": "CreateRoute",
            "State": "blackhole",
        },
    ]


def test_a_route_to_an_instance_leads_to_its_interface_until_it_is_terminated(ec2, table_id, middle):
    instance_id, interface_id = instance(ec2, middle)
    ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="192.168.7.9/16", InstanceId=instance_id)
    route = {
        "DestinationCidrBlock": "192.168.0.0/16",
        "NetworkInterfaceId": interface_id,
        "InstanceId": instance_id,
        "InstanceOwnerId": "123456789012",
        "Origin": "CreateRoute",
        "State": "active",
    }
    assert routes(ec2, table_id) == [LOCAL, route]
    ec2.terminate_instances(InstanceIds=[instance_id])
    (_, left) = routes(ec2, table_id)
    assert (left["State"], left["NetworkInterfaceId"]) == ("blackhole", interface_id)
    assert "InstanceId" not in left


def test_an_instance_with_two_interfaces_is_no_target(ec2, refused, table_id, middle):
    two = [{"DeviceIndex": n, "SubnetId": middle} for n in (0, 1)]
    (made,) = ec2.run_instances(ImageId=NAMESPACE_IMAGE.id, MinCount=1, MaxCount=1, NetworkInterfaces=two)[
        "Instances"
    ]
    with refused("InvalidInstanceID") as refusal:
        ec2.create_route(
            RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", InstanceId=made["InstanceId"]
        )
    assert refusal.message == (
        f"There are multiple interfaces attached to instance '{made['InstanceId']}'. "
        "Please specify an interface ID for the operation instead."
    )


def test_a_whole_subnet_may_lead_to_an_appliance_and_half_of_one_may_not(
    ec2, refused, table_id, far, appliance
):
    ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="10.0.2.0/24", NetworkInterfaceId=appliance)
    for destination in ("10.0.2.0/25", "10.0.3.0/24", "10.0.2.0/23"):
        with refused("InvalidParameterValue") as refusal:
            ec2.create_route(
                RouteTableId=table_id, DestinationCidrBlock=destination, NetworkInterfaceId=appliance
            )
        assert refusal.message == (
            f"The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR "
            "blocks. This route can target only an interface or an instance."
        )


def test_a_local_route_gets_another_target_and_is_local_again(ec2, refused, table_id, appliance):
    whole = {"RouteTableId": table_id, "DestinationCidrBlock": "10.0.0.0/16"}
    with refused("RouteAlreadyExists"):
        ec2.create_route(**whole, NetworkInterfaceId=appliance)
    ec2.replace_route(**whole, NetworkInterfaceId=appliance)
    (replaced,) = routes(ec2, table_id)
    assert replaced == {
        "DestinationCidrBlock": "10.0.0.0/16",
        "NetworkInterfaceId": appliance,
        "Origin": "CreateRouteTable",
        "State": "blackhole",
    }
    with refused("InvalidParameterValue"):
        ec2.delete_route(**whole)
    with refused("InvalidParameterCombination"):
        ec2.replace_route(**whole, NetworkInterfaceId=appliance, LocalTarget=True)
    ec2.replace_route(**whole, LocalTarget=True)
    assert routes(ec2, table_id) == [LOCAL]


def test_only_local_routes_are_local_again(ec2, refused, table_id, appliance):
    ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=appliance)
    with refused("InvalidParameterValue"):
        ec2.replace_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", LocalTarget=True)


def test_one_destination_has_one_route_and_replacing_switches_its_target(
    ec2, refused, table_id, middle, appliance
):
    other = ec2.create_network_interface(SubnetId=middle)["NetworkInterface"]["NetworkInterfaceId"]
    route = {"RouteTableId": table_id, "DestinationCidrBlock": "0.0.0.0/0"}
    ec2.create_route(**route, NetworkInterfaceId=appliance)
    ec2.create_route(**route, NetworkInterfaceId=appliance)  # the same again
    with refused("RouteAlreadyExists") as refusal:
        ec2.create_route(**route, NetworkInterfaceId=other)
    assert refusal.message == "The route identified by 0.0.0.0/0 already exists."
    ec2.replace_route(**route, NetworkInterfaceId=other)
    assert [each.get("NetworkInterfaceId") for each in routes(ec2, table_id)] == [None, other]
    ec2.delete_route(**route)
    assert routes(ec2, table_id) == [LOCAL]


def test_a_route_that_is_not_there_is_neither_replaced_nor_deleted(ec2, refused, table_id, appliance):
    with refused("InvalidParameterValue") as refusal:
        ec2.replace_route(
            RouteTableId=table_id, DestinationCidrBlock="10.9.0.0/16", NetworkInterfaceId=appliance
        )
    assert refusal.message == (
        "There is no route defined for '10.9.0.0/16' in the route table. Use CreateRoute instead."
    )
    with refused("InvalidRoute.NotFound") as refusal:
        ec2.delete_route(RouteTableId=table_id, DestinationIpv6CidrBlock="2001:db8:0::/48")
    assert refusal.message == (
        f"no route with destination-ipv6-cidr-block 2001:db8::/48 in route table {table_id}"
    )


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({"GatewayId": "igw-0123456789abcdef0"}, "InvalidGatewayID.NotFound"),
        ({"GatewayId": "vgw-0123456789abcdef0"}, "InvalidGatewayID.NotFound"),
        ({"GatewayId": "vpce-0123456789abcdef0"}, "InvalidVpcEndpointId.NotFound"),
        ({"GatewayId": "local"}, "InvalidParameterValue"),
        ({"NatGatewayId": "nat-0123456789abcdef0"}, "InvalidNatGatewayID.NotFound"),
        ({"TransitGatewayId": "tgw-0123456789abcdef0"}, "InvalidTransitGatewayID.NotFound"),
        ({"VpcEndpointId": "vpce-0123456789abcdef0"}, "InvalidVpcEndpointId.NotFound"),
        ({"VpcPeeringConnectionId": "pcx-0123456789abcdef0"}, "InvalidVpcPeeringConnectionID.NotFound"),
        ({"VpcPeeringConnectionId": "nonsense"}, "InvalidVpcPeeringConnectionId.Malformed"),
        ({"NetworkInterfaceId": "eni-0123456789abcdef0"}, "InvalidNetworkInterfaceID.NotFound"),
        ({"InstanceId": "i-0123456789abcdef0"}, "InvalidInstanceID.NotFound"),
        ({"CarrierGatewayId": "cagw-0123456789abcdef0"}, "UnsupportedOperation"),
    ],
)
def test_a_target_that_nobody_has_is_not_found(ec2, refused, table_id, target, code):
    with refused(code):
        ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", **target)


@pytest.mark.parametrize(
    "destination",
    [
        {"DestinationCidrBlock": "169.254.169.0/24"},
        {"DestinationCidrBlock": "169.254.168.0/22"},
        {"DestinationIpv6CidrBlock": "fd00:ec2::/32"},
        {"DestinationIpv6CidrBlock": "fd00:ec2::254/128"},
        {"DestinationIpv6CidrBlock": "::ffff:10.0.0.0/104"},
        {"DestinationIpv6CidrBlock": "10.0.0.0/8"},
        {"DestinationCidrBlock": "10.0.0.0/33"},
    ],
)
def test_a_destination_that_is_never_routed_is_refused(ec2, refused, table_id, appliance, destination):
    with refused("InvalidParameterValue"):
        ec2.create_route(RouteTableId=table_id, NetworkInterfaceId=appliance, **destination)


def test_what_is_wider_than_the_local_services_may_be_routed(ec2, table_id, appliance):
    for destination in ({"DestinationCidrBlock": "169.0.0.0/8"}, {"DestinationIpv6CidrBlock": "::/0"}):
        ec2.create_route(RouteTableId=table_id, NetworkInterfaceId=appliance, **destination)
    assert routes(ec2, table_id)[2]["DestinationIpv6CidrBlock"] == "::/0"


def test_an_interface_of_another_vpc_is_no_target(ec2, refused, appliance):
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    stranger = ec2.create_route_table(VpcId=other)["RouteTable"]["RouteTableId"]
    with refused("InvalidParameterValue") as refusal:
        ec2.create_route(
            RouteTableId=stranger, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=appliance
        )
    assert refusal.message == (
        f"route table {stranger} and interface {appliance} belong to different networks"
    )


def test_tables_are_found_by_their_routes(ec2, table_id, middle):
    instance_id, interface_id = instance(ec2, middle)
    ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="10.77.0.0/16", InstanceId=instance_id)
    for name, value in {
        "route.destination-cidr-block": "10.77.0.0/16",
        "route.instance-id": instance_id,
        "route.network-interface-id": interface_id,
    }.items():
        found = ec2.describe_route_tables(Filters=[{"Name": name, "Values": [value]}])["RouteTables"]
        assert [table["RouteTableId"] for table in found] == [table_id], name
    written = ec2.describe_route_tables(Filters=[{"Name": "route.origin", "Values": ["CreateRoute"]}])["RouteTables"]
    assert len(written) == 2  # the default VPC's leads to its internet gateway
    ec2.terminate_instances(InstanceIds=[instance_id])
    holes = [{"Name": "route.state", "Values": ["blackhole"]}]
    assert len(ec2.describe_route_tables(Filters=holes)["RouteTables"]) == 1


def test_a_block_that_would_cover_a_route_does_not_join_the_vpc(ec2, refused):
    vpc_id = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    home = subnet(ec2, vpc_id, "10.2.1.0/24")
    target = ec2.create_network_interface(SubnetId=home)["NetworkInterface"]["NetworkInterfaceId"]
    table_id = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="10.4.0.0/24", NetworkInterfaceId=target)
    for wide in ("10.4.0.0/24", "10.4.0.0/16"):
        with refused("InvalidVpc.Range"):
            ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock=wide)
    ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock="10.4.0.0/25")
    assert [route["DestinationCidrBlock"] for route in routes(ec2, table_id)] == [
        "10.2.0.0/16",
        "10.4.0.0/25",
        "10.4.0.0/24",
    ]


def test_a_further_block_is_local_in_every_table_and_leaves_with_what_took_its_place(
    ec2, refused, vpc_id, table_id, appliance
):
    with refused("InvalidVpc.Range"):
        ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock="192.168.0.0/24")
    added = ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock="100.64.0.0/16")["CidrBlockAssociation"]
    mine = [{"Name": "vpc-id", "Values": [vpc_id]}]
    for table in ec2.describe_route_tables(Filters=mine)["RouteTables"]:
        local = [one["DestinationCidrBlock"] for one in table["Routes"] if one["GatewayId"] == "local"]
        assert local == ["10.0.0.0/16", "100.64.0.0/16"]
    ec2.replace_route(
        RouteTableId=table_id, DestinationCidrBlock="100.64.0.0/16", NetworkInterfaceId=appliance
    )
    ec2.disassociate_vpc_cidr_block(AssociationId=added["AssociationId"])
    assert routes(ec2, table_id) == [LOCAL]


def test_a_table_with_routes_is_deleted(ec2, table_id, appliance):
    ec2.create_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=appliance)
    ec2.delete_route_table(RouteTableId=table_id)


# ------------------------------------------------------------------------------------------------------------ peering


@pytest.fixture
def here():
    """A table of VPC 10.0.0.0/16, and a peering connection of it that waits for the VPC 10.1.0.0/16."""
    view = SmallView()
    one, other = view.make_vpc("10.0.0.0/16"), view.make_vpc("10.1.0.0/16")
    sides = [PeeringSide(account=ACCOUNT, region=REGION, vpc_id=vpc.id) for vpc in (one, other)]
    peering = VpcPeering(
        account=ACCOUNT,
        region=REGION,
        id=view.ids.new("pcx"),
        requester=sides[0],
        accepter=sides[1],
        status="pending-acceptance",
    )
    view.put(peering)
    table = view.call("CreateRouteTable", VpcId=one.id)["RouteTable"]["RouteTableId"]
    return view, peering, table


def peer_route(table, peering, destination="10.1.0.0/16"):
    return {
        "RouteTableId": table,
        "DestinationCidrBlock": destination,
        "VpcPeeringConnectionId": peering.id,
    }


def test_a_route_to_a_peer_becomes_active_with_its_acceptance(here):
    view, peering, table = here
    view.call("CreateRoute", **peer_route(table, peering))

    def state():
        shape = view.call("DescribeRouteTables", RouteTableIds=[table])["RouteTables"][0]["Routes"][1]
        assert shape["VpcPeeringConnectionId"] == peering.id
        return shape["State"]

    assert state() == "blackhole"
    view.put(replace(peering, status="active"))
    assert state() == "active"
    view.put(replace(peering, status="deleted"))
    assert state() == "blackhole"


def test_a_peer_takes_no_subnet_of_the_vpc_and_no_local_route(here):
    view, peering, table = here
    view.make_subnet(view.get(Vpc, peering.requester.vpc_id), "10.0.1.0/24")
    whole = peer_route(table, peering, "10.0.0.0/16")
    assert view.refusal("ReplaceRoute", **whole) == "InvalidParameterValue"
    part = peer_route(table, peering, "10.0.1.0/24")
    assert view.refusal("CreateRoute", **part) == "InvalidParameterValue"


def test_a_peering_of_others_or_one_that_is_over_is_no_target(here):
    view, peering, table = here
    third = view.make_vpc("10.2.0.0/16")
    stranger = view.call("CreateRouteTable", VpcId=third.id)["RouteTable"]["RouteTableId"]
    assert view.refusal("CreateRoute", **peer_route(stranger, peering)) == "InvalidParameterValue"
    view.put(replace(peering, status="rejected"))
    assert view.refusal("CreateRoute", **peer_route(table, peering)) == "InvalidParameterValue"
