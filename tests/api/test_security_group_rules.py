"""The rules of security groups through boto3 (behaviour/04: 4.1, 4.4, 4.6, T4-19)."""

from __future__ import annotations

import pytest

from tests.api.security_scene import (
    PEERING_ID,
    default_group,
    default_vpc,
    make_group,
    make_vpc,
    only,
    peer,
    prefix_list,
    rules_of,
    tcp,
)

UNKNOWN_RULE = "sgr-0123456789abcdef0"


@pytest.fixture
def vpc_id(ec2):
    return make_vpc(ec2)


@pytest.fixture
def group_id(ec2, vpc_id):
    return make_group(ec2, vpc_id)


def allow(ec2, group_id, *permissions, **more):
    answer = ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=list(permissions), **more)
    return answer["SecurityGroupRules"]


def ingress(ec2, group_id):
    return only(ec2, group_id)["IpPermissions"]


def test_a_rule_is_told_when_it_is_made_and_when_it_is_asked_for(ec2, group_id):
    permission = tcp(22, last=25, IpRanges=[{"CidrIp": "10.1.2.3/8", "Description": "office"}])
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "Name", "Value": "ssh"}]}]
    (made,) = allow(ec2, group_id, permission, TagSpecifications=tags)
    rule_id = made["SecurityGroupRuleId"]
    assert made == {
        "SecurityGroupRuleId": rule_id,
        "GroupId": group_id,
        "GroupOwnerId": "123456789012",
        "IsEgress": False,
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 25,
        "CidrIpv4": "10.0.0.0/8",
        "Description": "office",
        "Tags": [{"Key": "Name", "Value": "ssh"}],
        "SecurityGroupRuleArn": f"arn:aws:ec2:us-east-1:123456789012:security-group-rule/{rule_id}",
    }
    found = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])
    assert found["SecurityGroupRules"] == [made]


def test_rules_of_one_protocol_and_range_are_one_permission(api, ec2, group_id):
    listed = prefix_list(api)
    peers = {
        "Ipv6Ranges": [{"CidrIpv6": "2001:DB8:0::/32", "Description": "six"}],
        "PrefixListIds": [{"PrefixListId": listed}],
        "UserIdGroupPairs": [{"GroupId": group_id, "Description": "own"}],
    }
    assert len(allow(ec2, group_id, tcp(80, "10.0.0.0/8", "192.168.0.0/16", **peers))) == 5
    allow(ec2, group_id, tcp(443, "10.0.0.0/8"))
    first, second = ingress(ec2, group_id)
    assert first == {
        "IpProtocol": "tcp",
        "FromPort": 80,
        "ToPort": 80,
        "IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "192.168.0.0/16"}],
        "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32", "Description": "six"}],
        "PrefixListIds": [{"PrefixListId": listed}],
        "UserIdGroupPairs": [{"GroupId": group_id, "UserId": "123456789012", "Description": "own"}],
    }
    assert (second["FromPort"], second["IpRanges"]) == (443, [{"CidrIp": "10.0.0.0/8"}])


@pytest.mark.parametrize(
    ("given", "protocol", "ports"),
    [
        ({"IpProtocol": "6", "FromPort": 1, "ToPort": 2}, "tcp", (1, 2)),
        ({"IpProtocol": "TCP", "FromPort": 0, "ToPort": 65535}, "tcp", (0, 65535)),
        ({"IpProtocol": "17", "FromPort": 53, "ToPort": 53}, "udp", (53, 53)),
        ({"IpProtocol": "1", "FromPort": 8, "ToPort": -1}, "icmp", (8, -1)),
        ({"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1}, "icmp", (-1, -1)),
        ({"IpProtocol": "58", "FromPort": 128, "ToPort": 0}, "icmpv6", (128, 0)),
        ({"IpProtocol": "icmpv6"}, "icmpv6", (-1, -1)),
        ({"IpProtocol": "47"}, "47", (-1, -1)),
        ({"IpProtocol": "50", "FromPort": 0, "ToPort": 0}, "50", (-1, -1)),
        ({"IpProtocol": "-1"}, "-1", (-1, -1)),
        ({"IpProtocol": "-1", "FromPort": 22, "ToPort": 22}, "-1", (-1, -1)),
    ],
)
def test_protocols_have_one_spelling_and_those_without_ports_lose_them(ec2, group_id, given, protocol, ports):
    (made,) = allow(ec2, group_id, {**given, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]})
    assert (made["IpProtocol"], (made["FromPort"], made["ToPort"])) == (protocol, ports)
    (permission,) = ingress(ec2, group_id)
    assert permission["IpProtocol"] == protocol
    assert ("FromPort" in permission) is (protocol in ("tcp", "udp", "icmp", "icmpv6"))


@pytest.mark.parametrize(
    ("permission", "code"),
    [
        (tcp(80, "nonsense"), "InvalidParameterValue"),
        (tcp(80, "10.0.0.1"), "InvalidParameterValue"),
        (tcp(80, "10.0.0.0/33"), "InvalidParameterValue"),
        (tcp(80, "::/0"), "InvalidParameterValue"),
        (tcp(80, Ipv6Ranges=[{"CidrIpv6": "10.0.0.0/8"}]), "InvalidParameterValue"),
        (tcp(80, Ipv6Ranges=[{"CidrIpv6": "::ffff:10.0.0.0/104"}]), "InvalidParameterValue"),
        (tcp(80, Ipv6Ranges=[{"CidrIpv6": "2001:db8::/129"}]), "InvalidParameterValue"),
        (tcp(80), "InvalidPermission.Malformed"),
        (tcp(80, IpRanges=[{"Description": "nothing"}]), "MissingParameter"),
        (tcp(80, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "d" * 256}]), "InvalidParameterValue"),
        (tcp(80, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "a<b"}]), "InvalidParameterValue"),
        (tcp(80, "10.0.0.0/8", last=79), "InvalidParameterValue"),
        (tcp(-1, "10.0.0.0/8"), "InvalidParameterValue"),
        (tcp(80, "10.0.0.0/8", last=65536), "InvalidParameterValue"),
        (tcp(80, "10.0.0.0/8", "10.9.9.9/8"), "InvalidParameterValue"),
        ({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({"IpProtocol": "icmp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({"IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({"IpProtocol": "gre", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({"IpProtocol": "256", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        ({**tcp(-1, "10.0.0.0/8", last=0), "IpProtocol": "icmp"}, "InvalidParameterValue"),
        ({**tcp(256, "10.0.0.0/8"), "IpProtocol": "icmp"}, "InvalidParameterValue"),
        (tcp(80, UserIdGroupPairs=[{"GroupId": "web"}]), "InvalidGroupId.Malformed"),
        (tcp(80, UserIdGroupPairs=[{"GroupId": "sg-0123456789abcdef0"}]), "InvalidGroup.NotFound"),
        (tcp(80, UserIdGroupPairs=[{"GroupName": "default"}]), "InvalidParameterValue"),
        (tcp(80, UserIdGroupPairs=[{"UserId": "123456789012"}]), "MissingParameter"),
        (tcp(80, PrefixListIds=[{"PrefixListId": "pl-0123456789abcdef0"}]), "InvalidPrefixListID.NotFound"),
        (tcp(80, PrefixListIds=[{"PrefixListId": "mine"}]), "InvalidPrefixListId.Malformed"),
    ],
)
def test_a_wrong_permission_is_refused_with_all_beside_it(ec2, refused, group_id, permission, code):
    with refused(code):
        allow(ec2, group_id, tcp(8080, "10.0.0.0/8"), permission)
    assert ingress(ec2, group_id) == []


def test_a_rule_that_exists_is_a_duplicate_in_any_spelling(ec2, refused, group_id):
    allow(ec2, group_id, tcp(22, "10.0.0.0/8"))
    again = {"IpProtocol": "6", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.1.2.3/8"}]}
    with refused("InvalidPermission.Duplicate") as refusal:
        allow(ec2, group_id, tcp(23, "10.0.0.0/8"), again)
    assert refusal.message == (
        'the specified rule "peer: 10.0.0.0/8, TCP, from port: 22, to port: 22, ALLOW" already exists'
    )
    assert len(ingress(ec2, group_id)) == 1
    with refused("InvalidPermission.Duplicate"):
        ec2.authorize_security_group_egress(
            GroupId=group_id, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        )


def test_flat_parameters_make_a_rule_of_ingress_only(ec2, refused, group_id):
    flat = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.0.0.0/8"}
    ec2.authorize_security_group_ingress(GroupId=group_id, **flat)
    assert ingress(ec2, group_id)[0]["IpRanges"] == [{"CidrIp": "10.0.0.0/8"}]
    with refused("InvalidParameterCombination"):
        allow(ec2, group_id, tcp(23, "10.0.0.0/8"), IpProtocol="tcp")
    with refused("InvalidParameterValue"):
        ec2.authorize_security_group_egress(GroupId=group_id, **flat)
    with refused("MissingParameter"):
        ec2.authorize_security_group_ingress(GroupId=group_id)
    with refused("InvalidPermission.Malformed"):
        ec2.authorize_security_group_ingress(GroupId=group_id, IpProtocol="-1")
    ec2.revoke_security_group_ingress(GroupId=group_id, **flat)
    assert ingress(ec2, group_id) == []


def test_a_source_group_is_named_in_the_default_vpc_only(ec2, refused, group_id):
    mine = make_group(ec2, default_vpc(ec2))
    made = ec2.authorize_security_group_ingress(GroupName="web", SourceSecurityGroupName="default")
    assert [(one["IpProtocol"], one["FromPort"], one["ToPort"]) for one in made["SecurityGroupRules"]] == [
        ("tcp", 0, 65535),
        ("udp", 0, 65535),
        ("icmp", -1, -1),
    ]
    source = default_group(ec2, default_vpc(ec2))["GroupId"]
    assert {one["ReferencedGroupInfo"]["GroupId"] for one in made["SecurityGroupRules"]} == {source}
    with refused("InvalidParameterCombination"):
        ec2.authorize_security_group_ingress(GroupId=mine, SourceSecurityGroupName="web", IpProtocol="tcp")
    with refused("InvalidParameterValue"):
        ec2.authorize_security_group_ingress(GroupId=group_id, SourceSecurityGroupName="default")
    with refused("InvalidGroup.NotFound"):
        ec2.authorize_security_group_ingress(GroupId=mine, SourceSecurityGroupName="nobody")


def test_a_group_of_another_vpc_is_referenced_over_an_active_peering(api, ec2, refused, vpc_id, group_id):
    other_vpc = make_vpc(ec2, "10.1.0.0/16")
    other = make_group(ec2, other_vpc)
    permission = tcp(22, UserIdGroupPairs=[{"GroupId": other, "UserId": "123456789012"}])
    with refused("InvalidGroup.NotFound"):
        allow(ec2, group_id, permission)
    peer(api, vpc_id, other_vpc, "pending-acceptance")
    with refused("InvalidGroup.NotFound"):
        allow(ec2, group_id, permission)
    peer(api, other_vpc, vpc_id)
    (made,) = allow(ec2, group_id, permission)
    expected = {
        "GroupId": other,
        "UserId": "123456789012",
        "VpcId": other_vpc,
        "VpcPeeringConnectionId": PEERING_ID,
        "PeeringStatus": "active",
    }
    assert made["ReferencedGroupInfo"] == expected
    assert ingress(ec2, group_id)[0]["UserIdGroupPairs"] == [expected]
    peer(api, other_vpc, vpc_id, "deleted")
    assert ingress(ec2, group_id)[0]["UserIdGroupPairs"][0]["PeeringStatus"] == "deleted"
    ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=ingress(ec2, group_id))
    assert ingress(ec2, group_id) == []


def test_a_group_of_nobody_that_was_named_is_not_found(ec2, refused, group_id):
    with refused("InvalidGroup.NotFound"):
        allow(ec2, group_id, tcp(22, UserIdGroupPairs=[{"GroupId": group_id, "UserId": "210987654321"}]))


def test_what_was_described_can_be_revoked_in_one_call(ec2, group_id):
    allow(ec2, group_id, tcp(22, "10.0.0.0/8"), {"IpProtocol": "47", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]})
    answer = ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=ingress(ec2, group_id))
    assert answer["Return"] is True
    assert answer["UnknownIpPermissions"] == []
    assert [(one["IpProtocol"], one["CidrIpv4"]) for one in answer["RevokedSecurityGroupRules"]] == [
        ("tcp", "10.0.0.0/8"),
        ("47", "0.0.0.0/0"),
    ]
    egress = only(ec2, group_id)["IpPermissionsEgress"]
    ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=egress)
    assert rules_of(ec2, group_id) == []


def test_an_unknown_rule_is_not_revoked_and_nothing_beside_it(ec2, refused, group_id):
    allow(ec2, group_id, tcp(22, "10.0.0.0/8"))
    with refused("InvalidPermission.NotFound") as refusal:
        ec2.revoke_security_group_ingress(
            GroupId=group_id, IpPermissions=[tcp(22, "10.0.0.0/8"), tcp(22, "10.0.0.0/9")]
        )
    assert refusal.message == "The specified rule does not exist in this security group."
    assert len(ingress(ec2, group_id)) == 1


def test_in_the_default_vpc_unknown_rules_are_named_and_the_others_go(ec2):
    group_id = make_group(ec2, default_vpc(ec2))
    allow(ec2, group_id, tcp(22, "10.0.0.0/8"))
    answer = ec2.revoke_security_group_ingress(
        GroupId=group_id, IpPermissions=[tcp(22, "10.0.0.0/8", "10.0.0.0/9")]
    )
    (unknown,) = answer["UnknownIpPermissions"]
    assert unknown["IpRanges"] == [{"CidrIp": "10.0.0.0/9"}]
    assert ingress(ec2, group_id) == []


def test_rules_are_revoked_by_their_ids(ec2, refused, group_id):
    first, second = allow(ec2, group_id, tcp(22, "10.0.0.0/8", "10.0.0.0/9"))
    ids = [first["SecurityGroupRuleId"], second["SecurityGroupRuleId"]]
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        ec2.revoke_security_group_ingress(GroupId=group_id, SecurityGroupRuleIds=[ids[0], UNKNOWN_RULE])
    with refused("InvalidSecurityGroupRuleId.Malformed"):
        ec2.revoke_security_group_ingress(GroupId=group_id, SecurityGroupRuleIds=["sgr-x"])
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        ec2.revoke_security_group_egress(GroupId=group_id, SecurityGroupRuleIds=ids)
    with refused("InvalidParameterCombination"):
        ec2.revoke_security_group_ingress(
            GroupId=group_id, SecurityGroupRuleIds=ids, IpPermissions=[tcp(22, "10.0.0.0/8")]
        )
    with refused("MissingParameter"):
        ec2.revoke_security_group_ingress(GroupId=group_id)
    revoked = ec2.revoke_security_group_ingress(GroupId=group_id, SecurityGroupRuleIds=ids)
    assert [one["SecurityGroupRuleId"] for one in revoked["RevokedSecurityGroupRules"]] == ids
    assert ingress(ec2, group_id) == []


def test_the_61st_rule_of_a_family_is_refused_and_the_other_family_has_room(ec2, refused, group_id):
    allow(ec2, group_id, tcp(22, *[f"10.{n}.0.0/16" for n in range(60)]))
    with refused("RulesPerSecurityGroupLimitExceeded"):
        allow(ec2, group_id, tcp(22, "11.0.0.0/8"))
    with refused("RulesPerSecurityGroupLimitExceeded"):
        allow(ec2, group_id, tcp(22, UserIdGroupPairs=[{"GroupId": group_id}]))
    ec2.authorize_security_group_egress(GroupId=group_id, IpPermissions=[tcp(22, "11.0.0.0/8")])
    six = [{"CidrIpv6": f"2001:db8:{n}::/48"} for n in range(60)]
    allow(ec2, group_id, tcp(22, Ipv6Ranges=six))
    with refused("RulesPerSecurityGroupLimitExceeded"):
        allow(ec2, group_id, tcp(23, Ipv6Ranges=six[:1]))


def test_a_group_counts_in_both_families_and_a_list_as_full_as_it_may_become(api, ec2, refused, group_id):
    allow(ec2, group_id, tcp(22, UserIdGroupPairs=[{"GroupId": group_id}]))
    allow(ec2, group_id, tcp(22, PrefixListIds=[{"PrefixListId": prefix_list(api, 1, "IPv4", 59)}]))
    with refused("RulesPerSecurityGroupLimitExceeded"):
        allow(ec2, group_id, tcp(22, "10.0.0.0/8"))
    six = prefix_list(api, 2, "IPv6", 59)
    allow(ec2, group_id, tcp(22, PrefixListIds=[{"PrefixListId": six}]))
    with refused("RulesPerSecurityGroupLimitExceeded"):
        allow(ec2, group_id, tcp(22, Ipv6Ranges=[{"CidrIpv6": "::/0"}]))


def modify(ec2, group_id, rule_id, **rule):
    update = {"SecurityGroupRuleId": rule_id, "SecurityGroupRule": rule}
    return ec2.modify_security_group_rules(GroupId=group_id, SecurityGroupRules=[update])


def test_a_rule_is_modified_in_place(ec2, group_id):
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "k", "Value": "v"}]}]
    (made,) = allow(ec2, group_id, tcp(22, "10.0.0.0/8"), TagSpecifications=tags)
    rule_id = made["SecurityGroupRuleId"]
    answer = modify(
        ec2,
        group_id,
        rule_id,
        IpProtocol="udp",
        FromPort=53,
        ToPort=54,
        CidrIpv4="10.2.3.4/16",
        Description="dns",
    )
    assert answer["Return"] is True
    (found,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
    changed = {
        "IpProtocol": "udp",
        "FromPort": 53,
        "ToPort": 54,
        "CidrIpv4": "10.2.0.0/16",
        "Description": "dns",
    }
    assert found == {**made, **changed}


def test_a_modification_is_checked_like_a_new_rule(api, ec2, refused, group_id):
    first, second = (
        one["SecurityGroupRuleId"] for one in allow(ec2, group_id, tcp(22, "10.0.0.0/8", "10.0.0.0/9"))
    )
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    with refused("InvalidPermission.Duplicate"):
        modify(ec2, group_id, second, **ssh, CidrIpv4="10.0.0.0/8")
    with refused("InvalidParameterValue") as refusal:
        modify(ec2, group_id, first, **ssh, ReferencedGroupId=group_id)
    assert refusal.message == "You may not specify a referenced group id for an existing IPv4 CIDR rule."
    with refused("InvalidParameterValue"):
        modify(ec2, group_id, first, **ssh, CidrIpv4="10.0.0.0")
    with refused("MissingParameter"):
        modify(ec2, group_id, first, **ssh)
    with refused("InvalidParameterCombination"):
        modify(ec2, group_id, first, **ssh, CidrIpv4="10.0.0.0/8", CidrIpv6="::/0")
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        modify(ec2, group_id, UNKNOWN_RULE, **ssh, CidrIpv4="10.0.0.0/8")
    with refused("MissingParameter"):
        ec2.modify_security_group_rules(GroupId=group_id, SecurityGroupRules=[])
    (listed,) = allow(ec2, group_id, tcp(22, PrefixListIds=[{"PrefixListId": prefix_list(api, 1)}]))
    big = prefix_list(api, 2, max_entries=100)
    with refused("RulesPerSecurityGroupLimitExceeded"):
        modify(ec2, group_id, listed["SecurityGroupRuleId"], **ssh, PrefixListId=big)
    with refused("InvalidPrefixListID.NotFound"):
        modify(ec2, group_id, listed["SecurityGroupRuleId"], **ssh, PrefixListId="pl-0123456789abcdef0")


def test_two_rules_change_places_in_one_call(ec2, group_id):
    first, second = (
        one["SecurityGroupRuleId"] for one in allow(ec2, group_id, tcp(22, "10.0.0.0/8", "10.0.0.0/9"))
    )
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    ec2.modify_security_group_rules(
        GroupId=group_id,
        SecurityGroupRules=[
            {"SecurityGroupRuleId": first, "SecurityGroupRule": {**ssh, "CidrIpv4": "10.0.0.0/9"}},
            {"SecurityGroupRuleId": second, "SecurityGroupRule": {**ssh, "CidrIpv4": "10.0.0.0/8"}},
        ],
    )
    found = {one["SecurityGroupRuleId"]: one.get("CidrIpv4") for one in rules_of(ec2, group_id)}
    assert (found[first], found[second]) == ("10.0.0.0/9", "10.0.0.0/8")


def test_descriptions_change_alone_by_permission_and_by_id(ec2, refused, group_id):
    (made,) = allow(ec2, group_id, tcp(22, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "old"}]))
    rule_id = made["SecurityGroupRuleId"]

    def description():
        (found,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
        return found.get("Description")

    update = ec2.update_security_group_rule_descriptions_ingress
    update(
        GroupId=group_id,
        IpPermissions=[tcp(22, IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "new"}])],
    )
    assert description() == "new"
    named = [{"SecurityGroupRuleId": rule_id, "Description": "newer"}]
    update(GroupId=group_id, SecurityGroupRuleDescriptions=named)
    assert description() == "newer"
    update(GroupId=group_id, IpPermissions=[tcp(22, "10.0.0.0/8")])
    assert description() is None
    with refused("InvalidPermission.NotFound"):
        update(GroupId=group_id, IpPermissions=[tcp(23, "10.0.0.0/8")])
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        ec2.update_security_group_rule_descriptions_egress(
            GroupId=group_id, SecurityGroupRuleDescriptions=named
        )
    with refused("InvalidParameterCombination"):
        update(
            GroupId=group_id,
            SecurityGroupRuleDescriptions=named,
            IpPermissions=[tcp(22, "10.0.0.0/8")],
        )
    with refused("MissingParameter"):
        update(GroupId=group_id)
    with refused("MissingParameter"):
        update(IpPermissions=[tcp(22, "10.0.0.0/8")])


def test_rules_have_tags_of_their_own(ec2, refused, group_id):
    first, second = (
        one["SecurityGroupRuleId"] for one in allow(ec2, group_id, tcp(22, "10.0.0.0/8", "10.0.0.0/9"))
    )
    ec2.create_tags(Resources=[group_id, first, second], Tags=[{"Key": "k", "Value": "v"}])
    rows = {(one["ResourceId"], one["ResourceType"]) for one in ec2.describe_tags()["Tags"]}
    assert rows == {
        (group_id, "security-group"),
        (first, "security-group-rule"),
        (second, "security-group-rule"),
    }
    ec2.delete_tags(Resources=[first, group_id], Tags=[{"Key": "k"}])
    assert [one["ResourceId"] for one in ec2.describe_tags()["Tags"]] == [second]
    filters = [{"Name": "tag:k", "Values": ["v"]}]
    (found,) = ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    assert found["SecurityGroupRuleId"] == second
    assert only(ec2, group_id)["Tags"] == []
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        ec2.create_tags(Resources=[first, UNKNOWN_RULE], Tags=[{"Key": "k", "Value": "v"}])
    with refused("TagLimitExceeded"):
        ec2.create_tags(Resources=[first], Tags=[{"Key": f"k{n}", "Value": ""} for n in range(51)])


def test_rules_are_found_by_group_id_and_in_pages(ec2, refused, group_id):
    made = allow(ec2, group_id, tcp(22, *[f"10.{n}.0.0/16" for n in range(11)]))
    filters = [{"Name": "security-group-rule-id", "Values": [made[3]["SecurityGroupRuleId"]]}]
    assert ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"] == [made[3]]
    assert len(rules_of(ec2, group_id)) == 12
    pages = ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": [group_id]}], PaginationConfig={"PageSize": 5}
    )
    seen = [one["SecurityGroupRuleId"] for page in pages for one in page["SecurityGroupRules"]]
    assert len(seen) == len(set(seen)) == 12
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        ec2.describe_security_group_rules(SecurityGroupRuleIds=[UNKNOWN_RULE])
    with refused("InvalidSecurityGroupRuleId.Malformed"):
        ec2.describe_security_group_rules(SecurityGroupRuleIds=["sgr-x"])


def test_a_dry_run_changes_no_rule(ec2, refused, group_id):
    with refused("DryRunOperation"):
        allow(ec2, group_id, tcp(22, "10.0.0.0/8"), DryRun=True)
    with refused("InvalidParameterValue"):
        allow(ec2, group_id, tcp(22, "10.0.0.0"), DryRun=True)
    assert ingress(ec2, group_id) == []
