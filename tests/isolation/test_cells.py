"""Who may not pass for a cell's interface, and what such an interface may not do (tests/dataplane/plan_cells.py).

    instance 11 of VPC 7 -- [host A] <-- nodes 1, 2 of the owner's set; node 4 of another's; hosts B and C; edge 1
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import TCP

from rookery.dataplane import formats
from rookery.dataplane.formats import PeeringKey, TopsNumber
from tests.dataplane import edges, plan, plan_cells, plan_edge
from tests.dataplane.edges import Region
from tests.dataplane.packets import Ether, mac_text, wrapped
from tests.dataplane.packets_edge import from_edge, ip, to_edge
from tests.dataplane.plan_cells import (
    ADDRESS,
    BALANCER,
    ENDPOINT,
    NAT,
    NODE_1,
    OF_PEER,
    OF_TWIN,
    SET,
    STRANGER,
    from_node,
    top_set,
)

OWN, CLIENT, OUTSIDE = "10.7.1.5", "10.7.1.6", "192.0.2.9"
SYN = TCP(sport=1, dport=80, flags="S")


@pytest.fixture(scope="module")
def one_region() -> Iterator[Region]:
    with edges.region([str(plan.HOST_A)]) as made:
        yield made


@pytest.fixture
def region(one_region: Region) -> Region:
    one_region.restore()
    for host in one_region.hosts.values():
        plan_cells.fill(host)
    plan_cells.fill_edge(one_region.edge.real)
    return one_region


def refused(region: Region, wire: bytes) -> str:
    return region.arrive(wire).verdict.name


def forged(source: str, attachment: int = BALANCER, **fields: object) -> bytes:
    return from_node(ip(source, OWN) / SYN, attachment, **fields)


@pytest.mark.parametrize("sender", [STRANGER, IPv4Address("100.64.1.99"), plan.HOST_B, plan_edge.EDGE_1])
def test_only_a_node_of_the_set_speaks_for_the_owners_interfaces(region: Region, sender: IPv4Address) -> None:
    """Another account's node, nobody's, a host, an edge."""
    assert refused(region, forged(ADDRESS[BALANCER], sender=sender)) == "DROP_SOURCE_NOT_AT_HOST"
    assert refused(region, forged(CLIENT, sender=sender)) == "DROP_SOURCE_NOT_AT_HOST"
    assert refused(region, forged(OUTSIDE, sender=sender)) == "DROP_SOURCE_NOT_MAPPED"


def test_a_node_that_left_the_set_is_believed_no_more(region: Region) -> None:
    region.hosts[str(plan.HOST_A)].tops.put_many({TopsNumber(SET): top_set(STRANGER)})
    assert refused(region, forged(ADDRESS[BALANCER], sender=NODE_1)) == "DROP_SOURCE_NOT_AT_HOST"


def test_where_the_set_is_unknown_nobody_is_believed(region: Region) -> None:
    region.hosts[str(plan.HOST_A)].tops.delete_many([TopsNumber(SET)])
    assert refused(region, forged(ADDRESS[BALANCER])) == "DROP_SOURCE_NOT_AT_HOST"


def test_the_number_of_a_set_is_no_address(region: Region) -> None:
    """A sender whose address has the same bytes."""
    same = IPv4Address(plan_cells.number_bytes(SET))
    assert refused(region, forged(ADDRESS[BALANCER], sender=same)) == "DROP_SOURCE_NOT_AT_HOST"


def test_and_the_address_of_a_host_is_no_set(region: Region) -> None:
    """A set with the number that a host's address spells: its nodes do not speak for that host's instances."""
    spelled = int.from_bytes(plan.HOST_B.packed, "little")
    region.hosts[str(plan.HOST_A)].tops.put_many({TopsNumber(spelled): top_set(STRANGER)})
    inner = Ether(src=mac_text(12), dst=mac_text(11)) / ip(CLIENT, OWN) / SYN
    assert refused(region, bytes(wrapped(inner, sender=str(STRANGER)))) == "DROP_SOURCE_NOT_AT_HOST"


def test_a_node_speaks_for_no_instance(region: Region) -> None:
    assert refused(region, forged(CLIENT, interface=12)) == "DROP_SOURCE_NOT_AT_HOST"
    assert refused(region, forged("10.7.3.10", interface=16)) == "DROP_SOURCE_NOT_AT_HOST"  # nor for an appliance
    assert refused(region, forged(OUTSIDE, interface=16)) == "DROP_SOURCE_NOT_MAPPED"


def test_a_node_speaks_for_no_internet(region: Region) -> None:
    assert refused(region, forged(OUTSIDE, interface=0)) == "DROP_NOT_AN_EDGE"


def test_an_endpoint_passes_nothing_on(region: Region) -> None:
    assert refused(region, forged(CLIENT, ENDPOINT)) == "DROP_SOURCE_NOT_AT_HOST"
    assert refused(region, forged(OUTSIDE, ENDPOINT)) == "DROP_SOURCE_NOT_MAPPED"


def test_an_interface_of_another_vpc_reaches_nobody_here(region: Region) -> None:
    """VPC 8 is no peer, and has the same addresses. Its node may say what it wants."""
    assert refused(region, forged(ADDRESS[OF_TWIN], OF_TWIN, sender=STRANGER)) == "DROP_NOT_PEERED"
    claims_ours = forged(ADDRESS[OF_TWIN], OF_TWIN, sender=STRANGER, origin_vni=plan.VPC)
    assert refused(region, claims_ours) == "DROP_SOURCE_NOT_MAPPED"
    assert refused(region, forged(CLIENT, OF_TWIN, sender=STRANGER, origin_vni=plan.VPC)) == "DROP_SOURCE_NOT_AT_HOST"


def test_a_peers_interface_reaches_us_while_it_is_a_peers(region: Region) -> None:
    assert refused(region, forged(ADDRESS[OF_PEER], OF_PEER)) == "DELIVERED"
    region.hosts[str(plan.HOST_A)].peerings.delete_many([PeeringKey(plan.VPC, plan.PEER)])
    assert refused(region, forged(ADDRESS[OF_PEER], OF_PEER)) == "DROP_NOT_PEERED"


def test_a_host_that_was_taken_over_cannot_pass_for_a_node(region: Region) -> None:
    """Nor at the edge, for a NAT gateway's public address."""
    packet = ip(ADDRESS[NAT], "192.0.2.80") / SYN
    outcome = region.edge.outward(to_edge(packet, sender=str(plan.HOST_B), interface=NAT))
    assert outcome.verdict.name == "DROP_SOURCE_NOT_AT_HOST"


def test_an_edge_cannot_speak_for_what_lives_at_a_cell(region: Region) -> None:
    assert refused(region, from_edge(ip(ADDRESS[BALANCER], OWN) / SYN)) == "DROP_PRIVATE_SOURCE"
    own = from_edge(ip(ADDRESS[BALANCER], OWN) / SYN, interface=BALANCER)
    assert refused(region, own) == "DROP_SOURCE_NOT_AT_HOST"


def test_an_instance_cannot_send_in_a_balancers_name(region: Region) -> None:
    outcome = region.leave(11, ip(ADDRESS[BALANCER], CLIENT) / SYN)
    assert outcome.verdict.name == "DROP_SOURCE_ADDRESS"


def test_answers_go_back_through_interfaces_of_this_vpc_only(region: Region) -> None:
    """A row of another VPC's interface, should a fault write one, leads nowhere."""
    host = region.hosts[str(plan.HOST_A)]
    key = formats.ConnectionKey(
        11, 6, (80).to_bytes(2, "big"), (1).to_bytes(2, "big"), 0, plan_cells.address_bytes(OWN),
        plan_cells.address_bytes(OUTSIDE),
    )  # fmt: skip
    row = formats.Connection(1 << 62, 1, 0, formats.ConnectionState.STREAM, formats.Direction.INGRESS, OF_TWIN)
    host.connections.put_many({key: row})
    outcome = region.leave(11, ip(OWN, OUTSIDE) / TCP(sport=80, dport=1, flags="A"))
    assert outcome.verdict.name == "DROP_NO_FORWARDER"
