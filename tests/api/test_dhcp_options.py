"""DHCP options sets through boto3 (behaviour/01: 1.3, 1.6, T1-02, T1-22; behaviour/13)."""

from __future__ import annotations

import pytest

UNKNOWN = "dopt-0123456789abcdef0"
ORG = [{"Key": "domain-name", "Values": ["example.org"]}]


def create(ec2, *configurations, **more):
    made = ec2.create_dhcp_options(DhcpConfigurations=list(configurations), **more)
    return made["DhcpOptions"]["DhcpOptionsId"]


def option(key, *values):
    return {"Key": key, "Values": list(values)}


def shown(ec2, **asked):
    """Of each set, its configurations as they were given."""
    return [
        [
            option(one["Key"], *(value["Value"] for value in one["Values"]))
            for one in each["DhcpConfigurations"]
        ]
        for each in ec2.describe_dhcp_options(**asked)["DhcpOptions"]
    ]


def set_of(ec2, vpc_id):
    return ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]["DhcpOptionsId"]


@pytest.fixture
def vpc_id(ec2):
    return ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


def by(name, *values):
    return {"Filters": [{"Name": name, "Values": list(values)}]}


@pytest.mark.parametrize(
    ("region", "domain"),
    [("us-east-1", "ec2.internal"), ("eu-central-1", "eu-central-1.compute.internal")],
)
def test_every_vpc_of_a_region_begins_with_its_default_set(api, region, domain):
    ec2 = api.client(region=region)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    (default,) = ec2.describe_dhcp_options()["DhcpOptions"]
    assert default.pop("DhcpOptionsId") == vpc["DhcpOptionsId"]
    assert default == {
        "OwnerId": "123456789012",
        "DhcpConfigurations": [
            {"Key": "domain-name", "Values": [{"Value": domain}]},
            {"Key": "domain-name-servers", "Values": [{"Value": "AmazonProvidedDNS"}]},
        ],
        "Tags": [],
    }
    assert {one["DhcpOptionsId"] for one in ec2.describe_vpcs()["Vpcs"]} == {vpc["DhcpOptionsId"]}


def test_a_default_set_that_was_deleted_is_made_again_with_the_next_vpc(ec2, vpc_id):
    default = set_of(ec2, vpc_id)
    for vpc in ec2.describe_vpcs()["Vpcs"]:
        ec2.associate_dhcp_options(VpcId=vpc["VpcId"], DhcpOptionsId="default")
    ec2.delete_dhcp_options(DhcpOptionsId=default)
    another = set_of(ec2, ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"])
    assert another not in (default, "default")
    assert set_of(ec2, vpc_id) == "default"
    assert len(ec2.describe_dhcp_options()["DhcpOptions"]) == 1


def test_a_set_is_shown_as_it_was_given(ec2):
    given = [
        option("domain-name", "example.org"),
        option("domain-name-servers", "10.2.5.1", "2001:db8::53", "AmazonProvidedDNS"),
        option("ntp-servers", "169.254.169.123", "fd00:ec2::123"),
        option("netbios-name-servers", "10.2.5.1", "10.2.5.2"),
        option("netbios-node-type", "2"),
        option("ipv6-address-preferred-lease-time", "2147483647"),
    ]
    identity = create(ec2, *given)
    assert identity.startswith("dopt-")
    assert shown(ec2, DhcpOptionsIds=[identity]) == [given]


@pytest.mark.parametrize(
    "wrong",
    [
        option("domain-search", "example.org"),
        option("Domain-Name", "example.org"),
        {"Key": "domain-name"},
        {"Values": ["example.org"]},
        option("domain-name", "a.example", "b.example"),
        option("domain-name", "-example.org"),
        option("domain-name", "example..org"),
        option("domain-name", "a" * 64 + ".example"),
        option("domain-name", ".".join(["label"] * 50)),
        option("domain-name-servers", "ns.example.org"),
        option("domain-name-servers", "amazonprovideddns"),
        option("domain-name-servers", "AmazonProvidedDNS", "AmazonProvidedDNS"),
        option("domain-name-servers", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "AmazonProvidedDNS"),
        option("domain-name-servers", *(f"10.0.0.{n}" for n in range(5))),
        option("domain-name-servers", *(f"2001:db8::{n}" for n in range(5))),
        option("domain-name-servers", "fe80::1%eth0"),
        option("ntp-servers", "AmazonProvidedDNS"),
        option("ntp-servers", *(f"10.0.0.{n}" for n in range(5))),
        option("netbios-name-servers", "2001:db8::1"),
        option("netbios-name-servers", *(f"10.0.0.{n}" for n in range(5))),
        option("netbios-node-type", "3"),
        option("netbios-node-type", "1", "2"),
        option("ipv6-address-preferred-lease-time", "139"),
        option("ipv6-address-preferred-lease-time", "2147483648"),
        option("ipv6-address-preferred-lease-time", "soon"),
    ],
)
def test_a_set_that_means_nothing_is_refused(ec2, refused, wrong):
    with refused("InvalidParameterValue"):
        create(ec2, wrong)


def test_four_servers_of_each_family_are_as_many_as_go(ec2):
    servers = [f"10.0.0.{n}" for n in range(4)] + [f"2001:db8::{n}" for n in range(4)]
    create(ec2, option("domain-name-servers", *servers), option("ntp-servers", *servers))


def test_a_key_is_given_once_and_at_least_one(ec2, refused):
    with refused("InvalidParameterValue"):
        create(ec2, *ORG, *ORG)
    with refused("MissingParameter"):
        ec2.create_dhcp_options(DhcpConfigurations=[])


def test_several_search_domains_stand_in_one_value(ec2):
    identity = create(ec2, option("domain-name", "a.example b.example"))
    assert shown(ec2, DhcpOptionsIds=[identity]) == [[option("domain-name", "a.example b.example")]]


def test_a_vpc_gets_another_set_and_none(ec2, vpc_id):
    identity = create(ec2, *ORG)
    ec2.associate_dhcp_options(VpcId=vpc_id, DhcpOptionsId=identity)
    assert set_of(ec2, vpc_id) == identity
    assert [one["VpcId"] for one in ec2.describe_vpcs(**by("dhcp-options-id", identity))["Vpcs"]] == [vpc_id]
    ec2.associate_dhcp_options(VpcId=vpc_id, DhcpOptionsId="default")
    assert set_of(ec2, vpc_id) == "default"
    assert [one["VpcId"] for one in ec2.describe_vpcs(**by("dhcp-options-id", "default"))["Vpcs"]] == [vpc_id]


def test_a_set_in_use_is_not_deleted(ec2, refused, vpc_id):
    identity = create(ec2, *ORG)
    ec2.associate_dhcp_options(VpcId=vpc_id, DhcpOptionsId=identity)
    with refused("DependencyViolation") as refusal:
        ec2.delete_dhcp_options(DhcpOptionsId=identity)
    assert refusal.message == f"The dhcpOptions '{identity}' has dependencies and cannot be deleted."
    ec2.delete_vpc(VpcId=vpc_id)
    ec2.delete_dhcp_options(DhcpOptionsId=identity)
    with refused("InvalidDhcpOptionID.NotFound") as refusal:
        ec2.delete_dhcp_options(DhcpOptionsId=identity)
    assert refusal.message == f"The dhcpOption ID '{identity}' does not exist"


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        (UNKNOWN, "InvalidDhcpOptionID.NotFound"),
        ("dopt-x", "InvalidDhcpOptionsId.Malformed"),
        ("none", "InvalidDhcpOptionsId.Malformed"),
    ],
)
def test_a_sets_id_is_malformed_or_unknown(ec2, refused, vpc_id, identity, code):
    with refused(code):
        ec2.associate_dhcp_options(VpcId=vpc_id, DhcpOptionsId=identity)
    with refused(code):
        ec2.describe_dhcp_options(DhcpOptionsIds=[identity])
    with refused(code):
        ec2.delete_dhcp_options(DhcpOptionsId=identity)


def test_default_names_no_set_that_could_be_shown_or_deleted(ec2, refused):
    with refused("InvalidDhcpOptionsId.Malformed"):
        ec2.delete_dhcp_options(DhcpOptionsId="default")
    with refused("InvalidDhcpOptionsId.Malformed"):
        ec2.describe_dhcp_options(DhcpOptionsIds=["default"])


def test_a_set_is_associated_with_a_vpc_that_exists(ec2, refused):
    with refused("InvalidVpcID.NotFound"):
        ec2.associate_dhcp_options(VpcId="vpc-0123456789abcdef0", DhcpOptionsId="default")


def test_another_accounts_set_is_unknown(api, ec2, refused):
    api.add_key("AKIAOTHER", "secret", "210987654321")
    theirs = create(api.client(access_key="AKIAOTHER", secret="secret"), *ORG)
    with refused("InvalidDhcpOptionID.NotFound"):
        ec2.describe_dhcp_options(DhcpOptionsIds=[theirs])


def test_sets_are_tagged_like_all_things(ec2, refused):
    specification = {"ResourceType": "dhcp-options", "Tags": [{"Key": "Name", "Value": "one"}]}
    identity = create(ec2, *ORG, TagSpecifications=[specification])
    ec2.create_tags(Resources=[identity], Tags=[{"Key": "Stage", "Value": "test"}])
    (found,) = ec2.describe_dhcp_options(**by("tag:Stage", "test"))["DhcpOptions"]
    assert found["Tags"] == [{"Key": "Name", "Value": "one"}, {"Key": "Stage", "Value": "test"}]
    tags = ec2.describe_tags(**by("resource-type", "dhcp-options"))["Tags"]
    assert {tag["ResourceId"] for tag in tags} == {identity}
    with refused("InvalidParameterValue"):
        create(ec2, *ORG, TagSpecifications=[{**specification, "ResourceType": "vpc"}])


def test_a_private_zone_cannot_be_tagged(ec2, refused):
    with refused("InvalidID"):
        ec2.create_tags(Resources=["zone-0123456789abcdef0"], Tags=[{"Key": "Name", "Value": "one"}])


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("dhcp-options-id", UNKNOWN, 0),
        ("key", "domain-name", 2),
        ("key", "ntp-servers", 1),
        ("value", "10.0.0.9", 1),
        ("value", "*.internal", 1),
        ("owner-id", "123456789012", 3),
        ("owner-id", "210987654321", 0),
        ("tag-key", "Name", 0),
    ],
)
def test_sets_are_chosen_by_filters(ec2, name, value, found):
    create(ec2, *ORG)
    create(ec2, option("ntp-servers", "10.0.0.9"))
    assert len(ec2.describe_dhcp_options(**by(name, value))["DhcpOptions"]) == found


def test_an_unknown_filter_is_refused(ec2, refused):
    with refused("InvalidParameterValue"):
        ec2.describe_dhcp_options(**by("vpc-id", "x"))


def test_sets_come_in_pages(ec2):
    ec2.describe_vpcs()
    made = {create(ec2, *ORG) for _ in range(11)}
    pages = ec2.get_paginator("describe_dhcp_options").paginate(PaginationConfig={"PageSize": 5})
    found = [[one["DhcpOptionsId"] for one in page["DhcpOptions"]] for page in pages]
    assert [len(page) for page in found] == [5, 5, 2]
    assert made < {identity for page in found for identity in page}
