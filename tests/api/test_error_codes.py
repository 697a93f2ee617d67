"""T13-01: codes of AWS's catalogue that no page of its own provokes, byte for byte."""

from __future__ import annotations

import pytest

from rookery.api.quotas import Quotas
from rookery.testing.memory_store import MemoryStore
from rookery.testing.running_api import RunningApi

SMALL = Quotas(vpcs=2, subnets_per_vpc=1, route_tables_per_vpc=2)


@pytest.fixture
def small():
    """An account that may have a default VPC, one more, and little in it."""
    with RunningApi(MemoryStore(), quotas=SMALL) as running:
        running.add_hosts()
        yield running.client()


def test_a_quota_of_vpcs_subnets_and_route_tables_is_named_when_it_is_reached(small, refused):
    vpc = small.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    with refused("VpcLimitExceeded"):
        small.create_vpc(CidrBlock="10.1.0.0/16")
    small.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")
    with refused("SubnetLimitExceeded"):
        small.create_subnet(VpcId=vpc, CidrBlock="10.0.2.0/24")
    small.create_route_table(VpcId=vpc)
    with refused("RouteTableLimitExceeded"):
        small.create_route_table(VpcId=vpc)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"NetworkInterfaceIds": ["eni-x"]}, "InvalidNetworkInterfaceId.Malformed"),
        ({"NetworkInterfaceIds": ["eni-0123456789abcdef0"]}, "InvalidNetworkInterfaceID.NotFound"),
    ],
)
def test_an_interfaces_id_is_malformed_or_unknown(ec2, refused, asked, code):
    with refused(code):
        ec2.describe_network_interfaces(**asked)


@pytest.mark.parametrize(
    ("table", "code"),
    [("rtb-x", "InvalidRouteTableId.Malformed"), ("rtb-0123456789abcdef0", "InvalidRouteTableID.NotFound")],
)
def test_a_route_tables_id_is_malformed_or_unknown(ec2, refused, table, code):
    with refused(code):
        ec2.describe_route_tables(RouteTableIds=[table])
    with refused(code):
        ec2.create_route(
            RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId="eni-0123456789abcdef0"
        )
