"""NAT gateways, pure (behaviour/06: T6-10, T6-11, T6-12, the states of T6-15; T2-14, T3-01, T3-02). See tests/api/nat_scene.py."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.api.quotas import Quotas
from rookery.model.objects import Cell, NatGateway, NetworkInterface, RouteTable, Shard
from tests.api.edge_scene import allocate, associate, new_gateway, now
from tests.api.instance_scene import spare_interface
from tests.api.nat_scene import available, create, described, interface_of, nat_account, time_passes


@pytest.fixture
def here():
    return nat_account()


def address(here, elastic_ip):
    (found,) = here.view.call("DescribeAddresses", AllocationIds=[elastic_ip.id])["Addresses"]
    return found


def private(here, **parameters):
    return available(here, ConnectivityType="private", **parameters)


def statuses(here, gateway):
    return [one.status for one in now(here, gateway).addresses]


# ------------------------------------------------------------------------------------------------------ public, private


def test_a_public_gateway_is_pending_until_its_cell_works_by_it(here):
    one = allocate(here)
    tags = [{"ResourceType": "natgateway", "Tags": [{"Key": "Name", "Value": "out"}]}]
    gateway = create(here, AllocationId=one.id, TagSpecifications=tags)
    time_passes(here, cells_work=False)
    assert described(here, gateway)["State"] == "pending"
    time_passes(here)
    private_address = interface_of(here, gateway).primary
    assert described(here, gateway) == {
        "NatGatewayId": gateway.id,
        "VpcId": here.vpc.id,
        "SubnetId": here.a.id,
        "State": "available",
        "ConnectivityType": "public",
        "AvailabilityMode": "zonal",
        "CreateTime": here.view.now,
        "NatGatewayAddresses": [
            {
                "NetworkInterfaceId": gateway.interface_id,
                "PrivateIp": private_address,
                "AllocationId": one.id,
                "AssociationId": now(here, one).association_id,
                "PublicIp": one.address,
                "IsPrimary": True,
                "Status": "succeeded",
                "FailureMessage": None,
            }
        ],
        "Tags": [{"Key": "Name", "Value": "out"}],
    }


def test_it_is_pending_while_a_host_does_not_know_where_to_send(here):
    here.view.live = here.view.revision
    gateway = create(here)
    time_passes(here)
    assert now(here, gateway).state == "pending"
    here.view.live = here.view.revision
    time_passes(here)
    assert now(here, gateway).state == "available"


def test_its_interface_is_seen_by_its_owner(here):
    one = allocate(here)
    gateway = available(here, AllocationId=one.id)
    named = [{"Name": "interface-type", "Values": ["nat_gateway"]}]
    (shown,) = here.view.call("DescribeNetworkInterfaces", Filters=named)["NetworkInterfaces"]
    assert shown["NetworkInterfaceId"] == gateway.interface_id
    assert shown["Description"] == f"Interface for NAT Gateway {gateway.id}"
    wanted = {"InterfaceType": "nat_gateway", "RequesterManaged": True, "RequesterId": "amazon-aws"}
    wanted |= {"SourceDestCheck": False, "Status": "in-use", "Groups": []}
    assert {name: shown[name] for name in wanted} == wanted
    assert shown["Attachment"]["InstanceOwnerId"] == "amazon-aws"
    assert shown["Attachment"]["AttachmentId"].startswith("ela-attach-")
    assert shown["Association"]["PublicIp"] == one.address
    found = address(here, one)
    assert (found["NetworkInterfaceId"], found["PrivateIpAddress"]) == (gateway.interface_id, shown["PrivateIpAddress"])
    for name, value in (
        ("attachment.instance-owner-id", "amazon-aws"),
        ("attachment.attachment-id", shown["Attachment"]["AttachmentId"]),
        ("attachment.status", "attached"),
        ("requester-managed", "true"),
        ("requester-id", "amazon-aws"),
    ):
        by = here.view.call("DescribeNetworkInterfaces", Filters=[{"Name": name, "Values": [value]}])
        assert [each["NetworkInterfaceId"] for each in by["NetworkInterfaces"]] == [gateway.interface_id], name


def test_a_private_gateway_has_private_addresses_only(here):
    gateway = private(here, PrivateIpAddress="10.0.1.77", SecondaryPrivateIpAddresses=["10.0.1.79", "10.0.1.78"])
    shown = [
        (one["PrivateIp"], one["IsPrimary"], one["PublicIp"], one["Status"])
        for one in described(here, gateway)["NatGatewayAddresses"]
    ]
    assert shown == [
        ("10.0.1.77", True, None, "succeeded"),
        ("10.0.1.79", False, None, "succeeded"),
        ("10.0.1.78", False, None, "succeeded"),
    ]
    assert interface_of(here, gateway).addresses == ("10.0.1.77", "10.0.1.79", "10.0.1.78")


def test_a_private_gateway_needs_no_internet_gateway(here):
    here.view.call("DetachInternetGateway", InternetGatewayId=here.gateway, VpcId=here.vpc.id)
    gateway = private(here, SecondaryPrivateIpAddressCount=2)
    assert (gateway.state, len(gateway.addresses)) == ("available", 3)


def test_a_public_gateway_begins_with_two_addresses(here):
    first, second = allocate(here), allocate(here)
    gateway = available(here, AllocationId=first.id, SecondaryAllocationIds=[second.id])
    assert [(one.allocation_id, one.is_primary) for one in gateway.addresses] == [(first.id, True), (second.id, False)]
    assert now(here, second).private_address == gateway.addresses[1].private_address


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"SubnetId": ""}, "MissingParameter"),
        ({"SubnetId": "subnet-x"}, "InvalidSubnetID.Malformed"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"AllocationId": ""}, "MissingParameter"),
        ({"AllocationId": "eipalloc-0123456789abcdef0"}, "InvalidAllocationID.NotFound"),
        ({"ConnectivityType": "private"}, "InvalidParameter"),
        ({"SecondaryPrivateIpAddressCount": 1}, "InvalidParameter"),
        ({"SecondaryPrivateIpAddresses": ["10.0.1.9"]}, "InvalidParameter"),
        ({"SecondaryAllocationIds": ["{same}"]}, "InvalidParameter"),
        ({"PrivateIpAddress": "10.0.9.9"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "10.0.1.2"}, "InvalidParameterValue"),
        ({"AvailabilityMode": "regional"}, "InvalidParameter"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "InvalidParameter"),
        ({"AvailabilityZoneAddresses": [{"AvailabilityZone": "us-east-1a"}]}, "InvalidParameter"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(here, asked, code):
    one = allocate(here)
    filled = {name: [one.id] if value == ["{same}"] else value for name, value in asked.items()}
    wanted = {"SubnetId": here.a.id, "AllocationId": one.id, **filled}
    assert here.view.refusal("CreateNatGateway", **wanted) == code
    assert now(here, one).association_id == ""


def test_a_held_private_address_is_refused(here):
    held = here.view.get(NetworkInterface, spare_interface(here)).primary
    asked = {"SubnetId": here.a.id, "ConnectivityType": "private"}
    assert here.view.refusal("CreateNatGateway", **asked, PrivateIpAddress=held) == "InvalidIPAddress.InUse"
    twice = {"PrivateIpAddress": "10.0.1.9", "SecondaryPrivateIpAddresses": ["10.0.1.9"]}
    assert here.view.refusal("CreateNatGateway", **asked, **twice) == "InvalidParameter"
    both = {"SecondaryPrivateIpAddressCount": 1, "SecondaryPrivateIpAddresses": ["10.0.1.9"]}
    assert here.view.refusal("CreateNatGateway", **asked, **both) == "InvalidParameterCombination"


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("why", ["no gateway", "busy", "full"])
def test_what_aws_finds_out_later_fails_after_the_call_succeeded(here, why):
    """T6-10, T6-11: and is `pending` in the answer."""
    one, home = allocate(here), here.a
    if why == "no gateway":
        here.view.call("DetachInternetGateway", InternetGatewayId=here.gateway, VpcId=here.vpc.id)
        code, message = "Gateway.NotAttached", f"Network {here.vpc.id} has no Internet gateway attached"
    elif why == "busy":
        associate(here, one, NetworkInterfaceId=spare_interface(here))
        code, message = "Resource.AlreadyAssociated", f"Elastic IP address {one.id} is already associated"
    else:
        home = here.view.make_subnet(here.vpc, "10.0.3.0/28")
        here.view.call("CreateNetworkInterface", SubnetId=home.id, SecondaryPrivateIpAddressCount=10)
        code = "InsufficientFreeAddressesInSubnet"
        message = "Subnet has insufficient free addresses to create this NAT gateway"
    gateway = create(here, AllocationId=one.id, SubnetId=home.id)
    shown = described(here, gateway)
    assert (shown["State"], shown["FailureCode"], shown["FailureMessage"]) == ("failed", code, message)
    assert shown["DeleteTime"] == here.view.now
    (listed,) = shown["NatGatewayAddresses"]
    assert (listed["AllocationId"], listed["Status"], listed["FailureMessage"]) == (one.id, "failed", message)
    assert gateway.interface_id == ""
    assert address(here, one).get("NetworkInterfaceId") != gateway.interface_id


def test_a_failed_gateway_is_forgotten_after_an_hour_or_deleted_before(here):
    here.view.call("DetachInternetGateway", InternetGatewayId=here.gateway, VpcId=here.vpc.id)
    first, second = create(here), create(here)
    here.view.call("DeleteNatGateway", NatGatewayId=first.id)
    assert described(here, first)["State"] == "deleted"
    time_passes(here, 3599)
    assert described(here, second)["State"] == "failed"
    time_passes(here, 1)
    assert here.view.refusal("DescribeNatGateways", NatGatewayIds=[second.id]) == "NatGatewayNotFound"


def test_a_zone_has_five_gateways_and_failed_ones_do_not_count(here):
    here.view.quotas = Quotas(elastic_ips=100)
    busy = allocate(here)
    associate(here, busy, NetworkInterfaceId=spare_interface(here))
    create(here, AllocationId=busy.id)
    made = [create(here) for _ in range(5)]
    asked = {"SubnetId": here.a.id, "ConnectivityType": "private"}
    assert here.view.refusal("CreateNatGateway", **asked) == "NatGatewayLimitExceeded"
    time_passes(here)
    here.view.call("DeleteNatGateway", NatGatewayId=made[0].id)
    assert here.view.refusal("CreateNatGateway", **asked) == "NatGatewayLimitExceeded"  # deleting still counts
    time_passes(here)
    create(here, ConnectivityType="private")


def test_a_gateway_has_as_many_addresses_as_the_quota_says(here):
    here.view.quotas = Quotas()
    more = [allocate(here).id for _ in range(2)]
    asked = {"SubnetId": here.a.id, "AllocationId": allocate(here).id, "SecondaryAllocationIds": more}
    assert here.view.refusal("CreateNatGateway", **asked) == "AddressLimitExceeded"
    asked = {"SubnetId": here.a.id, "ConnectivityType": "private", "SecondaryPrivateIpAddressCount": 8}
    assert here.view.refusal("CreateNatGateway", **asked) == "PrivateIpAddressLimitExceeded"


# -------------------------------------------------------------------------------------------------------- cells, shards


def test_the_first_gateway_of_an_account_gives_it_a_shard_and_the_next_uses_it(here):
    first = create(here)
    shard = here.view.given_shards["cell-a"][first.account]
    assert (shard.cell, len(shard.nodes)) == ("cell-a", 2)
    assert interface_of(here, first).cell_attachment.cell == "cell-a"
    create(here)
    assert here.view.given_shards["cell-a"] == {first.account: shard}


def test_a_shard_lies_apart_from_those_of_others(here):
    here.view.given_shards["cell-a"] = {
        "210987654321": Shard(cell="cell-a", account="210987654321", nodes=("node-1", "node-2"))
    }
    gateway = create(here)
    assert here.view.given_shards["cell-a"][gateway.account].nodes == ("node-3", "node-4")


def test_a_node_that_drains_is_not_chosen(here):
    here.view.given_cells["cell-a"] = replace(here.view.given_cells["cell-a"], draining=("node-1", "node-3"))
    gateway = create(here)
    assert here.view.given_shards["cell-a"][gateway.account].nodes == ("node-2", "node-4")


def test_a_zone_without_a_cell_has_no_gateways(here):
    asked = {"SubnetId": here.b.id, "ConnectivityType": "private"}
    assert here.view.refusal("CreateNatGateway", **asked) == "NotAvailableInZone"
    here.view.given_cells["cell-b"] = Cell(name="cell-b", zones=(1,), nodes=("", ""))
    assert here.view.refusal("CreateNatGateway", **asked) == "InsufficientCapacity"
    here.view.given_cells["cell-b"] = Cell(name="cell-b", zones=(1,), nodes=("", "node-9"))
    here.view.call("CreateNatGateway", **asked)
    assert here.view.given_shards["cell-b"]["123456789012"].nodes == ("node-9",)


# ------------------------------------------------------------------------------------------------- routes, and the end


def routed(here, gateway, to="0.0.0.0/0"):
    table = here.view.call("CreateRouteTable", VpcId=here.vpc.id)["RouteTable"]["RouteTableId"]
    here.view.call("CreateRoute", RouteTableId=table, DestinationCidrBlock=to, NatGatewayId=gateway.id)
    return table


def route(here, table, to="0.0.0.0/0"):
    (found,) = here.view.call("DescribeRouteTables", RouteTableIds=[table])["RouteTables"]
    return next(one for one in found["Routes"] if one["DestinationCidrBlock"] == to)


def test_a_deleted_gateway_leaves_a_black_hole_a_free_address_and_its_record(here):
    """T6-12."""
    one = allocate(here)
    gateway = available(here, AllocationId=one.id)
    table = routed(here, gateway)
    assert route(here, table) == {
        "DestinationCidrBlock": "0.0.0.0/0",
        "NatGatewayId": gateway.id,
        "Origin": "CreateRoute",
        "State": "active",
    }
    assert here.view.call("DeleteNatGateway", NatGatewayId=gateway.id) == {"NatGatewayId": gateway.id}
    time_passes(here, 1, cells_work=False)
    assert (described(here, gateway)["State"], route(here, table)["State"]) == ("deleting", "blackhole")
    assert address(here, one)["NetworkInterfaceId"] == gateway.interface_id  # until the cell has let it go
    time_passes(here, 1)
    shown = described(here, gateway)
    assert (shown["State"], shown["DeleteTime"]) == ("deleted", here.view.now)
    assert shown["NatGatewayAddresses"][0]["PublicIp"] == one.address
    assert "AssociationId" not in address(here, one)
    assert interface_of(here, gateway) is None
    here.view.call("DeleteNatGateway", NatGatewayId=gateway.id)  # again: no error
    here.view.call("ReleaseAddress", AllocationId=one.id)
    time_passes(here, 3600)
    assert here.view.refusal("DeleteNatGateway", NatGatewayId=gateway.id) == "NatGatewayNotFound"
    assert route(here, table)["State"] == "blackhole"


def test_a_gateway_whose_cell_left_the_region_can_be_deleted(here):
    gateway = available(here)
    here.view.given_cells.clear()
    here.view.cell_statuses.clear()
    here.view.call("DeleteNatGateway", NatGatewayId=gateway.id)
    time_passes(here)
    assert now(here, gateway).state == "deleted"


def test_a_gateway_none_of_whose_cells_nodes_lives_can_be_deleted(here):
    """But it is waited for as long as nobody has said anything of the cell."""
    one = allocate(here)
    gateway = available(here, AllocationId=one.id)
    here.view.cell_statuses.clear()
    here.view.call("DeleteNatGateway", NatGatewayId=gateway.id)
    time_passes(here, cells_work=False)
    assert now(here, gateway).state == "deleting"
    here.view.cells_die()
    time_passes(here, cells_work=False)
    assert now(here, gateway).state == "deleted"
    assert "AssociationId" not in address(here, one)
    here.view.call("ReleaseAddress", AllocationId=one.id)


def test_a_gateway_that_waits_for_its_cell_does_so_for_a_dead_one_too(here):
    """It is only what is gone that nobody waits for."""
    here.view.cells_die()
    gateway = create(here)
    time_passes(here, cells_work=False)
    assert now(here, gateway).state == "pending"


def test_a_subnet_and_an_internet_gateway_stay_while_a_gateway_needs_them(here):
    gateway = available(here)
    assert here.view.refusal("DeleteSubnet", SubnetId=here.a.id) == "DependencyViolation"
    detach = {"InternetGatewayId": here.gateway, "VpcId": here.vpc.id}
    assert here.view.refusal("DetachInternetGateway", **detach) == "DependencyViolation"
    here.view.call("DeleteNatGateway", NatGatewayId=gateway.id)
    time_passes(here)
    here.view.call("DetachInternetGateway", **detach)
    here.view.call("DeleteSubnet", SubnetId=here.a.id)


def test_routes_lead_only_to_gateways_of_the_same_vpc_that_are_alive(here):
    other = here.view.make_vpc("10.9.0.0/16")
    home = here.view.make_subnet(other, "10.9.1.0/24")
    new_gateway(here, other.id)
    gateway, elsewhere = available(here), available(here, SubnetId=home.id)
    table = here.view.call("CreateRouteTable", VpcId=here.vpc.id)["RouteTable"]["RouteTableId"]
    asked = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
    for target, code in (
        (elsewhere.id, "InvalidParameterValue"),
        ("nat-0123456789abcdef0", "InvalidNatGatewayID.NotFound"),
        ("nat-x", "InvalidParameterValue"),
    ):
        assert here.view.refusal("CreateRoute", **asked, NatGatewayId=target) == code
    code = here.view.refusal("CreateRoute", **asked, NetworkInterfaceId=gateway.interface_id)
    assert code == "AuthFailure"
    here.view.call("DeleteNatGateway", NatGatewayId=gateway.id)
    assert here.view.refusal("CreateRoute", **asked, NatGatewayId=gateway.id) == "InvalidNatGatewayID.NotFound"


def test_a_route_to_a_gateway_is_replaced_and_may_be_inside_the_vpc(here):
    gateway, other = available(here), private(here)
    table = routed(here, gateway)
    change = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
    here.view.call("ReplaceRoute", **change, NatGatewayId=other.id)
    assert route(here, table)["NatGatewayId"] == other.id
    inside = {"RouteTableId": table, "DestinationCidrBlock": here.b.cidr}
    here.view.call("CreateRoute", **inside, NatGatewayId=other.id)
    by = [{"Name": "route.nat-gateway-id", "Values": [other.id]}]
    (found,) = here.view.call("DescribeRouteTables", Filters=by)["RouteTables"]
    assert found["RouteTableId"] == table


@pytest.mark.parametrize("destination", ["64:ff9b::/96", "64:ff9b::a00:0/104"])
def test_a_route_to_what_it_translates_leads_to_it(here, destination):
    """NAT64: behaviour/03, and the route of T6-18."""
    gateway = available(here)
    table = here.view.call("CreateRouteTable", VpcId=here.vpc.id)["RouteTable"]["RouteTableId"]
    nat64 = {"RouteTableId": table, "DestinationIpv6CidrBlock": destination}
    here.view.call("CreateRoute", **nat64, NatGatewayId=gateway.id)
    (shown,) = [one for one in here.view.call("DescribeRouteTables", RouteTableIds=[table])["RouteTables"][0]["Routes"] if one.get("NatGatewayId")]
    assert (shown["DestinationIpv6CidrBlock"], shown["State"]) == (destination, "active")
    here.view.call("ReplaceRoute", **nat64, NatGatewayId=private(here).id)
    here.view.call("DeleteRoute", **nat64)


@pytest.mark.parametrize("destination", ["::/0", "2001:db8::/32", "64:ff9b::/95", "64:ff9b:1::/48"])
def test_no_other_route_of_ipv6_leads_to_it(here, destination):
    gateway = available(here)
    table = here.view.call("CreateRouteTable", VpcId=here.vpc.id)["RouteTable"]["RouteTableId"]
    asked = {"DestinationIpv6CidrBlock": destination, "NatGatewayId": gateway.id}
    assert here.view.refusal("CreateRoute", RouteTableId=table, **asked) == "InvalidParameterValue"


def test_no_table_of_a_gateway_leads_to_it(here):
    gateway = available(here)
    routed_table = routed(here, gateway)
    code = here.view.refusal("AssociateRouteTable", RouteTableId=routed_table, GatewayId=here.gateway)
    assert code == "InvalidParameterValue"
    assert here.view.get(RouteTable, routed_table).associations == ()


# ----------------------------------------------------------------------------------------------------- what is not its owner's


def test_its_interface_and_its_address_are_nobody_elses_to_change(here):
    one, other = allocate(here), allocate(here)
    gateway = available(here, AllocationId=one.id, PrivateIpAddress="10.0.1.9")
    eni = {"NetworkInterfaceId": gateway.interface_id}
    instance_interface = spare_interface(here)
    shown = here.view.call("DescribeNetworkInterfaces", NetworkInterfaceIds=[gateway.interface_id])
    attachment = shown["NetworkInterfaces"][0]["Attachment"]["AttachmentId"]
    for operation, parameters, code in (
        ("DetachNetworkInterface", {"AttachmentId": attachment}, "OperationNotPermitted"),
        ("DetachNetworkInterface", {"AttachmentId": attachment, "Force": True}, "OperationNotPermitted"),
        ("DeleteNetworkInterface", eni, "InvalidParameterValue"),
        ("ModifyNetworkInterfaceAttribute", {**eni, "Description": {"Value": "mine"}}, "AuthFailure"),
        ("ModifyNetworkInterfaceAttribute", {**eni, "SourceDestCheck": {"Value": True}}, "AuthFailure"),
        ("ResetNetworkInterfaceAttribute", {**eni, "SourceDestCheck": "true"}, "AuthFailure"),
        ("AssignPrivateIpAddresses", {**eni, "SecondaryPrivateIpAddressCount": 1}, "AuthFailure"),
        ("UnassignPrivateIpAddresses", {**eni, "PrivateIpAddresses": ["10.0.1.9"]}, "AuthFailure"),
        ("AssignIpv6Addresses", {**eni, "Ipv6AddressCount": 1}, "AuthFailure"),
        ("UnassignIpv6Addresses", {**eni, "Ipv6Addresses": ["fd00::1"]}, "AuthFailure"),
        ("AssociateAddress", {**eni, "AllocationId": other.id}, "AuthFailure"),
        ("AssociateAddress", {"NetworkInterfaceId": instance_interface, "AllocationId": one.id}, "AuthFailure"),
        ("DisassociateAddress", {"AssociationId": now(here, one).association_id}, "AuthFailure"),
        ("DisassociateAddress", {"PublicIp": one.address}, "AuthFailure"),
        ("ReleaseAddress", {"AllocationId": one.id}, "AuthFailure"),
    ):
        assert here.view.refusal(operation, **parameters) == code, (operation, parameters)
    here.view.call("CreateTags", Resources=[gateway.interface_id], Tags=[{"Key": "a", "Value": "b"}])


def test_its_interface_is_given_to_no_instance(here):
    from tests.api.instance_scene import refusal, running  # noqa: PLC0415

    gateway = available(here)
    instance = running(here)
    attach = {"NetworkInterfaceId": gateway.interface_id, "InstanceId": instance, "DeviceIndex": 1}
    assert here.view.refusal("AttachNetworkInterface", **attach) == "InvalidNetworkInterface.InUse"
    device = [{"DeviceIndex": 0, "NetworkInterfaceId": gateway.interface_id}]
    assert refusal(here, NetworkInterfaces=device) == "InvalidNetworkInterface.InUse"


def test_its_secondary_address_does_not_move_to_an_interface(here):
    private(here, PrivateIpAddress="10.0.1.8", SecondaryPrivateIpAddresses=["10.0.1.9"])
    wanted = {"NetworkInterfaceId": spare_interface(here), "PrivateIpAddresses": ["10.0.1.9"]}
    code = here.view.refusal("AssignPrivateIpAddresses", **wanted, AllowReassignment=True)
    assert code == "Resource.AlreadyAssigned"


# ------------------------------------------------------------------------------------------------- addresses at run time


def test_an_elastic_ip_joins_and_drains_away(here):
    """T6-15."""
    first, second = allocate(here), allocate(here)
    gateway = available(here, AllocationId=first.id)
    answer = here.view.call("AssociateNatGatewayAddress", NatGatewayId=gateway.id, AllocationIds=[second.id])
    (added,) = answer["NatGatewayAddresses"]
    assert (added["Status"], added["PublicIp"], added["IsPrimary"]) == ("associating", second.address, False)
    time_passes(here, cells_work=False)
    assert statuses(here, gateway) == ["succeeded", "associating"]
    again = {"NatGatewayId": gateway.id, "AllocationIds": [first.id]}
    assert here.view.refusal("AssociateNatGatewayAddress", **again) == "OperationInProgress"
    time_passes(here)
    assert statuses(here, gateway) == ["succeeded", "succeeded"]
    assert interface_of(here, gateway).addresses[1] == added["PrivateIp"] == now(here, second).private_address
    gone = here.view.call(
        "DisassociateNatGatewayAddress",
        NatGatewayId=gateway.id,
        AssociationIds=[added["AssociationId"]],
        MaxDrainDurationSeconds=100,
    )
    assert [one["Status"] for one in gone["NatGatewayAddresses"]] == ["disassociating"]
    time_passes(here, 99)
    assert statuses(here, gateway) == ["succeeded", "disassociating"]
    assert address(here, second)["NetworkInterfaceId"] == gateway.interface_id  # its flows still leave by it
    time_passes(here, 1)
    assert statuses(here, gateway) == ["succeeded"]
    assert interface_of(here, gateway).addresses == (gateway.addresses[0].private_address,)
    assert "AssociationId" not in address(here, second)


def test_an_address_drains_for_350_seconds_where_nothing_else_is_said(here):
    gateway = private(here, SecondaryPrivateIpAddressCount=1)
    second = gateway.addresses[1].private_address
    here.view.call("UnassignPrivateNatGatewayAddress", NatGatewayId=gateway.id, PrivateIpAddresses=[second])
    time_passes(here, 349)
    assert statuses(here, gateway) == ["succeeded", "unassigning"]
    more = {"NatGatewayId": gateway.id, "PrivateIpAddressCount": 1}
    assert here.view.refusal("AssignPrivateNatGatewayAddress", **more) == "OperationInProgress"
    time_passes(here, 1)
    assert [one.private_address for one in now(here, gateway).addresses] == [gateway.addresses[0].private_address]
    here.view.call("CreateNetworkInterface", SubnetId=here.a.id, PrivateIpAddress=second)


def drained(here, gateway, *addresses: str) -> None:
    """The cell works by what was asked for last, and says that no flow leaves by these any more."""
    cell = interface_of(here, gateway).cell_attachment.cell
    pairs = tuple((gateway.interface_id, one) for one in addresses)
    here.view.cell_statuses[cell] = replace(here.view.cell_statuses[cell], drained=pairs)


def test_an_address_by_which_no_flow_leaves_any_more_is_gone_at_once(here):
    gateway = private(here, SecondaryPrivateIpAddressCount=2)
    primary, second, third = (one.private_address for one in gateway.addresses)
    here.view.call("UnassignPrivateNatGatewayAddress", NatGatewayId=gateway.id, PrivateIpAddresses=[second, third])
    time_passes(here, 1)
    assert statuses(here, gateway) == ["succeeded", "unassigning", "unassigning"]
    drained(here, gateway, third, primary)  # who does not go stays, whatever is said of it
    time_passes(here, 1, cells_work=False)
    assert [one.private_address for one in now(here, gateway).addresses] == [primary, second]
    assert interface_of(here, gateway).addresses == (primary, second)


def test_what_a_cell_said_before_it_knew_that_an_address_goes_does_not_count(here):
    gateway = private(here, SecondaryPrivateIpAddressCount=1)
    second = gateway.addresses[1].private_address
    drained(here, gateway, second)
    here.view.call("UnassignPrivateNatGatewayAddress", NatGatewayId=gateway.id, PrivateIpAddresses=[second])
    time_passes(here, 1, cells_work=False)
    assert statuses(here, gateway) == ["succeeded", "unassigning"]


def test_private_addresses_are_assigned_by_name_or_number(here):
    gateway = private(here)
    named = {"NatGatewayId": gateway.id, "PrivateIpAddresses": ["10.0.1.200"]}
    answer = here.view.call("AssignPrivateNatGatewayAddress", **named)
    assert [(one["PrivateIp"], one["Status"]) for one in answer["NatGatewayAddresses"]] == [("10.0.1.200", "assigning")]
    time_passes(here)
    assert here.view.refusal("AssignPrivateNatGatewayAddress", **named) == "InvalidIPAddress.InUse"
    here.view.call("AssignPrivateNatGatewayAddress", NatGatewayId=gateway.id, PrivateIpAddressCount=6)
    time_passes(here)
    assert len(now(here, gateway).addresses) == 8
    code = here.view.refusal("AssignPrivateNatGatewayAddress", NatGatewayId=gateway.id, PrivateIpAddressCount=1)
    assert code == "PrivateIpAddressLimitExceeded"


def test_a_gateway_is_deleted_while_an_address_drains(here):
    gateway = private(here, SecondaryPrivateIpAddressCount=1)
    second = gateway.addresses[1].private_address
    here.view.call("UnassignPrivateNatGatewayAddress", NatGatewayId=gateway.id, PrivateIpAddresses=[second])
    here.view.call("DeleteNatGateway", NatGatewayId=gateway.id)
    time_passes(here)
    assert now(here, gateway).state == "deleted"


@pytest.mark.parametrize(
    ("operation", "asked", "code"),
    [
        ("AssociateNatGatewayAddress", {"AllocationIds": ["{free}"], "NatGatewayId": "{private}"}, "InvalidParameter"),
        ("AssociateNatGatewayAddress", {"AllocationIds": ["{own}"]}, "Resource.AlreadyAssociated"),
        ("AssociateNatGatewayAddress", {"AllocationIds": []}, "MissingParameter"),
        ("AssociateNatGatewayAddress", {"AllocationIds": ["{free}", "{free}"]}, "InvalidParameter"),
        (
            "AssociateNatGatewayAddress",
            {"AllocationIds": ["{free}"], "PrivateIpAddresses": ["10.0.1.8", "10.0.1.9"]},
            "InvalidParameter",
        ),
        ("AssociateNatGatewayAddress", {"AllocationIds": ["{free}"], "AvailabilityZone": "us-east-1a"}, "InvalidParameter"),
        ("DisassociateNatGatewayAddress", {"AssociationIds": ["{primary}"]}, "InvalidParameter"),
        ("DisassociateNatGatewayAddress", {"AssociationIds": ["eipassoc-x"]}, "InvalidParameterValue"),
        ("DisassociateNatGatewayAddress", {"AssociationIds": ["eipassoc-0123456789abcdef0"]}, "InvalidAssociationID.NotFound"),
        ("DisassociateNatGatewayAddress", {"AssociationIds": []}, "MissingParameter"),
        ("AssignPrivateNatGatewayAddress", {"PrivateIpAddressCount": 1}, "InvalidParameter"),
        ("AssignPrivateNatGatewayAddress", {"NatGatewayId": "{private}"}, "MissingParameter"),
        (
            "AssignPrivateNatGatewayAddress",
            {"NatGatewayId": "{private}", "PrivateIpAddressCount": 1, "PrivateIpAddresses": ["10.0.1.9"]},
            "InvalidParameterCombination",
        ),
        (
            "UnassignPrivateNatGatewayAddress",
            {"NatGatewayId": "{private}", "PrivateIpAddresses": ["10.0.1.250"]},
            "InvalidParameter",
        ),
        (
            "UnassignPrivateNatGatewayAddress",
            {"NatGatewayId": "{private}", "PrivateIpAddresses": ["{inside}"]},
            "InvalidParameter",
        ),
        ("AssociateNatGatewayAddress", {"NatGatewayId": "nat-x", "AllocationIds": ["{free}"]}, "NatGatewayMalformed"),
        ("AssociateNatGatewayAddress", {"NatGatewayId": "{ended}", "AllocationIds": ["{free}"]}, "IncorrectState"),
    ],
)
def test_a_change_of_addresses_that_cannot_be_is_refused(here, operation, asked, code):
    own, free, last = allocate(here), allocate(here), allocate(here)
    gateway, inner = available(here, AllocationId=own.id), private(here)
    ended = available(here, AllocationId=last.id)
    here.view.call("DeleteNatGateway", NatGatewayId=ended.id)
    words = {"private": inner.id, "own": own.id, "free": free.id, "ended": ended.id}
    words |= {"primary": now(here, own).association_id, "inside": inner.addresses[0].private_address}
    filled = {
        name: [one.format(**words) for one in value]
        if isinstance(value, list)
        else value.format(**words)
        if isinstance(value, str)
        else value
        for name, value in asked.items()
    }
    assert here.view.refusal(operation, **{"NatGatewayId": gateway.id, **filled}) == code


# ----------------------------------------------------------------------------------------------------- describe, and tags


def test_gateways_are_found_by_id_filter_and_page(here):
    here.view.quotas = Quotas(elastic_ips=100, nat_gateways=100)
    made = [create(here) for _ in range(7)]
    for name, value in (("nat-gateway-id", made[3].id), ("vpc-id", here.vpc.id), ("subnet-id", here.a.id)):
        by = [{"Name": name, "Values": [value]}, {"Name": "state", "Values": ["pending", "available"]}]
        found = here.view.call("DescribeNatGateways", Filter=by)["NatGateways"]
        assert len(found) == (1 if name == "nat-gateway-id" else 7)
    first = here.view.call("DescribeNatGateways", MaxResults=5)
    rest = here.view.call("DescribeNatGateways", MaxResults=5, NextToken=first["NextToken"])
    listed = [one["NatGatewayId"] for one in (*first["NatGateways"], *rest["NatGateways"])]
    assert listed == [one.id for one in made]
    wrong = [{"Name": "colour", "Values": ["blue"]}]
    assert here.view.refusal("DescribeNatGateways", Filter=wrong) == "InvalidParameterValue"
    assert here.view.refusal("DescribeNatGateways", NatGatewayIds=["nat-x"]) == "NatGatewayMalformed"


def test_its_tags_are_those_of_a_natgateway(here):
    gateway = available(here)
    here.view.call("CreateTags", Resources=[gateway.id], Tags=[{"Key": "team", "Value": "net"}])
    by = [{"Name": "resource-type", "Values": ["natgateway"]}]
    assert here.view.call("DescribeTags", Filters=by)["Tags"] == [
        {"ResourceId": gateway.id, "ResourceType": "natgateway", "Key": "team", "Value": "net"}
    ]
    by = [{"Name": "tag:team", "Values": ["net"]}]
    assert len(here.view.call("DescribeNatGateways", Filter=by)["NatGateways"]) == 1


def test_what_is_stored_of_a_gateway_is_a_gateway(here):
    assert isinstance(available(here), NatGateway)
