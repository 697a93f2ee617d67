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
