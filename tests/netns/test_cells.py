"""Hosts' agents and real packets with nodes of a cell (fake_node.py) on the wire of two_hosts.py.

    client 10.7.1.5 on host-1 --+-- nodes 100.64.0.31, .32: a balancer at 10.7.1.60 --+-- host-2: target 10.7.1.6
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rookery.dataplane.formats import TopSet, TopsNumber
from rookery.host.rows import members_of
from rookery.intent.host import ForwarderIntent, MappingIntent, TopsIntent
from rookery.intent.instance import forwarder_intent
from tests.netns.fake_node import FakeNode
from tests.netns.two_hosts import ADDRESSES, Guest, TwoHosts, built, run
from tests.waiting import until

pytestmark = pytest.mark.real_packets

NODES, DRAINING = ("100.64.0.31", "100.64.0.32"), "100.64.0.33"
NUMBER, ATTACHMENT, FRONT, FRONT_MAC = 0x0A0B0C0D, 0x60, "10.7.1.60", "02:07:01:07:00:60"
SERVED = TopsIntent(number=NUMBER, addresses=NODES, others=(DRAINING,))
MAPPED = MappingIntent(
    vni=7, address=FRONT, host="", interface=ATTACHMENT, subnet=7 << 8, mac=FRONT_MAC, source_dest_check=False,
    group_set=0, generation=2, issued=1, tops=NUMBER,
)  # fmt: skip
FORWARDS: ForwarderIntent = forwarder_intent(MAPPED)


class Scene:
    def __init__(self, hosts: TwoHosts):
        self.hosts = hosts
        self.client, self.target = Guest(7, 5, "host-1"), Guest(7, 6, "host-2")
        for address in NODES:
            run("ip", "-netns", hosts.netns("wire"), "address", "add", f"{address}/16", "dev", "bridge")
        self.nodes = {address: self.node(address) for address in NODES}

    def node(self, address: str) -> FakeNode:
        return FakeNode(
            self.hosts.netns("wire"), address, front=FRONT, attachment=ATTACHMENT, target=self.target.address,
            targets_host=ADDRESSES["host-2"], clients_host=ADDRESSES["host-1"],
        )  # fmt: skip

    def tell(self) -> None:
        for host in ADDRESSES:
            told = self.hosts.service.change(host, mappings=(MAPPED,), rules=(SERVED, FORWARDS))
            self.hosts.wait_applied(host, told)

    def row(self) -> TopSet | None:
        kernel = self.hosts.open_dataplane("host-1")
        try:
            return kernel.tops.get(TopsNumber(NUMBER))
        finally:
            kernel.close()

    def wait_living(self, *nodes: str) -> None:
        def lives() -> bool:
            row = self.row()
            return row is not None and set(members_of(row)[: row.living]) == set(nodes)

        until(lives, lambda: f"{self.row()}: {self.hosts.log('host-1')}")

    def reached(self) -> bool:
        ping = self.hosts.inside(self.client, "ping", "-n", "-c", "1", "-W", "1", FRONT)
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with built(tmp_path) as two:
        found = Scene(two)
        try:
            two.launch(found.client, found.target)
            found.tell()
            yield found
        finally:
            for node in found.nodes.values():
                node.die()


def test_a_client_reaches_a_target_through_a_balancer_while_its_nodes_die_and_come_back(scene: Scene):
    scene.wait_living(*NODES)
    assert scene.reached()
    there, back = next(node.carried for node in scene.nodes.values() if node.carried)[0], ("10.7.1.6", "10.7.1.5", ATTACHMENT)
    assert there == ("10.7.1.5", FRONT, 0)
    assert back in [one for node in scene.nodes.values() for one in node.carried]

    scene.nodes.pop(NODES[1]).die()
    scene.wait_living(NODES[0])
    assert scene.reached()
    row = scene.row()
    assert row and set(members_of(row)) == {*NODES, DRAINING}  # a dead one may still be believed

    scene.hosts.kill_agent("host-1")
    scene.hosts.start_agent("host-1")
    until(lambda: scene.hosts.answers("host-1"), "the agent is back")
    scene.wait_living(NODES[0])
    assert scene.reached()

    scene.nodes[NODES[1]] = scene.node(NODES[1])
    scene.wait_living(*NODES)


def test_where_all_nodes_are_silent_all_stay_and_a_shard_that_changes_is_one_row(scene: Scene):
    for address in NODES:
        scene.nodes.pop(address).die()
    scene.wait_living(*NODES)
    told = scene.hosts.service.change("host-1", rules=(TopsIntent(number=NUMBER, addresses=NODES[:1]),))
    scene.hosts.wait_applied("host-1", told)
    scene.wait_living(NODES[0])
    rows = scene.hosts.ask("host-1", type="mappings", vni=7)["rows"]
    assert [(row["intended_host"], row["kernel_host"]) for row in rows if row["address"] == FRONT] == [("cell:0a0b0c0d",) * 2]
