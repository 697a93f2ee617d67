"""Security groups across peering connections (behaviour/04: T4-11; behaviour/09: T9-05).

VPC 10.1.0.0/16, group web --- pcx --- VPC 10.2.0.0/16, group app, whose rule names web
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rookery.model.objects import SecurityGroupRule
from rookery.testing.small_view import ACCOUNT, SmallView
from tests.api.group_scene import default_group, group

OTHER = "210987654321"
OTHER_KEY, OTHER_SECRET = "AKIDOTHER00000000000", "another secret of forty characters......"


def rule(view, named, **more):
    """Of a group in a peer's VPC."""
    return SecurityGroupRule(
        id=view.ids.new("sgr"),
        is_egress=more.pop("is_egress", False),
        protocol=more.pop("protocol", "tcp"),
        from_port=443,
        to_port=443,
        group_id=named.id,
        group_account=named.account,
        group_vpc_id=named.vpc_id,
        **more,
    )


@pytest.fixture
def here():
    view = SmallView()
    near, far = view.make_vpc("10.1.0.0/16"), view.make_vpc("10.2.0.0/16")
    web = group(view, near, "web")
    app = group(view, far, "app", rule(view, web, description="from web"))
    scene = SimpleNamespace(view=view, near=near, far=far, web=web, app=app)
    scene.pcx = peer(scene)
    return scene


def peer(here):
    asked = here.view.call("CreateVpcPeeringConnection", VpcId=here.near.id, PeerVpcId=here.far.id)
    pcx = asked["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    here.view.call("AcceptVpcPeeringConnection", VpcPeeringConnectionId=pcx)
    return pcx


def part(here):
    here.view.call("DeleteVpcPeeringConnection", VpcPeeringConnectionId=here.pcx)


def references(here, *groups):
    answer = here.view.call("DescribeSecurityGroupReferences", GroupId=[each.id for each in groups])
    return answer["SecurityGroupReferenceSet"]


def stale(here, vpc):
    return here.view.call("DescribeStaleSecurityGroups", VpcId=vpc.id)["StaleSecurityGroupSet"]


def test_who_refers_to_a_group_over_an_active_peering_is_told(here):
    row = {
        "GroupId": here.web.id,
        "ReferencingVpcId": here.far.id,
        "VpcPeeringConnectionId": here.pcx,
    }
    assert references(here, here.web, here.app) == [row]
    part(here)
    assert references(here, here.web, here.app) == []
    code = here.view.refusal("DescribeSecurityGroupReferences", GroupId=["sg-0123456789abcdef0"])
    assert code == "InvalidGroup.NotFound"


def test_a_rule_is_stale_when_its_peering_is_deleted_and_revives_with_a_new_one(here):
    assert stale(here, here.far) == []
    part(here)
    (found,) = stale(here, here.far)
    assert found == {
        "GroupId": here.app.id,
        "GroupName": "app",
        "Description": "app servers",
        "VpcId": here.far.id,
        "StaleIpPermissions": [
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "IpRanges": [],
                "PrefixListIds": [],
                "UserIdGroupPairs": [
                    {
                        "UserId": ACCOUNT,
                        "GroupId": here.web.id,
                        "VpcId": here.near.id,
                        "Description": "from web",
                        "VpcPeeringConnectionId": here.pcx,
                        "PeeringStatus": "deleted",
                    }
                ],
            }
        ],
        "StaleIpPermissionsEgress": [],
    }
    assert stale(here, here.near) == []
    peer(here)
    assert stale(here, here.far) == []


def test_a_rule_is_stale_when_the_peers_group_is_deleted(here):
    here.view.delete(here.web)
    (found,) = stale(here, here.far)
    assert found["StaleIpPermissions"][0]["UserIdGroupPairs"][0]["PeeringStatus"] == "active"


def test_a_stale_egress_rule_is_told_apart(here):
    out = group(here.view, here.far, "out", rule(here.view, here.web, is_egress=True, protocol="-1"))
    part(here)
    found = {each["GroupId"]: each for each in stale(here, here.far)}[out.id]
    assert found["StaleIpPermissions"] == []
    assert [each["IpProtocol"] for each in found["StaleIpPermissionsEgress"]] == ["-1"]
    assert "FromPort" not in found["StaleIpPermissionsEgress"][0]


def test_rules_within_a_vpc_and_rules_of_blocks_are_never_stale(here):
    own = SecurityGroupRule(
        id="sgr-1", is_egress=False, protocol="-1", group_id=here.web.id, group_account=ACCOUNT
    )
    block = SecurityGroupRule(id="sgr-2", is_egress=False, protocol="-1", cidr="10.2.0.0/16")
    group(here.view, here.near, "plain", own, block)
    part(here)
    assert stale(here, here.near) == []


def test_stale_groups_of_an_unknown_vpc_are_an_error(here):
    code = here.view.refusal("DescribeStaleSecurityGroups", VpcId="vpc-0123456789abcdef0")
    assert code == "InvalidVpcID.NotFound"


def test_groups_for_a_vpc_are_its_own(here):
    default_group(here.view, here.near)
    answer = here.view.call("GetSecurityGroupsForVpc", VpcId=here.near.id)["SecurityGroupForVpcs"]
    assert {each["GroupName"] for each in answer} == {"default", "web"}
    named = here.view.call(
        "GetSecurityGroupsForVpc", VpcId=here.near.id, Filters=[{"Name": "group-name", "Values": ["web"]}]
    )["SecurityGroupForVpcs"]
    assert named == [
        {
            "GroupId": here.web.id,
            "GroupName": "web",
            "Description": "web servers",
            "OwnerId": ACCOUNT,
            "PrimaryVpcId": here.near.id,
            "Tags": [],
        }
    ]


def test_no_group_is_shared_with_another_vpc(here):
    assert here.view.call("DescribeSecurityGroupVpcAssociations") == {"SecurityGroupVpcAssociations": []}
    wrong = [{"Name": "colour", "Values": ["red"]}]
    assert here.view.refusal("DescribeSecurityGroupVpcAssociations", Filters=wrong) == "InvalidParameterValue"


@pytest.fixture
def apart(api, ec2):
    """Two accounts with a VPC and a group each, peered."""
    api.add_key(OTHER_KEY, OTHER_SECRET, OTHER)
    other = api.client(access_key=OTHER_KEY, secret=OTHER_SECRET)
    near = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    far = other.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    asked = ec2.create_vpc_peering_connection(VpcId=near, PeerVpcId=far, PeerOwnerId=OTHER)
    pcx = asked["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    other.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    web = ec2.create_security_group(GroupName="web", Description="web", VpcId=near)["GroupId"]
    app = other.create_security_group(GroupName="app", Description="app", VpcId=far)["GroupId"]
    return SimpleNamespace(one=ec2, other=other, near=near, far=far, pcx=pcx, web=web, app=app)


def admit_web(apart, account=ACCOUNT):
    """Into app."""
    pair = {"UserId": account, "GroupId": apart.web}
    permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [pair]}
    return apart.other.authorize_security_group_ingress(GroupId=apart.app, IpPermissions=[permission])


def shown_pair(apart):
    (found,) = apart.other.describe_security_groups(GroupIds=[apart.app])["SecurityGroups"]
    return found["IpPermissions"][0]["UserIdGroupPairs"][0]


def test_a_rule_may_name_the_group_of_a_peer_in_another_account(apart, refused):
    with refused("InvalidGroup.NotFound"):
        admit_web(apart, account=OTHER)
    (rule,) = admit_web(apart)["SecurityGroupRules"]
    pair = {
        "UserId": ACCOUNT,
        "GroupId": apart.web,
        "VpcId": apart.near,
        "VpcPeeringConnectionId": apart.pcx,
        "PeeringStatus": "active",
    }
    assert rule["ReferencedGroupInfo"] == pair
    assert shown_pair(apart) == pair
    assert apart.one.describe_security_group_references(GroupId=[apart.web])["SecurityGroupReferenceSet"] == [
        {"GroupId": apart.web, "ReferencingVpcId": apart.far, "VpcPeeringConnectionId": apart.pcx}
    ]
    assert apart.other.describe_stale_security_groups(VpcId=apart.far)["StaleSecurityGroupSet"] == []
    with refused("InvalidGroup.NotFound"):
        apart.other.describe_security_group_references(GroupId=[apart.web])


def test_it_is_stale_when_either_account_ends_the_peering(apart, refused):
    admit_web(apart)
    apart.one.delete_vpc_peering_connection(VpcPeeringConnectionId=apart.pcx)
    (found,) = apart.other.describe_stale_security_groups(VpcId=apart.far)["StaleSecurityGroupSet"]
    (pair,) = found["StaleIpPermissions"][0]["UserIdGroupPairs"]
    assert (
        pair
        == shown_pair(apart)
        == {
            "UserId": ACCOUNT,
            "GroupId": apart.web,
            "VpcId": apart.near,
            "VpcPeeringConnectionId": apart.pcx,
            "PeeringStatus": "deleted",
        }
    )
    with refused("InvalidGroup.NotFound"):
        admit_web(apart)
    apart.other.revoke_security_group_ingress(GroupId=apart.app, IpPermissions=stale_permission(apart))
    assert apart.other.describe_stale_security_groups(VpcId=apart.far)["StaleSecurityGroupSet"] == []


def stale_permission(apart):
    """As DescribeSecurityGroups showed it, to be taken away."""
    (found,) = apart.other.describe_security_groups(GroupIds=[apart.app])["SecurityGroups"]
    return found["IpPermissions"]
