"""The proxy protocol's header on real packets, through a balancer at a cell of four nodes: a target that reads it and says back what it
hears, or speaks first.

    client, instance 11 (10.7.1.5) -- host a -- node-0 .. node-3, balancer 10.7.9.10 -- host a -- target, instance 14 (10.7.1.8:7000)
                                                                             tests/dataplane/cell_world.py
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    ForwarderKey,
    InterfaceFlag,
    MappingKey,
    ServiceFlag,
    TopsNumber,
    Verdict,
)
from tests.dataplane import plan, plan_cell
from tests.dataplane.cell_world import CellWorld, cell_world
from tests.dataplane.namespaces import heard, listening, run
from tests.dataplane.plan_cell import BALANCER, BALANCER_ADDRESS
from tests.dataplane.plan_cells import top_set
from tests.dataplane.traffic import data, told

pytestmark = pytest.mark.real_packets
PROGRAM = str(Path(__file__).with_name("proxied.py"))
CLIENT, TARGET = "10.7.1.5", "10.7.1.8"
PRESERVED, HIDDEN = 80, 8080
SEEN = {PRESERVED: CLIENT, HIDDEN: BALANCER_ADDRESS}  # by the target
SET = 9
MANY = 10_000_000


@pytest.fixture(scope="module")
def world() -> Iterator[CellWorld]:
    with cell_world() as made:
        made.put_target(TARGET, 7000)
        for node in made.nodes:
            for port, flags in ((PRESERVED, ServiceFlag.PRESERVE_CLIENT), (HIDDEN, 0)):
                row = plan_cell.service(BALANCER, 6, port)._replace(flags=flags | ServiceFlag.PROXY_PROTOCOL)
                node.real.cell_services.put_many({plan_cell.service_key(BALANCER, 6, port): row})
        yield made


def lead_to(world: CellWorld, place: int) -> None:
    """Host a sends the balancer's packets to this node, and believes all of them that they speak for it."""
    others = tuple(node for node in plan_cell.NODES if node != plan_cell.NODES[place])
    number, mac = SET.to_bytes(4, "little"), plan.mac(BALANCER)
    host = world.around.host
    host.tops.put_many({TopsNumber(SET): top_set(plan_cell.NODES[place], others=others)})
    row = formats.Mapping(number, BALANCER, 9, mac, 1, InterfaceFlag.AT_CELL, 1_700_000_000, 5, 0)
    host.mappings.put_many({MappingKey(plan.VPC, address_bytes(BALANCER_ADDRESS)): row})
    host.forwarders.put_many({ForwarderKey(plan.VPC, BALANCER): formats.Forwarder(number, 9, mac, InterfaceFlag.AT_CELL, 0)})


def target(world: CellWorld, *role: str) -> subprocess.Popen[str]:
    return listening(world.around.inside.begin(14, sys.executable, PROGRAM, role[0], TARGET, *role[1:]))


def client(world: CellWorld, role: str, port: int, *words: str) -> subprocess.Popen[str]:
    return world.around.inside.begin(11, sys.executable, PROGRAM, role, BALANCER_ADDRESS, str(port), *words)


def dropped(world: CellWorld) -> dict[str, int]:
    rows = [(node.place, key, row) for node in world.nodes for key, row in node.real.counters().items()]
    return {f"{place} {Verdict(key.verdict).name}": row.packets for place, key, row in rows if key.verdict > Verdict.KEPT}


def agree(world: CellWorld, one: subprocess.Popen[str], other: subprocess.Popen[str], port: int) -> None:
    """The target was told who its client is, and both have seen the same bytes."""
    said = heard(one).splitlines()
    address, own_port = said[0].split()[1:]
    told_so, content = heard(other).splitlines()
    assert told_so.split() == [address, BALANCER_ADDRESS, own_port, str(port), SEEN[port]], dropped(world)
    assert content == said[-1]


@pytest.mark.parametrize("port", SEEN, ids=("preserved", "hidden"))
@pytest.mark.parametrize("place", (0, 3))
def test_a_target_knows_its_client_and_ten_megabytes_go_both_ways(world: CellWorld, port: int, place: int) -> None:
    lead_to(world, place)
    server = target(world, "serve")
    agree(world, client(world, "echo", port, str(MANY)), server, port)


@pytest.mark.parametrize(("size", "asked"), [(5, 0), (1301, 0), (100_000, 1)], ids=("a few bytes", "a packet", "a super-packet"))
@pytest.mark.parametrize("port", SEEN, ids=("preserved", "hidden"))
def test_what_ends_the_handshake_may_have_data_in_it_already(world: CellWorld, port: int, size: int, asked: int) -> None:
    """The header stands in front, or the target asks for what it lacks, and the node answers."""
    lead_to(world, 1)
    before = answered(world)
    server = target(world, "serve")
    agree(world, client(world, "echo", port, str(size), "at once"), server, port)
    assert answered(world) == before + asked


def answered(world: CellWorld) -> int:
    return sum(node.counted(Verdict.ANSWERED) for node in world.nodes)


@pytest.mark.parametrize("port", SEEN, ids=("preserved", "hidden"))
def test_a_server_may_speak_first(world: CellWorld, port: int) -> None:
    lead_to(world, 2)
    server = target(world, "greet", str(MANY))
    assert heard(client(world, "listen", port, str(MANY))).strip() == told(data(MANY)), dropped(world)
    assert heard(server).splitlines()[1] == "thanks"


@pytest.mark.parametrize("words", [("1000000",), ("5", "at once"), ("1301", "at once"), ("100000", "at once")], ids=" ".join)
def test_a_checksum_that_the_kernel_finishes_is_right(world: CellWorld, words: tuple[str, ...]) -> None:
    """Of the segment that carries the header, too: whose place is not where the kernel thinks."""
    lead_to(world, 0)
    offloads(world, "off")
    try:
        server = target(world, "serve")
        agree(world, client(world, "echo", HIDDEN, *words), server, HIDDEN)
    finally:
        offloads(world, "on")


def offloads(world: CellWorld, state: str) -> None:
    for node in world.nodes:
        run("ip", "netns", "exec", node.namespace, "ethtool", "-K", "u0", "tx", state)


@pytest.mark.parametrize("victim", (0, 3))
def test_a_node_that_is_no_more_breaks_no_stream(world: CellWorld, victim: int) -> None:
    """Whoever is next knows where the header was."""
    lead_to(world, victim)
    server = target(world, "serve")
    here = client(world, "echo", PRESERVED, "3000000", "slowly")
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
