"""Security groups through boto3 (behaviour/04: 4.1, 4.4, 4.6, T4-20; T1-02)."""

from __future__ import annotations

import pytest

from rookery.api.quotas import Quotas
from rookery.model.objects import NetworkInterface
from rookery.testing.memory_store import MemoryStore
from rookery.testing.running_api import RunningApi
from rookery.testing.things import OWNER
from tests.api.edge_scene import without_internet_gateway
from tests.api.security_scene import (
    default_group,
    default_vpc,
    give_ipv6,
    make_group,
    make_vpc,
    only,
    peer,
    put,
    tcp,
)

UNKNOWN = "sg-0123456789abcdef0"
ALL_IPV4 = {
    "IpProtocol": "-1",
    "UserIdGroupPairs": [],
    "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    "Ipv6Ranges": [],
    "PrefixListIds": [],
}


@pytest.fixture
def vpc_id(ec2):
    return make_vpc(ec2)


def test_a_new_group_lets_everything_out_and_nothing_in(ec2, vpc_id):
    made = ec2.create_security_group(
        GroupName="web  ",
        Description="front (a & b)",
        VpcId=vpc_id,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "Name", "Value": "w"}]}],
    )
    made.pop("ResponseMetadata")
    group_id = made["GroupId"]
    arn = f"arn:aws:ec2:us-east-1:123456789012:security-group/{group_id}"
    tags = [{"Key": "Name", "Value": "w"}]
    assert made == {"GroupId": group_id, "SecurityGroupArn": arn, "Tags": tags}
    assert only(ec2, group_id) == {
        "GroupId": group_id,
        "GroupName": "web",
        "Description": "front (a & b)",
        "VpcId": vpc_id,
        "OwnerId": "123456789012",
        "SecurityGroupArn": arn,
        "IpPermissions": [],
        "IpPermissionsEgress": [ALL_IPV4],
        "Tags": tags,
    }


def test_a_vpc_has_its_default_group_from_its_first_moment(ec2, vpc_id):
    group = default_group(ec2, vpc_id)
    assert group["Description"] == "default VPC security group"
    (ingress,) = group["IpPermissions"]
    assert ingress["IpProtocol"] == "-1"
    assert "FromPort" not in ingress
    assert ingress["UserIdGroupPairs"] == [{"GroupId": group["GroupId"], "UserId": "123456789012"}]
    assert group["IpPermissionsEgress"] == [ALL_IPV4]


def test_the_default_vpc_has_its_default_group_too(ec2):
    assert default_group(ec2, default_vpc(ec2))["GroupName"] == "default"
    (by_name,) = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert by_name["VpcId"] == default_vpc(ec2)


def test_a_group_of_a_vpc_with_ipv6_lets_that_out_as_well(api, ec2, vpc_id):
    give_ipv6(api, vpc_id)
    (egress,) = only(ec2, make_group(ec2, vpc_id))["IpPermissionsEgress"]
    assert (egress["IpRanges"], egress["Ipv6Ranges"]) == ([{"CidrIp": "0.0.0.0/0"}], [{"CidrIpv6": "::/0"}])


@pytest.mark.parametrize(
    ("name", "description", "code"),
    [
        ("default", "d", "InvalidParameterValue"),
        ("sg-mine", "d", "InvalidGroup.Reserved"),
        ("n" * 256, "d", "InvalidParameterValue"),
        ("é", "d", "InvalidParameterValue"),
        ("", "d", "MissingParameter"),
        ("   ", "d", "MissingParameter"),
        ("web", "", "MissingParameter"),
        ("web", "d" * 256, "InvalidParameterValue"),
        ("web", "a<b", "InvalidParameterValue"),
    ],
)
def test_names_and_descriptions_are_checked(ec2, refused, name, description, code):
    with refused(code):
        ec2.create_security_group(GroupName=name, Description=description, VpcId=default_vpc(ec2))


def test_a_name_is_used_once_in_a_vpc(ec2, refused, vpc_id):
    make_group(ec2, vpc_id)
    with refused("InvalidGroup.Duplicate") as refusal:
        make_group(ec2, vpc_id, "web ")
    assert refusal.message == f"The security group 'web' already exists for VPC '{vpc_id}'"
    make_group(ec2, make_vpc(ec2, "10.1.0.0/16"))


def test_without_a_vpc_a_group_is_made_in_the_default_one(ec2, refused):
    group_id = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
    assert only(ec2, group_id)["VpcId"] == default_vpc(ec2)
    assert ec2.describe_security_groups(GroupNames=["web"])["SecurityGroups"][0]["GroupId"] == group_id
    assert ec2.delete_security_group(GroupName="web")["GroupId"] == group_id
    with refused("InvalidGroup.NotFound"):
        ec2.describe_security_groups(GroupNames=["web"])
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    without_internet_gateway(ec2, default_vpc(ec2))
    ec2.delete_vpc(VpcId=default_vpc(ec2))
    with refused("VPCIdNotSpecified"):
        ec2.create_security_group(GroupName="web", Description="d")


def test_names_find_nothing_outside_the_default_vpc(ec2, refused, vpc_id):
    make_group(ec2, vpc_id)
    with refused("InvalidGroup.NotFound"):
        ec2.describe_security_groups(GroupNames=["web"])


def test_unknown_and_malformed_ids_are_told_apart(ec2, refused):
    with refused("InvalidGroup.NotFound") as refusal:
        ec2.delete_security_group(GroupId=UNKNOWN)
    assert refusal.message == f"The security group '{UNKNOWN}' does not exist"
    with refused("InvalidGroup.NotFound"):
        ec2.describe_security_groups(GroupIds=[UNKNOWN, "sg-00000000000000001"])
    with refused("InvalidGroupId.Malformed"):
        ec2.describe_security_groups(GroupIds=["web"])
    with refused("MissingParameter"):
        ec2.delete_security_group()
    with refused("InvalidVpcID.NotFound"):
        ec2.create_security_group(GroupName="a", Description="d", VpcId="vpc-0123456789abcdef0")


def test_the_default_group_is_not_deleted(ec2, refused, vpc_id):
    group_id = default_group(ec2, vpc_id)["GroupId"]
    with refused("CannotDelete") as refusal:
        ec2.delete_security_group(GroupId=group_id)
    assert refusal.message == f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'


def test_a_group_that_another_one_names_is_not_deleted(ec2, refused, vpc_id):
    named, naming = make_group(ec2, vpc_id, "named"), make_group(ec2, vpc_id, "naming")
    permission = tcp(22, UserIdGroupPairs=[{"GroupId": named}])
    ec2.authorize_security_group_ingress(GroupId=naming, IpPermissions=[permission])
    with refused("DependencyViolation") as refusal:
        ec2.delete_security_group(GroupId=named)
    assert refusal.message == f"resource {named} has a dependent object"
    ec2.revoke_security_group_ingress(GroupId=naming, IpPermissions=[permission])
    ec2.delete_security_group(GroupId=named)


def test_a_group_that_names_itself_is_deleted(ec2, vpc_id):
    group_id = make_group(ec2, vpc_id)
    pair = {"GroupId": group_id}
    ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[tcp(22, UserIdGroupPairs=[pair])])
    ec2.delete_security_group(GroupId=group_id)


def test_a_group_that_only_a_peers_group_names_is_deleted(api, ec2, vpc_id):
    other = make_vpc(ec2, "10.1.0.0/16")
    peer(api, vpc_id, other)
    named, naming = make_group(ec2, other), make_group(ec2, vpc_id)
    ec2.authorize_security_group_ingress(
        GroupId=naming, IpPermissions=[tcp(22, UserIdGroupPairs=[{"GroupId": named}])]
    )
    ec2.delete_security_group(GroupId=named)
    (left,) = only(ec2, naming)["IpPermissions"]
    assert left["UserIdGroupPairs"][0]["GroupId"] == named


def test_a_group_of_an_interface_is_not_deleted(api, ec2, refused, vpc_id):
    group_id = make_group(ec2, vpc_id)
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    interface = NetworkInterface(
        **OWNER,
        id="eni-0123456789abcdef0",
        vpc_id=vpc_id,
        subnet_id=subnet_id,
        zone="us-east-1a",
        mac="02:00:00:00:00:01",
        addresses=("10.0.1.9",),
        groups=(group_id,),
    )
    put(api, interface)
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=group_id)


def test_a_vpc_with_a_group_of_its_users_is_not_deleted_and_takes_its_own_along(ec2, refused, vpc_id):
    group_id = make_group(ec2, vpc_id)
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc_id)
    ec2.delete_security_group(GroupId=group_id)
    ec2.delete_vpc(VpcId=vpc_id)
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
    assert ec2.describe_security_groups(Filters=filters)["SecurityGroups"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("description", "made by*"),
        ("group-name", "web"),
        ("owner-id", "123456789012"),
        ("ip-permission.cidr", "10.9.0.0/16"),
        ("ip-permission.from-port", "22"),
        ("ip-permission.to-port", "25"),
        ("ip-permission.protocol", "tcp"),
        ("ip-permission.group-name", "web"),
        ("ip-permission.user-id", "123456789012"),
        ("ip-permission.ipv6-cidr", "2001:db8::/32"),
        ("egress.ip-permission.cidr", "0.0.0.0/0"),
        ("egress.ip-permission.protocol", "-1"),
        ("tag:Name", "w"),
    ],
)
def test_filters_find_what_they_name(ec2, vpc_id, name, value):
    group_id = make_group(ec2, vpc_id)
    ec2.create_tags(Resources=[group_id], Tags=[{"Key": "Name", "Value": "w"}])
    peers = {"Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}], "UserIdGroupPairs": [{"GroupId": group_id}]}
    ec2.authorize_security_group_ingress(
        GroupId=group_id, IpPermissions=[tcp(22, "10.9.0.0/16", last=25, **peers)]
    )

    def found(*values):
        filters = [{"Name": name, "Values": list(values)}, {"Name": "group-id", "Values": [group_id]}]
        return [one["GroupId"] for one in ec2.describe_security_groups(Filters=filters)["SecurityGroups"]]

    assert found("nothing", value) == [group_id]
    assert found("nothing") == []


def test_an_unknown_filter_is_refused(ec2, refused):
    with refused("InvalidParameterValue"):
        ec2.describe_security_groups(Filters=[{"Name": "egress.ip-permission.colour", "Values": ["x"]}])


def test_pages_hold_every_group_once(ec2, vpc_id):
    made = {make_group(ec2, vpc_id, f"g{n}") for n in range(11)}
    pages = ec2.get_paginator("describe_security_groups").paginate(PaginationConfig={"PageSize": 5})
    seen = [one["GroupId"] for page in pages for one in page["SecurityGroups"]]
    assert len(seen) == len(set(seen)) == 13  # with the default groups of two VPCs
    assert made < set(seen)


def test_the_number_of_groups_is_limited(refused):
    with RunningApi(MemoryStore(), quotas=Quotas(security_groups=2)) as running:
        ec2 = running.client()
        ec2.create_security_group(GroupName="one", Description="d")
        with refused("SecurityGroupLimitExceeded"):
            ec2.create_security_group(GroupName="two", Description="d")


def test_a_dry_run_makes_no_group(ec2, refused, vpc_id):
    with refused("DryRunOperation"):
        ec2.create_security_group(GroupName="web", Description="d", VpcId=vpc_id, DryRun=True)
    filters = [{"Name": "group-name", "Values": ["web"]}]
    assert ec2.describe_security_groups(Filters=filters)["SecurityGroups"] == []
