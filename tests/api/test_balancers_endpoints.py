"""Balancers behind endpoint services: they are found, cannot be deleted, and endpoints listen for what they listen for.

consumer VPC 10.9.0.0/16: endpoint in zone a -- cell-0 -- provider VPC 10.0.0.0/16: balancer in a and b
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.intent.balancing import balancer_interfaces
from rookery.intent.privatelink import endpoint_services
from rookery.model.objects import Cell
from tests.api.balancer_scene import (
    balance,
    balanced_account,
    elb,
    fronts,
    group,
    intent,
    listen,
    refusal,
    register,
    state_now,
    stored_group,
)

HEALTHY = ("healthy", "")


@pytest.fixture
def here():
    found = balanced_account()
    found.balancer = balance(found)
    found.group = group(found, TargetType="ip")
    listen(found, found.balancer, found.group, port=443)
    register(found, found.group, "10.0.1.9")
    made = found.view.call(
        "CreateVpcEndpointServiceConfiguration",
        NetworkLoadBalancerArns=[found.balancer["LoadBalancerArn"]],
        AcceptanceRequired=False,
    )
    found.service = made["ServiceConfiguration"]
    return found


def endpoint(here):
    consumer = here.view.make_vpc("10.9.0.0/16")
    subnet = here.view.make_subnet(consumer, "10.9.1.0/24", zone="us-east-1a")
    made = here.view.call(
        "CreateVpcEndpoint",
        VpcId=consumer.id,
        VpcEndpointType="Interface",
        ServiceName=here.service["ServiceName"],
        SubnetIds=[subnet.id],
    )
    return consumer, made["VpcEndpoint"]


def test_a_service_stands_on_a_balancer_that_is_there_and_has_its_zones(here):
    assert sorted(here.service["AvailabilityZones"]) == ["us-east-1a", "us-east-1b"]
    arn = here.balancer["LoadBalancerArn"]
    for wrong in (arn[:-1] + ("0" if arn[-1] != "0" else "1"), arn.replace("/web/", "/other/")):
        refused = here.view.refusal("CreateVpcEndpointServiceConfiguration", NetworkLoadBalancerArns=[wrong])
        assert refused == "InvalidNetworkLoadBalancerArn.NotFound"


def test_a_balancer_behind_a_service_is_in_use(here):
    named = {"LoadBalancerArn": here.balancer["LoadBalancerArn"]}
    assert refusal(here, "DeleteLoadBalancer", **named) == "ResourceInUse"
    here.view.call("DeleteVpcEndpointServiceConfigurations", ServiceIds=[here.service["ServiceId"]])
    elb(here, "DeleteLoadBalancer", **named)


def test_an_endpoint_listens_for_what_the_balancer_listens_for_and_sends_on_in_its_name(here):
    consumer, _ = endpoint(here)
    words = {stored_group(here, here.group).id: {"10.0.1.9:443": HEALTHY, "10.0.1.9:80": HEALTHY}}
    balancing = intent(here, words)
    state = state_now(here)
    cell = Cell(name="cell-0", zones=(0,), nodes=())
    (row,) = endpoint_services(state, cell, balancing.services, balancer_interfaces(state))
    (own,) = balancing.services
    assert (row.vni, row.exit_vni) == (consumer.vni, here.vpc.vni)
    assert row.exit_interface == fronts(here)["us-east-1a"].number
    assert (row.protocol, row.port, row.choices) == (own.protocol, 443, own.choices)
    assert row.choices
    assert not row.preserve_client


def service_of_two(here):
    """Its other balancer's ARN; both are in zone a."""
    other = balance(here, "more", Subnets=[here.a.id])["LoadBalancerArn"]
    changed = {"ServiceId": here.service["ServiceId"], "AddNetworkLoadBalancerArns": [other]}
    here.view.call("ModifyVpcEndpointServiceConfiguration", **changed)
    return other


def give_up(here, *kept):
    return {"LoadBalancerArn": here.balancer["LoadBalancerArn"], "Subnets": [one.id for one in kept]}


def test_a_balancer_stays_in_a_zone_in_which_an_endpoint_leads_to_it_alone(here):
    _, made = endpoint(here)
    assert refusal(here, "SetSubnets", **give_up(here, here.b)) == "InvalidConfigurationRequest"
    elb(here, "SetSubnets", **give_up(here, here.a))  # nobody is in the other one
    elb(here, "SetSubnets", **give_up(here, here.a, here.b))
    here.view.call("DeleteVpcEndpoints", VpcEndpointIds=[made["VpcEndpointId"]])
    elb(here, "SetSubnets", **give_up(here, here.b))


def test_a_balancer_gives_up_a_zone_in_which_its_service_has_another_one(here):
    endpoint(here)
    service_of_two(here)
    elb(here, "SetSubnets", **give_up(here, here.b))


def test_another_one_counts_only_in_the_endpoints_own_cell(here):
    endpoint(here)
    here.view.given_cells["cell-0"] = replace(here.view.given_cells["cell-0"], closed=True)
    here.view.given_cells["cell-9"] = Cell(name="cell-9", zones=(0,), nodes=("node-9", "node-8"))
    service_of_two(here)
    assert fronts(here, "more")["us-east-1a"].cell_attachment.cell == "cell-9"
    assert refusal(here, "SetSubnets", **give_up(here, here.b)) == "InvalidConfigurationRequest"
