"""Mutated packets at the nodes of a cell, by either build of their program: the same becomes of each, or XDP leaves it to TC as it came.

    PYTHONPATH=src:. python -m tests.dataplane.fuzz_cell 200000 [--seed N]

A packet is first sent, so that its flow is known; what-ifs of both builds then find the same tables. Where a port is chosen by chance, what leaves is not compared."""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter

from scapy.layers.inet import ICMP, TCP, UDP, IPerror, UDPerror
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import Verdict, WhatIfMark
from rookery.dataplane.node import XDP_BUILD
from rookery.dataplane.syscall import RunContext, RunResult
from tests.dataplane import cells
from tests.dataplane.cells import REDIRECTED, XDP_PASSED, Cell, Node, from_outside, to_top
from tests.dataplane.packets import IP
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import BALANCER_ADDRESS, NAT
from tests.dataplane.plan_edge import SERVER

CLIENT, OTHER = "10.7.1.5", "10.7.1.8"
LEAVES = {Verdict.SENT, Verdict.ANSWERED}
OUTER = 34  # bytes that no host can choose
NODES = 4
FORGET_EVERY = 500
CHANCES = 4  # of thousands of ports each


class Difference(Exception):
    """The packet, and what each build did to it."""


def beginnings() -> list[Packet]:
    data = Raw(bytes(range(200)))
    return [
        ip(CLIENT, SERVER) / TCP(sport=1111, dport=443, flags="S", options=[("MSS", 8961), ("SAckOK", b"")]),
        ip(CLIENT, SERVER) / UDP(sport=1111, dport=53) / data,
        ip(CLIENT, SERVER) / UDP(sport=1112, dport=53, chksum=0) / data,
        ip(CLIENT, SERVER) / ICMP(id=77) / data,
        ip(OTHER, BALANCER_ADDRESS) / TCP(sport=1111, dport=80, flags="S") / data,
        ip(OTHER, BALANCER_ADDRESS) / TCP(sport=1111, dport=8080, flags="S"),
        ip(OTHER, BALANCER_ADDRESS) / UDP(sport=1111, dport=53) / data,
    ]


def answered(sent: Packet) -> list[Packet]:
    """What comes back to what the cell sent out: an answer, and an error that quotes it."""
    error = ip(SERVER, sent.src) / ICMP(type=3, code=4, nexthopmtu=1400) / Raw(bytes(sent)[:200])
    if sent.dst != SERVER:
        return []
    if sent.haslayer(TCP):
        return [ip(SERVER, sent.src) / TCP(sport=443, dport=sent.sport, flags="SA"), error]
    return [ip(SERVER, sent.src) / UDP(sport=53, dport=sent.sport) / Raw(b"penguin"), error] if sent.haslayer(UDP) else [error]


def wires(cell: Cell) -> list[bytes]:
    """Of hosts, of the edge, and of other nodes along the chain."""
    found: list[bytes] = []
    for top in range(NODES):
        for packet in beginnings():
            led_to = NAT if packet.dst == SERVER else 0
            went = cell.travel(to_top(packet, top, led_to=led_to))
            assert went.verdict is Verdict.SENT, packet
            found += went.wires
            for back in answered(went.packet):
                found += cell.travel(from_outside(back, top)).wires
    quoting = IP(bytes(ip(SERVER, CLIENT) / UDP(sport=53, dport=1111)))
    found.append(to_top(ip(CLIENT, SERVER) / ICMP(type=3, code=3) / Raw(bytes(quoting)), led_to=NAT))
    assert IPerror in IP(found[-1][80:]) and UDPerror in IP(found[-1][80:])
    return found


def mutate(source: random.Random, wire: bytes) -> bytes:
    changed = bytearray(wire)
    for _ in range(source.randrange(3)):
        changed[source.randrange(OUTER, len(changed))] = source.randrange(256)
    if not source.randrange(8):
        changed[88] = source.randrange(3)  # inner TTL
    if not source.randrange(16):
        del changed[source.randrange(OUTER + 8, len(changed)) :]
    return bytes(changed)


def decides_by_chance(node: Node, wire: bytes, context: RunContext, once: RunResult) -> bool:
    """Whether one build alone says other things, each time: who is asked for a port chooses it so."""
    return any(node.real.test_run("hyperplane", wire, context)[:2] != once[:2] for _ in range(CHANCES))


def compare(node: Node, wire: bytes) -> tuple[Verdict, bool]:
    """The verdict of both, and whether XDP said it. In the nodes' namespace. Raises Difference."""
    context = RunContext(WhatIfMark.MARK, node.device)
    fast = node.real.test_run(f"hyperplane{XDP_BUILD}", wire, context._replace(xdp=True))
    slow = node.real.test_run("hyperplane", wire, context)
    verdict = Verdict(slow.cb[0])
    if fast.cb[0] == Verdict.DEFERRED:
        if (fast.action, fast.frame) != (XDP_PASSED, wire):
            raise Difference(f"{wire.hex()}\ndeferred, but changed: {fast}")
        return verdict, False
    same = verdict not in LEAVES or node.as_tc(fast)[:2] == slow[:2] or decides_by_chance(node, wire, context, slow)
    if fast.cb != slow.cb[:2] or not same:
        raise Difference(f"{wire.hex()}\nXDP {fast}\nTC  {slow}")
    return verdict, True


def fuzz(cell: Cell, packets: int, seed: int) -> Counter[str]:
    """How often each verdict came, and of which build. Raises Difference."""
    source, told = random.Random(seed), Counter[str]()
    cell.restore()
    well_formed = wires(cell)
    at = {node.address: node for node in cell.nodes}

    def work() -> None:
        for number in range(packets):
            if number % FORGET_EVERY == 0:
                cell.restore()
            wire = mutate(source, source.choice(well_formed))
            node = at[IP(wire[14:34]).dst]
            left = node.run(wire).action == REDIRECTED
            try:
                verdict, by_xdp = compare(node, wire)
            except Difference as difference:
                raise Difference(f"seed {seed}, packet {number}, {'sent' if left else 'not sent'} before: {difference}") from None
            told[f"{verdict.name} {'XDP' if by_xdp else 'TC'}"] += 1

    cell.within(work)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packets", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    asked = parser.parse_args()
    begun = time.monotonic()
    with cells.cell(NODES, "xdp") as cell:
        for verdict, times in sorted(fuzz(cell, asked.packets, asked.seed).items()):
            print(f"{times:9} {verdict}")
    print(f"{asked.packets} packets, seed {asked.seed}, {time.monotonic() - begun:.0f} s: no difference")


if __name__ == "__main__":
    main()
