"""PrivateLink between two accounts, through a real client (behaviour/08: T8-01, T8-04, T8-05 states).

provider 123456789012, balancer "web" in zone a -- service -- consumer 210987654321, its default VPC
"""

from __future__ import annotations

import pytest

from rookery.testing.invariants import broken
from tests.api.endpoint_scene import arn, balancer, stand_in
from tests.waiting import until

CONSUMER = "210987654321"
PATIENCE_SECONDS = 20


@pytest.fixture
def provider(api, ec2, monkeypatch):
    api.add_cells()
    stand_in(monkeypatch, balancer("web", "vpc-0", {"us-east-1a": "eni-0000000000000aaaa"}))
    return ec2


@pytest.fixture
def consumer(api):
    api.add_key("AKIDCONSUMER", "a consumer's secret", CONSUMER)
    return api.client(access_key="AKIDCONSUMER", secret="a consumer's secret")


def offer(provider, **more):
    made = provider.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[arn("web")], **more)
    return made["ServiceConfiguration"]


def permit(provider, service):
    everybody_there = [f"arn:aws:iam::{CONSUMER}:root"]
    provider.modify_vpc_endpoint_service_permissions(
        ServiceId=service["ServiceId"], AddAllowedPrincipals=everybody_there
    )


def connect(consumer, service, **more):
    chosen = [{"Name": "availability-zone", "Values": ["us-east-1a"]}]
    (subnet,) = consumer.describe_subnets(Filters=chosen)["Subnets"]
    made = consumer.create_vpc_endpoint(
        VpcId=subnet["VpcId"],
        VpcEndpointType="Interface",
        ServiceName=service["ServiceName"],
        SubnetIds=[subnet["SubnetId"]],
        **more,
    )
    return made["VpcEndpoint"]["VpcEndpointId"]


def state(consumer, endpoint):
    (shown,) = consumer.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    return shown["State"]


def wait_for(consumer, endpoint, wanted):
    until(lambda: state(consumer, endpoint) == wanted, lambda: f"{endpoint} is {state(consumer, endpoint)}", PATIENCE_SECONDS)


def wait_until_gone(consumer):
    until(lambda: not consumer.describe_vpc_endpoints()["VpcEndpoints"], "the endpoints are gone", PATIENCE_SECONDS)


def sound(api):
    return broken(api.run(api.store.range("")).entries)


def test_who_is_not_permitted_learns_nothing_of_a_service(provider, consumer, refused):
    """T8-04."""
    service = offer(provider)
    with refused("InvalidServiceName"):
        connect(consumer, service)
    assert consumer.describe_vpc_endpoint_services()["ServiceDetails"] == []
    with refused("InvalidVpcEndpointServiceId.NotFound"):
        consumer.describe_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])
    permit(provider, service)
    (shown,) = consumer.describe_vpc_endpoint_services()["ServiceDetails"]
    assert (shown["Owner"], shown["AvailabilityZones"]) == ("123456789012", ["us-east-1a"])


@pytest.mark.usefixtures("obedient_hosts")
def test_a_provider_accepts_and_rejects_a_consumers_endpoint(api, provider, consumer, refused):
    service = offer(provider)
    permit(provider, service)
    tags = [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "secret", "Value": "plan"}]}]
    endpoint = connect(consumer, service, TagSpecifications=tags)
    assert state(consumer, endpoint) == "pendingAcceptance"
    (asking,) = provider.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    assert (asking["VpcEndpointOwner"], asking["VpcEndpointState"]) == (CONSUMER, "pendingAcceptance")
    assert asking.get("Tags", []) == []
    assert provider.describe_vpc_endpoints()["VpcEndpoints"] == []
    word = {"ServiceId": service["ServiceId"], "VpcEndpointIds": [endpoint]}
    with refused("InvalidVpcEndpointServiceId.NotFound"):
        consumer.accept_vpc_endpoint_connections(**word)
    assert provider.accept_vpc_endpoint_connections(**word)["Unsuccessful"] == []
    wait_for(consumer, endpoint, "available")
    provider.reject_vpc_endpoint_connections(**word)
    assert state(consumer, endpoint) == "rejected"
    (still,) = provider.delete_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])["Unsuccessful"]
    assert still["Error"]["Code"] == "ExistingVpcEndpointConnections"
    assert sound(api) == []
    consumer.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    wait_until_gone(consumer)
    assert consumer.describe_network_interfaces()["NetworkInterfaces"] == []
    gone = provider.delete_vpc_endpoint_service_configurations(ServiceIds=[service["ServiceId"]])
    assert gone["Unsuccessful"] == []
    assert sound(api) == []


def test_a_token_makes_one_endpoint(provider, refused):
    service = offer(provider)
    first = connect(provider, service, ClientToken="once")
    assert connect(provider, service, ClientToken="once") == first
    with refused("IdempotentParameterMismatch"):
        connect(provider, service, ClientToken="once", PrivateDnsEnabled=False)


def test_endpoints_share_an_accounts_shard_with_its_nat_gateways(api, provider):
    chosen = [{"Name": "availability-zone", "Values": ["us-east-1a"]}]
    (subnet,) = provider.describe_subnets(Filters=chosen)["Subnets"]
    provider.create_nat_gateway(SubnetId=subnet["SubnetId"], ConnectivityType="private")
    connect(provider, offer(provider))
    assert len(api.run(api.store.range("infrastructure/shard/")).entries) == 1
    assert sound(api) == []
