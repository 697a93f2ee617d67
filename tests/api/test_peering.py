"""VPC peering connections within one account, pure (behaviour/09: T9-01, T9-04 to T9-06; behaviour/01, section 1.1).

VPCs by their second octet: 10.<n>.0.0/16
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.api.handlers.housekeeping import housekeeping
from rookery.api.handlers.peering_state import as_of, is_forgotten, visible_to
from rookery.api.quotas import Quotas
from rookery.model.objects import CidrAssociation, PeeringSide, Vpc, VpcPeering
from rookery.testing.small_view import MANY, SmallView

HOUR, DAY = 3600.0, 86_400.0
OWN = "123456789012"
OTHER = "210987654321"
SMALL = Quotas(vpcs=50, peerings_per_vpc=2, outstanding_peerings=2)


@pytest.fixture
def view():
    return SmallView()


def vpc(view, n):
    return view.make_vpc(f"10.{n}.0.0/16")


def ask(view, requester, accepter, **parameters):
    answer = view.call("CreateVpcPeeringConnection", VpcId=requester.id, PeerVpcId=accepter.id, **parameters)
    return answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]


def accept(view, pcx):
    return view.call("AcceptVpcPeeringConnection", VpcPeeringConnectionId=pcx)["VpcPeeringConnection"]


def peered(view, one, other):
    pcx = ask(view, one, other)
    accept(view, pcx)
    return pcx


def described(view, **parameters):
    return view.call("DescribeVpcPeeringConnections", **parameters)["VpcPeeringConnections"]


def shown(view, pcx):
    return described(view, VpcPeeringConnectionIds=[pcx])[0]


def status(view, pcx):
    return shown(view, pcx)["Status"]["Code"]


# ----------------------------------------------------------------------------------------------------------- lifecycle


def test_a_request_waits_for_its_accepter_and_tells_nothing_of_its_blocks(view):
    one, other = vpc(view, 1), vpc(view, 2)
    tag = {"Key": "Name", "Value": "link"}
    specification = {"ResourceType": "vpc-peering-connection", "Tags": [tag]}
    pcx = ask(view, one, other, TagSpecifications=[specification])
    found = shown(view, pcx)
    assert found["Status"] == {
        "Code": "pending-acceptance",
        "Message": f"Pending Acceptance by {OWN}",
    }
    assert found["ExpirationTime"] == view.now + 7 * DAY
    assert found["Tags"] == [tag]
    assert found["AccepterVpcInfo"] == {"OwnerId": OWN, "VpcId": other.id, "Region": "us-east-1"}
    assert found["RequesterVpcInfo"]["CidrBlockSet"] == [{"CidrBlock": "10.1.0.0/16"}]


def test_an_accepted_one_is_active_and_shows_both_sides(view):
    one, other = vpc(view, 1), vpc(view, 2)
    pcx = ask(view, one, other)
    assert accept(view, pcx) == shown(view, pcx)
    found = shown(view, pcx)
    assert found["Status"] == {"Code": "active", "Message": "Active"}
    assert "ExpirationTime" not in found
    assert found["AccepterVpcInfo"] == {
        "OwnerId": OWN,
        "VpcId": other.id,
        "Region": "us-east-1",
        "CidrBlock": "10.2.0.0/16",
        "CidrBlockSet": [{"CidrBlock": "10.2.0.0/16"}],
        "Ipv6CidrBlockSet": [],
        "PeeringOptions": {
            "AllowDnsResolutionFromRemoteVpc": False,
            "AllowEgressFromLocalClassicLinkToRemoteVpc": False,
            "AllowEgressFromLocalVpcToRemoteClassicLink": False,
        },
    }


def test_what_has_a_final_state_cannot_be_changed_any_more(view):
    one, other = vpc(view, 1), vpc(view, 2)
    rejected = ask(view, one, other)
    view.call("RejectVpcPeeringConnection", VpcPeeringConnectionId=rejected)
    deleted = peered(view, one, other)
    view.call("DeleteVpcPeeringConnection", VpcPeeringConnectionId=deleted)
    for pcx, end in ((rejected, "rejected"), (deleted, "deleted")):
        assert status(view, pcx) == end
        for verb in ("Accept", "Reject", "Delete"):
            code = view.refusal(f"{verb}VpcPeeringConnection", VpcPeeringConnectionId=pcx)
            assert code == "InvalidStateTransition"


def test_an_active_one_cannot_be_accepted_or_rejected_again(view):
    pcx = peered(view, vpc(view, 1), vpc(view, 2))
    for verb in ("Accept", "Reject"):
        code = view.refusal(f"{verb}VpcPeeringConnection", VpcPeeringConnectionId=pcx)
        assert code == "InvalidStateTransition"


@pytest.mark.parametrize("verb", ["Accept", "Reject", "Delete"])
def test_what_is_not_there_is_not_found(view, verb):
    operation = f"{verb}VpcPeeringConnection"
    code = view.refusal(operation, VpcPeeringConnectionId="pcx-0123456789abcdef0")
    assert code == "InvalidVpcPeeringConnectionID.NotFound"
    code = view.refusal(operation, VpcPeeringConnectionId="pcx-1")
    assert code == "InvalidVpcPeeringConnectionId.Malformed"


def test_after_seven_days_a_request_has_expired(view):
    pcx = ask(view, vpc(view, 1), vpc(view, 2))
    view.now += 7 * DAY - 1
    assert status(view, pcx) == "pending-acceptance"
    view.now += 1
    assert status(view, pcx) == "expired"
    code = view.refusal("AcceptVpcPeeringConnection", VpcPeeringConnectionId=pcx)
    assert code == "InvalidStateTransition"


# ------------------------------------------------------------------------------------------------------------ requests


def test_overlapping_blocks_make_a_connection_that_has_failed(view):
    one = vpc(view, 0)
    other = view.make_vpc("10.0.128.0/17")
    pcx = ask(view, one, other)
    assert shown(view, pcx)["Status"]["Code"] == "failed"
    assert "overlapping CIDR range" in shown(view, pcx)["Status"]["Message"]


def test_overlapping_ipv6_blocks_fail_too(view):
    one, other = vpc(view, 1), vpc(view, 2)
    for each, block in ((one, "fd00:1::/56"), (other, "fd00:1:0:80::/57")):
        association = CidrAssociation(view.ids.new("vpc-cidr-assoc"), block)
        view.put(replace(each, ipv6_cidr_associations=(association,)))
    assert status(view, ask(view, one, other)) == "failed"


def test_an_ipv6_block_for_a_vpc_that_waits_for_an_answer_is_refused(view):
    one, other = vpc(view, 1), vpc(view, 2)
    ask(view, one, other)
    asked = {"VpcId": one.id, "AmazonProvidedIpv6CidrBlock": True}
    assert view.refusal("AssociateVpcCidrBlock", **asked) == "OperationNotPermitted"
    view.call("AssociateVpcCidrBlock", VpcId=other.id, AmazonProvidedIpv6CidrBlock=True)


def test_peers_get_ipv6_blocks_and_stay_peered(view):
    one, other = vpc(view, 1), vpc(view, 2)
    pcx = ask(view, one, other)
    view.call("AcceptVpcPeeringConnection", VpcPeeringConnectionId=pcx)
    for each in (one, other):
        view.call("AssociateVpcCidrBlock", VpcId=each.id, AmazonProvidedIpv6CidrBlock=True)
    assert status(view, pcx) == "active"


def test_an_unknown_peer_fails_without_saying_why(view):
    one = vpc(view, 1)
    unknown = replace(one, id="vpc-0123456789abcdef0")
    messages = {
        shown(view, ask(view, one, unknown))["Status"]["Message"],
        shown(view, ask(view, one, unknown, PeerOwnerId=OTHER))["Status"]["Message"],
    }
    assert messages == {"Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"PeerVpcId": "{one}"}, "InvalidParameterValue"),
        ({"PeerVpcId": "vpc-1"}, "InvalidVpcID.Malformed"),
        ({"PeerOwnerId": "me"}, "InvalidParameterValue"),
        ({"PeerRegion": "eu-west-1"}, "UnsupportedOperation"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "InvalidVpcID.NotFound"),
        ({"PeerVpcId": ""}, "MissingParameter"),
        ({"RequesterPeeringConnectionOptions": {"AllowMultipathResilience": True}}, "UnsupportedOperation"),
    ],
)
def test_a_request_that_cannot_be_is_refused(view, parameters, code):
    one, other = vpc(view, 1), vpc(view, 2)
    filled = {
        name: value.format(one=one.id) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
    asked = {"VpcId": one.id, "PeerVpcId": other.id, **filled}
    assert view.refusal("CreateVpcPeeringConnection", **asked) == code


def test_a_second_request_in_either_direction_returns_the_first(view):
    one, other = vpc(view, 1), vpc(view, 2)
    pcx = ask(view, one, other)
    assert ask(view, one, other) == pcx
    accept(view, pcx)
    assert ask(view, other, one) == pcx
    view.call("DeleteVpcPeeringConnection", VpcPeeringConnectionId=pcx)
    assert ask(view, other, one) != pcx


def test_requests_and_active_connections_have_quotas():
    view = SmallView(quotas=SMALL)
    hub, *spokes = [vpc(view, n) for n in range(6)]
    asked = [ask(view, hub, spoke) for spoke in spokes[:2]]
    code = view.refusal("CreateVpcPeeringConnection", VpcId=hub.id, PeerVpcId=spokes[2].id)
    assert code == "OutstandingVpcPeeringConnectionLimitExceeded"
    accept(view, asked[0])
    third = ask(view, spokes[2], hub)
    accept(view, asked[1])
    code = view.refusal("AcceptVpcPeeringConnection", VpcPeeringConnectionId=third)
    assert code == "ActiveVpcPeeringConnectionPerVpcLimitExceeded"
    code = view.refusal("CreateVpcPeeringConnection", VpcId=hub.id, PeerVpcId=spokes[3].id)
    assert code == "ActiveVpcPeeringConnectionPerVpcLimitExceeded"
    assert MANY.peerings_per_vpc == 50


# -------------------------------------------------------------------------------------------------------------- blocks


def associate(view, one, block):
    return view.call("AssociateVpcCidrBlock", VpcId=one.id, CidrBlock=block)


def test_a_vpc_of_an_active_connection_gets_no_block_of_its_peer(view):
    one, other = vpc(view, 1), vpc(view, 2)
    peered(view, one, other)
    assert view.refusal("AssociateVpcCidrBlock", VpcId=one.id, CidrBlock="10.2.5.0/24") == "InvalidVpc.Range"
    associate(view, one, "10.3.0.0/16")
    assert (
        view.refusal("AssociateVpcCidrBlock", VpcId=other.id, CidrBlock="10.3.0.0/24") == "InvalidVpc.Range"
    )


def test_while_a_request_is_pending_its_requester_gets_no_block_at_all(view):
    one, other = vpc(view, 1), vpc(view, 2)
    pcx = ask(view, one, other)
    code = view.refusal("AssociateVpcCidrBlock", VpcId=one.id, CidrBlock="10.7.0.0/16")
    assert code == "OperationNotPermitted"
    associate(view, other, "10.3.0.0/16")
    assert status(view, pcx) == "pending-acceptance"


def test_an_accepter_that_gets_a_block_of_the_requester_fails_the_request(view):
    one, other = vpc(view, 1), vpc(view, 2)
    pcx = ask(view, one, other)
    associate(view, other, "10.1.9.0/24")
    assert status(view, pcx) == "failed"
    associate(view, one, "10.7.0.0/16")


def test_a_vpc_that_goes_takes_its_connections_along(view):
    one, other, third = vpc(view, 1), vpc(view, 2), vpc(view, 3)
    active, pending = peered(view, one, other), ask(view, third, one)
    untouched = peered(view, other, third)
    view.call("DeleteVpc", VpcId=one.id)
    assert [status(view, pcx) for pcx in (active, pending, untouched)] == ["deleted", "deleted", "active"]


# ------------------------------------------------------------------------------------------------------------- options


def modify(view, pcx, side, **options):
    member = f"{side}PeeringConnectionOptions"
    return {"VpcPeeringConnectionId": pcx, member: options}


def test_the_dns_option_is_checked_and_then_not_built(view):
    one, other = vpc(view, 1), vpc(view, 2)
    pcx = ask(view, one, other)
    operation = "ModifyVpcPeeringConnectionOptions"
    wish = modify(view, pcx, "Requester", AllowDnsResolutionFromRemoteVpc=True)
    assert view.refusal(operation, **wish) == "OperationNotPermitted"
    accept(view, pcx)
    assert view.refusal(operation, **wish) == "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"
    view.put(replace(view.get(Vpc, one.id), enable_dns_hostnames=True))
    assert view.refusal(operation, **wish) == "UnsupportedOperation"


def test_what_is_true_anyway_may_be_said(view):
    pcx = peered(view, vpc(view, 1), vpc(view, 2))
    answer = view.call(
        "ModifyVpcPeeringConnectionOptions",
        **modify(view, pcx, "Accepter", AllowDnsResolutionFromRemoteVpc=False),
    )
    assert answer["AccepterPeeringConnectionOptions"]["AllowDnsResolutionFromRemoteVpc"] is False
    code = view.refusal("ModifyVpcPeeringConnectionOptions", VpcPeeringConnectionId=pcx)
    assert code == "MissingParameter"


# ----------------------------------------------------------------------------------------------------------- describing


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accepter-vpc-info.cidr-block", "10.2.0.0/16"),
        ("accepter-vpc-info.owner-id", OWN),
        ("accepter-vpc-info.vpc-id", "{other}"),
        ("requester-vpc-info.cidr-block", "10.1.0.0/16"),
        ("requester-vpc-info.owner-id", OWN),
        ("requester-vpc-info.vpc-id", "{one}"),
        ("status-code", "active"),
        ("status-message", "Active"),
        ("tag:Name", "link"),
        ("tag-key", "Name"),
        ("vpc-peering-connection-id", "{pcx}"),
    ],
)
def test_filters_find_what_they_name(view, name, value):
    one, other = vpc(view, 1), vpc(view, 2)
    pcx = peered(view, one, other)
    view.call("CreateTags", Resources=[pcx], Tags=[{"Key": "Name", "Value": "link"}])
    text = value.format(one=one.id, other=other.id, pcx=pcx)
    assert described(view, Filters=[{"Name": name, "Values": [text]}]) == [shown(view, pcx)]
    assert described(view, Filters=[{"Name": name, "Values": ["nothing"]}]) == []


def test_pending_ones_are_found_by_their_expiration_and_not_by_blocks_nobody_told(view):
    pcx = ask(view, vpc(view, 1), vpc(view, 2))
    expiration = [{"Name": "expiration-time", "Values": ["2027-*"]}]
    assert [each["VpcPeeringConnectionId"] for each in described(view, Filters=expiration)] == [pcx]
    block = [{"Name": "accepter-vpc-info.cidr-block", "Values": ["10.2.0.0/16"]}]
    assert described(view, Filters=block) == []


# --------------------------------------------------------------------------------------------------------- seen how long


def connection(status, ended_by="", accepter=OTHER):
    return VpcPeering(
        account=OWN,
        region="us-east-1",
        id="pcx-00000000000000001",
        requester=PeeringSide(account=OWN, region="us-east-1", vpc_id="vpc-1"),
        accepter=PeeringSide(account=accepter, region="us-east-1", vpc_id="vpc-2"),
        status=status,
        ended=1000.0,
        ended_by=ended_by,
    )


@pytest.mark.parametrize(
    ("one", "requester_sees", "accepter_sees"),
    [
        (connection("failed", OWN), 2 * HOUR, 0.0),
        (connection("rejected", OTHER), 2 * DAY, 2 * HOUR),
        (connection("deleted", OWN), 2 * HOUR, 2 * DAY),
        (connection("deleted", OTHER), 2 * DAY, 2 * HOUR),
        (connection("deleted", OWN, accepter=OWN), 2 * HOUR, 2 * HOUR),
        (connection("rejected", OWN, accepter=OWN), 2 * HOUR, 2 * HOUR),
    ],
)
def test_each_side_sees_an_end_for_its_own_time(one, requester_sees, accepter_sees):
    for side, seconds in ((one.requester, requester_sees), (one.accepter, accepter_sees)):
        assert seconds == 0.0 or visible_to(one, side.account, 1000.0 + seconds - 0.5)
        assert not visible_to(one, side.account, 1000.0 + seconds)
    longest = max(requester_sees, accepter_sees)
    assert not is_forgotten(one, 1000.0 + longest - 0.5)
    assert is_forgotten(one, 1000.0 + longest)


def test_both_see_an_expired_one_for_two_days_after_it_expired():
    one = replace(connection("pending-acceptance"), expires=5000.0, ended=0.0)
    for account in (OWN, OTHER):
        assert visible_to(as_of(one, 5000.0), account, 5000.0)
        assert visible_to(as_of(one, 5000.0 + 2 * DAY - 1), account, 5000.0 + 2 * DAY - 1)
        assert not visible_to(as_of(one, 5000.0 + 2 * DAY), account, 5000.0 + 2 * DAY)


def test_what_nobody_sees_is_not_found_and_then_forgotten(view):
    pcx = peered(view, vpc(view, 1), vpc(view, 2))
    view.call("DeleteVpcPeeringConnection", VpcPeeringConnectionId=pcx)
    assert housekeeping(view, view.now + 2 * HOUR - 1).deletes == ()
    view.now += 2 * HOUR
    assert described(view) == []
    code = view.refusal("DescribeVpcPeeringConnections", VpcPeeringConnectionIds=[pcx])
    assert code == "InvalidVpcPeeringConnectionID.NotFound"
    view.apply(housekeeping(view, view.now))
    assert view.all(VpcPeering) == []
