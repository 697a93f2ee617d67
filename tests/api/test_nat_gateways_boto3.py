"""NAT gateways through a real client: its waiters end, its tokens hold, two accounts share no more nodes than they must.

boto3 --> front, handlers --> MemoryStore <-- a thread that does what hosts and cells are asked to
"""

from __future__ import annotations

import pytest

from rookery.model import keys
from rookery.model.codec import decode
from rookery.model.objects import Shard
from rookery.testing.invariants import broken
from tests.waiting import until

PATIENCE = {"Delay": 0.1, "MaxAttempts": 100}


@pytest.fixture
def region(api):
    api.add_pool()
    api.add_cells()
    return api


def default_subnet(ec2, zone="us-east-1a"):
    chosen = [{"Name": "availability-zone", "Values": [zone]}]
    return ec2.describe_subnets(Filters=chosen)["Subnets"][0]["SubnetId"]


def create(ec2, **more):
    return ec2.create_nat_gateway(SubnetId=default_subnet(ec2), **more)["NatGateway"]["NatGatewayId"]


def sound(api):
    return broken(api.run(api.store.range("")).entries)


@pytest.mark.usefixtures("obedient_hosts")
def test_a_clients_waiters_see_a_gateway_come_and_go(region, ec2, refused):
    one = ec2.allocate_address()["AllocationId"]
    gateway = create(ec2, AllocationId=one)
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[gateway], WaiterConfig=PATIENCE)
    assert sound(region) == []
    with refused("AuthFailure"):
        ec2.release_address(AllocationId=one)
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[gateway], WaiterConfig=PATIENCE)
    ec2.release_address(AllocationId=one)
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert sound(region) == []


@pytest.mark.usefixtures("obedient_hosts")
def test_a_failed_gateway_ends_a_clients_wait(region, ec2):
    from botocore.exceptions import WaiterError  # noqa: PLC0415

    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    one = ec2.allocate_address()["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=one)["NatGateway"]
    assert made["State"] == "pending"
    with pytest.raises(WaiterError):
        ec2.get_waiter("nat_gateway_available").wait(
            NatGatewayIds=[made["NatGatewayId"]], WaiterConfig=PATIENCE
        )
    (shown,) = ec2.describe_nat_gateways(NatGatewayIds=[made["NatGatewayId"]])["NatGateways"]
    assert (shown["State"], shown["FailureCode"]) == ("failed", "Gateway.NotAttached")
    assert sound(region) == []


def test_a_token_makes_one_gateway(region, ec2, refused):
    asked = {"ConnectivityType": "private", "ClientToken": "once"}
    first, again = create(ec2, **asked), create(ec2, **asked)
    assert first == again
    assert len(ec2.describe_nat_gateways()["NatGateways"]) == 1
    with refused("IdempotentParameterMismatch"):
        create(ec2, **asked, PrivateIpAddress="172.31.0.9")


def test_two_accounts_are_served_by_different_nodes(region, ec2):
    region.add_key("AKIDOTHER", "another secret", "210987654321")
    other = region.client(access_key="AKIDOTHER", secret="another secret")
    create(ec2, ConnectivityType="private")
    create(other, ConnectivityType="private")
    create(other, ConnectivityType="private")
    found = [decode(Shard, entry.value) for entry in region.run(region.store.range(keys.SHARDS)).entries]
    assert {shard.account for shard in found} == {"123456789012", "210987654321"}
    mine, others = (set(shard.nodes) for shard in found)
    assert len(mine) == len(others) == 2
    assert mine.isdisjoint(others)
    assert sound(region) == []


def test_a_region_without_cells_says_so(api, ec2, refused):
    with refused("NotAvailableInZone"):
        create(ec2, ConnectivityType="private")


@pytest.fixture
def leading_out(region, ec2):
    """A VPC with an internet gateway and a subnet in either zone."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    out = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=out, VpcId=vpc)
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for n, zone in enumerate(("us-east-1a", "us-east-1b"))
    ]
    return vpc, subnets


def zones_of(ec2, gateway):
    (shown,) = ec2.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"]
    return [one["AvailabilityZone"] for one in shown["NatGatewayAddresses"] if one["Status"] == "succeeded"]


@pytest.mark.usefixtures("obedient_hosts")
def test_a_regional_gateway_follows_and_goes(region, ec2, leading_out, refused):
    """T6-20: by a client and the housekeeper; a token makes one, a dry run none."""
    vpc, subnets = leading_out
    asked = {"AvailabilityMode": "regional", "VpcId": vpc, "ClientToken": "once"}
    with refused("DryRunOperation"):
        ec2.create_nat_gateway(**asked, DryRun=True)
    ec2.create_network_interface(SubnetId=subnets[0])
    made, again = (ec2.create_nat_gateway(**asked)["NatGateway"] for _ in range(2))
    gateway, table = made["NatGatewayId"], made["RouteTableId"]
    assert (again["NatGatewayId"], again["RouteTableId"], made["AutoProvisionZones"]) == (gateway, table, "enabled")
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[gateway], WaiterConfig=PATIENCE)
    assert zones_of(ec2, gateway) == ["us-east-1a"]
    ec2.create_network_interface(SubnetId=subnets[1])
    until(lambda: zones_of(ec2, gateway) == ["us-east-1a", "us-east-1b"], "it follows")
    assert sound(region) == []
    assert {one["ServiceManaged"] for one in ec2.describe_addresses()["Addresses"]} == {"rnat"}
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[gateway], WaiterConfig=PATIENCE)
    assert ec2.describe_addresses()["Addresses"] == []
    with refused("InvalidRouteTableID.NotFound"):
        ec2.describe_route_tables(RouteTableIds=[table])
    assert sound(region) == []


@pytest.mark.usefixtures("obedient_hosts")
def test_a_client_covers_zones_by_hand(region, ec2, leading_out):
    """T6-20: the manual mode."""
    vpc, _ = leading_out
    first, second = (ec2.allocate_address()["AllocationId"] for _ in range(2))
    named = [{"AvailabilityZone": "us-east-1a", "AllocationIds": [first]}]
    made = ec2.create_nat_gateway(AvailabilityMode="regional", VpcId=vpc, AvailabilityZoneAddresses=named)
    gateway = made["NatGateway"]["NatGatewayId"]
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[gateway], WaiterConfig=PATIENCE)
    ec2.associate_nat_gateway_address(NatGatewayId=gateway, AllocationIds=[second], AvailabilityZone="us-east-1b")
    until(lambda: zones_of(ec2, gateway) == ["us-east-1a", "us-east-1b"], "the other zone is covered")
    (association,) = [one["AssociationId"] for one in ec2.describe_addresses(AllocationIds=[second])["Addresses"]]
    ec2.disassociate_nat_gateway_address(NatGatewayId=gateway, AssociationIds=[association], MaxDrainDurationSeconds=1)
    until(lambda: "AssociationId" not in ec2.describe_addresses(AllocationIds=[second])["Addresses"][0], "it is free")
    assert zones_of(ec2, gateway) == ["us-east-1a"]
    ec2.release_address(AllocationId=second)
    assert sound(region) == []
