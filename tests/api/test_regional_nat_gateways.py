"""Regional NAT gateways, pure (behaviour/06: T6-20, what the API does of it). tests/api/nat_scene.py's account, with a cell in either zone.

internet -- igw -- VPC 10.0.0.0/16: subnet a (zone a, cell-a), subnet b (zone b, cell-b)
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.api.handlers.regional_nat_zones import CONTRACTS_SECONDS, regional_gateways_follow
from rookery.api.operation import Request
from rookery.api.quotas import Quotas
from rookery.model.objects import (
    AddressPool,
    Cell,
    ElasticIp,
    NatGateway,
    NetworkInterface,
    RouteTable,
)
from rookery.testing.small_view import ACCOUNT, REGION
from tests.api.edge_scene import allocate, associate, now
from tests.api.instance_scene import spare_interface
from tests.api.nat_scene import NODES, described, nat_account, time_passes

A, B = "us-east-1a", "us-east-1b"


@pytest.fixture
def here():
    made = nat_account()
    made.view.given_cells["cell-b"] = Cell(name="cell-b", zones=(1,), nodes=NODES)
    return made


def create(here, **parameters):
    asked = {"AvailabilityMode": "regional", "VpcId": here.vpc.id, **parameters}
    made = here.view.call("CreateNatGateway", **asked)["NatGateway"]
    assert made["State"] == "pending"
    return here.view.get(NatGateway, made["NatGatewayId"])


def available(here, **parameters):
    made = create(here, **parameters)
    settle(here)
    return now(here, made)


def settle(here, seconds=0):
    """All that follows by itself has followed."""
    here.view.now += seconds
    before = -1
    while before != here.view.revision:
        before = here.view.revision
        follow(here)
        time_passes(here)


def follow(here):
    asked = {"account": ACCOUNT, "region": REGION, "operation": "Housekeeping", "parameters": {}}
    request = Request(**asked, now=here.view.now, ids=here.view.ids, quotas=here.view.quotas)
    here.view.apply(regional_gateways_follow(request, here.view))


def by_zone(here, gateway):
    """Public addresses, by zone."""
    found = {}
    for one in described(here, gateway)["NatGatewayAddresses"]:
        assert one["Status"] == "succeeded"
        found.setdefault(one["AvailabilityZone"], []).append(one["PublicIp"])
    return found


def named(zone, *elastic_ips):
    return {"AvailabilityZone": zone, "AllocationIds": [one.id for one in elastic_ips]}


def manual(here, *zones):
    return available(here, AvailabilityZoneAddresses=list(zones))


def shown_addresses(here):
    return {one["PublicIp"]: one for one in here.view.call("DescribeAddresses")["Addresses"]}


# ------------------------------------------------------------------------------------------------------------ automatic


def test_an_automatic_one_is_where_the_vpc_has_interfaces(here):
    """T6-20."""
    spare_interface(here)
    tags = [{"ResourceType": "natgateway", "Tags": [{"Key": "Name", "Value": "out"}]}]
    gateway = create(here, TagSpecifications=tags)
    time_passes(here, cells_work=False)
    assert described(here, gateway)["State"] == "pending"
    settle(here)
    (one,) = here.view.all(ElasticIp)
    assert described(here, gateway) == {
        "NatGatewayId": gateway.id,
        "VpcId": here.vpc.id,
        "State": "available",
        "ConnectivityType": "public",
        "AvailabilityMode": "regional",
        "AutoScalingIps": "disabled",
        "AutoProvisionZones": "enabled",
        "RouteTableId": gateway.route_table_id,
        "CreateTime": here.view.now,
        "NatGatewayAddresses": [
            {
                "AllocationId": one.id,
                "AssociationId": one.association_id,
                "PublicIp": one.address,
                "AvailabilityZone": A,
                "AvailabilityZoneId": "use1-az1",
                "IsPrimary": False,
                "Status": "succeeded",
                "FailureMessage": None,
            }
        ],
        "Tags": [{"Key": "Name", "Value": "out"}],
    }


def test_its_own_table_leads_to_the_internet_gateway_and_stays_while_it_lives(here):
    spare_interface(here)
    gateway = available(here)
    (table,) = here.view.call("DescribeRouteTables", RouteTableIds=[gateway.route_table_id])["RouteTables"]
    assert [(one["DestinationCidrBlock"], one.get("GatewayId")) for one in table["Routes"]] == [
        ("10.0.0.0/16", "local"),
        ("0.0.0.0/0", here.gateway),
    ]
    assert here.view.refusal("DeleteRouteTable", RouteTableId=table["RouteTableId"]) == "DependencyViolation"
    to_itself = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "198.51.100.0/24", "NatGatewayId": gateway.id}
    assert here.view.refusal("CreateRoute", **to_itself) == "InvalidParameterValue"


def test_of_its_interfaces_nobody_is_told(here):
    spare = spare_interface(here)
    gateway = available(here)
    hidden = next(one for one in here.view.all(NetworkInterface) if one.id != spare)
    shown = here.view.call("DescribeNetworkInterfaces")["NetworkInterfaces"]
    assert [one["NetworkInterfaceId"] for one in shown] == [spare]
    assert here.view.refusal("DescribeNetworkInterfaces", NetworkInterfaceIds=[hidden.id]) == "InvalidNetworkInterfaceID.NotFound"
    (address,) = here.view.call("DescribeAddresses")["Addresses"]
    assert address["ServiceManaged"] == "rnat"
    assert not {"NetworkInterfaceId", "PrivateIpAddress", "InstanceId"} & address.keys()
    for name, value in (("network-interface-id", hidden.id), ("private-ip-address", hidden.primary)):
        assert here.view.call("DescribeAddresses", Filters=[{"Name": name, "Values": [value]}])["Addresses"] == []
    here.view.quotas = Quotas(network_interfaces=1)
    assert here.view.refusal("CreateNetworkInterface", SubnetId=here.a.id) == "NetworkInterfaceLimitExceeded"
    here.view.quotas = Quotas(network_interfaces=2)
    spare_interface(here)
    assert now(here, gateway).state == "available"


def test_it_follows_the_first_interface_of_another_zone(here):
    """T6-20: until its cell works by that, the zone's packets go to the first one's interface (tests/intent/test_nat.py)."""
    spare_interface(here)
    gateway = available(here)
    spare_interface(here, here.b)
    follow(here)
    time_passes(here, cells_work=False)
    (first, second) = now(here, gateway).zones
    assert (first.zone, first.serves, second.zone, second.serves) == (A, True, B, False)
    assert [one.status for one in now(here, gateway).addresses] == ["succeeded", "associating"]
    assert now(here, gateway).state == "available"
    time_passes(here)
    assert [one.serves for one in now(here, gateway).zones] == [True, True]
    settle(here)
    assert [len(each) for each in by_zone(here, gateway).values()] == [1, 1]


def test_one_in_a_vpc_without_interfaces_begins_in_the_first_subnets_zone(here):
    gateway = available(here)
    assert list(by_zone(here, gateway)) == [A]


def test_one_in_an_empty_vpc_waits_for_its_first_interface(here):
    vpc = here.view.make_vpc("10.7.0.0/16")
    out = here.view.call("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
    here.view.call("AttachInternetGateway", InternetGatewayId=out, VpcId=vpc.id)
    gateway = available(here, VpcId=vpc.id)
    assert (gateway.state, gateway.zones) == ("available", ())
    spare_interface(here, here.view.make_subnet(vpc, "10.7.1.0/24", zone=B))
    settle(here)
    assert list(by_zone(here, gateway)) == [B]


@pytest.mark.parametrize("why", ["quota of addresses", "pool", "quota of gateways", "cell"])
def test_a_zone_for_which_there_is_nothing_waits(here, why):
    """T6-20: and is served across zones."""
    spare_interface(here)
    gateway = available(here)
    if why == "quota of addresses":
        here.view.quotas = Quotas(elastic_ips=1)
    elif why == "pool":
        pools, here.view.pools = here.view.pools, [AddressPool(cidr=f"{next(iter(shown_addresses(here)))}/32")]
    elif why == "quota of gateways":
        here.view.quotas = Quotas(nat_gateways=0)
    else:
        cell = here.view.given_cells.pop("cell-b")
    spare_interface(here, here.b)
    settle(here)
    assert list(by_zone(here, gateway)) == [A]
    here.view.quotas = Quotas()
    if why == "pool":
        here.view.pools = pools
    if why == "cell":
        here.view.given_cells["cell-b"] = cell
    settle(here)
    assert list(by_zone(here, gateway)) == [A, B]


def test_a_zone_that_is_empty_for_an_hour_is_left_and_its_address_released(here):
    spare, other = spare_interface(here), spare_interface(here, here.b)
    gateway = available(here)
    assert list(by_zone(here, gateway)) == [A, B]
    here.view.call("DeleteNetworkInterface", NetworkInterfaceId=other)
    settle(here)
    settle(here, CONTRACTS_SECONDS - 1)
    assert list(by_zone(here, gateway)) == [A, B]
    here.view.now += 1
    follow(here)
    assert [one.leaving for one in now(here, gateway).zones] == [False, True]
    time_passes(here, cells_work=False)
    assert len(shown_addresses(here)) == 2
    settle(here)
    assert list(by_zone(here, gateway)) == [A]
    assert len(shown_addresses(here)) == 1
    assert {one.id for one in here.view.all(NetworkInterface)} == {spare, now(here, gateway).zones[0].interface_id}


def test_a_zone_that_was_empty_for_a_while_keeps_its_address(here):
    other = spare_interface(here, here.b)
    gateway = available(here)
    before = by_zone(here, gateway)
    here.view.call("DeleteNetworkInterface", NetworkInterfaceId=other)
    settle(here)
    spare_interface(here, here.b)
    settle(here, CONTRACTS_SECONDS)
    assert by_zone(here, gateway) == before


def test_the_last_zone_stays(here):
    spare = spare_interface(here)
    gateway = available(here)
    here.view.call("DeleteNetworkInterface", NetworkInterfaceId=spare)
    settle(here)
    settle(here, 2 * CONTRACTS_SECONDS)
    assert list(by_zone(here, gateway)) == [A]


def test_its_addresses_are_its_own(here):
    spare_interface(here)
    gateway = available(here)
    (one,) = here.view.all(ElasticIp)
    assert here.view.refusal("ReleaseAddress", AllocationId=one.id) == "AuthFailure"
    assert here.view.refusal("DisassociateAddress", AssociationId=one.association_id) == "AuthFailure"
    more = {"NatGatewayId": gateway.id, "AllocationIds": [allocate(here).id], "AvailabilityZone": A}
    assert here.view.refusal("AssociateNatGatewayAddress", **more) == "InvalidParameter"
    less = {"NatGatewayId": gateway.id, "AssociationIds": [one.association_id]}
    assert here.view.refusal("DisassociateNatGatewayAddress", **less) == "InvalidParameter"
    out = {"InternetGatewayId": here.gateway, "VpcId": here.vpc.id}
    assert here.view.refusal("DetachInternetGateway", **out) == "DependencyViolation"
    assert here.view.refusal("DeleteVpc", VpcId=here.vpc.id) == "DependencyViolation"


# --------------------------------------------------------------------------------------------------------------- manual


def test_a_manual_one_is_where_its_owner_says(here):
    first, second, third = allocate(here), allocate(here), allocate(here)
    gateway = manual(here, named(A, first, second), {"AvailabilityZoneId": "use1-az2", "AllocationIds": [third.id]})
    assert by_zone(here, gateway) == {A: [first.address, second.address], B: [third.address]}
    assert described(here, gateway)["AutoProvisionZones"] == "disabled"
    assert "ServiceManaged" not in shown_addresses(here)[first.address]


def test_a_manual_one_does_not_follow(here):
    spare_interface(here)
    gateway = manual(here, named(A, allocate(here)))
    spare_interface(here, here.b)
    settle(here, CONTRACTS_SECONDS)
    assert list(by_zone(here, gateway)) == [A]


def test_addresses_come_and_go_in_any_zone(here):
    first, second, third = allocate(here), allocate(here), allocate(here)
    gateway = manual(here, named(A, first))
    (answer,) = here.view.call(
        "AssociateNatGatewayAddress", NatGatewayId=gateway.id, AllocationIds=[second.id], AvailabilityZone=A
    )["NatGatewayAddresses"]
    assert (answer["Status"], answer["AvailabilityZone"], answer["PublicIp"]) == ("associating", A, second.address)
    more = {"NatGatewayId": gateway.id, "AllocationIds": [third.id], "AvailabilityZoneId": "use1-az2"}
    assert here.view.refusal("AssociateNatGatewayAddress", **more) == "OperationInProgress"
    settle(here)
    here.view.call("AssociateNatGatewayAddress", **more)
    settle(here)
    assert by_zone(here, gateway) == {A: [first.address, second.address], B: [third.address]}
    less = {"NatGatewayId": gateway.id, "MaxDrainDurationSeconds": 10}
    here.view.call("DisassociateNatGatewayAddress", **less, AssociationIds=[now(here, first).association_id])
    settle(here)
    assert {one.status for one in now(here, gateway).addresses} == {"disassociating", "succeeded"}
    settle(here, 10)
    assert by_zone(here, gateway) == {A: [second.address], B: [third.address]}
    assert now(here, first).association_id == ""
    here.view.call("DisassociateNatGatewayAddress", **less, AssociationIds=[now(here, third).association_id])
    settle(here, 10)
    assert by_zone(here, gateway) == {A: [second.address]}
    assert [one.zone for one in now(here, gateway).zones] == [A]
    assert (now(here, third).association_id, now(here, third).interface_id) == ("", "")
    last = {**less, "AssociationIds": [now(here, second).association_id]}
    assert here.view.refusal("DisassociateNatGatewayAddress", **last) == "InvalidParameter"


# --------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"VpcId": ""}, "MissingParameter"),
        ({"VpcId": "vpc-x"}, "InvalidVpcID.Malformed"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "InvalidVpcID.NotFound"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidParameter"),
        ({"AllocationId": "eipalloc-0123456789abcdef0"}, "InvalidParameter"),
        ({"SecondaryPrivateIpAddressCount": 1}, "InvalidParameter"),
        ({"ConnectivityType": "private"}, "InvalidParameter"),
        ({"AvailabilityZoneAddresses": [{"AvailabilityZone": A}]}, "MissingParameter"),
        ({"AvailabilityZoneAddresses": [{"AllocationIds": ["one"]}]}, "MissingParameter"),
        ({"AvailabilityZoneAddresses": [{"AvailabilityZone": "us-east-1z", "AllocationIds": ["one"]}]}, "InvalidParameterValue"),
        ({"AvailabilityZoneAddresses": [{"AvailabilityZoneId": "use1-az9", "AllocationIds": ["one"]}]}, "InvalidParameterValue"),
        (
            {"AvailabilityZoneAddresses": [{"AvailabilityZone": A, "AvailabilityZoneId": "use1-az1", "AllocationIds": ["one"]}]},
            "InvalidParameterCombination",
        ),
        (
            {"AvailabilityZoneAddresses": [{"AvailabilityZone": A, "AllocationIds": ["eipalloc-0123456789abcdef0"]}]},
            "InvalidAllocationID.NotFound",
        ),
        ({"AvailabilityZoneAddresses": [{"AvailabilityZone": A, "AllocationIds": ["one", "one"]}]}, "InvalidParameter"),
        ({"AvailabilityZoneAddresses": [{"AvailabilityZone": zone, "AllocationIds": ["one"]} for zone in (A, B)]}, "InvalidParameter"),
        ({"AvailabilityZoneAddresses": [{"AvailabilityZone": A, "AllocationIds": ["one"]}] * 2}, "InvalidParameter"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(here, asked, code):
    one = allocate(here)
    zones = [
        {**zone, "AllocationIds": [one.id if each == "one" else each for each in zone.get("AllocationIds", [])]}
        for zone in asked.get("AvailabilityZoneAddresses", [])
    ]
    wanted = {"AvailabilityMode": "regional", "VpcId": here.vpc.id, **asked, "AvailabilityZoneAddresses": zones}
    assert here.view.refusal("CreateNatGateway", **wanted) == code


def test_zones_are_for_regional_gateways_only(here):
    one, other = allocate(here), allocate(here)
    zonal = here.view.call("CreateNatGateway", SubnetId=here.a.id, AllocationId=one.id)["NatGateway"]["NatGatewayId"]
    settle(here)
    asked = {"NatGatewayId": zonal, "AllocationIds": [other.id]}
    assert here.view.refusal("AssociateNatGatewayAddress", **asked, AvailabilityZone=A) == "InvalidParameter"
    regional = manual(here, named(A, other))
    more = {"NatGatewayId": regional.id, "AllocationIds": [allocate(here).id]}
    assert here.view.refusal("AssociateNatGatewayAddress", **more) == "MissingParameter"
    own = {**more, "AvailabilityZone": A, "PrivateIpAddresses": ["10.0.1.9"]}
    assert here.view.refusal("AssociateNatGatewayAddress", **own) == "InvalidParameter"
    private = {"NatGatewayId": regional.id, "PrivateIpAddressCount": 1}
    assert here.view.refusal("AssignPrivateNatGatewayAddress", **private) == "InvalidParameter"


def test_quotas_count_it_in_each_of_its_zones(here):
    here.view.quotas = Quotas(nat_gateways=1, nat_zone_elastic_ips=1, elastic_ips=9)
    first, second, third = allocate(here), allocate(here), allocate(here)
    gateway = manual(here, named(A, first))
    asked = {"AvailabilityMode": "regional", "VpcId": here.vpc.id}
    assert here.view.refusal("CreateNatGateway", **asked, AvailabilityZoneAddresses=[named(A, second)]) == "NatGatewayLimitExceeded"
    assert here.view.refusal("CreateNatGateway", SubnetId=here.a.id, AllocationId=second.id) == "NatGatewayLimitExceeded"
    two = [named(B, second, third)]
    assert here.view.refusal("CreateNatGateway", **asked, AvailabilityZoneAddresses=two) == "AddressLimitExceeded"
    more = {"NatGatewayId": gateway.id, "AllocationIds": [second.id], "AvailabilityZone": A}
    assert here.view.refusal("AssociateNatGatewayAddress", **more) == "AddressLimitExceeded"
    manual(here, named(B, second))
    elsewhere = {**more, "AllocationIds": [third.id], "AvailabilityZone": B}
    assert here.view.refusal("AssociateNatGatewayAddress", **elsewhere) == "NatGatewayLimitExceeded"
    here.view.quotas = Quotas(route_tables_per_vpc=len(here.view.all(RouteTable)))
    assert here.view.refusal("CreateNatGateway", **asked) == "RouteTableLimitExceeded"


def test_a_zone_without_a_cell_is_not_available(here):
    del here.view.given_cells["cell-b"]
    asked = {"AvailabilityMode": "regional", "VpcId": here.vpc.id, "AvailabilityZoneAddresses": [named(B, allocate(here))]}
    assert here.view.refusal("CreateNatGateway", **asked) == "NotAvailableInZone"
    here.view.given_cells.clear()
    spare_interface(here)
    assert here.view.refusal("CreateNatGateway", AvailabilityMode="regional", VpcId=here.vpc.id) == "NotAvailableInZone"


@pytest.mark.parametrize("why", ["no gateway", "busy", "no address"])
def test_what_aws_finds_out_later_fails_after_the_call_succeeded(here, why):
    one, asked = allocate(here), {}
    if why == "no gateway":
        here.view.call("DetachInternetGateway", InternetGatewayId=here.gateway, VpcId=here.vpc.id)
        code = "Gateway.NotAttached"
    elif why == "busy":
        associate(here, one, NetworkInterfaceId=spare_interface(here))
        asked, code = {"AvailabilityZoneAddresses": [named(A, one)]}, "Resource.AlreadyAssociated"
    else:
        here.view.quotas = Quotas(elastic_ips=1)
        code = "AddressLimitExceeded"
    before = here.view.all(RouteTable)
    gateway = create(here, **asked)
    shown = described(here, gateway)
    assert (shown["State"], shown["FailureCode"], shown["AvailabilityMode"]) == ("failed", code, "regional")
    assert [one["Status"] for one in shown["NatGatewayAddresses"]] == ["failed"] * (why == "busy")
    assert here.view.all(RouteTable) == before
    settle(here, 3600)
    assert now(here, gateway) is None


# --------------------------------------------------------------------------------------------------------------- deletion


def test_deleted_it_leaves_nothing_but_its_owners_addresses(here):
    one, spare = allocate(here), spare_interface(here)
    by_hand, by_itself = manual(here, named(A, one)), available(here)
    route = {"RouteTableId": here.view.call("CreateRouteTable", VpcId=here.vpc.id)["RouteTable"]["RouteTableId"]}
    here.view.call("CreateRoute", **route, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=by_itself.id)
    for gateway in (by_hand, by_itself):
        here.view.call("DeleteNatGateway", NatGatewayId=gateway.id)
        time_passes(here, cells_work=False)
        assert described(here, gateway)["State"] == "deleting"
        assert now(here, gateway).zones != ()
    settle(here)
    for gateway in (by_hand, by_itself):
        shown = described(here, gateway)
        assert (shown["State"], shown["NatGatewayAddresses"] == []) == ("deleted", False)
        assert here.view.get(RouteTable, gateway.route_table_id) is None
    assert here.view.all(ElasticIp) == [replace(one, ended_association_id=now(here, one).ended_association_id)]
    assert [each.id for each in here.view.all(NetworkInterface)] == [spare]
    (table,) = here.view.call("DescribeRouteTables", RouteTableIds=[route["RouteTableId"]])["RouteTables"]
    assert [each["State"] for each in table["Routes"] if each.get("NatGatewayId")] == ["blackhole"]


def test_a_table_that_its_owner_uses_outlives_it(here):
    gateway = available(here)
    here.view.call("AssociateRouteTable", RouteTableId=gateway.route_table_id, SubnetId=here.b.id)
    here.view.call("DeleteNatGateway", NatGatewayId=gateway.id)
    settle(here)
    assert now(here, gateway).state == "deleted"
    assert here.view.get(RouteTable, gateway.route_table_id) is not None
