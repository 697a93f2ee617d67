"""Network ACLs through boto3 (behaviour/04: 4.5, 4.6; T1-02)."""

from __future__ import annotations

import pytest

from tests.api.security_scene import default_vpc, give_ipv6, make_vpc

UNKNOWN = "acl-0123456789abcdef0"
ALL = {"Protocol": "-1", "CidrBlock": "0.0.0.0/0"}
ALL_IPV6 = {"Protocol": "-1", "Ipv6CidrBlock": "::/0"}


@pytest.fixture
def vpc_id(ec2):
    return make_vpc(ec2)


@pytest.fixture
def subnet_id(ec2, vpc_id):
    return ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]


@pytest.fixture
def acl_id(ec2, vpc_id):
    return ec2.create_network_acl(VpcId=vpc_id)["NetworkAcl"]["NetworkAclId"]


def found(ec2, **filters):
    given = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    return ec2.describe_network_acls(Filters=given)["NetworkAcls"]


def default_of(ec2, vpc_id):
    (acl,) = found(ec2, vpc_id=vpc_id, default="true")
    return acl


def only(ec2, acl_id):
    (acl,) = ec2.describe_network_acls(NetworkAclIds=[acl_id])["NetworkAcls"]
    return acl


def entry(number, action, egress, **what):
    return {"RuleNumber": number, "RuleAction": action, "Egress": egress, **what}


def add(ec2, acl_id, number=100, egress=False, action="allow", **what):
    shape = {"Protocol": "-1", "CidrBlock": "10.0.0.0/8", **what}
    ec2.create_network_acl_entry(
        NetworkAclId=acl_id, RuleNumber=number, Egress=egress, RuleAction=action, **shape
    )


def test_the_default_acl_lets_everything_pass(ec2, vpc_id, subnet_id):
    acl = default_of(ec2, vpc_id)
    (association,) = acl.pop("Associations")
    assert association.pop("NetworkAclAssociationId").startswith("aclassoc-")
    assert association == {"NetworkAclId": acl["NetworkAclId"], "SubnetId": subnet_id}
    assert acl == {
        "NetworkAclId": acl["NetworkAclId"],
        "VpcId": vpc_id,
        "OwnerId": "123456789012",
        "IsDefault": True,
        "Entries": [
            entry(100, "allow", True, **ALL),
            entry(32767, "deny", True, **ALL),
            entry(100, "allow", False, **ALL),
            entry(32767, "deny", False, **ALL),
        ],
        "Tags": [],
    }


def test_the_default_vpcs_subnets_begin_in_its_default_acl(ec2):
    acl = default_of(ec2, default_vpc(ec2))
    subnets = {one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
    assert {one["SubnetId"] for one in acl["Associations"]} == subnets
    for subnet_id in subnets:
        ec2.delete_subnet(SubnetId=subnet_id)
    assert default_of(ec2, default_vpc(ec2))["Associations"] == []
    made = ec2.create_default_subnet(AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    assert [one["SubnetId"] for one in default_of(ec2, default_vpc(ec2))["Associations"]] == [made]


def test_an_acl_of_a_user_begins_with_denials_only(ec2, vpc_id):
    made = ec2.create_network_acl(
        VpcId=vpc_id,
        ClientToken="once",
        TagSpecifications=[{"ResourceType": "network-acl", "Tags": [{"Key": "Name", "Value": "a"}]}],
    )
    assert made["ClientToken"] == "once"
    acl = made["NetworkAcl"]
    assert acl["Entries"] == [entry(32767, "deny", True, **ALL), entry(32767, "deny", False, **ALL)]
    assert (acl["IsDefault"], acl["Associations"]) == (False, [])
    assert acl["Tags"] == [{"Key": "Name", "Value": "a"}]
    again = ec2.create_network_acl(
        VpcId=vpc_id,
        ClientToken="once",
        TagSpecifications=[{"ResourceType": "network-acl", "Tags": [{"Key": "Name", "Value": "a"}]}],
    )
    assert again["NetworkAcl"] == acl == only(ec2, acl["NetworkAclId"])


def test_a_vpc_with_ipv6_shows_its_last_entry_too(api, ec2, vpc_id, acl_id):
    give_ipv6(api, vpc_id)
    add(ec2, acl_id, 101, Ipv6CidrBlock="2001:DB8::1/32", CidrBlock="")
    assert [one for one in only(ec2, acl_id)["Entries"] if not one["Egress"]] == [
        {**entry(101, "allow", False), "Protocol": "-1", "Ipv6CidrBlock": "2001:db8::/32"},
        entry(32767, "deny", False, **ALL),
        entry(32768, "deny", False, **ALL_IPV6),
    ]


def test_entries_are_made_replaced_and_deleted_by_their_number(ec2, refused, acl_id):
    add(ec2, acl_id, 100, Protocol="6", PortRange={"From": 22, "To": 25})
    add(ec2, acl_id, 100, egress=True, action="deny", CidrBlock="10.1.2.3/8")
    add(ec2, acl_id, 90, Protocol="icmp", IcmpTypeCode={"Type": 8, "Code": -1})
    entries = [one for one in only(ec2, acl_id)["Entries"] if one["RuleNumber"] < 32767]
    assert entries == [
        entry(100, "deny", True, Protocol="-1", CidrBlock="10.0.0.0/8"),
        entry(90, "allow", False, Protocol="1", CidrBlock="10.0.0.0/8", IcmpTypeCode={"Type": 8, "Code": -1}),
        entry(100, "allow", False, Protocol="6", CidrBlock="10.0.0.0/8", PortRange={"From": 22, "To": 25}),
    ]
    with refused("NetworkAclEntryAlreadyExists") as refusal:
        add(ec2, acl_id, 100)
    assert refusal.message == "The network acl entry identified by 100 already exists."
    shape = {"Protocol": "47", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0", "Egress": False}
    ec2.replace_network_acl_entry(NetworkAclId=acl_id, RuleNumber=100, **shape)
    assert entry(100, "deny", False, Protocol="47", CidrBlock="0.0.0.0/0") in only(ec2, acl_id)["Entries"]
    ec2.delete_network_acl_entry(NetworkAclId=acl_id, RuleNumber=100, Egress=False)
    with refused("InvalidNetworkAclEntry.NotFound"):
        ec2.delete_network_acl_entry(NetworkAclId=acl_id, RuleNumber=100, Egress=False)
    with refused("InvalidNetworkAclEntry.NotFound"):
        ec2.replace_network_acl_entry(NetworkAclId=acl_id, RuleNumber=100, **shape)
    assert [one["RuleNumber"] for one in only(ec2, acl_id)["Entries"]] == [100, 32767, 90, 32767]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"number": 0}, "InvalidParameterValue"),
        ({"number": 32767}, "InvalidParameterValue"),
        ({"number": -5}, "InvalidParameterValue"),
        ({"CidrBlock": "nonsense"}, "InvalidParameterValue"),
        ({"CidrBlock": "::/0"}, "InvalidParameterValue"),
        ({"CidrBlock": ""}, "MissingParameter"),
        ({"CidrBlock": "", "Ipv6CidrBlock": "10.0.0.0/8"}, "InvalidParameterValue"),
        ({"Ipv6CidrBlock": "::/0"}, "InvalidParameterCombination"),
        ({"Protocol": "gre"}, "InvalidParameterValue"),
        ({"Protocol": "256"}, "InvalidParameterValue"),
        ({"Protocol": "-2"}, "InvalidParameterValue"),
        ({"Protocol": "6"}, "MissingParameter"),
        ({"Protocol": "6", "PortRange": {"From": 1}}, "MissingParameter"),
        ({"Protocol": "17", "PortRange": {"From": 2, "To": 1}}, "InvalidParameterValue"),
        ({"Protocol": "17", "PortRange": {"From": 0, "To": 65536}}, "InvalidParameterValue"),
        ({"Protocol": "1"}, "MissingParameter"),
        ({"Protocol": "1", "IcmpTypeCode": {"Type": 256, "Code": 0}}, "InvalidParameterValue"),
        ({"Protocol": "58", "CidrBlock": "", "Ipv6CidrBlock": "::/0"}, "MissingParameter"),
        ({"action": "maybe"}, "InvalidParameterValue"),
    ],
)
def test_a_wrong_entry_is_refused(ec2, refused, acl_id, given, code):
    with refused(code):
        add(ec2, acl_id, **given)
    assert len(only(ec2, acl_id)["Entries"]) == 2


def test_what_has_no_ports_loses_them(ec2, acl_id):
    add(ec2, acl_id, Protocol="-1", PortRange={"From": 22, "To": 22})
    assert entry(100, "allow", False, Protocol="-1", CidrBlock="10.0.0.0/8") in only(ec2, acl_id)["Entries"]


def test_twenty_entries_of_a_direction_and_family_are_the_limit(ec2, refused, acl_id):
    for number in range(1, 21):
        add(ec2, acl_id, number)
    with refused("NetworkAclEntryLimitExceeded"):
        add(ec2, acl_id, 21)
    add(ec2, acl_id, 21, egress=True)
    six = {"Ipv6CidrBlock": "::/0", "CidrBlock": ""}
    add(ec2, acl_id, 22, **six)
    with refused("NetworkAclEntryLimitExceeded"):
        ec2.replace_network_acl_entry(
            NetworkAclId=acl_id,
            RuleNumber=22,
            Egress=False,
            RuleAction="allow",
            Protocol="-1",
            CidrBlock="0.0.0.0/0",
        )


def test_two_hundred_acls_are_the_limit_of_a_vpc(ec2, refused, vpc_id):
    for _ in range(199):  # and the default one
        ec2.create_network_acl(VpcId=vpc_id)
    with refused("NetworkAclLimitExceeded"):
        ec2.create_network_acl(VpcId=vpc_id)


def test_a_subnet_changes_its_acl_and_is_never_without(ec2, refused, vpc_id, subnet_id, acl_id):
    default = default_of(ec2, vpc_id)
    association = default["Associations"][0]["NetworkAclAssociationId"]
    moved = ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl_id)
    assert moved["NewAssociationId"] != association
    assert default_of(ec2, vpc_id)["Associations"] == []
    (guard,) = found(ec2, **{"association.subnet-id": subnet_id})
    assert guard["NetworkAclId"] == acl_id
    with refused("InvalidAssociationID.NotFound"):
        ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl_id)
    with refused("DependencyViolation"):
        ec2.delete_network_acl(NetworkAclId=acl_id)
    ec2.delete_subnet(SubnetId=subnet_id)
    assert only(ec2, acl_id)["Associations"] == []
    ec2.delete_network_acl(NetworkAclId=acl_id)
    with refused("InvalidNetworkAclID.NotFound"):
        ec2.delete_network_acl(NetworkAclId=acl_id)


def test_an_acl_and_a_subnet_of_two_vpcs_do_not_meet(ec2, refused, vpc_id, subnet_id):
    stranger = ec2.create_network_acl(VpcId=make_vpc(ec2, "10.1.0.0/16"))["NetworkAcl"]["NetworkAclId"]
    association = default_of(ec2, vpc_id)["Associations"][0]["NetworkAclAssociationId"]
    with refused("InvalidParameterValue"):
        ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=stranger)


def test_the_default_acl_is_not_deleted_and_goes_with_its_vpc(ec2, refused, vpc_id, acl_id):
    with refused("InvalidParameterValue"):
        ec2.delete_network_acl(NetworkAclId=default_of(ec2, vpc_id)["NetworkAclId"])
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc_id)
    ec2.delete_network_acl(NetworkAclId=acl_id)
    ec2.delete_vpc(VpcId=vpc_id)
    assert found(ec2, vpc_id=vpc_id) == []


def test_unknown_and_malformed_ids_are_told_apart(ec2, refused):
    with refused("InvalidNetworkAclID.NotFound") as refusal:
        ec2.describe_network_acls(NetworkAclIds=[UNKNOWN])
    assert refusal.message == f"The networkAcl ID '{UNKNOWN}' does not exist"
    with refused("InvalidNetworkAclId.Malformed"):
        ec2.describe_network_acls(NetworkAclIds=["acl-x"])
    with refused("InvalidNetworkAclID.NotFound"):
        add(ec2, UNKNOWN)
    with refused("InvalidVpcID.NotFound"):
        ec2.create_network_acl(VpcId="vpc-0123456789abcdef0")
    with refused("InvalidAssociationID.NotFound"):
        ec2.replace_network_acl_association(AssociationId="aclassoc-0123456789abcdef0", NetworkAclId=UNKNOWN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("association.subnet-id", "subnet-*"),
        ("association.association-id", "aclassoc-*"),
        ("association.network-acl-id", "acl-*"),
        ("default", "false"),
        ("entry.cidr", "10.0.0.0/8"),
        ("entry.ipv6-cidr", "2001:db8::/32"),
        ("entry.egress", "false"),
        ("entry.icmp.code", "0"),
        ("entry.icmp.type", "8"),
        ("entry.port-range.from", "22"),
        ("entry.port-range.to", "25"),
        ("entry.protocol", "tcp"),
        ("entry.protocol", "6"),
        ("entry.rule-action", "allow"),
        ("entry.rule-number", "91"),
        ("owner-id", "123456789012"),
        ("tag:Name", "wanted"),
    ],
)
@pytest.mark.usefixtures("subnet_id")
def test_filters_find_what_they_name(ec2, vpc_id, acl_id, name, value):
    add(ec2, acl_id, 90, Protocol="6", PortRange={"From": 22, "To": 25})
    add(ec2, acl_id, 91, Protocol="1", IcmpTypeCode={"Type": 8, "Code": 0})
    add(ec2, acl_id, 92, Ipv6CidrBlock="2001:db8::/32", CidrBlock="")
    ec2.create_tags(Resources=[acl_id], Tags=[{"Key": "Name", "Value": "wanted"}])
    association = default_of(ec2, vpc_id)["Associations"][0]["NetworkAclAssociationId"]
    ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl_id)
    assert acl_id in [one["NetworkAclId"] for one in found(ec2, **{name: value})]
    assert found(ec2, **{name: "nothing"}) == []


def test_a_dry_run_changes_no_acl(ec2, refused, acl_id):
    with refused("DryRunOperation"):
        add(ec2, acl_id, DryRun=True)
    assert len(only(ec2, acl_id)["Entries"]) == 2
