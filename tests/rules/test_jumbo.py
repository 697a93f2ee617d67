"""Packets of 9,001 bytes on real hosts, in a region whose substrate carries them: to a peer, and over an appliance.

    client 10.30.1.10 --left--> box 10.30.3.10 (middle) --> server 10.30.2.10 (right)
      |  peering
    guest  10.31.1.10, a VPC of its own, in the other zone

Both VPCs have both address families.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from tests.conftest import bring_up
from tests.rules.appliance import Tables, forwarded
from tests.rules.conftest import ACTORS, ALL, Stage, furnish, make_stage

pytestmark = pytest.mark.real_packets
LARGEST = 9001
NARROW = 1500
PEER_NET = "10.31.0.0/16"
NETS = {"left": "10.30.1.0/24", "right": "10.30.2.0/24"}


class Family(NamedTuple):
    ipv6: bool
    headers: int  # of a ping, in bytes
    too_big: str  # what ping says when the network refuses; {} is the size

    def payload(self, packet: int) -> str:
        return f"-s{packet - self.headers}"


FAMILIES = [
    Family(False, 28, "Frag needed and DF set (mtu = {})"),
    Family(True, 48, "Packet too big: mtu={}"),
]
both_families = pytest.mark.parametrize("family", FAMILIES, ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def jumbo_stage() -> Iterator[Stage]:
    region = bring_up(2, 2, "--jumbo", "--nodes", "0")
    try:
        stage = make_stage(region)
        furnish(stage)
        join_a_peer(stage)
        yield stage
    finally:
        done = region.rookery("down")
        assert done.returncode == 0, done.stderr.decode()


def join_a_peer(stage: Stage) -> None:
    ec2 = stage.ec2
    vpc = ec2.create_vpc(CidrBlock=PEER_NET, AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    stage.make_subnet("theirs", vpc, "10.31.1.0/24", 1)
    stage.give_ipv6("theirs", stage.ipv6_block(vpc).replace("/56", "/64"))
    stage.launch("guest", "theirs", "10.31.1.10", Ipv6AddressCount=1)
    stage.wait_until_running()
    stage.wear("guest", stage.group(ALL, vpc=vpc))
    made = ec2.create_vpc_peering_connection(VpcId=stage.vpc, PeerVpcId=vpc)["VpcPeeringConnection"]
    peering = made["VpcPeeringConnectionId"]
    stage.now(ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering))
    for here, net, there in ((stage.vpc, PEER_NET, vpc), (vpc, "10.30.0.0/16", stage.vpc)):
        filters = [{"Name": "vpc-id", "Values": [here]}]
        table = ec2.describe_route_tables(Filters=filters)["RouteTables"][0]["RouteTableId"]
        for where in ({"DestinationCidrBlock": net}, {"DestinationIpv6CidrBlock": stage.ipv6_block(there)}):
            stage.now(ec2.create_route(RouteTableId=table, VpcPeeringConnectionId=peering, **where))


@pytest.fixture(scope="module")
def open_group(jumbo_stage: Stage) -> str:
    return jumbo_stage.group(ALL)


@pytest.fixture
def stage(jumbo_stage: Stage, open_group: str) -> Iterator[Stage]:
    for name in ACTORS:
        jumbo_stage.wear(name, open_group)
    yield jumbo_stage
    for family in ("-4", "-6"):  # what the client has learned of paths
        jumbo_stage.run("client", "ip", family, "route", "flush", "cache")


@pytest.fixture
def detour(stage: Stage, tables: Tables, box: str) -> None:
    """Between left and right both ways lead over the appliance, in both families; from left to the peer as before."""
    peering = stage.ec2.describe_vpc_peering_connections()["VpcPeeringConnections"][0]
    for net in (PEER_NET, stage.blocks_v6["theirs"]):
        tables.route("left", net, peering["VpcPeeringConnectionId"])
    for nets in (NETS, stage.blocks_v6):
        tables.route("left", nets["right"], box)
        tables.route("right", nets["left"], box)


def address(stage: Stage, name: str, family: Family) -> str:
    if family.ipv6:
        return stage.address_v6(name)
    return "10.31.1.10" if name == "guest" else stage.address(name)


def whole_ping(stage: Stage, name: str, family: Family, packet: int, sender: str = "client") -> tuple[bool, str]:
    """One echo request of `packet` bytes that must not be cut: (was it answered, what ping said)."""
    asked = ("ping", "-n", "-c1", "-W1", "-Mdo", family.payload(packet), address(stage, name, family))
    done = stage.run(sender, *asked)
    return done.returncode == 0, (done.stdout + done.stderr).decode()


@contextmanager
def raised_mtu(stage: Stage, name: str) -> Iterator[None]:
    """The guest believes that its network carries more than it does."""
    stage.run(name, "ip", "link", "set", "eth0", "mtu", "9100")
    try:
        yield
    finally:
        stage.run(name, "ip", "link", "set", "eth0", "mtu", str(LARGEST))


@contextmanager
def narrow_way_on(stage: Stage, family: Family) -> Iterator[None]:
    """What the appliance sends to the right subnet has to fit into NARROW, as if a tunnel lay there."""
    version = "-6" if family.ipv6 else "-4"
    net = stage.blocks_v6["right"] if family.ipv6 else NETS["right"]
    default = stage.run("box", "ip", version, "route", "show", "default").stdout.decode().split()
    router = default[default.index("via") + 1]
    way = (net, "via", router, "dev", "eth0")
    added = stage.run("box", "ip", version, "route", "add", *way, "mtu", "lock", str(NARROW))
    assert added.returncode == 0, added.stderr.decode()
    try:
        yield
    finally:
        stage.run("box", "ip", version, "route", "del", *way)


@both_families
def test_a_packet_of_9001_bytes_crosses_a_peering_whole(stage, family):
    for sender, name in (("client", "guest"), ("guest", "client"), ("server", "guest")):
        answered, said = whole_ping(stage, name, family, LARGEST, sender)
        assert answered, said


@both_families
def test_a_packet_of_9001_bytes_crosses_an_appliance_whole(stage, detour, family):
    before = forwarded(stage, ipv6=family.ipv6)
    answered, said = whole_ping(stage, "server", family, LARGEST)
    assert answered, said
    assert forwarded(stage, ipv6=family.ipv6) == before + 2


@both_families
@pytest.mark.parametrize("name", ["guest", "server"])
def test_what_is_larger_than_the_guests_mtu_is_refused_by_the_guest(stage, detour, family, name):
    answered, said = whole_ping(stage, name, family, LARGEST + 1)
    assert not answered
    assert re.search(f"local error: message too long, mtu[=:] ?{LARGEST}", said), said


@both_families
@pytest.mark.parametrize("name", ["guest", "server"])
def test_a_guest_that_raises_its_mtu_is_told_the_networks(stage, detour, family, name):
    """The router of its own subnet tells it, whether the way leads to a peer or over an appliance."""
    with raised_mtu(stage, "client"):
        answered, said = whole_ping(stage, name, family, LARGEST + 1)
    assert not answered
    assert family.too_big.format(LARGEST) in said
    assert ("10.30.1.1 " in said) or family.ipv6 and f"{stage.blocks_v6['left'].partition('/')[0]}1 " in said


@both_families
def test_an_appliance_with_a_narrow_way_on_tells_the_sender_whose_groups_admit_nothing_unasked(
    stage, detour, family
):
    """Frag needed, packet too big: it comes from the appliance, about the sender's own packet."""
    stage.wear("client", stage.group([]))
    with narrow_way_on(stage, family):
        answered, said = whole_ping(stage, "server", family, LARGEST)
        assert not answered
        assert family.too_big.format(NARROW) in said
        assert address(stage, "box", family) in said
        answered, said = whole_ping(stage, "server", family, NARROW)
        assert answered, said
