"""Packets of a host that went mad, at a cell of one node: whatever it writes, nothing leaves but in the name of what it may use.

    host A (instance 11, 10.7.1.5) -- node 0: NAT gateway, balancer, endpoint of VPC 6        tests/dataplane/plan_cell.py
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.packet import Raw

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import ChecksConfig, CheckWay, RowNumber
from rookery.dataplane.syscall import RunContext
from rookery.hyperplane.check_ways import address_of, local_address, ports_of
from tests.dataplane import cells, plan
from tests.dataplane.cells import REDIRECTED, Cell, to_top
from tests.dataplane.packets import IP, RookeryGeneve
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import ATTACHED, BALANCER, BALANCER_ADDRESS, NAT, NAT_ADDRESS, NAT_SECOND
from tests.dataplane.plan_edge import SERVER

ROUNDS = 4000
CLIENT = "10.7.1.5"
AT_HOST_A = {CLIENT, "10.7.1.50", "10.7.1.8", *(f"10.7.1.{n}" for n in (*range(16, 32), *range(64, 80)))}
WELL_FORMED = [
    to_top(ip(CLIENT, SERVER) / TCP(sport=1111, dport=443, flags="S"), led_to=NAT),
    to_top(ip(CLIENT, SERVER) / UDP(sport=1111, dport=53) / Raw(b"penguin"), led_to=NAT),
    to_top(ip(CLIENT, SERVER) / ICMP(type=3, code=3) / Raw(bytes(ip(SERVER, CLIENT) / UDP(sport=53, dport=1111))), led_to=NAT),
    to_top(ip(CLIENT, BALANCER_ADDRESS) / TCP(sport=1111, dport=80, flags="S")),
]
INNER_HEADER = 34  # bytes of the outer head that a host can not choose: Ethernet, and addresses that the substrate filters


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    with cells.cell(1) as made:
        made.restore()
        yield made


def mutated(source: random.Random, well_formed: Sequence[bytes]) -> bytes:
    wire = bytearray(source.choice(well_formed))
    for _ in range(source.randrange(1, 4)):
        wire[source.randrange(INNER_HEADER, len(wire))] = source.randrange(256)
    if not source.randrange(8):
        del wire[source.randrange(INNER_HEADER + 8, len(wire)) :]
    return bytes(wire)


def test_whatever_a_host_writes_leaves_in_the_name_of_an_attachment_only(cell: Cell) -> None:
    """And in VPC 7 alone: from the gateway, from a client of the balancer that lives at this host, or back to whoever asked."""
    source, left = random.Random(16), 0
    for number in range(ROUNDS):
        wire = mutated(source, WELL_FORMED)
        result = cell.nodes[0].real.test_run("hyperplane", wire, RunContext(ifindex=plan.DEVICE))
        if result.action != REDIRECTED or result.frame[14:34] == wire[14:34]:
            continue
        left += 1
        claim, packet = RookeryGeneve(result.frame[42:66]), IP(result.frame[80:])
        assert claim.interface in ATTACHED and claim.vni == claim.origin_vni == plan.VPC, (number, wire.hex())
        assert packet.src in {NAT_ADDRESS, NAT_SECOND, *AT_HOST_A} or packet.dst in AT_HOST_A, (number, wire.hex())
    assert left > ROUNDS // 20


def test_whatever_a_host_writes_only_a_target_that_is_checked_is_heard_by_the_checks(cell: Cell) -> None:
    """Instance 11 of this host is one; 10.7.1.8 lives here too, and is none."""
    real, source, heard = cell.nodes[0].real, random.Random(22), 0
    way = CheckWay(plan.VPC, BALANCER, address_bytes(CLIENT))
    real.configure_checks(ChecksConfig(78, bytes(6), bytes(6)))
    real.check_numbers.put_many({way: RowNumber(5)})
    ports = ports_of(0)
    spoken = [to_top(ip(CLIENT, BALANCER_ADDRESS) / TCP(sport=8001, dport=ports[7], flags=flags)) for flags in ("SA", "A", "R", "S")]
    spoken += [to_top(ip("10.7.1.8", BALANCER_ADDRESS) / TCP(sport=8001, dport=ports[7], flags="A"))]
    for number in range(ROUNDS):
        wire = mutated(source, spoken)
        result = real.test_run("hyperplane", wire, RunContext(ifindex=plan.DEVICE))
        if result.action != REDIRECTED or result.frame[14:34] == wire[14:34] or IP(result.frame[14:34]).dst != local_address():
            continue
        heard += 1
        packet = IP(result.frame[14:])
        assert (packet.src, packet.proto, IP(wire[80:]).src) == (address_of(5), 6, CLIENT), (number, wire.hex())
        assert packet[TCP].dport in ports and packet[TCP].flags & "SAFR" != "S", (number, wire.hex())
    assert ROUNDS // 20 < heard < ROUNDS
