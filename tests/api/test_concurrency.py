"""Conflicting calls at the same time.

client --> API process 1 --+
                           +--> one SQLite file
client --> API process 2 --+       (here: two APIs with a store each over the same file)
"""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

import pytest
from botocore.exceptions import ClientError

from rookery.api.accounts import reset
from rookery.api.operation import DRAWS
from rookery.api.quotas import Quotas
from rookery.store.sqlite import SqliteStore
from rookery.testing.invariants import broken
from rookery.testing.running_api import RunningApi

SEALING_KEY = bytes(32)


def running(file):
    return RunningApi(SqliteStore.open(file), SEALING_KEY, quotas=Quotas(vpcs=50))


@pytest.fixture
def two(tmp_path):
    """A client of each, and the first API."""
    file = tmp_path / "store.db"
    with running(file) as one, running(file) as other:
        one.add_hosts()
        yield one.client(), other.client(), one


def outcome(call, **parameters):
    """The answer, or the code of the refusal."""
    try:
        return call(**parameters)
    except ClientError as refusal:
        return refusal.response["Error"]["Code"]


def test_of_two_overlapping_subnets_exactly_one_wins(two):
    one, other, _ = two
    vpc_id = one.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    with ThreadPoolExecutor(2) as pool:
        for n in range(20):
            calls = [
                pool.submit(outcome, one.create_subnet, VpcId=vpc_id, CidrBlock=f"10.0.{n}.0/24"),
                pool.submit(outcome, other.create_subnet, VpcId=vpc_id, CidrBlock=f"10.0.{n}.128/25"),
            ]
            answers = [call.result() for call in calls]
            assert answers.count("InvalidSubnet.Conflict") == 1, answers


def test_subnets_never_overlap_whatever_the_order(two):
    one, other, _ = two
    vpc_id = one.create_vpc(CidrBlock="10.0.0.0/24")["Vpc"]["VpcId"]
    source = random.Random(3)
    blocks = [str(b) for prefix in (26, 27, 28) for b in ip_network("10.0.0.0/24").subnets(new_prefix=prefix)]
    source.shuffle(blocks)
    with ThreadPoolExecutor(6) as pool:
        clients = [one, other]
        calls = [
            pool.submit(outcome, clients[n % 2].create_subnet, VpcId=vpc_id, CidrBlock=block)
            for n, block in enumerate(blocks)
        ]
        answers = [call.result() for call in calls]
    assert all(not isinstance(answer, str) or answer == "InvalidSubnet.Conflict" for answer in answers), (
        answers
    )
    subnets = [
        ip_network(s["CidrBlock"])
        for s in one.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Subnets"]
    ]
    assert sum(subnet.num_addresses for subnet in subnets) <= 256
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a != b)
    assert len(subnets) == sum(not isinstance(answer, str) for answer in answers)


def test_a_change_through_one_process_is_seen_by_the_other_at_once(two):
    one, other, _ = two
    for n in range(10):
        vpc_id = one.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"]
        assert other.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]["VpcId"] == vpc_id


def test_the_first_use_from_two_processes_makes_one_default_vpc(two):
    one, other, _ = two
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit([one, other][n % 2].describe_vpcs) for n in range(16)]
        assert {vpc["VpcId"] for call in calls for vpc in call.result()["Vpcs"]} == {
            one.describe_vpcs()["Vpcs"][0]["VpcId"]
        }


def test_a_reset_leaves_the_default_vpc_and_frees_every_claim(two):
    one, _, api = two
    vpc_id = one.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    one.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24")
    one.create_route_table(VpcId=vpc_id, ClientToken="once")
    api.add_pool()
    one.allocate_address(Domain="vpc")
    assert api.run(reset(api.store, "123456789012")) == ["us-east-1"]
    (left,) = one.describe_vpcs()["Vpcs"]
    assert left["IsDefault"] is True
    claims = api.run(api.store.range("claims/")).entries
    assert len(claims) == 5  # the VPC, its main route table, its default network ACL, two subnets
    assert api.run(api.store.range("tokens/")).entries == []


def test_a_key_that_is_slow_to_draw_holds_up_nobody_else(api, ec2, monkeypatch):
    drawing, others_are_answered = threading.Event(), threading.Event()
    draw = DRAWS["CreateKeyPair"]

    def slow(parameters):
        drawing.set()
        assert others_are_answered.wait(20), "the API answers nobody while a key is drawn"
        return draw(parameters)

    monkeypatch.setitem(DRAWS, "CreateKeyPair", slow)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(ec2.create_key_pair, KeyName="slow", KeyType="ed25519")
        assert drawing.wait(20)
        assert api.client().create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["CidrBlock"] == "10.9.0.0/16"
        others_are_answered.set()
        assert made.result()["KeyName"] == "slow"


# ------------------------------------------------------------------------------ two accounts, a process each

OTHER = "210987654321"
OTHER_KEY, OTHER_SECRET = "AKIDOTHER00000000000", "another secret of forty characters......"


@pytest.fixture
def sides(tmp_path):
    """The requester's client at the first process, the accepter's at the second, and the first API."""
    file = tmp_path / "store.db"
    with running(file) as one, running(file) as other:
        one.add_hosts()
        one.add_key(OTHER_KEY, OTHER_SECRET, OTHER)
        yield one.client(), other.client(access_key=OTHER_KEY, secret=OTHER_SECRET), one


def asked(one, vpc_id, peer_id):
    answer = one.create_vpc_peering_connection(VpcId=vpc_id, PeerVpcId=peer_id, PeerOwnerId=OTHER)
    return answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]


def status(client, pcx):
    found = client.describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])
    return found["VpcPeeringConnections"][0]["Status"]["Code"]


def test_of_an_acceptance_and_a_withdrawal_each_sees_the_other(sides):
    """Deleted in the end: either the request was withdrawn first, and nobody accepted it, or the connection was."""
    one, other, api = sides
    vpc_id = one.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    peer_id = other.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(15):
            pcx = asked(one, vpc_id, peer_id)
            calls = [
                pool.submit(outcome, other.accept_vpc_peering_connection, VpcPeeringConnectionId=pcx),
                pool.submit(outcome, one.delete_vpc_peering_connection, VpcPeeringConnectionId=pcx),
            ]
            accepted, withdrawn = [call.result() for call in calls]
            assert not isinstance(withdrawn, str), withdrawn
            assert not isinstance(accepted, str) or accepted == "InvalidStateTransition"
            assert status(one, pcx) == status(other, pcx) == "deleted"
    assert broken(api.run(api.store.range("")).entries) == []


def test_of_two_requests_in_opposite_directions_exactly_one_is_made(sides):
    one, other, _ = sides
    vpc_id = one.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    peer_id = other.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(15):
            calls = [
                pool.submit(
                    outcome,
                    client.create_vpc_peering_connection,
                    VpcId=own,
                    PeerVpcId=wanted,
                    PeerOwnerId=account,
                )
                for client, own, wanted, account in (
                    (one, vpc_id, peer_id, OTHER),
                    (other, peer_id, vpc_id, "123456789012"),
                )
            ]
            answers = [call.result() for call in calls]
            assert answers.count("VpcPeeringConnectionAlreadyExists") == 1, answers
            remove_the_one_made(one, other, answers)


def remove_the_one_made(one, other, answers):
    for client, answer in zip((one, other), answers, strict=True):
        if not isinstance(answer, str):
            pcx = answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]
            client.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)


def test_two_peers_never_get_blocks_that_overlap(sides):
    """Each writes only its own VPC: what keeps them apart is that each compares the other's head."""
    one, other, _ = sides
    vpc_id = one.create_vpc(CidrBlock="10.200.0.0/16")["Vpc"]["VpcId"]
    peer_id = other.create_vpc(CidrBlock="10.201.0.0/16")["Vpc"]["VpcId"]
    other.accept_vpc_peering_connection(VpcPeeringConnectionId=asked(one, vpc_id, peer_id))
    with ThreadPoolExecutor(2) as pool:
        for n in range(20):
            calls = [
                pool.submit(outcome, one.associate_vpc_cidr_block, VpcId=vpc_id, CidrBlock=f"10.{n}.0.0/16"),
                pool.submit(
                    outcome, other.associate_vpc_cidr_block, VpcId=peer_id, CidrBlock=f"10.{n}.128.0/17"
                ),
            ]
            answers = [call.result() for call in calls]
            assert answers.count("InvalidVpc.Range") == 1, answers
            for client, answer in zip((one, other), answers, strict=True):
                if not isinstance(answer, str):
                    made = answer["CidrBlockAssociation"]["AssociationId"]
                    client.disassociate_vpc_cidr_block(AssociationId=made)


def test_a_vpc_that_goes_while_it_is_asked_for_leaves_no_request_behind(sides):
    one, other, api = sides
    vpc_id = one.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            peer_id = other.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
            made = pool.submit(asked, one, vpc_id, peer_id)
            gone = pool.submit(outcome, other.delete_vpc, VpcId=peer_id)
            assert not isinstance(gone.result(), str)
            assert status(one, made.result()) in ("failed", "deleted")
    assert broken(api.run(api.store.range("")).entries) == []


def test_two_accounts_that_draw_from_a_small_pool_never_hold_one_address(two):
    """Six addresses, two accounts at two processes, each of which wants five."""
    one, _, api = two
    api.add_pool("198.18.0.0/29")
    api.add_key("AKIDOTHER", "another", "210987654321")
    stranger = api.client(access_key="AKIDOTHER", secret="another")
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(outcome, client.allocate_address, Domain="vpc") for client in (one, stranger) * 5]
        answers = [call.result() for call in calls]
    given = [each["PublicIp"] for each in answers if isinstance(each, dict)]
    assert (len(given), len(set(given))) == (6, 6)
    assert answers.count("InsufficientAddressCapacity") == 4
    mine, theirs = [
        {each["PublicIp"] for each in client.describe_addresses()["Addresses"]} for client in (one, stranger)
    ]
    assert mine | theirs == set(given)
    assert outcome(one.describe_addresses, PublicIps=[min(theirs)]) == "AuthFailure"
    assert broken(api.run(api.store.range("")).entries) == []


def test_one_address_that_two_processes_associate_at_once_is_at_one_place(two):
    one, other, api = two
    api.add_pool()
    subnet = one.describe_subnets()["Subnets"][0]["SubnetId"]
    places = [
        one.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        for _ in range(2)
    ]
    allocation = one.allocate_address(Domain="vpc")["AllocationId"]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            calls = [
                pool.submit(
                    client.associate_address, AllocationId=allocation, NetworkInterfaceId=place
                )
                for client, place in zip((one, other), places, strict=True)
            ]
            made = {call.result()["AssociationId"] for call in calls}
            (now,) = one.describe_addresses()["Addresses"]
            assert now["AssociationId"] in made
            one.disassociate_address(AssociationId=now["AssociationId"])
    assert broken(api.run(api.store.range("")).entries) == []
