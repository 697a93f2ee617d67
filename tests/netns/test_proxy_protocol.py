"""The proxy protocol's header on real packets, through a balancer at a cell of four nodes: a target that reads it and says back what it
hears, or speaks first.

    client, instance 11 (10.7.1.5) -- host a -- node-0 .. node-3, balancer 10.7.9.10 -- host a -- target, instance 14 (10.7.1.8:7000)
              (2001:db8:7:1::5)                         2001:db8:7:9::10                             ([2001:db8:7:1::8]:7000)
                                                                             tests/dataplane/cell_world.py
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    AttachmentKind,
    ForwarderKey,
    InterfaceFlag,
    MappingKey,
    ServiceFlag,
    TopsNumber,
    Verdict,
)
from tests.dataplane import plan, plan_cell, plan_ipv6
from tests.dataplane.cell_world import CellWorld, cell_world
from tests.dataplane.namespaces import heard, listening, run
from tests.dataplane.plan_cell import BALANCER, BALANCER_ADDRESS, BALANCER_IPV6
from tests.dataplane.plan_cells import top_set
from tests.dataplane.traffic import data, told

pytestmark = pytest.mark.real_packets
PROGRAM = str(Path(__file__).with_name("proxied.py"))
CLIENT, TARGET = "10.7.1.5", "10.7.1.8"
CLIENT_IPV6, TARGET_IPV6 = plan_ipv6.address(11), plan_ipv6.address(14)
PRESERVED, HIDDEN, PRESERVED_IPV6, HIDDEN_IPV6 = 80, 8080, 90, 9090  # listeners; the latter two have the target's other address


class Way(NamedTuple):
    balancer: str
    port: int
    seen: str  # by the target

    @property
    def target(self) -> str:
        return TARGET_IPV6 if self.port in (PRESERVED_IPV6, HIDDEN_IPV6) else TARGET


KEPT, UNSEEN = Way(BALANCER_ADDRESS, PRESERVED, CLIENT), Way(BALANCER_ADDRESS, HIDDEN, BALANCER_ADDRESS)
KEPT_IPV6, UNSEEN_IPV6 = Way(BALANCER_IPV6, PRESERVED_IPV6, CLIENT_IPV6), Way(BALANCER_IPV6, HIDDEN_IPV6, BALANCER_IPV6)
TO_IPV4, TO_IPV6 = Way(BALANCER_IPV6, HIDDEN, BALANCER_ADDRESS), Way(BALANCER_ADDRESS, HIDDEN_IPV6, BALANCER_IPV6)
WAYS = {"preserved": KEPT, "hidden": UNSEEN, "preserved, IPv6": KEPT_IPV6, "hidden, IPv6": UNSEEN_IPV6, "to IPv4": TO_IPV4, "to IPv6": TO_IPV6}
by_each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
SET = 9
MANY = 10_000_000


@pytest.fixture(scope="module")
def world() -> Iterator[CellWorld]:
    with cell_world() as made:
        made.put_target(TARGET, 7000)
        for node in made.nodes:
            for number in (2, 3):
                other = plan_cell.target(number)._replace(address=address_bytes(TARGET_IPV6), port=(7000).to_bytes(2, "big"))
                node.real.cell_targets.put_many({node.real.target_row(0, number): other})
            for port in (PRESERVED, HIDDEN, PRESERVED_IPV6, HIDDEN_IPV6):
                row = plan_cell.service(BALANCER, 6, port)
                row = row._replace(flags=row.flags | ServiceFlag.PROXY_PROTOCOL)
                node.real.cell_services.put_many({plan_cell.service_key(BALANCER, 6, port): row})
        yield made


def lead_to(world: CellWorld, place: int) -> None:
    """Host a sends the balancer's packets to this node, and believes all of them that they speak for it."""
    others = tuple(node for node in plan_cell.NODES if node != plan_cell.NODES[place])
    number, mac = SET.to_bytes(4, "little"), plan.mac(BALANCER)
    host = world.around.host
    host.tops.put_many({TopsNumber(SET): top_set(plan_cell.NODES[place], others=others)})
    row = formats.Mapping(number, BALANCER, 9, mac, 1, InterfaceFlag.AT_CELL, 1_700_000_000, 5, 0)
    host.mappings.put_many({MappingKey(plan.VPC, address_bytes(address)): row for address in (BALANCER_ADDRESS, BALANCER_IPV6)})
    host.forwarders.put_many({ForwarderKey(plan.VPC, BALANCER): formats.Forwarder(number, 9, mac, InterfaceFlag.AT_CELL, 0)})


def target(world: CellWorld, way: Way, *role: str) -> subprocess.Popen[str]:
    return listening(world.around.inside.begin(14, sys.executable, PROGRAM, role[0], way.target, *role[1:]))


def client(world: CellWorld, role: str, way: Way, *words: str) -> subprocess.Popen[str]:
    return world.around.inside.begin(11, sys.executable, PROGRAM, role, way.balancer, str(way.port), *words)


def dropped(world: CellWorld) -> dict[str, int]:
    rows = [(node.place, key, row) for node in world.nodes for key, row in node.real.counters().items()]
    return {f"{place} {Verdict(key.verdict).name}": row.packets for place, key, row in rows if key.verdict > Verdict.KEPT}


def agree(world: CellWorld, one: subprocess.Popen[str], other: subprocess.Popen[str], way: Way, *endpoint: str) -> None:
    """The target was told who its client is, and through which endpoint it came, and both have seen the same bytes."""
    said = heard(one).splitlines()
    address, own_port = said[0].split()[1:]
    told_so, content = heard(other).splitlines()
    assert told_so.split() == [address, way.balancer, own_port, str(way.port), *endpoint, way.seen], dropped(world)
    assert content == said[-1]


@by_each_way
@pytest.mark.parametrize("place", (0, 3))
def test_a_target_knows_its_client_and_ten_megabytes_go_both_ways(world: CellWorld, way: Way, place: int) -> None:
    lead_to(world, place)
    server = target(world, way, "serve")
    agree(world, client(world, "echo", way, str(MANY)), server, way)


@pytest.mark.parametrize(("size", "asked"), [(5, 0), (1301, 0), (100_000, 1)], ids=("a few bytes", "a packet", "a super-packet"))
@pytest.mark.parametrize("way", [KEPT, UNSEEN, KEPT_IPV6], ids=("preserved", "hidden", "preserved, IPv6"))
def test_what_ends_the_handshake_may_have_data_in_it_already(world: CellWorld, way: Way, size: int, asked: int) -> None:
    """The header stands in front, or the target asks for what it lacks, and the node answers."""
    lead_to(world, 1)
    before = answered(world)
    server = target(world, way, "serve")
    agree(world, client(world, "echo", way, str(size), "at once"), server, way)
    assert answered(world) == before + asked


def answered(world: CellWorld) -> int:
    return sum(node.counted(Verdict.ANSWERED) for node in world.nodes)


@pytest.mark.parametrize("way", [KEPT, UNSEEN, UNSEEN_IPV6], ids=("preserved", "hidden", "hidden, IPv6"))
def test_a_server_may_speak_first(world: CellWorld, way: Way) -> None:
    lead_to(world, 2)
    server = target(world, way, "greet", str(MANY))
    assert heard(client(world, "listen", way, str(MANY))).strip() == told(data(MANY)), dropped(world)
    assert heard(server).splitlines()[1] == "thanks"


@pytest.mark.parametrize("words", [("1000000",), ("5", "at once"), ("1301", "at once"), ("100000", "at once")], ids=" ".join)
@pytest.mark.parametrize("way", [UNSEEN, UNSEEN_IPV6, TO_IPV4, TO_IPV6], ids=("IPv4", "IPv6", "to IPv4", "to IPv6"))
def test_a_checksum_that_the_kernel_finishes_is_right(world: CellWorld, way: Way, words: tuple[str, ...]) -> None:
    """Of the segment that carries the header, too: whose place is not where the kernel thinks."""
    lead_to(world, 0)
    before = wrong_at_target(world)
    offloads(world, "off")
    try:
        server = target(world, way, "serve")
        agree(world, client(world, "echo", way, *words), server, way)
        assert wrong_at_target(world) == before
    finally:
        offloads(world, "on")


@pytest.mark.parametrize("words", [("5", "at once"), ("100000", "at once")], ids=" ".join)
@pytest.mark.parametrize("way", [UNSEEN, UNSEEN_IPV6], ids=("IPv4", "IPv6"))
def test_so_it_is_beside_an_endpoints_id(world: CellWorld, way: Way, words: tuple[str, ...]) -> None:
    """Which leaves the kernel's place little room, and another one for each length of what is turned round."""
    row = plan_cell.attachment(BALANCER)
    called(world, row._replace(kind=AttachmentKind.ENDPOINT, endpoint=plan_cell.ENDPOINT_ID.ljust(24, b"\0")))
    lead_to(world, 0)
    before = wrong_at_target(world)
    offloads(world, "off")
    try:
        server = target(world, way, "serve")
        agree(world, client(world, "echo", way, *words), server, way, plan_cell.ENDPOINT_ID.decode())
        assert wrong_at_target(world) == before
    finally:
        offloads(world, "on")
        called(world, row)


def called(world: CellWorld, row: formats.Attachment) -> None:
    for node in world.nodes:
        node.real.attachments.put_many({plan_cell.attachment_key(BALANCER): row})


def wrong_at_target(world: CellWorld) -> int:
    """Segments whose checksum was not right: TCP gets over them."""
    names, values = (line.split() for line in world.around.inside.execute(14, "cat", "/proc/net/snmp").splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("InCsumErrors")])


def offloads(world: CellWorld, state: str) -> None:
    for node in world.nodes:
        run("ip", "netns", "exec", node.namespace, "ethtool", "-K", "u0", "tx", state)


@pytest.mark.parametrize("victim", (0, 3))
def test_a_node_that_is_no_more_breaks_no_stream(world: CellWorld, victim: int) -> None:
    """Whoever is next knows where the header was."""
    lead_to(world, victim)
    server = target(world, KEPT, "serve")
    here = client(world, "echo", KEPT, "3000000", "slowly")
    assert here.stdout and here.stdin and here.stdout.readline().startswith("connected")
    assert here.stdout.readline() == "another part\n"
    try:
        world.nodes[victim].kill()
        world.living(*(place for place in range(4) if place != victim))
        lead_to(world, (victim + 1) % 4)
        arrived, complaint = here.communicate("\n" * 10, timeout=30)
        assert here.returncode == 0, (complaint, dropped(world))
        assert heard(server).splitlines()[1] == arrived.splitlines()[-1]
    finally:
        run("ip", "-n", world.nodes[victim].namespace, "link", "set", "u0", "up")
        world.living(0, 1, 2, 3)
