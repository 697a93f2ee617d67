"""Load balancers through boto3 and the AWS CLI: the query protocol, its errors, its pages, its waiters, and the signature's scope.

boto3, aws elbv2 --HTTP, SigV4--> front, handlers --> MemoryStore <-- a thread that does what hosts and cells are asked to
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from http import HTTPStatus
from ipaddress import IPv4Address
from pathlib import Path
from urllib.error import HTTPError
from xml.etree import ElementTree

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rookery.api.accounts import reset
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.housekeeper import complete_older_stores
from rookery.api.state import State
from rookery.host.services.dns.wire_name import wire_of
from rookery.host.services.dns.zone_names import Zone
from rookery.intent import state as intent_state
from rookery.intent.host import ZoneIntent
from rookery.intent.whole import host_intent
from rookery.model.codec import encode
from rookery.model.keys import PUBLIC_CLAIMS, target_health_key
from rookery.model.objects import TargetHealth
from rookery.region.layout import DEFAULT_ACCOUNT
from rookery.testing.invariants import broken
from rookery.testing.running_api import ACCESS_KEY, SECRET
from tests.waiting import until

AWS_CLI = Path(sys.executable).with_name("aws")
NAMESPACE = "{http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/}"


@pytest.fixture
def elb(api):
    api.add_cells()
    return api.client("elbv2")


@pytest.fixture
def home(ec2):
    """A VPC's id and its two subnets'."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")
        for n, zone in ((1, "a"), (2, "b"))
    ]
    return vpc, [one["Subnet"]["SubnetId"] for one in subnets]


def balance(elb, home, name="web"):
    asked = {"Name": name, "Type": "network", "Scheme": "internal", "Subnets": home[1]}
    return elb.create_load_balancer(**asked)["LoadBalancers"][0]


def group(elb, home, name="web"):
    made = elb.create_target_group(Name=name, Protocol="TCP", Port=80, VpcId=home[0], TargetType="ip")
    return made["TargetGroups"][0]["TargetGroupArn"]


def ask(api, body, service="elasticloadbalancing"):
    """(status, XML) of a request that is signed for a service."""
    request = AWSRequest("POST", f"{api.url}/", {}, body.encode())
    SigV4Auth(Credentials(ACCESS_KEY, SECRET), service, "us-east-1").add_auth(request)
    prepared = request.prepare()
    sent = urllib.request.Request(prepared.url, prepared.body, dict(prepared.headers), method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=10) as answer:
            return answer.status, ElementTree.fromstring(answer.read())
    except HTTPError as refusal:
        return refusal.code, ElementTree.fromstring(refusal.read())


def code_of(xml):
    return xml.findtext(f"{NAMESPACE}Error/{NAMESPACE}Code")


@pytest.mark.usefixtures("obedient_hosts")
def test_boto3_waits_for_a_balancer_and_its_targets(api, elb, home):
    made = balance(elb, home)
    elb.get_waiter("load_balancer_available").wait(Names=["web"], WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    target_group = group(elb, home)
    elb.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"],
        Protocol="TCP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
    )
    elb.register_targets(TargetGroupArn=target_group, Targets=[{"Id": "10.0.1.9"}])
    identity = f"tg-{target_group[-16:]}"
    found = TargetHealth(cell="cell-0", targets={identity: {"10.0.1.9:80": ("healthy", "")}})
    api.run(api.store.txn([], {target_health_key("cell-0"): encode(found)}))
    quickly = {"Delay": 1, "MaxAttempts": 10}
    elb.get_waiter("target_in_service").wait(TargetGroupArn=target_group, WaiterConfig=quickly)
    elb.modify_target_group_attributes(
        TargetGroupArn=target_group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}]
    )
    elb.deregister_targets(TargetGroupArn=target_group, Targets=[{"Id": "10.0.1.9"}])
    gone = {"TargetGroupArn": target_group, "Targets": [{"Id": "10.0.1.9"}]}
    elb.get_waiter("target_deregistered").wait(**gone, WaiterConfig=quickly)
    elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    elb.get_waiter("load_balancers_deleted").wait(
        LoadBalancerArns=[made["LoadBalancerArn"]], WaiterConfig=quickly
    )
    assert broken(api.run(api.store.range("")).entries) == []


def test_boto3_turns_pages(elb, home):
    names = {balance(elb, home, f"lb{n}")["LoadBalancerName"] for n in range(5)}
    pages = elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["LoadBalancers"]) for page in pages] == [2, 2, 1]
    found = elb.describe_load_balancers()
    assert {one["LoadBalancerName"] for one in found["LoadBalancers"]} == names
    assert "NextMarker" not in found


def test_an_error_is_written_in_the_query_protocol(api, elb):
    status, xml = ask(api, "Action=DescribeLoadBalancers&Version=2015-12-01&Names.member.1=missing")
    assert (status, xml.tag) == (HTTPStatus.BAD_REQUEST, f"{NAMESPACE}ErrorResponse")
    assert code_of(xml) == "LoadBalancerNotFound"
    assert xml.findtext(f"{NAMESPACE}Error/{NAMESPACE}Type") == "Sender"
    assert xml.findtext(f"{NAMESPACE}RequestId")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("Action=CreateLoadBalancer", "ValidationError"),
        ("Action=DescribeLoadBalancers&PageSize=0", "ValidationError"),
        ("Action=DescribeLoadBalancers&Colour=blue", "ValidationError"),
        ("Action=DescribeLoadBalancers&Names=web", "ValidationError"),
        ("Action=CreateLoadBalancer&Name=web&Scheme=public", "ValidationError"),
        ("Action=DescribeRules", "UnsupportedOperation"),
        ("Action=DescribeVpcs", "InvalidAction"),
    ],
)
def test_malformed_input_is_a_validation_error(api, body, code):
    status, xml = ask(api, f"{body}&Version=2015-12-01")
    assert (status, code_of(xml)) == (HTTPStatus.BAD_REQUEST, code)


def test_a_map_in_an_action_is_read_and_the_action_refused(api, elb, home):
    arn = balance(elb, home)["LoadBalancerArn"]
    oidc = "DefaultActions.member.1.AuthenticateOidcConfig"
    parts = ("Issuer", "AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint", "ClientId")
    fields = [f"{oidc}.{part}=x" for part in parts]
    fields += [f"{oidc}.AuthenticationRequestExtraParams.entry.1.{part}=x" for part in ("key", "value")]
    fields += ["DefaultActions.member.1.Type=authenticate-oidc", f"LoadBalancerArn={arn}", "Protocol=TCP", "Port=80"]
    _, xml = ask(api, "&".join(["Action=CreateListener&Version=2015-12-01", *fields]))
    assert code_of(xml) == "InvalidLoadBalancerAction"
    spoiled = [field for field in fields if ".value=" not in field]
    _, xml = ask(api, "&".join(["Action=CreateListener&Version=2015-12-01", *spoiled]))
    assert code_of(xml) == "ValidationError"


@pytest.mark.parametrize("service", ["ec2", "sts"])
def test_a_signature_for_another_service_opens_nothing_here(api, elb, service):
    status, xml = ask(api, "Action=DescribeLoadBalancers&Version=2015-12-01", service)
    assert status == HTTPStatus.BAD_REQUEST
    assert "NoSuchVersion" in ElementTree.tostring(xml).decode()


def test_classic_load_balancers_are_not_built(api):
    classic = api.client("elb")
    with pytest.raises(classic.exceptions.ClientError) as refused:
        classic.describe_load_balancers()
    assert refused.value.response["Error"]["Code"] == "UnsupportedOperation"


def test_a_wrong_secret_is_refused_in_the_query_protocol(api):
    stranger = api.client("elbv2", secret="wrong")
    with pytest.raises(stranger.exceptions.ClientError) as refused:
        stranger.describe_load_balancers()
    assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    unknown = api.client("elbv2", access_key="AKIDUNKNOWN")
    with pytest.raises(unknown.exceptions.ClientError) as refused:
        unknown.describe_load_balancers()
    assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_accounts_and_regions_do_not_see_each_others_balancers(api, elb, home):
    arn = balance(elb, home)["LoadBalancerArn"]
    api.add_key("AKIDOTHER", "othersecret", "210987654321")
    other = api.client("elbv2", access_key="AKIDOTHER", secret="othersecret")
    assert other.describe_load_balancers()["LoadBalancers"] == []
    with pytest.raises(other.exceptions.LoadBalancerNotFoundException):
        other.describe_load_balancers(LoadBalancerArns=[arn])
    assert other.delete_load_balancer(LoadBalancerArn=arn)["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.OK
    assert api.client("elbv2", "eu-west-1").describe_load_balancers()["LoadBalancers"] == []
    assert [one["LoadBalancerArn"] for one in elb.describe_load_balancers()["LoadBalancers"]] == [arn]


def test_an_account_that_is_reset_keeps_no_balancer_and_no_address_of_one(api, ec2, elb):
    api.add_pool()
    (subnet, *_) = ec2.describe_subnets()["Subnets"]
    made = elb.create_load_balancer(Name="web", Type="network", Subnets=[subnet["SubnetId"]])["LoadBalancers"][0]
    assert made["Scheme"] == "internet-facing"
    assert api.run(api.store.range(PUBLIC_CLAIMS)).entries
    api.run(reset(api.store, DEFAULT_ACCOUNT))
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert api.run(api.store.range(PUBLIC_CLAIMS)).entries == []
    assert broken(api.run(api.store.range("")).entries) == []


def test_ec2_shows_nothing_of_balancers_but_their_interfaces(ec2, elb, home):
    made = balance(elb, home)
    elb.add_tags(ResourceArns=[made["LoadBalancerArn"]], Tags=[{"Key": "team", "Value": "net"}])
    assert ec2.describe_tags()["Tags"] == []
    path = made["LoadBalancerArn"].partition("loadbalancer/")[2]
    chosen = [{"Name": "description", "Values": [f"ELB {path}"]}]
    found = ec2.describe_network_interfaces(Filters=chosen)["NetworkInterfaces"]
    assert {one["InterfaceType"] for one in found} == {"network_load_balancer"}
    assert len(found) == 2
    assert all(one["RequesterManaged"] and one["Status"] == "in-use" and not one["Groups"] for one in found)


def test_a_balancer_that_was_born_without_groups_is_given_none_when_an_api_starts(api, elb, home):
    """An interface without a group looks like one of a store that an earlier version made."""
    balance(elb, home)
    before = api.run(api.store.range("intended/")).entries
    api.run(complete_older_stores(api.store, State(api.store), 1_800_000_000.0))
    assert api.run(api.store.range("intended/")).entries == before


def test_the_resolver_of_its_vpc_answers_a_balancers_name(api, ec2, elb, home):
    """From the API's writes to what a host's resolver finds; as health is told, at once."""
    made = balance(elb, home)
    target_group = group(elb, home)
    elb.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"],
        Protocol="TCP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
    )
    elb.register_targets(TargetGroupArn=target_group, Targets=[{"Id": "10.0.1.9"}, {"Id": "10.0.2.9"}])
    run = {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "MaxCount": 1, "SubnetId": home[1][0]}
    ec2.run_instances(**run)
    words = {"10.0.1.9:80": ("healthy", ""), "10.0.2.9:80": ("unhealthy", "Target.FailedHealthChecks")}
    found = TargetHealth(cell="cell-0", targets={f"tg-{target_group[-16:]}": words})
    api.run(api.store.txn([], {target_health_key("cell-0"): encode(found)}))
    chosen = [{"Name": "interface-type", "Values": ["network_load_balancer"]}]
    fronts = ec2.describe_network_interfaces(Filters=chosen)["NetworkInterfaces"]
    (healthy,) = [one["PrivateIpAddress"] for one in fronts if one["AvailabilityZone"] == "us-east-1a"]
    until(lambda: resolved(api, made["DNSName"]) == [healthy], "only the zone with a healthy target is in the name")
    assert resolved(api, f"us-east-1a.{made['DNSName']}") == [healthy]
    assert resolved(api, f"nobody.{made['DNSName']}") == []


def resolved(api, name):
    """The addresses that the zone of the one host with an instance has for the name."""
    kept = api.run(api.store.range(""))
    state = intent_state.State(kept.entries, kept.revision, 1500)
    rules = [rule for host in state.hosts for rule in host_intent(state, host).rules.values()]
    (zone,) = [Zone(rule) for rule in rules if isinstance(rule, ZoneIntent)]
    return [str(IPv4Address(record.rdata)) for record in zone.find(wire_of(name)).records]


def test_the_aws_cli_builds_a_balancer(api, elb, home):
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def aws(line):
        command = [str(AWS_CLI), "elbv2", *line.split()]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout else None

    made = aws(f"create-load-balancer --name web --type network --scheme internal --subnets {' '.join(home[1])}")
    balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
    made = aws(f"create-target-group --name web --protocol TCP --port 80 --target-type ip --vpc-id {home[0]}")
    target_group = made["TargetGroups"][0]["TargetGroupArn"]
    aws(
        f"create-listener --load-balancer-arn {balancer} --protocol TCP --port 80 "
        f"--default-actions Type=forward,TargetGroupArn={target_group}"
    )
    aws(f"register-targets --target-group-arn {target_group} --targets Id=10.0.1.9 Id=10.0.2.9,Port=8080")
    health = aws(f"describe-target-health --target-group-arn {target_group}")["TargetHealthDescriptions"]
    assert {one["TargetHealth"]["State"] for one in health} == {"initial"}
