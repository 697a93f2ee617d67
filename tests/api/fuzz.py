"""Every operation with generated parameters, valid and spoiled, straight into the front: no 5xx, and the state stays sound.

    PYTHONPATH=src:. python -m tests.api.fuzz 100000 [--seed N]

A region after the other, of a few thousand requests each: a seed finds what went wrong in its region again."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import secrets
import time
from collections import Counter
from functools import cache
from types import SimpleNamespace
from unittest.mock import patch

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer

from rookery.api import handlers
from rookery.api.front import Front
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.handlers.key_material import new_key
from rookery.api.handlers.managed_interfaces import is_managed, managed_attachment_id
from rookery.api.handlers.security_group_permissions import FLAT
from rookery.api.housekeeper import follow_interfaces, keep_house
from rookery.api.operation import HANDLERS
from rookery.api.quotas import Quotas
from rookery.api.signature import Claim, Credential, HttpRequest
from rookery.model import keys
from rookery.model.balancers import IPV4
from rookery.model.codec import encode
from rookery.model.keys import cell_key, cell_status_key, credential_key, host_key, pool_key
from rookery.model.objects import (
    AccessKey,
    AddressPool,
    Cell,
    CellStatus,
    DhcpOptions,
    EgressOnlyInternetGateway,
    ElasticIp,
    Host,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkAcl,
    NetworkInterface,
    PrefixList,
    RouteTable,
    SecurityGroup,
    Subnet,
    SubnetCidrReservation,
    Vpc,
    VpcEndpoint,
    VpcEndpointService,
    VpcPeering,
)
from rookery.testing.invariants import broken
from rookery.testing.memory_store import MemoryStore
from rookery.testing.shapes import Values
from tests.api.endpoint_scene import arn

ACCOUNT, OTHER, REGION = "123456789012", "210987654321", "us-east-1"
POOL = "198.18.0.0/20"  # more than anybody uses up: a 5xx is a fault here
KEYS = {ACCOUNT: "AKID", OTHER: "AKIDOTHER"}
MODEL = ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")
SERIALIZER = create_serializer("ec2", include_validation=False)
HINTS = {
    "CidrBlock": [
        "10.0.0.0/16",
        "10.0.0.0/24",
        "10.0.1.0/24",
        "10.1.0.0/16",
        "172.31.32.0/20",
        "10.0.0.0/28",
    ],
    "AvailabilityZone": ["us-east-1a", "us-east-1b"],
    "DryRun": [True, False, False, False],
    "MaxResults": [5, 7, 1000],
    "MinCount": [1],
    "MaxCount": [1, 2, 3],
    "ResourceType": ["vpc", "subnet", "route-table", "network-interface", "instance", "security-group-rule"],
    "GroupName": ["default", "web", "database"],
    "GroupDescription": ["made by a fuzzer"],
    "IpPermission": [
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "6", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.1.2.3/8"}]},
        {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": "all"}]},
        {"IpProtocol": "47", "IpRanges": [{"CidrIp": "0.0.0.0/0"}, {"CidrIp": "10.0.0.1/32"}]},
        {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        {"IpProtocol": "udp", "FromPort": 53, "ToPort": 50, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-0123456789abcdef0"}]},
    ],
    "PrefixListId": ["pl-0123456789abcdef0", "pl-x"],
    "CidrIp": ["10.0.0.0/8", "0.0.0.0/0", "10.0.0.1"],
    "CidrIpv4": ["10.0.0.0/8", "10.2.0.0/16", "0.0.0.0/0"],
    "CidrIpv6": ["::/0", "2001:db8::/32"],
    "Ipv6CidrBlock": ["::/0", "2001:db8::/32", "::ffff:10.0.0.0/104"],
    "IpProtocol": ["tcp", "-1", "icmpv6", "gre"],
    "Protocol": ["-1", "6", "17", "1", "tcp"],
    "FromPort": [0, 80],
    "ToPort": [80, 65535],
    "RuleNumber": [1, 90, 100, 32766, 32767],
    "From": [0, 1024],
    "To": [1024, 65535],
    "ClientToken": ["one", "two"],
    "AddressFamily": ["IPv4", "IPv6"],
    "HttpPutResponseHopLimit": [1, 2, 64, 65],
    "DhcpConfiguration": [
        {"Key": "domain-name", "Values": ["example.org"]},
        {"Key": "domain-name-servers", "Values": ["AmazonProvidedDNS", "2001:db8::53"]},
        {"Key": "netbios-node-type", "Values": ["2"]},
        {"Key": "ipv6-address-preferred-lease-time", "Values": ["140"]},
        {"Key": "ntp-servers", "Values": ["nonsense"]},
    ],
    "MaxEntries": [2, 5],
    "Cidr": ["172.31.0.128/28", "172.31.32.64/27", "10.8.0.0/16", "2001:db8::/48"],
    "DestinationCidrBlock": ["0.0.0.0/0", "172.31.0.0/16", "10.0.1.0/24", "10.9.0.0/16"],
    "DestinationIpv6CidrBlock": ["::/0", "2001:db8::/48"],
    "Ipv6AddressCount": [0, 1, 2],
    "Ipv6PrefixCount": [0, 1],
    "Ipv4PrefixCount": [0, 1],
    "NextToken": ["nonsense"],
    "ImageId": [NAMESPACE_IMAGE.id],
    "InstanceType": ["t3.micro", "t3.nano"],
    "KeyName": ["me", "you"],
    "CurrentVersion": [1, 2],
    "PreviousVersion": [1],
    "DeviceIndex": [0, 1, 2],
    "Domain": ["vpc"],
    "PublicIp": ["198.18.0.7", "8.8.8.8", "nonsense"],
    "PrivateIpAddress": ["172.31.0.7", "172.31.16.9", "10.0.0.9"],
    "SecondaryPrivateIpAddressCount": [0, 1, 2],
    "MaxDrainDurationSeconds": [1, 350],
    "NetworkLoadBalancerArn": [arn(name) for name in ("one", "two", "three", "four")],
    "VpcEndpointType": ["Interface", "Interface", "Interface", "Gateway"],
    "PrivateDnsName": ["api.example.com", "www.example.com"],
    "DomainName": ["mail.example.com", "nonsense", "no name"],
}


@contextlib.contextmanager
def unsigned():
    """Signatures and keys of RSA have their own tests; here they would only take time."""

    def claimed(http):
        return Claim(Credential(http.headers["key"], "20260101", REGION, "ec2"), [], "", "", None, "")

    with (
        patch("rookery.api.front.claim_of", claimed),
        patch("rookery.api.front.verify", lambda *_: None),
        patch("rookery.api.handlers.key_pairs.new_key", cache(new_key)),
        patch("rookery.api.handlers.endpoint_balancers.balancer_by_arn", stand_in),
    ):
        yield


def stand_in(_view, account, name):
    """Each account has all the balancers that there are hints of, in both zones."""
    interfaces = {f"{REGION}a": "eni-0123456789abcdef0", f"{REGION}b": "eni-0123456789abcdef1"}
    known = name in HINTS["NetworkLoadBalancerArn"]
    return SimpleNamespace(arn=name, account=account, interfaces=interfaces, address_type=IPV4) if known else None


async def make_front():
    handlers.load()
    store = MemoryStore()
    owned = [AccessKey(access_key=key, account=account, sealed_secret=b"") for account, key in KEYS.items()]
    hosts = [Host(name=f"host-{n}", zone=n % 2, address=f"100.64.1.{n}") for n in range(4)]
    puts = {host_key(host.name): encode(host) for host in hosts}
    cells = [Cell(name=f"cell-{n}", zones=(n,), nodes=(f"node-{n}", f"node-{n + 2}")) for n in range(2)]
    puts |= {cell_key(cell.name): encode(cell) for cell in cells}
    puts[pool_key(POOL)] = encode(AddressPool(cidr=POOL))
    puts |= {credential_key(one.access_key): encode(one) for one in owned}
    await store.txn([], puts)
    return store, Front(store, bytes(32), Quotas(vpcs=30, elastic_ips=8, nat_elastic_ips=4))


async def ask(front, form, account=ACCOUNT):
    body = "&".join(f"{quoted(name)}={quoted(value)}" for name, value in form.items()).encode()
    return await front.handle(HttpRequest("POST", "/", "", {"key": KEYS[account]}, body))


def quoted(text):
    return "".join(f"%{byte:02X}" for byte in str(text).encode("utf-8", "surrogatepass"))


def form_of(values, name, avoided=()):
    operation = MODEL.operation_model(name)
    given = values.of(operation.input_shape) if operation.input_shape else {}
    given = {member: value for member, value in given.items() if member not in avoided}
    form = SERIALIZER.serialize_to_request(given, operation)["body"]
    return {key: ("true" if v is True else "false" if v is False else str(v)) for key, v in form.items()}


def hints_of(front, account):
    """The ids that exist now."""
    found = {member: list(values) for member, values in HINTS.items()}
    realm = front.state.realm(account, REGION)
    for kind, member in ((Vpc, "VpcId"), (Subnet, "SubnetId"), (RouteTable, "RouteTableId")):
        found[member] = list(realm.by_id.get(kind, {})) or ["vpc-0123456789abcdef0"]
    interfaces = list(realm.by_id.get(NetworkInterface, {}))
    found["DhcpOptionsId"] = [*realm.by_id.get(DhcpOptions, {}), "default"]
    found["NetworkInterfaceId"] = interfaces or ["eni-0123456789abcdef0"]
    found["InstanceId"] = list(realm.by_id.get(Instance, {})) or ["i-0123456789abcdef0"]
    held = realm.by_id.get(NetworkInterface, {}).values()
    attachments = [one.attachment.id for one in held if one.attachment]
    attachments += [managed_attachment_id(one) for one in held if is_managed(one)]
    found["AttachmentId"] = attachments or ["eni-attach-0123456789abcdef0"]
    found["PeerVpcId"] = [*found["VpcId"], *front.state.realm(other_than(account), REGION).by_id.get(Vpc, {})]
    found["PeerOwnerId"] = found["UserId"] = list(KEYS)
    found["VpcPeeringConnectionId"] = [*realm.by_id.get(VpcPeering, {}), *realm.accepted] or ["pcx-x"]
    found["PrefixListId"] = list(realm.by_id.get(PrefixList, {})) or ["pl-0123456789abcdef0"]
    found["SubnetCidrReservationId"] = list(realm.by_id.get(SubnetCidrReservation, {})) or [
        "scr-0123456789abcdef0"
    ]
    found["Ipv6CidrBlock"] = [
        one.cidr.replace("/56", "/64")
        for vpc in realm.by_id.get(Vpc, {}).values()
        for one in vpc.ipv6_cidr_associations
    ]
    found["InternetGatewayId"] = list(realm.by_id.get(InternetGateway, {})) or ["igw-0123456789abcdef0"]
    one_way = list(realm.by_id.get(EgressOnlyInternetGateway, {})) or ["eigw-0123456789abcdef0"]
    found["EgressOnlyInternetGatewayId"] = one_way
    found["GatewayId"] = found["InternetGatewayId"]
    elastic_ips = list(realm.by_id.get(ElasticIp, {}).values())
    found["AllocationId"] = [one.id for one in elastic_ips] or ["eipalloc-0123456789abcdef0"]
    found["PublicIp"] = [*found["PublicIp"], *(one.address for one in elastic_ips)]
    nats = list(realm.by_id.get(NatGateway, {}).values())
    found["NatGatewayId"] = [one.id for one in nats] or ["nat-0123456789abcdef0"]
    found |= hints_of_privatelink(front, account, found)
    found["SecondaryAllocationId"] = found["AllocationId"]
    found["PrivateIpAddress"] += [a.private_address for one in nats for a in one.addresses]
    everything = [one for ids in realm.by_id.values() for one in ids]
    found["Resource"] = everything or ["vpc-0123456789abcdef0"]
    associations = [a.id for table in realm.by_id.get(RouteTable, {}).values() for a in table.associations]
    associations += [
        a.id
        for kind in (Vpc, Subnet)
        for one in realm.by_id.get(kind, {}).values()
        for a in one.ipv6_cidr_associations
    ]
    associations += [a.id for vpc in realm.by_id.get(Vpc, {}).values() for a in vpc.cidr_associations]
    acls = list(realm.by_id.get(NetworkAcl, {}).values())
    associations += [a.id for acl in acls for a in acl.associations]
    associations += [a.association_id for one in nats for a in one.addresses if a.association_id]
    associations += [one.association_id or one.ended_association_id for one in elastic_ips]
    found["AssociationId"] = associations or ["rtbassoc-0123456789abcdef0"]
    groups = list(realm.by_id.get(SecurityGroup, {}).values())
    found["NetworkAclId"] = [acl.id for acl in acls] or ["acl-0123456789abcdef0"]
    found["GroupId"] = [group.id for group in groups] or ["sg-0123456789abcdef0"]
    for member in ("ReferencedGroupId", "SecurityGroupId", "AddSecurityGroupId", "RemoveSecurityGroupId"):
        found[member] = found["GroupId"]
    rules = [rule.id for group in groups for rule in group.rules] or ["sgr-0123456789abcdef0"]
    found["SecurityGroupRuleId"] = rules
    found["Resource"] = [*found["Resource"], *rules]
    return found


def hints_of_privatelink(front, account, found):
    services = [one for each in (account, other_than(account)) for one in services_of(front, each)]
    endpoints = [one for each in KEYS for one in front.state.realm(each, REGION).by_id.get(VpcEndpoint, {})]
    more = {
        "ServiceId": [one.id for one in services] or ["vpce-svc-0123456789abcdef0"],
        "ServiceName": [one.name for one in services] or ["com.amazonaws.us-east-1.s3"],
        "VpcEndpointId": endpoints or ["vpce-0123456789abcdef0"],
    }
    for verb in ("Add", "Remove"):
        more[f"{verb}SubnetId"] = found["SubnetId"]
        more[f"{verb}NetworkLoadBalancerArn"] = found["NetworkLoadBalancerArn"]
        more[f"{verb}AllowedPrincipal"] = ["*", f"arn:aws:iam::{OTHER}:root", "nonsense"]
    return more


def services_of(front, account):
    return list(front.state.realm(account, REGION).by_id.get(VpcEndpointService, {}).values())


def other_than(account):
    return OTHER if account == ACCOUNT else ACCOUNT


async def check_state(store, front):
    """Nothing is half there, and the API's own copy holds what the store holds."""
    entries = (await store.range("")).entries
    assert broken(entries) == []
    assert {
        keys.key_of(one)
        for realm in front.state.realms.values()
        for ids in realm.by_id.values()
        for one in ids.values()
    } == {entry.key for entry in entries if entry.key.startswith(keys.INTENDED)}


async def let_time_pass(store, front):
    """Cells work by what there is, and what is due by itself is done."""
    working = await store.revision()
    front.state.live = working
    statuses = {name: CellStatus(name=name, epoch=working, generation=working) for name in front.state.cells}
    await store.txn([], {cell_status_key(name): encode(one) for name, one in statuses.items()})
    await keep_house(store, front.state, time.time())
    await follow_interfaces(store, front.state, time.time(), Quotas())


async def rounds(seed, count, names, spoil, avoided=()):
    store, front = await make_front()
    source = random.Random(seed)
    seen = Counter()
    for number in range(count):
        if number % 25 == 0:
            await let_time_pass(store, front)
            account = source.choice((ACCOUNT, ACCOUNT, OTHER))
            values = Values(source, hints_of(front, account))
        name = source.choice(names)
        form = form_of(values, name, avoided if source.random() < 0.8 else ())
        if source.random() < spoil:
            form = values.spoiled(form)
        answer = await ask(front, form, account)
        assert answer.status < 500, (seed, number, form, answer.body)
        code = re.search(rb"<Code>(.*?)</Code>", answer.body)
        seen[code[1].decode() if code else "ok"] += 1
    await check_state(store, front)
    return seen


# Members that most often only contradict others.
IN_THE_WAY = {
    *FLAT,
    "SecurityGroupRuleIds",
    "SecurityGroupRuleDescriptions",
    "DryRun",
    "NextToken",
    "Filters",
}
IN_THE_WAY |= {"Ipv6CidrBlock", "TagSpecifications"}

LONGEST_ROUND = 2500  # requests to one region


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("requests", type=int)
    arguments.add_argument("--seed", type=int, default=secrets.randbits(32))
    given = arguments.parse_args()
    handlers.load()
    seen, left, seed = Counter(), given.requests, given.seed
    with unsigned():
        while left > 0:
            count = min(left, LONGEST_ROUND)
            spoil = (0.05, 0.2, 0.5)[seed % 3]
            seen += asyncio.run(rounds(seed, count, sorted(HANDLERS), spoil, IN_THE_WAY if seed % 2 else ()))
            print(f"seed {seed}: {count} requests, {seen['ok']} done so far", flush=True)
            left, seed = left - count, seed + 1
    for code, count in seen.most_common():
        print(f"{count:8} {code}")


if __name__ == "__main__":
    main()
