"""A store made before there were security groups, network ACLs and DHCP options sets: what is missing is there before
anybody looks.

store of an earlier version --> API or housekeeper --> default group, default network ACL, groups of interfaces,
                                                       default options set, public keys of instances
"""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.housekeeper import complete_older_stores
from rookery.api.state import State, claim_key
from rookery.model.codec import decode_resource, encode
from rookery.model.keys import INTENDED
from rookery.model.objects import DhcpOptions, Instance, NetworkAcl, NetworkInterface, SecurityGroup, Vpc
from rookery.testing.invariants import broken
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
