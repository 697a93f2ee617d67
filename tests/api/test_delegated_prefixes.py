"""Prefixes that are delegated to an interface: a /28 of IPv4, an /80 of IPv6 (behaviour/02, T2-06).

VPC 10.0.0.0/16, a /56 -- subnet 10.0.1.0/24, a /64
                       \\- subnet 10.0.2.0/26
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rookery.api.handlers.addresses import addresses_of
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.held import ipv4_units
from rookery.api.operation import ApiError
from rookery.model.objects import NetworkInterface
from rookery.testing.small_view import SmallView


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


class Subnet26(RuleBasedStateMachine):
    """Addresses, prefixes and reservations of a /26 come and go; an oracle counts in the simplest way."""

    def __init__(self):
        super().__init__()
        self.view = SmallView()
        self.subnet = self.view.make_subnet(self.view.make_vpc("10.0.0.0/16"), "10.0.2.0/26")

    def attempt(self, operation, **parameters):
        try:
            self.view.call(operation, **parameters)
        except ApiError as error:
            assert error.status == 400

    def interface(self, data):
        everything = [each.id for each in self.view.all(NetworkInterface)]
        return data.draw(st.sampled_from(everything)) if everything else "eni-0123456789abcdef0"

    @rule(addresses=st.integers(0, 3), prefixes=st.integers(0, 1))
    def create(self, addresses, prefixes):
        self.attempt(
            "CreateNetworkInterface",
            SubnetId=self.subnet.id,
            SecondaryPrivateIpAddressCount=addresses,
            Ipv4PrefixCount=prefixes,
        )

    @rule(start=st.integers(0, 15), kind=st.sampled_from(["prefix", "explicit"]))
    def reserve(self, start, kind):
        length = 28 if kind == "prefix" else 30
        cidr = f"10.0.2.{start % 4 * 16 if kind == 'prefix' else start * 4}/{length}"
        self.attempt("CreateSubnetCidrReservation", SubnetId=self.subnet.id, Cidr=cidr, ReservationType=kind)

    @rule(data=st.data(), last=st.integers(0, 63), move=st.booleans())
    def assign(self, data, last, move):
        self.attempt(
            "AssignPrivateIpAddresses",
            NetworkInterfaceId=self.interface(data),
            PrivateIpAddresses=[f"10.0.2.{last}"],
            AllowReassignment=move,
        )

    @rule(data=st.data(), number=st.integers(0, 3))
    def delegate(self, data, number):
        self.attempt(
            "AssignPrivateIpAddresses",
            NetworkInterfaceId=self.interface(data),
            Ipv4Prefixes=[f"10.0.2.{number * 16}/28"],
        )

    @rule(data=st.data())
    def delete(self, data):
        self.attempt("DeleteNetworkInterface", NetworkInterfaceId=self.interface(data))

    def everything(self):
        for found in self.view.all(NetworkInterface):
            for each in (*found.addresses, *found.prefixes):
                yield from (str(address) for address in IPv4Network(each))

    @invariant()
    def no_address_has_two_holders_and_none_is_the_subnets_own(self):
        held = list(self.everything())
        assert len(set(held)) == len(held)
        assert set(held) <= {f"10.0.2.{last}" for last in range(4, 63)}

    @invariant()
    def the_counts_are_what_an_oracle_counts(self):
        held = set(self.everything())
        assert self.view.held_addresses(self.subnet.id).ipv4 == len(held)
        reserved = {
            str(address)
            for one in self.view.call("GetSubnetCidrReservations", SubnetId=self.subnet.id)[
                "SubnetIpv4CidrReservations"
            ]
            for address in IPv4Network(one["Cidr"])
        }
        usable = {f"10.0.2.{last}" for last in range(4, 63)}
        assert addresses_of(self.view, self.subnet).free == len(usable - held - reserved)

    @invariant()
    def no_interface_exceeds_its_limit(self):
        assert all(ipv4_units(each) <= 50 for each in self.view.all(NetworkInterface))


Subnet26.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSubnet26 = Subnet26.TestCase
