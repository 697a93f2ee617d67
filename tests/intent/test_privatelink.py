"""What a cell holds of interface endpoints.

provider VPC 10.1.0.0/16: a balancer's interface at 10.1.1.9 (zone a), listening for TCP 443 and UDP 53
consumer VPC 10.2.0.0/16: an endpoint's interface at 10.2.1.9 (zone a)
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.intent.cell import AttachmentIntent, ServiceIntent
from rookery.intent.groups import group_set
from rookery.intent.privatelink import endpoint_attachments, endpoint_services
from rookery.intent.state import State
from rookery.model.objects import (
    Cell,
    CellAttachment,
    NetworkInterface,
    VpcEndpoint,
    VpcEndpointService,
)
from rookery.store.interface import Entry
from rookery.testing.things import OWNER, group, guards, rows, subnet, vpc

CELL = Cell(name="a", zones=(0,), nodes=("node-1", "node-2"))
ARN, OTHER_ARN = "arn-1", "arn-2"
WORLD = [*vpc(1), *vpc(2), subnet(1, 1), subnet(2, 1), *guards(1, 1), *guards(2, 1)]


def interface(number, v, of, kind):
    return NetworkInterface(
        **OWNER,
        id=f"eni-{number:017x}",
        vpc_id=f"vpc-{v:017x}",
        subnet_id=subnet(v, 1).id,
        zone="us-east-1a",
        mac=f"02:00:00:00:00:{number:02x}",
        addresses=(f"10.{v}.1.9",),
        groups=(group(v),),
        interface_type=kind,
        cell_attachment=CellAttachment(cell="a", of=of),
    )


BALANCER = interface(0xBB, 1, "balancer-1", "network_load_balancer")
ENI = interface(0xEE, 2, "vpce-00000000000000001", "vpc_endpoint")
SERVICE = VpcEndpointService(**OWNER, id="vpce-svc-00000000000000002", balancers=(ARN,))
ENDPOINT = VpcEndpoint(
    **OWNER,
    id="vpce-00000000000000001",
    vpc_id=ENI.vpc_id,
    service_id=SERVICE.id,
    service_account=SERVICE.account,
    service_name=SERVICE.name,
    interfaces={ENI.subnet_id: ENI.id},
    groups=ENI.groups,
)
ACCEPTING = replace(SERVICE, accepted=(ENDPOINT.id,))
TARGET = (("group-1", "10.1.1.50", 8443), 1)
HTTPS = ServiceIntent(
    vni=1, interface=0xBB, protocol=6, port=443, choices=(TARGET,), preserve_client=True, proxy_protocol=True
)
DNS = ServiceIntent(vni=1, interface=0xBB, protocol=17, port=53, choices=(TARGET,), idle_seconds=120)


def state(*things):
    found = [Entry(key, value, 7, 1.0) for key, value in rows(*WORLD, BALANCER, ENI, *things).items()]
    return State(found, 7, 1500)


def services(*things, interfaces=None, balancing=(HTTPS, DNS)):
    known = {ARN: {"us-east-1a": BALANCER.id}} if interfaces is None else interfaces
    return endpoint_services(state(*things), CELL, balancing, lambda arn: known.get(arn, {}))


def test_the_whole_of_an_endpoint():
    assert endpoint_attachments(state(ACCEPTING, ENDPOINT), CELL) == (
        AttachmentIntent(
            id=ENI.id,
            of=ENDPOINT.id,
            kind="endpoint",
            account=ENDPOINT.account,
            vni=2,
            interface=0xEE,
            zone=0,
            subnet=0xB0000201,
            route_table=0xA0000002,
            acl=0xC0000002,
            primary="10.2.1.9",
            mac="02:00:00:00:00:ee",
            router_mac="0e:52:b0:00:02:01",
            mtu=1500,
            group_set=group_set(ENI.groups),
        ),
    )


def test_it_listens_for_what_the_balancer_listens_for_and_sends_on_in_its_name():
    at_the_endpoint = {"vni": 2, "interface": 0xEE, "exit_vni": 1, "exit_interface": 0xBB}
    assert services(ACCEPTING, ENDPOINT) == (
        replace(HTTPS, **at_the_endpoint, preserve_client=False),
        replace(DNS, **at_the_endpoint),
    )


@pytest.mark.parametrize(
    ("service", "endpoint", "closed"),
    [
        (SERVICE, ENDPOINT, True),
        (ACCEPTING, ENDPOINT, False),
        (SERVICE, replace(ENDPOINT, accepted=True), False),
        (replace(ACCEPTING, rejected=(ENDPOINT.id,)), ENDPOINT, True),
        (replace(SERVICE, rejected=(ENDPOINT.id,)), replace(ENDPOINT, accepted=True, settled=True), True),
    ],
)
def test_it_is_closed_as_its_service_says(service, endpoint, closed):
    (found,) = endpoint_attachments(state(service, endpoint), CELL)
    assert found.closed == closed
    assert bool(services(service, endpoint)) != closed


def test_an_endpoint_whose_service_is_gone_is_closed():
    (found,) = endpoint_attachments(state(replace(ENDPOINT, accepted=True)), CELL)
    assert found.closed


def test_one_that_is_being_deleted_is_held_no_more():
    gone = replace(ENDPOINT, deleted=1.0)
    assert endpoint_attachments(state(ACCEPTING, gone), CELL) == ()
    assert services(ACCEPTING, gone) == ()


def test_it_is_of_the_cell_of_its_zone():
    elsewhere = Cell(name="b", zones=(1,), nodes=("node-3",))
    assert endpoint_attachments(state(ACCEPTING, ENDPOINT), elsewhere) == ()


def test_without_a_balancer_in_its_zone_it_listens_for_nothing():
    assert services(ACCEPTING, ENDPOINT, interfaces={ARN: {"us-east-1b": BALANCER.id}}) == ()
    assert services(ACCEPTING, ENDPOINT, interfaces={}) == ()


def test_of_two_balancers_an_interface_always_has_the_same_one():
    second = interface(0xBC, 1, "balancer-2", "network_load_balancer")
    both = {ARN: {"us-east-1a": BALANCER.id}, OTHER_ARN: {"us-east-1a": second.id}}
    more = replace(HTTPS, interface=0xBC)
    offered = [replace(ACCEPTING, balancers=order) for order in ((ARN, OTHER_ARN), (OTHER_ARN, ARN))]
    exits = [
        [one.exit_interface for one in services(service, ENDPOINT, second, interfaces=both, balancing=(HTTPS, more))]
        for service in offered
    ]
    assert exits == [[0xBB]] * 2  # 0xee is even


@pytest.mark.parametrize("mine", [ARN, OTHER_ARN])
def test_of_balancers_in_several_cells_it_leads_to_that_of_its_own(mine):
    far = replace(interface(0xBC, 1, "balancer-2", "network_load_balancer"), cell_attachment=CellAttachment(cell="b", of="balancer-2"))
    near, other = {"us-east-1a": BALANCER.id}, {"us-east-1a": far.id}
    both = {ARN: near, OTHER_ARN: other} if mine == ARN else {ARN: other, OTHER_ARN: near}
    service = replace(ACCEPTING, balancers=(ARN, OTHER_ARN))
    assert {one.exit_interface for one in services(service, ENDPOINT, far, interfaces=both)} == {0xBB}
    assert services(service, ENDPOINT, far, interfaces={ARN: other}) == ()
