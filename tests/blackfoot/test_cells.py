"""An edge with its agent, and nodes of a cell in whose name a public address answers (one_edge.py, tests/netns/fake_node.py).

    router outside -- x0 [edge-1] u0 -- nodes 100.64.0.31, .32: a balancer at 10.7.1.60, outside 203.0.113.60
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from rookery.dataplane.formats import TopsNumber
from rookery.host.rows import members_of
from rookery.intent.host import GatewayIntent, MappingIntent, PublicIntent, TopsIntent
from rookery.intent.instance import forwarder_intent
from tests.blackfoot.one_edge import POOL, OneEdge, built
from tests.dataplane.packets import RookeryGeneve
from tests.netns.fake_node import GENEVE_PORT, FakeNode
from tests.netns.two_hosts import run
from tests.waiting import until

pytestmark = pytest.mark.real_packets

NODES = ("100.64.0.31", "100.64.0.32")
NUMBER, ATTACHMENT, FRONT, PUBLIC = 0x0A0B0C0D, 0x60, "10.7.1.60", "203.0.113.60"
MAPPED = MappingIntent(
    vni=7, address=FRONT, host="", interface=ATTACHMENT, subnet=2, mac="02:00:00:00:00:60", source_dest_check=False,
    group_set=0, generation=2, issued=1, tops=NUMBER,
)  # fmt: skip
RULES = (
    GatewayIntent(vni=7, internet=True, egress_only=False),
    PublicIntent(address=PUBLIC, vni=7, interface=ATTACHMENT, private=FRONT),
    TopsIntent(number=NUMBER, addresses=NODES),
    forwarder_intent(MAPPED),
)


class EchoNode(FakeNode):
    """Answers echo requests itself, in the balancer's name."""

    def _carry(self, came: RookeryGeneve) -> None:
        asked = came[IP]
        self.carried.append((asked.src, asked.dst, came.target))
        answer = IP(src=asked.dst, dst=asked.src) / ICMP(type=0, id=asked[ICMP].id, seq=asked[ICMP].seq) / asked[ICMP].payload
        claim = RookeryGeneve(vni=came.vni, origin_vni=came.vni, interface=self.attachment)
        self._socket.sendto(bytes(claim / Ether() / answer), (self.clients_host, GENEVE_PORT))


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[OneEdge]:
    with built(tmp_path / "one") as one:
        for address in NODES:
            run("ip", "-netns", one.netns("wire"), "address", "add", f"{address}/16", "dev", "edge")
        one.change(mappings=(MAPPED,), rules=RULES)
        one.wait_outside(POOL)
        yield one


def node(edge: OneEdge, address: str) -> EchoNode:
    return EchoNode(
        edge.netns("wire"), address, front=FRONT, attachment=ATTACHMENT, target="", targets_host="",
        clients_host=edge.config.address,
    )  # fmt: skip


def reached(edge: OneEdge) -> bool:
    ping = ("ip", "netns", "exec", edge.netns("outside"), "ping", "-n", "-c", "1", "-W", "1", PUBLIC)
    return subprocess.run(ping, capture_output=True, check=False).returncode == 0


def wait_living(edge: OneEdge, *nodes: str) -> None:
    with closing(edge.tables()) as tables:

        def lives() -> bool:
            row = tables.tops.get(TopsNumber(NUMBER))
            return row is not None and set(members_of(row)[: row.living]) == set(nodes)

        until(lives, lambda: f"{tables.tops.get(TopsNumber(NUMBER))}: {edge.log()}")


def test_from_outside_through_a_cell_and_back_while_a_node_dies(edge: OneEdge):
    nodes = {address: node(edge, address) for address in NODES}
    try:
        wait_living(edge, *NODES)
        assert reached(edge)
        assert [one for each in nodes.values() for one in each.carried] == [("198.51.100.0", FRONT, 0)]
        nodes.pop(NODES[0]).die()
        wait_living(edge, NODES[1])
        assert reached(edge)
        nodes.pop(NODES[1]).die()
        wait_living(edge, *NODES)  # nobody answers: all stay
        assert not reached(edge)
    finally:
        for each in nodes.values():
            each.die()
