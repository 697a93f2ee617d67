"""PrivateLink, pure (behaviour/08: the states of T8-01 and T8-05; T8-08, T8-16). Two accounts: tests/api/test_vpc_endpoints_accounts.py.
See tests/api/endpoint_scene.py."""

from __future__ import annotations

import pytest

from rookery.api.quotas import Quotas
from rookery.model.objects import (
    NetworkInterface,
    PrivateZone,
    SecurityGroup,
    VpcEndpoint,
    VpcEndpointService,
)
from tests.api.edge_scene import now
from tests.api.endpoint_scene import PRIVATE_NAME, arn, connect, described, endpoint_account, offer, state
from tests.api.nat_scene import time_passes


@pytest.fixture
def here(monkeypatch):
    return endpoint_account(monkeypatch)


def decide(here, verb, service, *endpoints):
    ids = [one if isinstance(one, str) else one.id for one in endpoints]
    answer = here.view.call(f"{verb}VpcEndpointConnections", ServiceId=service.id, VpcEndpointIds=ids)
    return [one["Error"]["Code"] for one in answer["Unsuccessful"]]


def connection(here, endpoint):
    by = [{"Name": "vpc-endpoint-id", "Values": [endpoint.id]}]
    (shown,) = here.view.call("DescribeVpcEndpointConnections", Filters=by)["VpcEndpointConnections"]
    return shown


def available(here, **parameters):
    service = offer(here, AcceptanceRequired=False, **parameters)
    endpoint = connect(here, service)
    time_passes(here)
    return service, now(here, endpoint)


def names_in(here):
    """Of the consumer's VPC: name -> addresses."""
    zones = [one for one in here.view.all(PrivateZone) if one.vpc_ids == (here.consumer.id,)]
    assert all(one.records[0].name == one.name and one.records[0].kind == "A" for one in zones)
    return {one.name: one.records[0].values for one in zones}


# ------------------------------------------------------------------------------------------------------------- states


def test_a_service_that_wants_to_be_asked_accepts_an_endpoint(here):
    service = offer(here)
    endpoint = connect(here, service)
    time_passes(here)
    assert (state(here, endpoint), connection(here, endpoint)["VpcEndpointState"]) == ("pendingAcceptance",) * 2
    assert decide(here, "Accept", service, endpoint) == []
    assert state(here, endpoint) == "pending"
    time_passes(here)
    assert (state(here, endpoint), connection(here, endpoint)["VpcEndpointState"]) == ("available",) * 2
    assert decide(here, "Accept", service, endpoint) == ["InvalidState"]


def test_without_acceptance_an_endpoint_waits_for_its_cells_only(here):
    endpoint = connect(here, offer(here, AcceptanceRequired=False))
    time_passes(here, cells_work=False)
    assert state(here, endpoint) == "pending"
    here.view.cells_work()
    del here.view.cell_statuses["cell-b"]  # one of its two
    time_passes(here, cells_work=False)
    assert state(here, endpoint) == "pending"
    time_passes(here)
    assert state(here, endpoint) == "available"


def test_an_endpoint_is_pending_while_a_host_does_not_know_where_to_send(here):
    here.view.live = here.view.revision
    endpoint = connect(here, offer(here, AcceptanceRequired=False))
    time_passes(here)
    assert state(here, endpoint) == "pending"
    here.view.live = here.view.revision
    time_passes(here)
    assert state(here, endpoint) == "available"


def test_an_available_endpoint_is_rejected_and_stays_so(here):
    service, endpoint = available(here)
    assert decide(here, "Reject", service, endpoint) == []
    time_passes(here)
    assert state(here, endpoint) == "rejected"
    assert decide(here, "Reject", service, endpoint) == ["InvalidState"]
    assert decide(here, "Accept", service, endpoint) == ["InvalidState"]
    assert here.view.refusal("ModifyVpcEndpoint", VpcEndpointId=endpoint.id, PrivateDnsEnabled=False) == "IncorrectState"


def test_what_is_no_endpoint_of_the_service_is_told_and_the_rest_is_done(here):
    service, other = offer(here), offer(here, NetworkLoadBalancerArns=[arn("more")])
    endpoint, elsewhere = connect(here, service), connect(here, other, SubnetIds=[here.in_a.id])
    codes = decide(here, "Accept", service, elsewhere, "vpce-x", endpoint)
    assert codes == ["InvalidVpcEndpointId.NotFound"] * 2
    time_passes(here)
    assert (state(here, endpoint), state(here, elsewhere)) == ("available", "pendingAcceptance")
    assert decide(here, "Accept", service, endpoint) == ["InvalidState"]
    missing = {"ServiceId": "vpce-svc-0123456789abcdef0", "VpcEndpointIds": [endpoint.id]}
    code = here.view.refusal("AcceptVpcEndpointConnections", **missing)
    assert code == "InvalidVpcEndpointServiceId.NotFound"


def test_a_deleted_endpoint_leaves_nothing_when_its_cells_have_let_it_go(here):
    service, endpoint = available(here)
    assert here.view.call("DeleteVpcEndpoints", VpcEndpointIds=[endpoint.id]) == {"Unsuccessful": []}
    time_passes(here, cells_work=False)
    assert state(here, endpoint) == "deleting"
    assert names_in(here) == {}
    time_passes(here)
    assert here.view.call("DescribeVpcEndpoints")["VpcEndpoints"] == []
    assert [one for one in here.view.all(NetworkInterface) if one.interface_type == "vpc_endpoint"] == []
    here.view.call("DeleteVpcEndpointServiceConfigurations", ServiceIds=[service.id])
    assert here.view.all(VpcEndpointService) == []


def test_a_deleted_endpoint_does_not_wait_for_cells_none_of_whose_nodes_lives(here):
    _, endpoint = available(here)
    here.view.call("DeleteVpcEndpoints", VpcEndpointIds=[endpoint.id])
    here.view.cells_die()
    time_passes(here, cells_work=False)
    assert here.view.call("DescribeVpcEndpoints")["VpcEndpoints"] == []


def test_deleting_what_is_not_there_is_told_in_the_answer(here):
    _, endpoint = available(here)
    wanted = [endpoint.id, "vpce-0123456789abcdef0", "vpce-x"]
    answer = here.view.call("DeleteVpcEndpoints", VpcEndpointIds=wanted)["Unsuccessful"]
    assert [(one["ResourceId"], one["Error"]["Code"]) for one in answer] == [
        ("vpce-0123456789abcdef0", "InvalidVpcEndpointId.NotFound"),
        ("vpce-x", "InvalidVpcEndpointId.Malformed"),
    ]
    assert state(here, endpoint) == "deleting"


def test_the_providers_word_on_an_endpoint_goes_with_it(here):
    service = offer(here)
    first, second = connect(here, service), connect(here, service)
    decide(here, "Accept", service, first)
    here.view.call("DeleteVpcEndpoints", VpcEndpointIds=[first.id])
    time_passes(here)
    decide(here, "Accept", service, second)
    assert now(here, service).accepted == (second.id,)


# ---------------------------------------------------------------------------------------------- interfaces and groups


def test_an_endpoint_has_an_interface_in_each_of_its_subnets(here):
    _, endpoint = available(here)
    assert list(endpoint.interfaces) == [here.in_a.id, here.in_b.id]
    default = next(one for one in here.view.in_vpc(SecurityGroup, here.consumer.id) if one.is_default)
    by = [{"Name": "interface-type", "Values": ["vpc_endpoint"]}]
    shown = here.view.call("DescribeNetworkInterfaces", Filters=by)["NetworkInterfaces"]
    assert {one["NetworkInterfaceId"] for one in shown} == set(endpoint.interfaces.values())
    for one in shown:
        assert (one["RequesterManaged"], one["Description"]) == (True, f"VPC Endpoint Interface {endpoint.id}")
        assert one["Groups"] == [{"GroupId": default.id, "GroupName": "default"}]
        code = here.view.refusal("DeleteNetworkInterface", NetworkInterfaceId=one["NetworkInterfaceId"])
        assert code == "InvalidParameterValue"
    assert {shard.cell for shards in here.view.given_shards.values() for shard in shards.values()} == {"cell-a", "cell-b"}


def test_an_endpoint_is_described_whole(here):
    _, endpoint = available(here)
    shown = described(here, endpoint)
    wanted = {
        "VpcEndpointType": "Interface",
        "VpcId": here.consumer.id,
        "State": "available",
        "SubnetIds": [here.in_a.id, here.in_b.id],
        "NetworkInterfaceIds": list(endpoint.interfaces.values()),
        "PrivateDnsEnabled": False,
        "RequesterManaged": False,
        "IpAddressType": "ipv4",
        "RouteTableIds": [],
    }
    assert {name: shown[name] for name in wanted} == wanted
    for name, value in (
        ("service-name", endpoint.service_name),
        ("vpc-id", here.consumer.id),
        ("vpc-endpoint-state", "available"),
        ("vpc-endpoint-type", "Interface"),
    ):
        by = [{"Name": name, "Values": [value]}]
        assert len(here.view.call("DescribeVpcEndpoints", Filters=by)["VpcEndpoints"]) == 1, name


def test_subnets_and_groups_of_an_endpoint_change(here):
    _, endpoint = available(here)
    made = here.view.call("CreateSecurityGroup", GroupName="web", Description="d", VpcId=here.consumer.id)
    before = endpoint.interfaces
    here.view.call(
        "ModifyVpcEndpoint",
        VpcEndpointId=endpoint.id,
        AddSubnetIds=[here.again_in_a.id],
        RemoveSubnetIds=[here.in_a.id],
        AddSecurityGroupIds=[made["GroupId"]],
        RemoveSecurityGroupIds=list(endpoint.groups),
    )
    after = now(here, endpoint)
    assert list(after.interfaces) == [here.in_b.id, here.again_in_a.id]
    assert here.view.get(NetworkInterface, before[here.in_a.id]) is None
    groups = [here.view.get(NetworkInterface, one).groups for one in after.interfaces.values()]
    assert groups == [(made["GroupId"],)] * 2
    assert state(here, endpoint) == "available"
    addresses = {here.view.get(NetworkInterface, one).primary for one in after.interfaces.values()}
    everywhere = next(values for name, values in names_in(here).items() if name.startswith(f"{endpoint.name}."))
    assert set(everywhere) == addresses
    nothing = {"VpcEndpointId": endpoint.id, "RemoveSecurityGroupIds": [made["GroupId"]]}
    assert here.view.refusal("ModifyVpcEndpoint", **nothing) == "InvalidParameter"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"VpcEndpointType": "Gateway"}, "UnsupportedOperation"),
        ({"VpcEndpointType": "GatewayLoadBalancer"}, "UnsupportedOperation"),
        ({"ServiceName": "com.amazonaws.us-east-1.s3"}, "InvalidServiceName"),
        ({"SubnetIds": ["{a}", "{again}"]}, "DuplicateSubnetsInSameZone"),
        ({"SubnetIds": ["{c}"]}, "InvalidParameter"),
        ({"SubnetIds": ["{provider}"]}, "InvalidParameter"),
        ({"SubnetIds": ["subnet-0123456789abcdef0"]}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"PrivateDnsEnabled": True}, "InvalidParameter"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "InvalidVpcID.NotFound"),
        ({"PolicyDocument": "{{}}"}, "UnsupportedOperation"),
        ({"IpAddressType": "dualstack"}, "InvalidParameter"),  # its service has IPv4 alone
        ({"IpAddressType": "ipv6"}, "InvalidParameter"),
        ({"IpAddressType": "ipv5"}, "InvalidParameter"),
        ({"DnsOptions": {"DnsRecordIpType": "ipv6"}}, "InvalidParameter"),
        ({"DnsOptions": {"DnsRecordIpType": "service-defined"}}, "UnsupportedOperation"),
        ({"RouteTableIds": ["rtb-0123456789abcdef0"]}, "UnsupportedOperation"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(here, asked, code):
    """T8-11, T8-12, T8-13, T8-14: of gateway endpoints there are none."""
    service = offer(here)
    words = {"a": here.in_a.id, "again": here.again_in_a.id, "c": here.in_c.id, "provider": here.a.id}
    filled = {
        name: [one.format(**words) for one in value] if isinstance(value, list) else value
        for name, value in asked.items()
    }
    wanted = {"VpcId": here.consumer.id, "VpcEndpointType": "Interface", "ServiceName": service.name}
    assert here.view.refusal("CreateVpcEndpoint", **{**wanted, **filled}) == code
    assert here.view.all(VpcEndpoint) == []


def test_the_type_that_nobody_says_is_a_gateways_as_at_aws(here):
    wanted = {"VpcId": here.consumer.id, "ServiceName": offer(here).name}
    assert here.view.refusal("CreateVpcEndpoint", **wanted) == "UnsupportedOperation"


def test_a_vpc_has_as_many_endpoints_as_the_quota_says(here):
    here.view.quotas = Quotas(interface_endpoints=1)
    service = offer(here)
    connect(here, service)
    wanted = {"VpcId": here.consumer.id, "VpcEndpointType": "Interface", "ServiceName": service.name}
    assert here.view.refusal("CreateVpcEndpoint", **wanted) == "VpcEndpointLimitExceeded"
    assert here.view.refusal("DeleteVpc", VpcId=here.consumer.id) == "DependencyViolation"


# -------------------------------------------------------------------------------------------------------------- names


def test_an_endpoint_has_a_name_for_all_and_one_for_each_zone(here):
    service, endpoint = available(here)
    in_a, in_b = (here.view.get(NetworkInterface, one).primary for one in endpoint.interfaces.values())
    base = f"{service.id}.us-east-1.vpce.amazonaws.com"
    assert names_in(here) == {
        f"{endpoint.name}.{base}": (in_a, in_b),
        f"{endpoint.name}-us-east-1a.{base}": (in_a,),
        f"{endpoint.name}-us-east-1b.{base}": (in_b,),
    }
    assert [one["DnsName"] for one in described(here, endpoint)["DnsEntries"]] == list(names_in(here))


def test_a_private_name_is_one_endpoints_in_a_vpc(here):
    """T8-08."""
    service = offer(here, PrivateDnsName=PRIVATE_NAME.upper(), AcceptanceRequired=False)
    first = connect(here, service, PrivateDnsEnabled=True)
    primary = tuple(here.view.get(NetworkInterface, one).primary for one in first.interfaces.values())
    assert names_in(here)[PRIVATE_NAME] == primary
    assert {zone.name for zone in here.view.all(PrivateZone) if not zone.is_public} == {PRIVATE_NAME}
    wanted = {"VpcId": here.consumer.id, "VpcEndpointType": "Interface", "ServiceName": service.name}
    assert here.view.refusal("CreateVpcEndpoint", **wanted, PrivateDnsEnabled=True) == "InvalidParameter"
    second = connect(here, service)
    enable = {"VpcEndpointId": second.id, "PrivateDnsEnabled": True}
    assert here.view.refusal("ModifyVpcEndpoint", **enable) == "InvalidParameter"
    here.view.call("DeleteVpcEndpoints", VpcEndpointIds=[first.id])
    here.view.call("ModifyVpcEndpoint", **enable)
    assert PRIVATE_NAME in names_in(here)
    here.view.call("ModifyVpcEndpoint", VpcEndpointId=second.id, PrivateDnsEnabled=False)
    assert PRIVATE_NAME not in names_in(here)


def test_a_private_name_is_verified_when_it_is_said(here):
    named = offer(here, PrivateDnsName=PRIVATE_NAME)
    nameless = offer(here, NetworkLoadBalancerArns=[arn("more")])
    verify = "StartVpcEndpointServicePrivateDnsVerification"
    assert here.view.call(verify, ServiceId=named.id) == {"ReturnValue": True}
    assert here.view.refusal(verify, ServiceId=nameless.id) == "InvalidParameter"
    change = {"ServiceId": named.id, "RemovePrivateDnsName": True}
    both = {**change, "PrivateDnsName": "other.example.com"}
    assert here.view.refusal("ModifyVpcEndpointServiceConfiguration", **both) == "InvalidParameter"
    here.view.call("ModifyVpcEndpointServiceConfiguration", **change)
    assert now(here, named).private_dns_name == ""


def test_a_private_name_needs_a_vpc_with_names(here):
    service = offer(here, PrivateDnsName=PRIVATE_NAME)
    here.view.call("ModifyVpcAttribute", VpcId=here.consumer.id, EnableDnsHostnames={"Value": False})
    wanted = {"VpcId": here.consumer.id, "VpcEndpointType": "Interface", "ServiceName": service.name}
    assert here.view.refusal("CreateVpcEndpoint", **wanted, PrivateDnsEnabled=True) == "InvalidParameter"


def test_a_private_name_that_is_in_use_stays(here):
    service = offer(here, PrivateDnsName=PRIVATE_NAME)
    endpoint = connect(here, service, PrivateDnsEnabled=True)
    change = {"ServiceId": service.id, "PrivateDnsName": "other.example.com"}
    assert here.view.refusal("ModifyVpcEndpointServiceConfiguration", **change) == "InvalidParameter"
    here.view.call("ModifyVpcEndpoint", VpcEndpointId=endpoint.id, PrivateDnsEnabled=False)
    here.view.call("ModifyVpcEndpointServiceConfiguration", **change)
    assert now(here, service).private_dns_name == "other.example.com"


# ----------------------------------------------------------------------------------------------------------- services


def test_a_service_is_described_to_its_owner_and_to_its_users(here):
    tags = [{"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "Name", "Value": "web"}]}]
    service = offer(here, PrivateDnsName=PRIVATE_NAME, TagSpecifications=tags)
    asked = here.view.call("DescribeVpcEndpointServiceConfigurations", ServiceIds=[service.id])
    (mine,) = asked["ServiceConfigurations"]
    wanted = {
        "ServiceName": f"com.amazonaws.vpce.us-east-1.{service.id}",
        "ServiceState": "Available",
        "AcceptanceRequired": True,
        "AvailabilityZones": ["us-east-1a", "us-east-1b"],
        "AvailabilityZoneIds": ["use1-az1", "use1-az2"],
        "NetworkLoadBalancerArns": [arn("web")],
        "PrivateDnsName": PRIVATE_NAME,
        "PrivateDnsNameConfiguration": {"State": "verified"},
        "BaseEndpointDnsNames": [f"{service.id}.us-east-1.vpce.amazonaws.com"],
        "Tags": [{"Key": "Name", "Value": "web"}],
    }
    assert {name: mine[name] for name in wanted} == wanted
    answer = here.view.call("DescribeVpcEndpointServices", ServiceNames=[service.name])
    assert answer["ServiceNames"] == [service.name]
    (offered,) = answer["ServiceDetails"]
    assert (offered["Owner"], offered["PrivateDnsNameVerificationState"]) == (service.account, "verified")
    by = [{"Name": "service-type", "Values": ["Gateway"]}]
    assert here.view.call("DescribeVpcEndpointServices", Filters=by)["ServiceDetails"] == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"NetworkLoadBalancerArns": []}, "InvalidParameter"),
        ({"GatewayLoadBalancerArns": ["arn"]}, "InvalidParameter"),
        ({"GatewayLoadBalancerArns": ["arn"], "NetworkLoadBalancerArns": []}, "UnsupportedOperation"),
        ({"NetworkLoadBalancerArns": ["nonsense"]}, "InvalidNetworkLoadBalancerArn.Malformed"),
        ({"NetworkLoadBalancerArns": [arn("unknown")]}, "InvalidNetworkLoadBalancerArn.NotFound"),
        ({"PrivateDnsName": "no name"}, "InvalidParameterValue"),
        ({"SupportedIpAddressTypes": ["ipv6"]}, "InvalidParameter"),  # its balancer has IPv4 alone
        ({"SupportedIpAddressTypes": ["ipv5"]}, "InvalidParameter"),
        ({"SupportedRegions": ["eu-west-1"]}, "UnsupportedOperation"),
    ],
)
def test_a_service_that_cannot_be_is_refused(here, asked, code):
    wanted = {"NetworkLoadBalancerArns": [arn("web")], **asked}
    assert here.view.refusal("CreateVpcEndpointServiceConfiguration", **wanted) == code


def test_a_balancer_serves_one_service(here):
    offer(here)
    again = {"NetworkLoadBalancerArns": [arn("web")]}
    assert here.view.refusal("CreateVpcEndpointServiceConfiguration", **again) == "InvalidParameter"


def test_a_service_with_connections_keeps_its_balancers_and_is_not_deleted(here):
    """T8-16."""
    service = offer(here)
    named = {"ServiceId": service.id}
    here.view.call("ModifyVpcEndpointServiceConfiguration", **named, AddNetworkLoadBalancerArns=[arn("more")])
    endpoint = connect(here, service)
    removal = {**named, "RemoveNetworkLoadBalancerArns": [arn("web")]}
    code = here.view.refusal("ModifyVpcEndpointServiceConfiguration", **removal)
    assert code == "ExistingVpcEndpointConnections"
    wanted = [service.id, "vpce-svc-0123456789abcdef0"]
    answer = here.view.call("DeleteVpcEndpointServiceConfigurations", ServiceIds=wanted)["Unsuccessful"]
    assert [one["Error"]["Code"] for one in answer] == [
        "ExistingVpcEndpointConnections",
        "InvalidVpcEndpointServiceId.NotFound",
    ]
    here.view.call("DeleteVpcEndpoints", VpcEndpointIds=[endpoint.id])
    time_passes(here)
    here.view.call("ModifyVpcEndpointServiceConfiguration", **removal)
    assert now(here, service).balancers == (arn("more"),)
    nothing = {**named, "RemoveNetworkLoadBalancerArns": [arn("more")]}
    assert here.view.refusal("ModifyVpcEndpointServiceConfiguration", **nothing) == "InvalidParameter"


def test_principals_come_and_go(here):
    service = offer(here)
    named, other = {"ServiceId": service.id}, "arn:aws:iam::210987654321:root"
    modify = "ModifyVpcEndpointServicePermissions"
    added = here.view.call(modify, **named, AddAllowedPrincipals=["*", other, other])["AddedPrincipals"]
    assert [(one["PrincipalType"], one["Principal"]) for one in added] == [("All", "*"), ("Account", other)]
    assert here.view.call(modify, **named, AddAllowedPrincipals=[other])["AddedPrincipals"] == []
    here.view.call(modify, **named, RemoveAllowedPrincipals=["*"])
    shown = here.view.call("DescribeVpcEndpointServicePermissions", **named)["AllowedPrincipals"]
    assert [one["Principal"] for one in shown] == [other]
    assert shown[0]["ServicePermissionId"].startswith("vpce-svc-perm-")
    user = {"AddAllowedPrincipals": ["arn:aws:iam::210987654321:user/me"]}
    assert here.view.refusal(modify, **named, **user) == "UnsupportedOperation"
    assert here.view.refusal(modify, **named, AddAllowedPrincipals=["me"]) == "InvalidParameterValue"
