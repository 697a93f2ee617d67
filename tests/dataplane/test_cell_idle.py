"""What is quiet for too long at a balancer, and addresses that leave a NAT gateway: a cell of one and of four nodes.

    client 11 (10.7.1.5, host A) -- cell, balancer 10.7.9.10 -- targets 10.7.1.6:8001 (12) and 10.7.2.7:8002 (13) at host B
                                  \\- NAT gateway 10.7.8.10, 10.7.8.11 -- edge -- server 192.0.2.80     tests/dataplane/plan_cell.py
"""

from __future__ import annotations

import time

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.packet import Packet, Raw

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import Verdict
from tests.dataplane import cells, plan_cell
from tests.dataplane.cells import Cell, Journey, age, from_outside, to_top
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import BALANCER, BALANCER_ADDRESS, NAT, NAT_ADDRESS, NAT_SECOND, TARGETS
from tests.dataplane.plan_edge import SERVER

CLIENT = "10.7.1.5"
PRESERVED = 80
IDLE, UDP_IDLE = 60, 120  # seconds


one_cell = cells.shared(cells.kinds(1, 4))


@pytest.fixture
def cell(cell: Cell) -> Cell:
    """The listener's tcp.idle_timeout.seconds is 60."""
    row = plan_cell.service(BALANCER, 6, PRESERVED)._replace(idle_seconds=IDLE)
    for node in cell.nodes:
        node.real.cell_services.put_many({plan_cell.service_key(BALANCER, 6, PRESERVED): row})
    return cell


def ask(cell: Cell, content: Packet) -> Journey:
    return cell.travel(to_top(ip(CLIENT, BALANCER_ADDRESS) / content))


def answer(cell: Cell, content: Packet, target: str) -> Journey:
    return cell.travel(to_top(ip(target, CLIENT) / content, 1 % len(cell.nodes), led_to=BALANCER))


def segment(flags: str, **more: int) -> Packet:
    return TCP(sport=1111, dport=PRESERVED, flags=flags, **more)


def connect(cell: Cell) -> Packet:
    """As the target got it."""
    got = ask(cell, segment("S")).packet
    answer(cell, TCP(sport=got.dport, dport=1111, flags="SA"), got.dst)
    ask(cell, segment("A", ack=1))
    return got


def choose(cell: Cell, service: int, *targets: int) -> None:
    for node in cell.nodes:
        node.real.cell_choices.put_many({node.real.choices_row(0, service): plan_cell.choices(*targets)})


def test_one_segment_before_its_time_keeps_a_connection_in_both_directions(cell: Cell) -> None:
    """Whoever sends it, though nobody has believed the tops' copies any more for half of the time."""
    got = connect(cell)
    for _ in range(3):
        age(cell, IDLE - 5)
        assert ask(cell, segment("PA", ack=3) / Raw(b"still there?")).packet.dst == got.dst
    for _ in range(3):
        age(cell, IDLE - 5)
        assert answer(cell, TCP(sport=got.dport, dport=1111, flags="PA", ack=4) / Raw(b"yes"), got.dst).packet.dst == CLIENT


def test_after_its_time_who_speaks_first_is_reset_and_the_other_too(cell: Cell) -> None:
    """T7-05."""
    got = connect(cell)
    age(cell, IDLE + 1)
    told = ask(cell, segment("PA", ack=3) / Raw(b"still there?")).packet
    assert (told.src, told.dst, str(told[TCP].flags)) == (BALANCER_ADDRESS, CLIENT, "R")
    late = answer(cell, TCP(sport=got.dport, dport=1111, flags="PA", ack=4) / Raw(b"yes"), got.dst).packet
    assert (late.src, late.dst, str(late[TCP].flags)) == (CLIENT, got.dst, "R")


@pytest.mark.parametrize(("seconds", "stays"), [(UDP_IDLE - 5, True), (UDP_IDLE + 1, False)])
def test_datagrams_after_a_pause_are_a_new_flow(cell: Cell, seconds: int, stays: bool) -> None:
    """T7-06: the first target takes no new ones by then."""
    question = UDP(sport=1111, dport=53) / Raw(b"?")
    choose(cell, 2, 0)
    first = ask(cell, question).packet.dst
    answer(cell, UDP(sport=8001, dport=1111) / Raw(b"!"), first)
    ask(cell, question)
    choose(cell, 2, 1)
    age(cell, seconds)
    assert (ask(cell, question).packet.dst == first) is stays
    assert first == TARGETS[0][0]


def test_an_address_that_leaves_a_gateway_keeps_its_flows_and_gets_no_new_one(cell: Cell) -> None:
    """T6-15."""
    sent = next(one for one in (out(cell, port) for port in range(2000, 2064)) if one.src == NAT_SECOND)
    cell.travel(from_outside(ip(SERVER, NAT_SECOND) / TCP(sport=443, dport=sent.sport, flags="SA")))
    for node in cell.nodes:
        node.real.attachments.put_many({plan_cell.attachment_key(NAT): plan_cell.attachment(NAT, addresses=1)})
    assert out(cell, inside(cell, sent), "A").src == NAT_SECOND
    back = cell.travel(from_outside(ip(SERVER, NAT_SECOND) / TCP(sport=443, dport=sent.sport, flags="A")))
    assert back.verdict is Verdict.SENT and back.packet.dst == CLIENT
    assert {out(cell, port).src for port in range(3000, 3032)} == {NAT_ADDRESS}


def out(cell: Cell, port: int, flags: str = "S") -> Packet:
    """As it leaves."""
    return cell.travel(to_top(ip(CLIENT, SERVER) / TCP(sport=port, dport=443, flags=flags), led_to=NAT)).packet


def inside(cell: Cell, sent: Packet) -> int:
    """The client's port of what left so."""
    back = cell.travel(from_outside(ip(SERVER, sent.src) / TCP(sport=443, dport=sent.sport, flags="A")))
    return int(back.packet.dport)


def ports_held(cell: Cell) -> set[tuple[bytes, bytes]]:
    """Addresses and ports of the gateway that flows have."""
    rows = [key for node in cell.nodes for key, row in node.tracked().items() if not row.pending and row.deadline > time.monotonic_ns()]
    return {(key.destination, key.destination_port) for key in rows if key.source == address_bytes(SERVER)}


@pytest.mark.parametrize("content", [UDP(sport=0, dport=53) / Raw(b"?"), ICMP(type=8)], ids=["datagram", "echo"])
@pytest.mark.parametrize("pause", [20, 40, 61, 100, 200, 340])
def test_a_second_datagram_within_its_time_leaves_by_the_port_of_the_first(cell: Cell, content: Packet, pause: int) -> None:
    """Though no heartbeat ever said that the flow lives: its top saw one packet. Again and again, by whichever top, and no second port is taken."""
    for number in range(12):
        one = content.copy()
        setattr(one, "id" if content.haslayer(ICMP) else "sport", 2000 + number)
        first = cell.travel(to_top(ip(CLIENT, SERVER) / one, led_to=NAT)).packet
        ports = ports_held(cell)
        for again in range(3):
            age(cell, pause)
            later = cell.travel(to_top(ip(CLIENT, SERVER) / one, again % len(cell.nodes), led_to=NAT)).packet
            assert (later.src, bytes(later.payload)) == (first.src, bytes(first.payload))
            assert ports_held(cell) == ports
        cell.restore()


@pytest.mark.parametrize("pause", [40, 61, 100, UDP_IDLE - 5])
def test_a_second_datagram_within_its_time_reaches_the_target_of_the_first(cell: Cell, pause: int) -> None:
    """New ones go to another one by then."""
    for sport in range(2000, 2012):
        question = UDP(sport=sport, dport=53) / Raw(b"?")
        choose(cell, 2, 0)
        first = ask(cell, question).packet.dst
        choose(cell, 2, 1)
        for _ in range(3):
            age(cell, pause)
            assert ask(cell, question).packet.dst == first
    assert first == TARGETS[0][0]
