"""What the XDP build of an edge does itself, and what it leaves, as it came, to the TC build behind it.

All other tests of edges run on both builds; there the one goes on where the other has left off, as on a device (edges.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import Verdict, WhatIfMark
from rookery.dataplane.syscall import RunResult
from tests.dataplane import edges, plan, plan_edge
from tests.dataplane.edges import Edge, from_router
from tests.dataplane.namespaces import inside
from tests.dataplane.packets_edge import ip, to_edge
from tests.dataplane.plan_edge import ROUTER, SERVER, SERVER_IPV6

DROP, PASS, REDIRECT = 1, 2, 4
OUTWARD, INWARD = "blackfoot_outward", "blackfoot_inward"
PRIVATE, PUBLIC, OWN_IPV6 = "10.7.1.5", "203.0.113.5", "2001:db8:7:1::5"
UDP_PACKET = UDP(sport=1, dport=2) / Raw(b"penguin")


@pytest.fixture(scope="module")
def one_edge() -> Iterator[Edge]:
    with edges.edge(build="xdp") as made:
        yield made


def run(edge: Edge, program: str, frame: bytes | Packet, mark: int = 0) -> RunResult:
    return inside(edge.namespace, lambda: edge.run(program, bytes(frame), mark))


def come_in(destination: str = PUBLIC) -> Packet:
    return from_router(ip(SERVER_IPV6 if ":" in destination else SERVER, destination) / UDP_PACKET)


def counted(edge: Edge) -> dict[tuple[int, str], int]:
    return {(key.ifindex, Verdict(key.verdict).name): row.packets for key, row in edge.real.counters().items()}


ENDED = [
    ("out", OUTWARD, to_edge(ip(PRIVATE, SERVER) / UDP_PACKET), REDIRECT),
    ("out, IPv6", OUTWARD, to_edge(ip(OWN_IPV6, SERVER_IPV6) / ICMPv6EchoRequest()), REDIRECT),
    ("out and back in", OUTWARD, to_edge(ip(PRIVATE, "203.0.113.7") / UDP_PACKET), REDIRECT),
    ("in", INWARD, come_in(), REDIRECT),
    ("in, IPv6", INWARD, come_in(OWN_IPV6), REDIRECT),
    ("to nobody's address", INWARD, come_in("203.0.113.99"), DROP),
    ("without a public address", OUTWARD, to_edge(ip("10.7.1.8", SERVER) / UDP_PACKET), DROP),
]


@pytest.mark.parametrize(("program", "frame", "action"), [row[1:] for row in ENDED], ids=[row[0] for row in ENDED])
def test_it_ends_by_itself_what_goes(edge: Edge, program: str, frame: bytes | Packet, action: int) -> None:
    assert run(edge, program, frame).action == action


def test_what_it_sends_has_both_ends_of_the_wire(edge: Edge) -> None:
    """No kernel writes them behind it."""
    left = run(edge, OUTWARD, to_edge(ip(PRIVATE, SERVER) / UDP_PACKET)).frame
    assert left == bytes(edge.ends_to(ROUTER) / ip(PUBLIC, SERVER) / UDP_PACKET)
    left = run(edge, OUTWARD, to_edge(ip(OWN_IPV6, SERVER_IPV6) / ICMPv6EchoRequest())).frame
    assert left == bytes(edge.ends_to(ROUTER) / ip(OWN_IPV6, SERVER_IPV6) / ICMPv6EchoRequest())
    assert run(edge, INWARD, come_in()).frame[:12] == bytes(edge.ends_to(str(plan.HOST_A)))[:12]
    back = run(edge, OUTWARD, to_edge(ip(PRIVATE, "203.0.113.7") / UDP_PACKET)).frame
    assert back[:12] == bytes(edge.ends_to(str(plan.HOST_B)))[:12]


LEFT = [
    ("to be cut", OUTWARD, to_edge(ip(PRIVATE, SERVER, flags=0) / UDP() / Raw(b"x" * 1500))),
    ("ARP", OUTWARD, Ether(src=plan_edge.ROUTER_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP()),
    ("the mapping service", OUTWARD, Ether(dst=plan_edge.SUBSTRATE_MAC) / IP(src="100.64.0.2", dst="100.64.1.20") / TCP()),
    ("to be forwarded by mistake", OUTWARD, Ether(dst=plan_edge.SUBSTRATE_MAC) / IP(src="100.64.0.2", dst=SERVER) / TCP()),
    ("BGP", INWARD, from_router(IP(src=ROUTER, dst=plan_edge.UPLINK) / TCP(sport=1111, dport=179))),
]


@pytest.mark.parametrize(("program", "frame"), [row[1:] for row in LEFT], ids=[row[0] for row in LEFT])
def test_it_leaves_to_tc_what_it_cannot_end(edge: Edge, program: str, frame: bytes | Packet) -> None:
    left = run(edge, program, frame)
    assert (left.action, left.frame) == (PASS, bytes(frame))


def gone(edge: Edge, *neighbour: str) -> None:
    edge.in_namespace("ip", "neighbour", "delete", *neighbour)


@pytest.mark.parametrize(
    ("program", "frame", "neighbour"),
    [
        (OUTWARD, to_edge(ip(PRIVATE, SERVER) / UDP_PACKET), (ROUTER, "dev", "x0")),
        (OUTWARD, to_edge(ip(PRIVATE, "203.0.113.7") / UDP_PACKET), (str(plan.HOST_B), "dev", "u0")),
        (INWARD, bytes(come_in()), (str(plan.HOST_A), "dev", "u0")),
    ],
    ids=["the router", "the other host", "the host"],
)
def test_a_neighbour_whose_mac_is_not_known_is_tcs_to_ask(program: str, frame: bytes, neighbour: tuple[str, ...]) -> None:
    """TC does the same to the packet, and the kernel keeps it until the answer comes."""
    with edges.edge(build="xdp") as edge:
        gone(edge, *neighbour)
        before = counted(edge)
        left = run(edge, program, frame)
        assert (left.action, left.frame) == (PASS, frame)
        device = edge.substrate if program == OUTWARD else edge.uplink
        assert counted(edge) == before | {(device, "DEFERRED"): 1}
        told = edge.outward(frame) if program == OUTWARD else edge.inward(frame)
        assert told.verdict is Verdict.SENT


def test_what_is_left_is_counted_as_such_and_judged_by_tc(edge: Edge) -> None:
    before = counted(edge).get((edge.uplink, "NOT_OURS"), 0)
    run(edge, INWARD, LEFT[-1][2])
    assert counted(edge).get((edge.uplink, "NOT_OURS"), 0) == before
    assert edge.inward(bytes(LEFT[-1][2])).verdict is Verdict.NOT_OURS


def test_a_what_if_counts_nothing_and_says_what_became_of_the_packet(edge: Edge) -> None:
    before = counted(edge)
    told = run(edge, INWARD, come_in("203.0.113.99"), WhatIfMark.MARK)
    assert told.cb == (Verdict.DROP_UNKNOWN_PUBLIC_ADDRESS, 0)
    assert counted(edge) == before


def test_a_jumbo_frame_does_not_lie_in_one_piece(edge: Edge) -> None:
    edge.real.configure_substrate(edge.real.substrate._replace(mtu=9000))
    edge.real.configure_uplink(edge.real.uplink._replace(mtu=8000))
    content = UDP(sport=1, dport=2) / Raw(bytes(range(250)) * 30)
    left = run(edge, OUTWARD, to_edge(ip(PRIVATE, SERVER) / content))
    assert (left.action, left.frame[14:]) == (REDIRECT, bytes(ip(PUBLIC, SERVER) / content))
    assert run(edge, INWARD, from_router(ip(SERVER, PUBLIC) / content)).frame[80:] == bytes(ip(SERVER, PRIVATE) / content)
