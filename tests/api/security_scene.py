"""What tests of security groups and network ACLs stand on: a VPC, and things that other parts of the API make."""

from __future__ import annotations

from msgspec.structs import replace

from rookery.model.codec import decode, encode
from rookery.model.keys import key_of, resource_key
from rookery.model.objects import (
    CidrAssociation,
    PeeringSide,
    PrefixList,
    PrefixListEntry,
    Vpc,
    VpcPeering,
)
from rookery.testing.things import OWNER

PEERING_ID = "pcx-0123456789abcdef0"


def put(api, *resources):
    api.run(api.store.txn([], {key_of(one): encode(one) for one in resources}))


def stored_vpc(api, vpc_id):
    key = resource_key(*OWNER.values(), Vpc.KIND, vpc_id)
    (entry,) = api.run(api.store.range(key)).entries
    return decode(Vpc, entry.value)


def give_ipv6(api, vpc_id):
    block = CidrAssociation("vpc-cidr-assoc-0123456789abcdef0", "2001:db8:1::/56")
    put(api, replace(stored_vpc(api, vpc_id), ipv6_cidr_associations=(block,)))


def peer(api, vpc_id, other_id, status="active"):
    sides = [PeeringSide(**OWNER, vpc_id=one) for one in (vpc_id, other_id)]
    put(api, VpcPeering(**OWNER, id=PEERING_ID, requester=sides[0], accepter=sides[1], status=status))


def prefix_list(api, number=1, family="IPv4", max_entries=10):
    listed = PrefixList(
        **OWNER,
        id=f"pl-{number:017x}",
        name=f"list {number}",
        family=family,
        max_entries=max_entries,
        versions=((PrefixListEntry("10.9.0.0/16" if family == "IPv4" else "2001:db8:9::/48"),),),
    )
    put(api, listed)
    return listed.id


def make_vpc(ec2, cidr="10.0.0.0/16"):
    return ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]


def make_group(ec2, vpc_id, name="web"):
    answer = ec2.create_security_group(GroupName=name, Description="made by a test", VpcId=vpc_id)
    return answer["GroupId"]


def only(ec2, group_id):
    (group,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    return group


def default_group(ec2, vpc_id):
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": ["default"]}]
    (group,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return group


def default_vpc(ec2):
    filters = [{"Name": "is-default", "Values": ["true"]}]
    return ec2.describe_vpcs(Filters=filters)["Vpcs"][0]["VpcId"]


def rules_of(ec2, group_id):
    filters = [{"Name": "group-id", "Values": [group_id]}]
    return ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]


def tcp(port, *cidrs, last=None, **more):
    ranges = [{"CidrIp": cidr} for cidr in cidrs]
    shape = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port if last is None else last, **more}
    return {**shape, "IpRanges": ranges} if ranges else shape
