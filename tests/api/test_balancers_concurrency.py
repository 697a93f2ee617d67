"""Balancers and what stands around them, changed at the same time.

client --> API process 1 --+
                           +--> one SQLite file
client --> API process 2 --+       (here: two APIs with a store each over the same file)
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from rookery.model.codec import decode
from rookery.model.keys import SHARDS
from rookery.model.objects import Shard
from rookery.store.sqlite import SqliteStore
from rookery.testing.invariants import broken
from rookery.testing.running_api import RunningApi

SEALING_KEY = bytes(32)
ROUNDS = 8


@pytest.fixture
def two(tmp_path):
    """Both APIs."""
    file = tmp_path / "store.db"
    with (
        RunningApi(SqliteStore.open(file), SEALING_KEY) as one,
        RunningApi(SqliteStore.open(file), SEALING_KEY) as other,
    ):
        one.add_hosts()
        one.add_cells()
        yield one, other


def outcome(call, **parameters):
    """The answer, or the code of the refusal."""
    try:
        return call(**parameters)
    except ClientError as refusal:
        return refusal.response["Error"]["Code"]


def at_once(*calls):
    """Each is (call, parameters)."""
    with ThreadPoolExecutor(len(calls)) as pool:
        running = [pool.submit(outcome, call, **parameters) for call, parameters in calls]
        return [one.result() for one in running]


def subnet_in(ec2):
    (first, *_) = ec2.describe_subnets()["Subnets"]
    return first["SubnetId"], first["VpcId"]


def test_of_two_balancers_of_one_name_there_is_one(two):
    one, other = (each.client("elbv2") for each in two)
    subnet, _ = subnet_in(two[0].client())
    for n in range(ROUNDS):
        asked = {"Name": f"lb{n}", "Type": "network", "Scheme": "internal", "Subnets": [subnet]}
        answers = at_once((one.create_load_balancer, asked), (other.create_load_balancer, asked))
        arns = {answer["LoadBalancers"][0]["LoadBalancerArn"] for answer in answers}
        assert len(arns) == 1
    assert broken(two[0].run(two[0].store.range("")).entries) == []


def test_targets_that_are_registered_at_once_are_all_there(two):
    one, other = (each.client("elbv2") for each in two)
    _, vpc = subnet_in(two[0].client())
    made = one.create_target_group(Name="web", Protocol="TCP", Port=80, VpcId=vpc, TargetType="ip")
    named = {"TargetGroupArn": made["TargetGroups"][0]["TargetGroupArn"]}
    for n in range(ROUNDS):
        at_once(
            (one.register_targets, {**named, "Targets": [{"Id": "172.31.0.9", "Port": 2 * n + 1}]}),
            (other.register_targets, {**named, "Targets": [{"Id": "172.31.0.9", "Port": 2 * n + 2}]}),
        )
    told = one.describe_target_health(**named)["TargetHealthDescriptions"]
    assert {each["Target"]["Port"] for each in told} == set(range(1, 2 * ROUNDS + 1))


def test_a_group_is_never_deleted_under_a_listener(two):
    one, other = (each.client("elbv2") for each in two)
    subnet, vpc = subnet_in(two[0].client())
    asked = {"Name": "web", "Type": "network", "Scheme": "internal", "Subnets": [subnet]}
    balancer = one.create_load_balancer(**asked)["LoadBalancers"][0]["LoadBalancerArn"]
    for n in range(ROUNDS):
        made = one.create_target_group(Name=f"web{n}", Protocol="TCP", Port=80, VpcId=vpc)
        arn = made["TargetGroups"][0]["TargetGroupArn"]
        listener = {
            "LoadBalancerArn": balancer,
            "Protocol": "TCP",
            "Port": n + 1,
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": arn}],
        }
        answers = at_once((one.create_listener, listener), (other.delete_target_group, {"TargetGroupArn": arn}))
        assert ("TargetGroupNotFound" in answers) != ("ResourceInUse" in answers), answers
    assert broken(two[0].run(two[0].store.range("")).entries) == []


def test_two_accounts_that_begin_at_once_get_shards_apart(two):
    clients = []
    for n, api in enumerate(two):
        api.add_key(f"AKID{n}", "secret", f"{n}" * 12)
        keys = {"access_key": f"AKID{n}", "secret": "secret"}
        clients.append((api.client("elbv2", **keys), subnet_in(api.client(**keys))[0]))
    asked = {"Name": "web", "Type": "network", "Scheme": "internal"}
    answers = at_once(*((elb.create_load_balancer, {**asked, "Subnets": [subnet]}) for elb, subnet in clients))
    assert all(isinstance(answer, dict) for answer in answers), answers
    shards = [decode(Shard, entry.value) for entry in two[0].run(two[0].store.range(SHARDS)).entries]
    assert len(shards) == 2
    assert not set(shards[0].nodes) & set(shards[1].nodes)
