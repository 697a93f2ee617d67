"""CIDR reservations of subnets: what is drawn keeps out of them (behaviour/01, 1.2).

VPC 10.0.0.0/16 -- subnet 10.0.1.0/28: .4 to .14 can be given
                \\- subnet 10.0.2.0/24
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest


@pytest.fixture
def vpc(ec2):
    return ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]


def subnet(ec2, vpc, cidr, **more):
    return ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock=cidr, **more)["Subnet"]["SubnetId"]


@pytest.fixture
def small(ec2, vpc):
    return subnet(ec2, vpc, "10.0.1.0/28")


@pytest.fixture
def wide(ec2, vpc):
    return subnet(ec2, vpc, "10.0.2.0/24")


def reserve(ec2, subnet_id, cidr, kind="explicit", **more):
    made = ec2.create_subnet_cidr_reservation(SubnetId=subnet_id, Cidr=cidr, ReservationType=kind, **more)
    return made["SubnetCidrReservation"]


def create(ec2, subnet_id, **more):
    return ec2.create_network_interface(SubnetId=subnet_id, **more)["NetworkInterface"]


def test_a_reservation_is_made_told_and_deleted(ec2, refused, wide):
    tag = {"Key": "Name", "Value": "x"}
    made = reserve(
        ec2,
        wide,
        "10.0.2.19/28",
        Description="for the cluster",
        TagSpecifications=[{"ResourceType": "subnet-cidr-reservation", "Tags": [tag]}],
    )
    reservation_id = made["SubnetCidrReservationId"]
    assert made == {
        "SubnetCidrReservationId": reservation_id,
        "SubnetId": wide,
        "Cidr": "10.0.2.16/28",
        "ReservationType": "explicit",
        "OwnerId": "123456789012",
        "Description": "for the cluster",
        "Tags": [tag],
    }
    found = ec2.get_subnet_cidr_reservations(SubnetId=wide)
    assert (found["SubnetIpv4CidrReservations"], found["SubnetIpv6CidrReservations"]) == ([made], [])
    gone = ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=reservation_id)
    assert gone["DeletedSubnetCidrReservation"] == made
    with refused("InvalidSubnetCidrReservationID.NotFound"):
        ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=reservation_id)


@pytest.mark.parametrize("cidr", ["10.0.3.0/28", "10.0.2.0/23", "10.0.2.16/30", "nonsense", "2001:db8::/80"])
def test_a_block_that_cannot_be_reserved_is_refused(ec2, refused, wide, cidr):
    reserve(ec2, wide, "10.0.2.16/28")
    with refused("InvalidParameterValue"):
        reserve(ec2, wide, cidr)


def test_a_reservation_for_prefixes_has_room_for_one(ec2, refused, wide):
    with refused("InvalidParameterValue"):
        reserve(ec2, wide, "10.0.2.16/29", kind="prefix")


def test_what_is_drawn_keeps_out_of_a_reservation(ec2, refused, small):
    reserve(ec2, small, "10.0.1.8/29")
    given = {create(ec2, small)["PrivateIpAddress"] for _ in range(4)}
    assert given == {f"10.0.1.{last}" for last in (4, 5, 6, 7)}
    with refused("InsufficientFreeAddressesInSubnet"):
        create(ec2, small)
    assert create(ec2, small, PrivateIpAddress="10.0.1.9")["PrivateIpAddress"] == "10.0.1.9"


def test_prefixes_come_from_what_is_reserved_for_them_and_addresses_do_not(ec2, refused, wide):
    reserve(ec2, wide, "10.0.2.64/27", kind="prefix")
    reserve(ec2, wide, "10.0.2.128/25")
    for _ in range(2):
        (prefix,) = create(ec2, wide, Ipv4PrefixCount=1)["Ipv4Prefixes"]
        assert IPv4Network(prefix["Ipv4Prefix"]).subnet_of(IPv4Network("10.0.2.64/27"))
    with refused("InvalidParameterValue"):
        create(ec2, wide, PrivateIpAddress="10.0.2.70")
    (further,) = create(ec2, wide, Ipv4PrefixCount=1)["Ipv4Prefixes"]
    assert IPv4Network(further["Ipv4Prefix"]).subnet_of(IPv4Network("10.0.2.0/26")) or IPv4Network(
        further["Ipv4Prefix"]
    ).subnet_of(IPv4Network("10.0.2.96/27"))
    drawn = create(ec2, wide)["PrivateIpAddress"]
    assert IPv4Address(drawn) not in IPv4Network("10.0.2.128/25")


def test_a_block_of_ipv6_is_reserved_and_keeps_the_subnets_block(ec2, refused, vpc):
    block = next(IPv6Network(vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]).subnets(new_prefix=64))
    home = subnet(ec2, vpc, "10.0.3.0/24", Ipv6CidrBlock=str(block))
    low, high = block.subnets(new_prefix=65)
    made = reserve(ec2, home, str(high))
    assert ec2.get_subnet_cidr_reservations(SubnetId=home)["SubnetIpv6CidrReservations"] == [made]
    drawn = create(ec2, home, Ipv6AddressCount=20)
    assert all(IPv6Network(one["Ipv6Address"]).subnet_of(low) for one in drawn["Ipv6Addresses"])
    ec2.delete_network_interface(NetworkInterfaceId=drawn["NetworkInterfaceId"])
    (association,) = ec2.describe_subnets(SubnetIds=[home])["Subnets"][0]["Ipv6CidrBlockAssociationSet"]
    with refused("DependencyViolation"):
        ec2.disassociate_subnet_cidr_block(AssociationId=association["AssociationId"])


def test_a_deleted_subnet_takes_its_reservations_along(ec2, refused, wide):
    reservation_id = reserve(ec2, wide, "10.0.2.16/28")["SubnetCidrReservationId"]
    ec2.delete_subnet(SubnetId=wide)
    with refused("InvalidSubnetCidrReservationID.NotFound"):
        ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=reservation_id)
