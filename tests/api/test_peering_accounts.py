"""A peering connection between two accounts, through boto3 (behaviour/09: T9-05, T9-06).

account 123456789012: VPC 10.1.0.0/16, asks      account 210987654321: VPC 10.2.0.0/16, is asked
                      \\_______________ pcx, lies with the requester ______________/
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rookery.api.accounts import reset
from rookery.testing.invariants import broken

OTHER = "210987654321"
OTHER_KEY, OTHER_SECRET = "AKIDOTHER00000000000", "another secret of forty characters......"


@pytest.fixture
def sides(api, ec2):
    """Both clients, and their VPCs."""
    api.add_key(OTHER_KEY, OTHER_SECRET, OTHER)
    other = api.client(access_key=OTHER_KEY, secret=OTHER_SECRET)
    return SimpleNamespace(
        api=api,
        one=ec2,
        other=other,
        vpc=ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"],
        peer=other.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"],
    )


def ask(sides, **more):
    answer = sides.one.create_vpc_peering_connection(
        VpcId=sides.vpc, PeerVpcId=sides.peer, PeerOwnerId=OTHER, **more
    )
    return answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]


def peered(sides):
    pcx = ask(sides)
    sides.other.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    return pcx


def status(client, pcx):
    found = client.describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])
    return found["VpcPeeringConnections"][0]["Status"]["Code"]


def everything(sides):
    return sides.api.run(sides.api.store.range("")).entries


def test_only_the_accepter_answers_a_request(sides, refused):
    pcx = ask(sides)
    assert status(sides.one, pcx) == status(sides.other, pcx) == "pending-acceptance"
    with refused("OperationNotPermitted"):
        sides.one.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    with refused("OperationNotPermitted"):
        sides.one.reject_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    with refused("OperationNotPermitted"):
        sides.other.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    accepted = sides.other.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)["VpcPeeringConnection"]
    assert accepted["RequesterVpcInfo"]["CidrBlock"] == "10.1.0.0/16"
    assert accepted["RequesterVpcInfo"]["OwnerId"] == "123456789012"
    assert accepted["AccepterVpcInfo"]["CidrBlock"] == "10.2.0.0/16"
    assert status(sides.one, pcx) == status(sides.other, pcx) == "active"
    assert broken(everything(sides)) == []


def test_a_request_is_not_answered_from_another_region(sides, refused):
    pcx = ask(sides)
    elsewhere = sides.api.client(region="eu-west-1", access_key=OTHER_KEY, secret=OTHER_SECRET)
    with refused("OperationNotPermitted") as refusal:
        elsewhere.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    assert refusal.message == (
        "Incorrect region (eu-west-1) specified for this request. "
        f"VPC peering connection {pcx} must be accepted in region us-east-1"
    )


def test_the_requester_learns_no_block_before_its_peer_has_accepted(sides):
    pcx = ask(sides)
    (found,) = sides.one.describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])[
        "VpcPeeringConnections"
    ]
    assert found["AccepterVpcInfo"] == {"OwnerId": OTHER, "VpcId": sides.peer, "Region": "us-east-1"}


@pytest.mark.parametrize("side", ["one", "other"])
def test_either_side_deletes_an_active_one(sides, side):
    pcx = peered(sides)
    getattr(sides, side).delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    assert status(sides.one, pcx) == status(sides.other, pcx) == "deleted"
    assert broken(everything(sides)) == []


@pytest.mark.parametrize("side", ["one", "other"])
def test_either_sides_vpc_takes_it_along(sides, side):
    pcx = peered(sides)
    getattr(sides, side).delete_vpc(VpcId=sides.vpc if side == "one" else sides.peer)
    assert status(sides.one, pcx) == status(sides.other, pcx) == "deleted"


@pytest.mark.parametrize("account", ["123456789012", OTHER])
def test_the_reset_of_either_account_ends_it(sides, account):
    pcx = peered(sides)
    sides.api.run(reset(sides.api.store, account))
    if account == OTHER:
        assert status(sides.one, pcx) == "deleted"
    else:
        assert sides.other.describe_vpc_peering_connections()["VpcPeeringConnections"] == []
    assert broken(everything(sides)) == []


def test_a_rejected_request_is_seen_by_both(sides):
    pcx = ask(sides)
    sides.other.reject_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    assert status(sides.one, pcx) == status(sides.other, pcx) == "rejected"


def test_a_second_request_is_refused_in_either_direction(sides, refused):
    ask(sides)
    with refused("VpcPeeringConnectionAlreadyExists"):
        ask(sides)
    with refused("VpcPeeringConnectionAlreadyExists"):
        sides.other.create_vpc_peering_connection(
            VpcId=sides.peer, PeerVpcId=sides.vpc, PeerOwnerId="123456789012"
        )


def test_what_failed_at_once_is_never_seen_by_whoever_was_asked(sides):
    before = len(everything(sides))
    overlapping = sides.other.create_vpc(CidrBlock="10.1.128.0/17")["Vpc"]["VpcId"]
    failed = sides.one.create_vpc_peering_connection(
        VpcId=sides.vpc, PeerVpcId=overlapping, PeerOwnerId=OTHER
    )["VpcPeeringConnection"]
    assert failed["Status"]["Code"] == "failed"
    assert sides.other.describe_vpc_peering_connections()["VpcPeeringConnections"] == []
    assert len(everything(sides)) > before


def test_a_stranger_sees_nothing_and_an_account_that_was_never_used_stays_so(sides, refused):
    pcx = ask(sides)
    sides.one.create_vpc_peering_connection(
        VpcId=sides.vpc, PeerVpcId="vpc-0123456789abcdef0", PeerOwnerId="999999999999"
    )
    sides.api.add_key("AKIDSTRANGER00000000", OTHER_SECRET, "999999999999")
    stranger = sides.api.client(access_key="AKIDSTRANGER00000000", secret=OTHER_SECRET)
    assert [vpc["IsDefault"] for vpc in stranger.describe_vpcs()["Vpcs"]] == [True]
    assert stranger.describe_vpc_peering_connections()["VpcPeeringConnections"] == []
    for verb in ("accept", "reject", "delete"):
        with refused("InvalidVpcPeeringConnectionID.NotFound"):
            getattr(stranger, f"{verb}_vpc_peering_connection")(VpcPeeringConnectionId=pcx)


def test_blocks_of_the_other_account_count(sides, refused):
    pcx = ask(sides)
    with refused("OperationNotPermitted"):
        sides.one.associate_vpc_cidr_block(VpcId=sides.vpc, CidrBlock="10.3.0.0/16")
    sides.other.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    with refused("InvalidVpc.Range"):
        sides.other.associate_vpc_cidr_block(VpcId=sides.peer, CidrBlock="10.1.5.0/24")
    sides.one.associate_vpc_cidr_block(VpcId=sides.vpc, CidrBlock="10.3.0.0/16")
    with refused("InvalidVpc.Range"):
        sides.other.associate_vpc_cidr_block(VpcId=sides.peer, CidrBlock="10.3.5.0/24")


def test_an_accepters_overlapping_block_fails_the_request(sides):
    pcx = ask(sides)
    sides.other.associate_vpc_cidr_block(VpcId=sides.peer, CidrBlock="10.1.5.0/24")
    assert status(sides.one, pcx) == "failed"
    assert sides.other.describe_vpc_peering_connections()["VpcPeeringConnections"] == []
    assert broken(everything(sides)) == []


def test_options_are_each_accounts_own(sides, refused):
    pcx = peered(sides)
    options = {"AllowDnsResolutionFromRemoteVpc": False}
    sides.other.modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=pcx, AccepterPeeringConnectionOptions=options
    )
    with refused("OperationNotPermitted"):
        sides.other.modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=pcx, RequesterPeeringConnectionOptions=options
        )


def test_tags_are_the_requesters(sides, refused):
    tag = {"Key": "Name", "Value": "link"}
    pcx = ask(sides, TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": [tag]}])

    def tags(client):
        return client.describe_vpc_peering_connections()["VpcPeeringConnections"][0].get("Tags", [])

    assert (tags(sides.one), tags(sides.other)) == ([tag], [])
    assert sides.other.describe_tags()["Tags"] == []
    with refused("UnsupportedOperation"):
        sides.other.create_tags(Resources=[pcx], Tags=[tag])
    sides.one.delete_tags(Resources=[pcx])
    assert tags(sides.one) == []


def test_waiters_of_boto3_see_it_come_and_go(sides):
    pcx = peered(sides)
    for client in (sides.one, sides.other):
        client.get_waiter("vpc_peering_connection_exists").wait(VpcPeeringConnectionIds=[pcx])
    sides.other.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    for client in (sides.one, sides.other):
        client.get_waiter("vpc_peering_connection_deleted").wait(VpcPeeringConnectionIds=[pcx])


def test_dry_runs_change_nothing(sides, refused):
    pcx = ask(sides)
    with refused("DryRunOperation"):
        sides.other.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx, DryRun=True)
    assert status(sides.one, pcx) == "pending-acceptance"
