"""tests/api/nat_scene.py's account as provider and as consumer of endpoint services, with stand-ins for network load balancers.

provider VPC 10.0.0.0/16: balancers "web" (zones a and b), "more" (zone a)
consumer VPC 10.0.0.0/16: subnets 10.0.1.0/24 (zone a), 10.0.3.0/24 (zone a), 10.0.2.0/24 (zone b), 10.0.4.0/24 (zone c: no balancer)
"""

from __future__ import annotations

from types import SimpleNamespace

from rookery.model.objects import Cell, VpcEndpoint, VpcEndpointService
from tests.api.nat_scene import NODES, nat_account

ACCOUNT = "123456789012"
PRIVATE_NAME = "api.example.com"


def arn(name, account=ACCOUNT):
    digits = name.encode().hex().ljust(16, "0")[:16]
    return f"arn:aws:elasticloadbalancing:us-east-1:{account}:loadbalancer/net/{name}/{digits}"


def balancer(name, vpc_id, interfaces, account=ACCOUNT):
    return SimpleNamespace(
        arn=arn(name, account), id=name, account=account, vpc_id=vpc_id, interfaces=interfaces, address_type="ipv4"
    )


def stand_in(monkeypatch, *balancers):
    """Those that there are."""
    known = {(one.account, one.arn): one for one in balancers}
    monkeypatch.setattr(
        "rookery.api.handlers.endpoint_balancers.balancer_by_arn",
        lambda _view, account, name: known.get((account, name)),
    )


def endpoint_account(monkeypatch):
    here = nat_account()
    for zone, letter in enumerate("abc"):
        name = f"cell-{letter}"
        here.view.given_cells[name] = Cell(name=name, zones=(zone,), nodes=NODES)
    both = {"us-east-1a": "eni-0000000000000aaaa", "us-east-1b": "eni-0000000000000bbbb"}
    first = {"us-east-1a": "eni-0000000000000cccc"}
    stand_in(monkeypatch, balancer("web", here.vpc.id, both), balancer("more", here.vpc.id, first))
    here.consumer = here.view.make_vpc("10.0.0.0/16")
    here.view.call("ModifyVpcAttribute", VpcId=here.consumer.id, EnableDnsHostnames={"Value": True})
    here.in_a, here.in_b, here.again_in_a, here.in_c = (
        here.view.make_subnet(here.consumer, cidr, zone=f"us-east-1{letter}")
        for cidr, letter in (
            ("10.0.1.0/24", "a"),
            ("10.0.2.0/24", "b"),
            ("10.0.3.0/24", "a"),
            ("10.0.4.0/24", "c"),
        )
    )
    return here


def offer(here, **parameters):
    """The stored service; it asks for acceptance unless said otherwise."""
    wanted = {"NetworkLoadBalancerArns": [arn("web")], **parameters}
    made = here.view.call("CreateVpcEndpointServiceConfiguration", **wanted)["ServiceConfiguration"]
    return here.view.get(VpcEndpointService, made["ServiceId"])


def connect(here, service, **parameters):
    """The stored endpoint: in subnets a and b of the consumer, unless said otherwise."""
    wanted = {"VpcId": here.consumer.id, "VpcEndpointType": "Interface", "ServiceName": service.name}
    wanted |= {"SubnetIds": [here.in_a.id, here.in_b.id], **parameters}
    made = here.view.call("CreateVpcEndpoint", **wanted)["VpcEndpoint"]
    return here.view.get(VpcEndpoint, made["VpcEndpointId"])


def described(here, endpoint):
    (shown,) = here.view.call("DescribeVpcEndpoints", VpcEndpointIds=[endpoint.id])["VpcEndpoints"]
    return shown


def state(here, endpoint):
    return described(here, endpoint)["State"]
