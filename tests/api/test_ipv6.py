"""IPv6 blocks of VPCs and subnets and IPv6 addresses of interfaces, through boto3.

VPC 10.0.0.0/16, a /56 -- subnet 10.0.1.0/24, its first /64
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

import pytest
from msgspec.structs import replace

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.model.objects import NetworkAcl, NetworkAclEntry, SecurityGroup, SecurityGroupRule
from rookery.testing.small_view import ACCOUNT, REGION, SmallView


@pytest.fixture
def vpc(ec2):
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    return ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]


@pytest.fixture
def vpc_id(vpc):
    return vpc["VpcId"]


@pytest.fixture
def blocks(vpc):
    """The VPC's /64 blocks in order, as text."""
    return block_list(vpc)


def block_list(vpc):
    whole = IPv6Network(vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"])
    return [str(one) for one in whole.subnets(new_prefix=64)]


@pytest.fixture
def subnet_id(ec2, vpc_id, blocks):
    made = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24", Ipv6CidrBlock=blocks[0])
    return made["Subnet"]["SubnetId"]


def create(ec2, subnet_id, **more):
    return ec2.create_network_interface(SubnetId=subnet_id, **more)["NetworkInterface"]


def ipv6(interface):
    return [one["Ipv6Address"] for one in interface["Ipv6Addresses"]]


def described(ec2, interface_id):
    return ec2.describe_network_interfaces(NetworkInterfaceIds=[interface_id])["NetworkInterfaces"][0]


def at(block, offset):
    return str(IPv6Network(block)[offset])


# -------------------------------------------------------------------------------------------------------------- blocks


def test_a_vpc_gets_a_56_that_no_other_has(ec2, vpc):
    (association,) = vpc["Ipv6CidrBlockAssociationSet"]
    assert association == {
        "AssociationId": association["AssociationId"],
        "Ipv6CidrBlock": association["Ipv6CidrBlock"],
        "Ipv6CidrBlockState": {"State": "associated"},
        "NetworkBorderGroup": "us-east-1",
        "Ipv6Pool": "Amazon",
        "Ipv6AddressAttribute": "public",
        "IpSource": "amazon",
    }
    block = IPv6Network(association["Ipv6CidrBlock"])
    assert block.prefixlen == 56
    others = [
        ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"] for _ in range(5)
    ]
    for other in others:
        assert not block.overlaps(IPv6Network(other["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]))
    found = [{"Name": "ipv6-cidr-block-association.ipv6-cidr-block", "Values": [str(block)]}]
    assert [one["VpcId"] for one in ec2.describe_vpcs(Filters=found)["Vpcs"]] == [vpc["VpcId"]]


def test_its_route_is_local_in_every_table(ec2, vpc, vpc_id):
    block = vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["RouteTables"]
    assert table["Routes"][1] == {
        "DestinationIpv6CidrBlock": block,
        "GatewayId": "local",
        "Origin": "CreateRouteTable",
        "State": "active",
    }


def test_a_block_comes_later_and_goes_when_no_subnet_has_it(ec2, refused):
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    answer = ec2.associate_vpc_cidr_block(VpcId=vpc_id, AmazonProvidedIpv6CidrBlock=True)
    association = answer["Ipv6CidrBlockAssociation"]
    assert association["Ipv6CidrBlockState"] == {"State": "associating"}
    block = str(next(IPv6Network(association["Ipv6CidrBlock"]).subnets(new_prefix=64)))
    made = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24", Ipv6CidrBlock=block)["Subnet"]
    with refused("DependencyViolation"):
        ec2.disassociate_vpc_cidr_block(AssociationId=association["AssociationId"])
    of_subnet = made["Ipv6CidrBlockAssociationSet"][0]["AssociationId"]
    ec2.disassociate_subnet_cidr_block(AssociationId=of_subnet)
    with refused("InvalidSubnetCidrBlockAssociationID.NotFound"):
        ec2.disassociate_subnet_cidr_block(AssociationId=of_subnet)
    gone = ec2.disassociate_vpc_cidr_block(AssociationId=association["AssociationId"])
    assert gone["Ipv6CidrBlockAssociation"]["Ipv6CidrBlockState"] == {"State": "disassociating"}
    assert ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"] == []


def test_a_vpc_has_five_blocks_at_most(ec2, refused, vpc_id):
    for _ in range(4):
        ec2.associate_vpc_cidr_block(VpcId=vpc_id, AmazonProvidedIpv6CidrBlock=True)
    with refused("CidrLimitExceeded"):
        ec2.associate_vpc_cidr_block(VpcId=vpc_id, AmazonProvidedIpv6CidrBlock=True)
    with refused("UnsupportedOperation"):
        ec2.associate_vpc_cidr_block(VpcId=vpc_id, Ipv6CidrBlock="2001:db8::/56", Ipv6Pool="mine")


def test_a_subnet_gets_a_64_of_its_vpc(ec2, refused, vpc_id, subnet_id, blocks):
    (subnet,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    (association,) = subnet["Ipv6CidrBlockAssociationSet"]
    assert association["Ipv6CidrBlock"] == blocks[0]
    assert association["Ipv6CidrBlockState"] == {"State": "associated"}
    assert association["AssociationId"].startswith("subnet-cidr-assoc-")
    wish = {"VpcId": vpc_id, "CidrBlock": "10.0.2.0/24"}
    for block, code in (
        (blocks[0], "InvalidSubnet.Conflict"),
        ("2001:db8::/64", "InvalidSubnet.Range"),
        (blocks[1].replace("/64", "/60"), "InvalidSubnet.Range"),
        (blocks[1].replace("/64", "/80"), "InvalidSubnet.Range"),
        ("nonsense", "InvalidParameterValue"),
    ):
        with refused(code):
            ec2.create_subnet(**wish, Ipv6CidrBlock=block)
    later = ec2.create_subnet(**wish)["Subnet"]["SubnetId"]
    ec2.associate_subnet_cidr_block(SubnetId=later, Ipv6CidrBlock=blocks[1])
    with refused("CidrLimitExceeded"):
        ec2.associate_subnet_cidr_block(SubnetId=later, Ipv6CidrBlock=blocks[2])


def test_a_subnet_keeps_its_block_while_an_interface_uses_it(ec2, refused, subnet_id):
    interface = create(ec2, subnet_id, Ipv6AddressCount=1)
    (subnet,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    association = subnet["Ipv6CidrBlockAssociationSet"][0]["AssociationId"]
    with refused("DependencyViolation"):
        ec2.disassociate_subnet_cidr_block(AssociationId=association)
    ec2.unassign_ipv6_addresses(
        NetworkInterfaceId=interface["NetworkInterfaceId"], Ipv6Addresses=ipv6(interface)
    )
    ec2.disassociate_subnet_cidr_block(AssociationId=association)


# --------------------------------------------------------------------------------------------------- default admissions


def guarded_vpc(*, more_entries=(), egress="0.0.0.0/0"):
    """A VPC with the default group and ACL that every VPC of AWS begins with."""
    view = SmallView()
    vpc = view.make_vpc("10.0.0.0/16")
    common = {"account": ACCOUNT, "region": REGION, "vpc_id": vpc.id}
    rules = (SecurityGroupRule(id="sgr-1", is_egress=True, protocol="-1", cidr=egress),)
    entries = tuple(
        NetworkAclEntry(number=100, is_egress=way, allow=True, protocol=-1, cidr="0.0.0.0/0")
        for way in (False, True)
    )
    group = SecurityGroup(**common, id=view.ids.new("sg"), name="default", description="default", rules=rules)
    acl = NetworkAcl(**common, id=view.ids.new("acl"), is_default=True, entries=(*entries, *more_entries))
    view.put(group, acl)
    return view, vpc, group, acl


def test_the_first_block_lets_ipv6_through_what_let_ipv4_through():
    view, vpc, group, acl = guarded_vpc()
    for _ in range(2):
        view.call("AssociateVpcCidrBlock", VpcId=vpc.id, AmazonProvidedIpv6CidrBlock=True)
    added = view.get(SecurityGroup, group.id).rules[1:]
    assert [(rule.is_egress, rule.protocol, rule.cidr) for rule in added] == [(True, "-1", "::/0")]
    entries = view.get(NetworkAcl, acl.id).entries[2:]
    assert [(one.number, one.is_egress, one.allow, one.cidr) for one in entries] == [
        (101, False, True, "::/0"),
        (101, True, True, "::/0"),
    ]


def test_what_is_no_default_stays_as_it_is():
    view, vpc, group, acl = guarded_vpc()
    other = replace(group, id=view.ids.new("sg"), name="web")
    second = replace(acl, id=view.ids.new("acl"), is_default=False)
    view.put(other, second)
    view.call("AssociateVpcCidrBlock", VpcId=vpc.id, AmazonProvidedIpv6CidrBlock=True)
    assert view.get(SecurityGroup, other.id) == other
    assert view.get(NetworkAcl, second.id) == second


def test_what_somebody_has_changed_stays_as_it_is():
    deny = NetworkAclEntry(number=90, is_egress=False, allow=False, protocol=-1, cidr="10.9.0.0/16")
    view, vpc, group, acl = guarded_vpc(more_entries=(deny,), egress="10.0.0.0/8")
    view.call("AssociateVpcCidrBlock", VpcId=vpc.id, AmazonProvidedIpv6CidrBlock=True)
    assert view.get(SecurityGroup, group.id) == group
    assert view.get(NetworkAcl, acl.id) == acl


# ----------------------------------------------------------------------------------------------------------- addresses


def test_addresses_are_chosen_or_drawn_at_creation(ec2, subnet_id, blocks):
    chosen = create(ec2, subnet_id, Ipv6Addresses=[{"Ipv6Address": at(blocks[0], 0x10)}])
    assert chosen["Ipv6Addresses"] == [{"Ipv6Address": at(blocks[0], 0x10), "IsPrimaryIpv6": False}]
    assert described(ec2, chosen["NetworkInterfaceId"])["Ipv6Addresses"] == chosen["Ipv6Addresses"]
    drawn = ipv6(create(ec2, subnet_id, Ipv6AddressCount=3))
    assert len(set(drawn)) == 3
    assert all(IPv6Address(one) in IPv6Network(blocks[0]) for one in drawn)
    found = [{"Name": "ipv6-addresses.ipv6-address", "Values": [drawn[1]]}]
    assert len(ec2.describe_network_interfaces(Filters=found)["NetworkInterfaces"]) == 1


def test_an_address_that_cannot_be_given_is_refused(ec2, refused, subnet_id, blocks):
    taken = at(blocks[0], 0x10)
    create(ec2, subnet_id, Ipv6Addresses=[{"Ipv6Address": taken}])
    for address, code in (
        *((at(blocks[0], offset), "InvalidParameterValue") for offset in (0, 1, 2, 3, -1)),
        (at(blocks[1], 0x10), "InvalidParameterValue"),
        ("10.0.1.9", "InvalidParameterValue"),
        (f"{taken}%eth0", "InvalidParameterValue"),
        (taken, "InvalidIPAddress.InUse"),
    ):
        with refused(code):
            create(ec2, subnet_id, Ipv6Addresses=[{"Ipv6Address": address}])


def test_a_subnet_without_a_block_gives_no_address(ec2, refused, vpc_id):
    plain = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.3.0/24")["Subnet"]["SubnetId"]
    with refused("InvalidParameterValue"):
        create(ec2, plain, Ipv6AddressCount=1)
    with refused("InvalidParameterValue"):
        ec2.modify_subnet_attribute(SubnetId=plain, AssignIpv6AddressOnCreation={"Value": True})


def test_a_subnet_may_give_an_address_to_each_new_interface(ec2, subnet_id):
    ec2.modify_subnet_attribute(SubnetId=subnet_id, AssignIpv6AddressOnCreation={"Value": True})
    assert len(ipv6(create(ec2, subnet_id))) == 1
    assert ipv6(create(ec2, subnet_id, Ipv6AddressCount=0)) == []
    (made,) = ec2.run_instances(ImageId=NAMESPACE_IMAGE.id, MinCount=1, MaxCount=1, SubnetId=subnet_id)[
        "Instances"
    ]
    assert ipv6(made["NetworkInterfaces"][0]) == [made["Ipv6Address"]]


def test_instances_get_addresses_at_launch(ec2, refused, subnet_id, blocks):
    common = {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "InstanceType": "t3.micro"}
    pair = ec2.run_instances(**common, MaxCount=2, SubnetId=subnet_id, Ipv6AddressCount=1)["Instances"]
    assert len({one["Ipv6Address"] for one in pair}) == 2
    wish = {"DeviceIndex": 0, "SubnetId": subnet_id, "PrimaryIpv6": True, "Ipv6AddressCount": 2}
    (made,) = ec2.run_instances(**common, MaxCount=1, NetworkInterfaces=[wish])["Instances"]
    flags = [one["IsPrimaryIpv6"] for one in made["NetworkInterfaces"][0]["Ipv6Addresses"]]
    assert flags == [True, False]
    chosen = [{"Ipv6Address": at(blocks[0], 0x20)}]
    with refused("InvalidParameterCombination"):
        ec2.run_instances(**common, MaxCount=2, SubnetId=subnet_id, Ipv6Addresses=chosen)
    with refused("InvalidParameterCombination"):
        ec2.run_instances(**common, MaxCount=1, NetworkInterfaces=[wish], Ipv6AddressCount=1)
    with refused("InvalidInterface.IpAddressLimitExceeded"):
        ec2.run_instances(**common, MaxCount=1, SubnetId=subnet_id, Ipv6AddressCount=3)
    (one,) = ec2.run_instances(**common, MaxCount=1, SubnetId=subnet_id, Ipv6Addresses=chosen)["Instances"]
    assert one["Ipv6Address"] == at(blocks[0], 0x20)


def test_addresses_come_and_go_at_run_time(ec2, refused, subnet_id, blocks):
    interface = create(ec2, subnet_id)["NetworkInterfaceId"]
    wanted = [at(blocks[0], 0x10), at(blocks[0], 0x11)]
    answer = ec2.assign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6Addresses=wanted)
    assert answer["AssignedIpv6Addresses"] == wanted
    more = ec2.assign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6AddressCount=2)
    assert ipv6(described(ec2, interface)) == [*wanted, *more["AssignedIpv6Addresses"]]
    again = ec2.assign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6Addresses=wanted)
    assert again["AssignedIpv6Addresses"] == []
    other = create(ec2, subnet_id)["NetworkInterfaceId"]
    with refused("InvalidIPAddress.InUse"):
        ec2.assign_ipv6_addresses(NetworkInterfaceId=other, Ipv6Addresses=wanted[:1])
    gone = ec2.unassign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6Addresses=wanted)
    assert gone["UnassignedIpv6Addresses"] == wanted
    ec2.assign_ipv6_addresses(NetworkInterfaceId=other, Ipv6Addresses=wanted[:1])
    with refused("InvalidParameterValue"):
        ec2.unassign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6Addresses=wanted[:1])


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({}, "MissingParameter"),
        ({"Ipv6AddressCount": 0}, "InvalidParameterValue"),
        ({"Ipv6AddressCount": -1}, "InvalidParameterValue"),
        ({"Ipv6AddressCount": 51}, "PrivateIpAddressLimitExceeded"),
        ({"Ipv6AddressCount": 1, "Ipv6PrefixCount": 1}, "InvalidParameterCombination"),
        ({"Ipv6Addresses": ["nonsense"]}, "InvalidParameterValue"),
        ({"Ipv6Prefixes": ["10.0.1.16/28"]}, "InvalidParameterValue"),
    ],
)
def test_an_assignment_that_makes_no_sense_is_refused(ec2, refused, subnet_id, wish, code):
    interface = create(ec2, subnet_id)["NetworkInterfaceId"]
    with refused(code):
        ec2.assign_ipv6_addresses(NetworkInterfaceId=interface, **wish)


def test_a_primary_address_stays(ec2, refused, subnet_id):
    with refused("InvalidParameterValue"):
        create(ec2, subnet_id, EnablePrimaryIpv6=True)
    interface = create(ec2, subnet_id, Ipv6AddressCount=2)
    interface_id = interface["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface_id, EnablePrimaryIpv6=True)
    first, second = described(ec2, interface_id)["Ipv6Addresses"]
    assert (first["IsPrimaryIpv6"], second["IsPrimaryIpv6"]) == (True, False)
    with refused("InvalidParameterValue"):
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface_id, EnablePrimaryIpv6=False)
    with refused("InvalidParameterValue"):
        ec2.unassign_ipv6_addresses(NetworkInterfaceId=interface_id, Ipv6Addresses=ipv6(interface))
    ec2.unassign_ipv6_addresses(NetworkInterfaceId=interface_id, Ipv6Addresses=ipv6(interface)[1:])


def test_a_whole_ipv6_subnet_may_lead_to_an_appliance(ec2, refused, vpc_id, subnet_id, blocks):
    ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.2.0/24", Ipv6CidrBlock=blocks[1])
    appliance = create(ec2, subnet_id)["NetworkInterfaceId"]
    table = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    route = {"RouteTableId": table, "NetworkInterfaceId": appliance}
    ec2.create_route(**route, DestinationIpv6CidrBlock=blocks[1])
    with refused("InvalidParameterValue"):
        ec2.create_route(**route, DestinationIpv6CidrBlock=blocks[2])
