"""tests/api/edge_scene.py's account, with a cell of Hyperplane in zone a (subnet a) and none in zone b.

internet -- igw -- VPC 10.0.0.0/16: subnet a 10.0.1.0/24 (zone a, cell-a: node-1 .. node-4), subnet b 10.0.2.0/28 (zone b)
"""

from __future__ import annotations

from rookery.api.handlers.housekeeping import housekeeping
from rookery.model.objects import Cell, NatGateway, NetworkInterface
from tests.api.edge_scene import allocate, public_account

NODES = ("node-1", "node-2", "node-3", "node-4")


def nat_account():
    here = public_account()
    here.view.given_cells["cell-a"] = Cell(name="cell-a", zones=(0,), nodes=NODES)
    return here


def create(here, **parameters):
    """The stored gateway, pending or failed: a public one in subnet a, unless said otherwise."""
    if parameters.get("ConnectivityType") != "private":
        parameters.setdefault("AllocationId", allocate(here).id)
    made = here.view.call("CreateNatGateway", **{"SubnetId": here.a.id, **parameters})["NatGateway"]
    assert made["State"] == "pending"
    return here.view.get(NatGateway, made["NatGatewayId"])


def available(here, **parameters):
    made = create(here, **parameters)
    time_passes(here)
    return here.view.get(NatGateway, made.id)


def time_passes(here, seconds=0, cells_work=True):
    """The cells work by what there is, and housekeeping has looked at it."""
    here.view.now += seconds
    if cells_work:
        here.view.cells_work()
    here.view.apply(housekeeping(here.view, here.view.now))


def described(here, gateway):
    (shown,) = here.view.call("DescribeNatGateways", NatGatewayIds=[gateway.id])["NatGateways"]
    return {name: value for name, value in shown.items() if value is not None}


def interface_of(here, gateway):
    return here.view.get(NetworkInterface, gateway.interface_id)
