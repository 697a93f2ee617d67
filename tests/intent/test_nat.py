"""What a cell holds of NAT gateways, and what hosts of which zone send to them.

VPC 10.1.0.0/16, subnet 10.1.1.0/24 in zone a: a NAT gateway at 10.1.1.7 and 10.1.1.8      cells a (zone a), b (zone b)
a regional gateway with an interface in zone a and one in zone b
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.intent.cell import AttachmentIntent
from rookery.intent.nat import nat_attachments
from rookery.intent.route import routes_of
from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.model.codec import encode
from rookery.model.keys import cell_key, host_key
from rookery.model.objects import (
    Cell,
    CellAttachment,
    Host,
    NatAddress,
    NatGateway,
    NatZone,
    NetworkInterface,
    Route,
    RouteTable,
)
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


# ------------------------------------------------------------------------------------------------------------- regional

TABLE = RouteTable(**OWNER, id="rtb-00000000000000077", vpc_id=VPC.id)
IN_A = NatZone(zone="us-east-1a", interface_id="eni-000000000000000aa", serves=True)
IN_B = NatZone(zone="us-east-1b", interface_id="eni-000000000000000bb")
REGIONAL = NatGateway(
    **OWNER,
    id="nat-00000000000000002",
    vpc_id=VPC.id,
    route_table_id=TABLE.id,
    state="available",
    automatic=True,
    zones=(IN_A, IN_B),
    addresses=(
        NatAddress(private_address="169.254.128.9", public_address="203.0.113.7", zone="us-east-1a"),
        NatAddress(private_address="169.254.128.10", public_address="203.0.113.8", zone="us-east-1b"),
        NatAddress(private_address="169.254.128.11", public_address="203.0.113.9", zone="us-east-1b", status="disassociating"),
    ),
)


def _interface(zone, cell, *addresses):
    return NetworkInterface(
        **OWNER,
        id=zone.interface_id,
        vpc_id=VPC.id,
        subnet_id="",
        zone=zone.zone,
        mac="02:00:00:00:00:ee",
        addresses=addresses,
        source_dest_check=False,
        cell_attachment=CellAttachment(cell=cell, of=REGIONAL.id),
    )


ENI_A = _interface(IN_A, "a", "169.254.128.9")
ENI_B = _interface(IN_B, "b", "169.254.128.10", "169.254.128.11")


def test_each_cell_holds_what_a_regional_gateway_is_in_its_zones():
    """In no subnet: what stands for it, and for its network ACL, has the number of the gateway's own table."""
    (in_a,) = held(REGIONAL, ENI_A, ENI_B, TABLE)
    assert (in_a.zone, in_a.addresses, in_a.primary) == (0, ("169.254.128.9",), "169.254.128.9")
    (in_b,) = held(REGIONAL, ENI_A, ENI_B, TABLE, cell=B)
    assert (in_b.zone, in_b.addresses, in_b.draining_addresses) == (1, ("169.254.128.10",), ("169.254.128.11",))
    for one in (in_a, in_b):
        assert (one.of, one.subnet, one.route_table, one.acl, one.private) == (REGIONAL.id, 0x77, 0x77, 0x77, False)


def test_a_zone_that_is_left_is_held_no_more():
    left = replace(REGIONAL, zones=(IN_A, replace(IN_B, leaving=True)))
    assert held(left, ENI_B, cell=B) == ()
    assert len(held(left, ENI_A)) == 1


def ways(gateway, zone):
    """Where the default route leads that hosts of the zone have; 0: nowhere."""
    table = replace(MAIN, routes=(Route("0.0.0.0/0", gateway.id),))
    known = (VPC, table, HOME, GROUP, ACL, TABLE, gateway, ENI_A, ENI_B)
    found = State([Entry(key, value, 7, 1.0) for key, value in rows(*known).items()], 7, 1500)
    (route,) = [one for one in routes_of(table, VPC, found, zone) if one.destination == "0.0.0.0/0"]
    assert (route.kind == "blackhole") == (not route.target)
    return route.target


def test_a_zone_without_an_address_is_served_across_zones_and_then_by_its_own():
    """T6-20."""
    assert [ways(REGIONAL, zone) for zone in (0, 1, 2, None)] == [0xAA] * 4
    grown = replace(REGIONAL, zones=(IN_A, replace(IN_B, serves=True)))
    assert [ways(grown, zone) for zone in (0, 1, 2, None)] == [0xAA, 0xBB, 0xAA, 0xAA]
    left = replace(grown, zones=(replace(IN_A, leaving=True), replace(IN_B, serves=True)))
    assert [ways(left, zone) for zone in (0, 1, 2)] == [0xBB] * 3
    assert ways(replace(grown, zones=()), 0) == 0


def test_in_the_manual_mode_a_zone_that_is_not_covered_is_not_served():
    """T6-20: REGIONAL_NGW_ROUTE_AZ_RESTRICTION."""
    manual = replace(REGIONAL, automatic=False, zones=(IN_A, IN_B))
    assert [ways(manual, zone) for zone in (0, 1, 2, None)] == [0xAA, 0xBB, 0, 0xAA]


def test_no_network_acl_counts_where_there_is_no_subnet():
    nodes = [Host(name="node-3", zone=1, address="100.64.2.3", cell="b"), B]
    known = (VPC, MAIN, HOME, GROUP, ACL, TABLE, REGIONAL, ENI_A, ENI_B)
    entries = [Entry(key, value, 7, 1.0) for key, value in rows(*known).items()]
    entries += [Entry(host_key(nodes[0].name), encode(nodes[0]), 7, 1.0), Entry(cell_key(B.name), encode(B), 7, 1.0)]
    intent = host_intent(State(entries, 7, 1500), "node-3")
    (acl,) = [one for key, one in intent.rules.items() if key[0] == "acl"]
    assert acl.number == 0x77
    assert {(one.egress, one.allow, one.protocol, one.cidr) for one in acl.entries} == {
        (egress, True, -1, cidr) for egress in (False, True) for cidr in ("0.0.0.0/0", "::/0")
    }
