"""How evenly a balancer spreads connections: test runs of a node by itself, with the choices that its agent would make."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import TCP

from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import CellChoices
from rookery.dataplane.syscall import RunContext
from rookery.hyperplane.choices import seed_of, table
from tests.dataplane import plan, plan_cell
from tests.dataplane.cells import REDIRECTED, to_top
from tests.dataplane.objects import built_objects
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import BALANCER_ADDRESS, TARGETS

MANY = 100_000
SIZES = plan_cell.SIZES._replace(flows=1 << 18, flows_per_tenant=1 << 18)
PORT_AT, SEQUENCE_AT, DESTINATION = 100, 104, slice(96, 100)  # in a frame: of IPv4 and TCP
CLIENTS = ("10.7.1.5", "10.7.1.8")
WEIGHTS = (10, 20)


@pytest.fixture
def node() -> Iterator[CellDataplane]:
    path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    try:
        real = CellDataplane.open(path, built_objects(), max_mappings=256, sizes=SIZES)
        plan_cell.fill_node(real, 0, 1)
        rows = table([0, 1], [seed_of(("tg-1", address, port)) for address, port, _ in TARGETS], WEIGHTS)
        real.cell_choices.put_many({real.choices_row(0, 0): CellChoices(rows.tobytes(), bytes(6))})
        yield real
        real.close()
    finally:
        CellDataplane.remove_pins(path)


def test_each_target_has_its_share_of_a_hundred_thousand_connections_within_one_percent(node: CellDataplane) -> None:
    """T7-17: by weights 10 and 20. Two clients, one port after the other; sequence numbers are spread."""
    wires = [bytearray(to_top(ip(client, BALANCER_ADDRESS) / TCP(sport=1, dport=80, flags="S"))) for client in CLIENTS]
    context, seen = RunContext(ifindex=plan.DEVICE), Counter[bytes]()
    for number in range(MANY):
        wire = wires[number & 1]
        wire[PORT_AT : PORT_AT + 2] = (1024 + number // 2).to_bytes(2, "big")
        wire[SEQUENCE_AT : SEQUENCE_AT + 4] = (number * 2654435761 % (1 << 32)).to_bytes(4, "big")
        result = node.test_run("hyperplane", bytes(wire), context)
        assert result.action == REDIRECTED, (number, node.counters())
        seen[result.frame[DESTINATION]] += 1
    assert len(seen) == len(TARGETS)
    for (address, _, _), weight in zip(TARGETS, WEIGHTS, strict=True):
        share = MANY * weight / sum(WEIGHTS)
        assert abs(seen[bytes(map(int, address.split(".")))] - share) <= share / 100
