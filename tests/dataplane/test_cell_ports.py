"""How many connections a NAT gateway's address carries to one destination: test runs of a cell of one node."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import TCP

from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import CellConstant
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan, plan_cell
from tests.dataplane.cells import REDIRECTED, to_top
from tests.dataplane.objects import built_objects
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import NAT
from tests.dataplane.plan_edge import SERVER

MANY, MORE = 60_000, 5_000
SIZES = plan_cell.SIZES._replace(flows=1 << 18, flows_per_tenant=1 << 18)
CLIENT_PORT_AT, SENT = 100, slice(92, 102)  # in a frame: of IPv4 and TCP, source address to source port


@pytest.fixture
def node() -> Iterator[CellDataplane]:
    path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    try:
        real = CellDataplane.open(path, built_objects(), max_mappings=256, sizes=SIZES)
        plan_cell.fill_node(real, 0, 1)
        only = plan_cell.attachment(NAT, addresses=1)
        real.attachments.put_many({plan_cell.attachment_key(NAT): only})
        yield real
        real.close()
    finally:
        CellDataplane.remove_pins(path)


def begin(node: CellDataplane, client: str, count: int) -> set[bytes]:
    """As many connections to one port of the server; as what they leave."""
    wire = bytearray(to_top(ip(client, SERVER) / TCP(sport=1, dport=443, flags="S"), led_to=NAT))
    context, seen = RunContext(ifindex=plan.DEVICE), set()
    for port in range(1, count + 1):
        wire[CLIENT_PORT_AT : CLIENT_PORT_AT + 2] = port.to_bytes(2, "big")
        result = node.test_run("hyperplane", bytes(wire), context)
        assert result.action == REDIRECTED, (port, node.counters())
        seen.add(result.frame[SENT])
    return seen


def test_sixty_thousand_connections_of_one_address_to_one_destination(node: CellDataplane) -> None:
    """T6-03: each with a port of its own, 1024 or above; the last ones take no longer than a search of sixteen blocks. T6-04: with another
    address there are more of them than one address has ports."""
    seen = begin(node, "10.7.1.5", MANY)
    assert len(seen) == MANY
    assert min(int.from_bytes(one[-2:], "big") for one in seen) >= CellConstant.PORT_FIRST
    node.attachments.put_many({plan_cell.attachment_key(NAT): plan_cell.attachment(NAT)})
    seen |= begin(node, "10.7.1.8", MORE)
    assert len(seen) == MANY + MORE > 65_536 - CellConstant.PORT_FIRST
