"""tests/api/fuzz.py for ELBv2: its operations between those of EC2 that pull the ground from under them.

    PYTHONPATH=src:. python -m tests.api.balancer_fuzz 100000 [--seed N]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import secrets
from collections import Counter
from unittest.mock import patch

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer

from rookery.api.handlers.balancer_arns import arn_of
from rookery.api.housekeeper import keep_house
from rookery.api.operation import BALANCING_HANDLERS
from rookery.api.signature import Claim, Credential, HttpRequest
from rookery.intent.balancing import balancing_intent
from rookery.intent.state import State
from rookery.model.balancers import BALANCING
from rookery.model.codec import encode
from rookery.model.keys import cell_key
from rookery.model.objects import Cell, NetworkInterface, TargetHealth
from rookery.testing.shapes import Values
from tests.api import fuzz

ELB = "elasticloadbalancing"
MODEL = ServiceModel(Loader().load_service_model("elbv2", "service-2"), "elbv2")
SERIALIZER = create_serializer("query", include_validation=False)
LONGEST_ROUND = 2000
GROUND = (  # of EC2
    "CreateVpc",
    "CreateSubnet",
    "DeleteSubnet",
    "DeleteVpc",
    "AllocateAddress",
    "ReleaseAddress",
    "AssociateAddress",
    "DisassociateAddress",
    "RunInstances",
    "TerminateInstances",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "ModifyNetworkInterfaceAttribute",
    "AttachInternetGateway",
    "DetachInternetGateway",
    "DeleteSecurityGroup",
)
HINTS = {
    "Type": ["network", "network", "network", "forward", "application"],
    "Name": ["web", "dns", "db", "internal-x"],
    "Scheme": ["internal", "internet-facing"],
    "IpAddressType": ["ipv4", "ipv4", "dualstack"],
    "Protocol": ["TCP", "TCP", "UDP", "TCP_UDP", "TLS"],
    "Port": [80, 443, 53, 8080],
    "TargetType": ["instance", "ip", "ip"],
    "HealthCheckProtocol": ["TCP", "HTTP"],
    "HealthCheckPort": ["traffic-port", "8080"],
    "HealthCheckEnabled": [True],
    "HttpCode": ["200", "200-299"],
    "Weight": [0, 1, 10, 999],
    "Order": [1],
    "Enabled": [False],
    "PageSize": [1, 2, 400],
    "AvailabilityZone": ["us-east-1a", "us-east-1b", "all"],
    "Attribute": [
        {"Key": "load_balancing.cross_zone.enabled", "Value": "true"},
        {"Key": "deletion_protection.enabled", "Value": "false"},
        {"Key": "deregistration_delay.timeout_seconds", "Value": "0"},
        {"Key": "preserve_client_ip.enabled", "Value": "false"},
        {"Key": "stickiness.enabled", "Value": "true"},
        {"Key": "tcp.idle_timeout.seconds", "Value": "60"},
    ],
}
IN_THE_WAY = {
    "SslPolicy",
    "Certificates",
    "AlpnPolicy",
    "MutualAuthentication",
    "CustomerOwnedIpv4Pool",
    "IpamPools",
    "EnablePrefixForIpv6SourceNat",
    "ProtocolVersion",
    "TargetControlPort",
    "Marker",
    "Matcher",
    "HealthCheckPath",
    "Subnets",
    "SecurityGroups",
    "Tags",
}


@contextlib.contextmanager
def unsigned():
    """The service of a request is in a header here."""

    def claimed(http):
        credential = Credential(http.headers["key"], "20260101", fuzz.REGION, http.headers["service"])
        return Claim(credential, [], "", "", None, "")

    with fuzz.unsigned(), patch("rookery.api.front.claim_of", claimed):
        yield


async def make_front():
    store, front = await fuzz.make_front()
    cells = [
        Cell(name=f"cell-{zone}", zones=(zone,), nodes=tuple(f"node-{zone}-{n}" for n in range(4)))
        for zone in (0, 1)
    ]
    await store.txn([], {cell_key(cell.name): encode(cell) for cell in cells})
    return store, front


async def ask(front, form, account, service):
    body = "&".join(f"{fuzz.quoted(name)}={fuzz.quoted(value)}" for name, value in form.items()).encode()
    headers = {"key": fuzz.KEYS[account], "service": service}
    return await front.handle(HttpRequest("POST", "/", "", headers, body))


def _new_balancer(pick):
    ways = ({"Subnets": [pick("SubnetId")]}, {"SubnetMappings": [{"SubnetId": pick("SubnetId"), "AllocationId": pick("AllocationId")}]})
    return {
        "Name": pick("Name"),
        "Type": "network",
        "Scheme": pick("Scheme"),
        "SecurityGroups": pick("groups"),
        **pick.among(ways),
    }


# What a client would say; the rest of the requests is anything.
SENSIBLE = {
    "CreateLoadBalancer": _new_balancer,
    "SetSubnets": lambda pick: {
        "LoadBalancerArn": pick("LoadBalancerArn"),
        "Subnets": [pick("SubnetId") for _ in range(pick.among((1, 2)))],
    },
    "SetSecurityGroups": lambda pick: {
        "LoadBalancerArn": pick("LoadBalancerArn"),
        "SecurityGroups": [pick("GroupId")],
    },
    "CreateTargetGroup": lambda pick: {
        **{name: pick(name) for name in ("Name", "Protocol", "Port", "VpcId", "TargetType")}
    },
    "CreateListener": lambda pick: {
        **{name: pick(name) for name in ("LoadBalancerArn", "Protocol", "Port")},
        "DefaultActions": _forward(pick),
    },
    "ModifyListener": lambda pick: {"ListenerArn": pick("ListenerArn"), "DefaultActions": _forward(pick)},
    "RegisterTargets": lambda pick: {
        "TargetGroupArn": pick("TargetGroupArn"),
        "Targets": [{"Id": pick("Id")}, {"Id": pick("Id"), "Port": pick("Port")}],
    },
    "DeregisterTargets": lambda pick: {
        "TargetGroupArn": pick("TargetGroupArn"),
        "Targets": [{"Id": pick("Id"), "Port": pick("Port")}],
    },
}


def _forward(pick):
    groups = [{"TargetGroupArn": pick("TargetGroupArn"), "Weight": pick("Weight")} for _ in range(pick.among((1, 2)))]
    simple = {"Type": "forward", "TargetGroupArn": pick("TargetGroupArn")}
    return [pick.among((simple, {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}))]


class Pick:
    def __init__(self, source, hints):
        self.among = source.choice
        self._hints = hints

    def __call__(self, name):
        return self.among(self._hints[name])


def form_of(values, name, avoided, sensible=None):
    operation = MODEL.operation_model(name)
    if sensible:
        return flat(SERIALIZER.serialize_to_request(sensible, operation)["body"])
    given = {member: value for member, value in values.of(operation.input_shape).items() if member not in avoided}
    if "DefaultActions" in given:  # most members of an action are of other balancers
        given["DefaultActions"] = [
            {key: one[key] for key in ("Type", "TargetGroupArn") if key in one} for one in given["DefaultActions"]
        ][:1]
    return flat(SERIALIZER.serialize_to_request(given, operation)["body"])


def flat(form):
    return {key: ("true" if v is True else "false" if v is False else str(v)) for key, v in form.items()}


def hints_of(front, account):
    found = {**fuzz.hints_of(front, account), **HINTS}
    realm = front.state.realm(account, fuzz.REGION)
    view = front.state.view(account, fuzz.REGION)
    arns = []
    for kind, member in zip(BALANCING, ("LoadBalancerArn", "TargetGroupArn", "ListenerArn"), strict=True):
        own = [arn_of(view, one) for one in realm.by_id.get(kind, {}).values()]
        found[member] = own or ["arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/x/0123456789abcdef"]
        arns += own
    found["ResourceArn"] = arns or found["LoadBalancerArn"]
    addresses = [one.primary for one in realm.by_id.get(NetworkInterface, {}).values()]
    found["Id"] = [*found["InstanceId"], *addresses, "192.168.0.1"]
    found["SecurityGroup"] = found["GroupId"]
    found["Subnet"] = found["SubnetId"]
    found["groups"] = [[], [], *([group] for group in found["GroupId"])]
    return found


async def rounds(seed, count, spoil):
    store, front = await make_front()
    source = random.Random(seed)
    seen = Counter()
    for number in range(count):
        if number % 20 == 0:
            account = source.choice((fuzz.ACCOUNT, fuzz.ACCOUNT, fuzz.OTHER))
            hints = hints_of(front, account)
            values, pick = Values(source, hints), Pick(source, hints)
        service, form = _asked(source, values, pick)
        if source.random() < spoil:
            form = values.spoiled(form)
        answer = await ask(front, form, account, service)
        assert answer.status < 500, (seed, number, form, answer.body)
        code = re.search(rb"<Code>(.*?)</Code>", answer.body)
        seen[code[1].decode() if code else f"ok {form.get('Action')}"] += 1
        if number % 100 == 0:
            await keep_house(store, front.state, 2_000_000_000.0 + number * 60)
    await fuzz.check_state(store, front)
    check_intent(await store.range(""))
    return seen


def check_intent(found):
    """When all targets are healthy, whoever gets flows is a row, and no two rows have one key."""
    state = State(found.entries, found.revision, 1500)
    for name in ("cell-0", "cell-1"):
        cell = Cell(name=name, zones=(), nodes=())
        words = {}
        for row in balancing_intent(state, cell, None).targets:
            words.setdefault(row.group, {})[f"{row.address}:{row.port}"] = ("healthy", "")
        health = TargetHealth(cell=name, targets=words)
        attachments, services, targets = balancing_intent(state, cell, health)
        for rows in (attachments, services, targets):
            assert len({row.key for row in rows}) == len(rows)
        known = {row.key for row in targets}
        assert all(key in known for service in services for key, _ in service.choices)
        heard = {(service.vni, service.interface) for service in services}
        assert heard <= {row.key for row in attachments}


def _asked(source, values, pick):
    chance = source.random()
    if chance < 0.5:
        name = source.choice(sorted(SENSIBLE))
        return ELB, form_of(values, name, (), SENSIBLE[name](pick))
    if source.random() < 0.3:
        return "ec2", fuzz.form_of(values, source.choice(GROUND), fuzz.IN_THE_WAY)
    name = source.choice(sorted(BALANCING_HANDLERS))
    avoided = IN_THE_WAY if source.random() < 0.8 else ()
    return ELB, form_of(values, name, avoided)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("requests", type=int)
    arguments.add_argument("--seed", type=int, default=secrets.randbits(32))
    given = arguments.parse_args()
    seen, left, seed = Counter(), given.requests, given.seed
    with unsigned():
        while left > 0:
            count = min(left, LONGEST_ROUND)
            seen += asyncio.run(rounds(seed, count, (0.05, 0.2, 0.5)[seed % 3]))
            print(f"seed {seed}: {count} requests", flush=True)
            left, seed = left - count, seed + 1
    for code, count in seen.most_common():
        print(f"{count:8} {code}")


if __name__ == "__main__":
    main()
