"""What a cell holds of NAT gateways.

VPC 10.1.0.0/16, subnet 10.1.1.0/24 in zone a: a NAT gateway at 10.1.1.7 and 10.1.1.8      cells a (zone a), b (zone b)
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.intent.cell import AttachmentIntent
from rookery.intent.nat import nat_attachments
from rookery.intent.state import State
from rookery.model.objects import Cell, CellAttachment, NatAddress, NatGateway, NetworkInterface
from rookery.store.interface import Entry
from rookery.testing.things import OWNER, guards, rows, subnet, vpc

VPC, MAIN = vpc(1)
HOME = subnet(1, 1)
GROUP, ACL = guards(1, 1)
A = Cell(name="a", zones=(0,), nodes=("node-1", "node-2"))
B = Cell(name="b", zones=(1,), nodes=("node-3",))
ENI = NetworkInterface(
    **OWNER,
    id="eni-000000000000000ee",
    vpc_id=VPC.id,
    subnet_id=HOME.id,
    zone="us-east-1a",
    mac="02:00:00:00:00:ee",
    addresses=("10.1.1.7", "10.1.1.8"),
    source_dest_check=False,
    interface_type="nat_gateway",
    cell_attachment=CellAttachment(cell="a", of="nat-00000000000000001"),
)
NAT = NatGateway(
    **OWNER,
    id="nat-00000000000000001",
    vpc_id=VPC.id,
    subnet_id=HOME.id,
    interface_id=ENI.id,
    state="available",
    addresses=(
        NatAddress(private_address="10.1.1.7", public_address="203.0.113.7", is_primary=True),
        NatAddress(private_address="10.1.1.8", public_address="203.0.113.8"),
    ),
)


def held(*things, cell=A, mtu=1500):
    found = [Entry(key, value, 7, 1.0) for key, value in rows(VPC, MAIN, HOME, GROUP, ACL, *things).items()]
    return nat_attachments(State(found, 7, mtu), cell)


def test_the_whole_of_a_gateway():
    assert held(NAT, ENI) == (
        AttachmentIntent(
            id=ENI.id,
            of=NAT.id,
            kind="nat",
            account=NAT.account,
            vni=1,
            interface=0xEE,
            zone=0,
            subnet=0xB0000101,
            route_table=0xA0000001,
            acl=0xC0000001,
            primary="10.1.1.7",
            mac="02:00:00:00:00:ee",
            router_mac="0e:52:b0:00:01:01",
            mtu=1500,
            addresses=("10.1.1.7", "10.1.1.8"),
        ),
    )


def test_a_gateway_of_another_zone_is_not_this_cells():
    assert held(NAT, ENI, cell=B) == ()


@pytest.mark.parametrize("state", ["deleting", "deleted", "failed"])
def test_a_gateway_that_ends_is_held_no_more(state):
    assert held(replace(NAT, state=state), ENI) == ()


def test_a_pending_gateway_is_held_before_it_is_available():
    assert held(replace(NAT, state="pending"), ENI) == held(NAT, ENI)


def test_an_interface_without_its_gateway_is_nobodys():
    assert held(ENI) == ()


@pytest.mark.parametrize("status", ["disassociating", "unassigning"])
def test_an_address_that_goes_takes_no_new_flows(status):
    first, second = NAT.addresses
    (one,) = held(replace(NAT, addresses=(first, replace(second, status=status))), ENI)
    assert (one.addresses, one.draining_addresses) == (("10.1.1.7",), ("10.1.1.8",))


def test_a_private_gateway_says_so_and_jumbo_packets_are_cut_at_8500():
    (one,) = held(replace(NAT, connectivity="private"), ENI, mtu=9001)
    assert (one.private, one.mtu) == (True, 8500)
