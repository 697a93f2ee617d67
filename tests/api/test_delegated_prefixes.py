"""Prefixes that are delegated to an interface: a /28 of IPv4, an /80 of IPv6 (behaviour/02, T2-06).

VPC 10.0.0.0/16, a /56 -- subnet 10.0.1.0/24, a /64
                       \\- subnet 10.0.2.0/26
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE


@pytest.fixture
def vpc(ec2):
    return ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]


@pytest.fixture
def block(vpc):
    whole = IPv6Network(vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"])
    return str(next(whole.subnets(new_prefix=64)))


@pytest.fixture
def subnet_id(ec2, vpc, block):
    wish = {"VpcId": vpc["VpcId"], "CidrBlock": "10.0.1.0/24", "Ipv6CidrBlock": block}
    return ec2.create_subnet(**wish)["Subnet"]["SubnetId"]


@pytest.fixture
def small(ec2, vpc):
    return ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.0.2.0/26")["Subnet"]["SubnetId"]


def create(ec2, subnet_id, **more):
    return ec2.create_network_interface(SubnetId=subnet_id, **more)["NetworkInterface"]


def described(ec2, interface_id):
    return ec2.describe_network_interfaces(NetworkInterfaceIds=[interface_id])["NetworkInterfaces"][0]


def free(ec2, subnet_id):
    return ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]["AvailableIpAddressCount"]


def piece(block, number):
    """The /80 of that number."""
    base = IPv6Network(block)
    return str(IPv6Network((int(base.network_address) + (number << 48), 80)))


def test_a_prefix_is_chosen_at_creation_and_takes_sixteen_addresses(ec2, refused, subnet_id):
    made = create(ec2, subnet_id, PrivateIpAddress="10.0.1.9", Ipv4Prefixes=[{"Ipv4Prefix": "10.0.1.16/28"}])
    assert made["Ipv4Prefixes"] == [{"Ipv4Prefix": "10.0.1.16/28"}]
    assert described(ec2, made["NetworkInterfaceId"])["Ipv4Prefixes"] == made["Ipv4Prefixes"]
    assert free(ec2, subnet_id) == 251 - 1 - 16
    with refused("InvalidIPAddress.InUse"):
        create(ec2, subnet_id, PrivateIpAddress="10.0.1.20")
    with refused("InvalidIPAddress.InUse"):
        create(ec2, subnet_id, Ipv4Prefixes=[{"Ipv4Prefix": "10.0.1.16/28"}])
    ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])
    assert free(ec2, subnet_id) == 251


@pytest.mark.parametrize(
    "prefix",
    ["10.0.1.0/28", "10.0.1.240/28", "10.0.1.20/28", "10.0.1.16/27", "10.0.9.16/28", "10.0.1.16", "::/80"],
)
def test_a_prefix_that_cannot_be_given_is_refused(ec2, refused, subnet_id, prefix):
    with refused("InvalidParameterValue"):
        create(ec2, subnet_id, Ipv4Prefixes=[{"Ipv4Prefix": prefix}])


def test_prefixes_are_drawn_until_no_block_is_left(ec2, refused, small):
    """A /26 has four blocks; two of them hold addresses of the subnet itself."""
    made = create(ec2, small, PrivateIpAddress="10.0.2.5", Ipv4PrefixCount=2)
    given = {one["Ipv4Prefix"] for one in made["Ipv4Prefixes"]}
    assert given == {"10.0.2.16/28", "10.0.2.32/28"}
    with refused("InsufficientCidrBlocks"):
        create(ec2, small, PrivateIpAddress="10.0.2.6", Ipv4PrefixCount=1)


def test_an_address_that_is_held_breaks_a_block_up(ec2, refused, small):
    create(ec2, small, PrivateIpAddress="10.0.2.20")
    with refused("InvalidIPAddress.InUse"):
        create(ec2, small, Ipv4Prefixes=[{"Ipv4Prefix": "10.0.2.16/28"}])
    with refused("InsufficientCidrBlocks"):
        create(ec2, small, PrivateIpAddress="10.0.2.5", Ipv4PrefixCount=2)


def test_prefixes_come_and_go_at_run_time(ec2, refused, subnet_id):
    interface = create(ec2, subnet_id, PrivateIpAddress="10.0.1.9")["NetworkInterfaceId"]
    answer = ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, Ipv4Prefixes=["10.0.1.32/28"])
    assert answer["AssignedIpv4Prefixes"] == [{"Ipv4Prefix": "10.0.1.32/28"}]
    drawn = ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, Ipv4PrefixCount=1)
    (prefix,) = (one["Ipv4Prefix"] for one in drawn["AssignedIpv4Prefixes"])
    assert IPv4Network(prefix).subnet_of(IPv4Network("10.0.1.0/24"))
    other = create(ec2, subnet_id, PrivateIpAddress="10.0.1.10")["NetworkInterfaceId"]
    with refused("Resource.AlreadyAssigned"):
        ec2.assign_private_ip_addresses(
            NetworkInterfaceId=other, PrivateIpAddresses=["10.0.1.40"], AllowReassignment=True
        )
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=interface, Ipv4Prefixes=["10.0.1.32/28", prefix])
    assert "Ipv4Prefixes" not in described(ec2, interface)
    ec2.assign_private_ip_addresses(NetworkInterfaceId=other, PrivateIpAddresses=["10.0.1.40"])
    with refused("InvalidParameterValue"):
        ec2.unassign_private_ip_addresses(NetworkInterfaceId=interface, Ipv4Prefixes=["10.0.1.32/28"])


def test_a_prefix_counts_as_one_address_of_the_limit(ec2, refused, subnet_id):
    common = {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"}
    wish = {"DeviceIndex": 0, "SubnetId": subnet_id, "Ipv4PrefixCount": 1, "Ipv6PrefixCount": 1}
    (made,) = ec2.run_instances(**common, NetworkInterfaces=[wish])["Instances"]
    interface = made["NetworkInterfaces"][0]
    assert (len(interface["Ipv4Prefixes"]), len(interface["Ipv6Prefixes"])) == (1, 1)
    interface_id = interface["NetworkInterfaceId"]
    with refused("PrivateIpAddressLimitExceeded"):
        ec2.assign_private_ip_addresses(NetworkInterfaceId=interface_id, Ipv4PrefixCount=1)
    ec2.assign_ipv6_addresses(NetworkInterfaceId=interface_id, Ipv6PrefixCount=1)
    with refused("PrivateIpAddressLimitExceeded"):
        ec2.assign_ipv6_addresses(NetworkInterfaceId=interface_id, Ipv6AddressCount=1)
    with refused("InvalidInterface.IpAddressLimitExceeded"):
        ec2.run_instances(**common, NetworkInterfaces=[{**wish, "Ipv4PrefixCount": 2}])


def test_prefixes_of_ipv6_are_chosen_or_drawn(ec2, refused, subnet_id, block):
    made = create(ec2, subnet_id, Ipv6Prefixes=[{"Ipv6Prefix": piece(block, 5)}], Ipv6AddressCount=1)
    assert made["Ipv6Prefixes"] == [{"Ipv6Prefix": piece(block, 5)}]
    inside = str(IPv6Network(piece(block, 5))[7])
    with refused("InvalidIPAddress.InUse"):
        create(ec2, subnet_id, Ipv6Addresses=[{"Ipv6Address": inside}])
    interface = made["NetworkInterfaceId"]
    drawn = ec2.assign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6PrefixCount=2)["AssignedIpv6Prefixes"]
    assert len({*drawn, piece(block, 5)}) == 3
    assert free(ec2, subnet_id) == 250
    for number in (0, 0xFFFF):
        with refused("InvalidParameterValue"):
            ec2.assign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6Prefixes=[piece(block, number)])
    gone = ec2.unassign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6Prefixes=drawn)
    assert gone["UnassignedIpv6Prefixes"] == drawn
