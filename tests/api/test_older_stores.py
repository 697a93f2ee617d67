"""A store made before there were security groups, network ACLs and DHCP options sets: what is missing is there before
anybody looks.

store of an earlier version --> API or housekeeper --> default group, default network ACL, groups of interfaces,
                                                       default options set, public keys of instances

tests/vectors/store_of_the_first_build.json: what the build of 2026-11-23 (e460c3d) wrote, key by key, without credentials and answers to
client tokens: a VPC with two blocks, a route table, an instance with two interfaces and a key pair, beside the default VPC.
Such a store is read by every later build. What a later build writes joins it here when it is released.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.housekeeper import complete_older_stores
from rookery.api.state import State, claim_key
from rookery.intent.state import State as IntentState
from rookery.intent.whole import host_intent
from rookery.model.codec import decode_resource, encode
from rookery.model.keys import INTENDED
from rookery.model.objects import DhcpOptions, Instance, NetworkAcl, NetworkInterface, SecurityGroup, Vpc
from rookery.testing.invariants import broken
from rookery.testing.memory_store import MemoryStore
from rookery.testing.running_api import RunningApi


@pytest.fixture
def older(api, ec2):
    """An API that has not yet seen this store: a VPC with a subnet and an interface, and no guards."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    ec2.create_network_interface(SubnetId=subnet_id)
    strip(api)
    with RunningApi(api.store) as fresh:
        yield fresh, vpc_id, subnet_id


def strip(api):
    puts, deletes = {}, []
    for entry in api.run(api.store.range(INTENDED)).entries:
        one = decode_resource(entry.key, entry.value)
        if isinstance(one, SecurityGroup | NetworkAcl):
            deletes += [entry.key, *filter(None, [claim_key(one)])]
        elif isinstance(one, DhcpOptions):
            deletes.append(entry.key)
        elif isinstance(one, NetworkInterface):
            puts[entry.key] = encode(replace(one, groups=()))
        elif isinstance(one, Vpc):
            puts[entry.key] = encode(replace(one, dhcp_options_id="default"))
        elif isinstance(one, Instance):
            puts[entry.key] = encode(replace(one, public_key=""))
    api.run(api.store.txn([], puts, deletes))
    assert broken(everything(api)) != []


def everything(api):
    return api.run(api.store.range("")).entries


def of(vpc_id):
    return [{"Name": "vpc-id", "Values": [vpc_id]}]


def test_the_first_look_finds_every_guard(older):
    api, vpc_id, subnet_id = older
    ec2 = api.client()
    (group,) = ec2.describe_security_groups(Filters=of(vpc_id))["SecurityGroups"]
    assert group["GroupName"] == "default"
    (acl,) = ec2.describe_network_acls(Filters=of(vpc_id))["NetworkAcls"]
    assert acl["IsDefault"]
    assert [one["SubnetId"] for one in acl["Associations"]] == [subnet_id]
    (interface,) = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert interface["Groups"] == [{"GroupId": group["GroupId"], "GroupName": "default"}]


def test_the_first_change_goes_on_from_there(older):
    api, vpc_id, _ = older
    ec2 = api.client()
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
    ec2.create_network_interface(SubnetId=subnet_id)
    assert broken(everything(api)) == []


def test_its_vpcs_get_the_regions_default_set(older):
    api, vpc_id, _ = older
    ec2 = api.client()
    (default,) = ec2.describe_dhcp_options()["DhcpOptions"]
    assert {one["DhcpOptionsId"] for one in ec2.describe_vpcs()["Vpcs"]} == {default["DhcpOptionsId"]}


def test_a_vpc_whose_owner_wants_no_set_is_not_taken_for_an_older_one(api, ec2):
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.associate_dhcp_options(VpcId=vpc_id, DhcpOptionsId="default")
    with RunningApi(api.store) as fresh:
        assert fresh.client().describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]["DhcpOptionsId"] == "default"


def test_its_instances_get_the_public_key_of_their_key_pair(api, ec2):
    ec2.create_key_pair(KeyName="me", KeyType="ed25519")
    ec2.run_instances(ImageId=NAMESPACE_IMAGE.id, MinCount=1, MaxCount=1, KeyName="me")
    strip(api)
    with RunningApi(api.store) as fresh:
        fresh.client().describe_vpcs()
        (instance,) = [one for one in map(decoded, everything(fresh)) if isinstance(one, Instance)]
    assert instance.public_key.startswith("ssh-ed25519 ")


def decoded(entry):
    return decode_resource(entry.key, entry.value) if entry.key.startswith(INTENDED) else None


def test_the_housekeeper_does_it_for_instances_of_accounts_that_ask_nothing(older):
    api, _, _ = older
    api.run(complete_older_stores(api.store, State(api.store), time.time()))
    assert broken(everything(api)) == []
    before = api.run(api.store.revision())
    api.run(complete_older_stores(api.store, State(api.store), time.time()))
    assert api.run(api.store.revision()) == before


FIRST = Path(__file__).parents[1] / "vectors" / "store_of_the_first_build.json"
MTU = 1500


@pytest.fixture
def first():
    """An API over what the first build wrote."""
    rows = {
        key: (value if isinstance(value, str) else json.dumps(value)).encode()
        for key, value in json.loads(FIRST.read_text()).items()
    }
    with RunningApi(MemoryStore()) as fresh:
        fresh.run(fresh.store.txn([], rows))
        fresh.hosts_have_applied(fresh.run(fresh.store.revision()))
        yield fresh


def test_a_store_of_the_first_build_is_read_whole_and_made_sound(first):
    ec2 = first.client()
    (kept,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["kept"]}])["Vpcs"]
    first.hosts_have_applied(first.run(first.store.revision()))  # what was missing, too
    blocks = [one["CidrBlock"] for one in kept["CidrBlockAssociationSet"]]
    assert (kept["CidrBlock"], blocks) == ("10.77.0.0/16", ["10.77.0.0/16", "10.78.0.0/16"])
    (reservation,) = ec2.describe_instances(Filters=of(kept["VpcId"]))["Reservations"]
    (instance,) = reservation["Instances"]
    assert (instance["State"]["Name"], instance["KeyName"]) == ("running", "kept")
    assert [[a["PrivateIpAddress"] for a in i["PrivateIpAddresses"]] for i in instance["NetworkInterfaces"]] == [
        ["10.77.0.10"],
        ["10.77.0.20", "10.77.0.80"],
    ]
    assert broken(everything(first)) == []


def test_hosts_get_from_it_what_its_instances_need(first):
    first.run(complete_older_stores(first.store, State(first.store), time.time()))
    found = first.run(first.store.range(""))
    intent = host_intent(IntentState(found.entries, found.revision, MTU), "host-1")
    (instance,) = intent.instances.values()
    assert [interface.addresses for interface in instance.interfaces] == [("10.77.0.10",), ("10.77.0.20", "10.77.0.80")]
    assert {address for _, address in intent.mappings} == {"10.77.0.10", "10.77.0.20", "10.77.0.80"}
    needed = {("policy", interface.group_set, 0) for interface in instance.interfaces}
    needed |= {("acl", interface.acl, 0) for interface in instance.interfaces}
    assert needed <= set(intent.rules)
