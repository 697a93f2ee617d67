"""What the XDP build of a cell's node does itself, and what it leaves, as it came, to the TC build behind it.

Other tests of cells run on both builds where `make faults` asks for it, and some always (cells.kinds). There the one goes on where the other has
left off, as on a device.

    instance 11 (10.7.1.5) -- host A -- node-0 .. node-3 -- edge -- server 192.0.2.80        tests/dataplane/plan_cell.py
"""

from __future__ import annotations

import pytest
from pyroute2 import IPRoute
from scapy.layers.inet import ICMP, TCP, UDP, IPerror
from scapy.layers.l2 import ARP
from scapy.packet import Packet, Raw

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import ChecksConfig, CheckWay, MappingKey, RowNumber, Verdict
from rookery.dataplane.node import XDP_BUILD
from rookery.dataplane.syscall import RunContext
from rookery.hyperplane.check_ways import ports_of
from tests.dataplane import cells, fuzz_cell, plan, plan_cell, plan_edge
from tests.dataplane.cells import REDIRECTED, XDP_PASSED, Cell, Journey, from_outside, to_top
from tests.dataplane.namespaces import run
from tests.dataplane.packets import IP, Ether
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import BALANCER, BALANCER_ADDRESS, NAT, NODES
from tests.dataplane.plan_edge import EDGE_1, SERVER
from tests.dataplane.test_cell_chain import probe_of

CLIENT, OTHER = "10.7.1.5", "10.7.1.8"
PRESERVED, HIDDEN = 80, 8080


one_cell = cells.shared_alike(4, "xdp")


def tcp(flags: str = "S", sport: int = 1111, dport: int = 443, **fields: object) -> Packet:
    return TCP(sport=sport, dport=dport, flags=flags, **fields)


def out(cell: Cell, content: Packet, top: int = 0, **fields: object) -> Journey:
    return cell.travel(to_top(ip(CLIENT, SERVER, **fields) / content, top, led_to=NAT))


def back(cell: Cell, content: Packet, to: str, top: int = 0) -> Journey:
    return cell.travel(from_outside(ip(SERVER, to) / content, top))


def to_balancer(cell: Cell, content: Packet) -> Journey:
    return cell.travel(to_top(ip(OTHER, BALANCER_ADDRESS) / content))


def deferred_by(cell: Cell) -> int:
    """Since it was asked last."""
    found = cell.deferred
    for node in cell.nodes:
        node.deferred = 0
    return found


def deferred_rows(cell: Cell) -> int:
    counted = (row.packets for node in cell.nodes for key, row in node.real.counters().items() if key.verdict == Verdict.DEFERRED)
    return sum(counted)


def let_heartbeats_be_due(cell: Cell) -> None:
    """Of flows that go on."""
    for node in cell.nodes:
        rows = {key: row._replace(told=max(row.told - cells.SECOND, 0)) for key, row in node.real.directives.items()}
        node.real.directives.put_many(rows)


def shake_hands(cell: Cell) -> Packet:
    """What the client's SYN became."""
    sent = out(cell, tcp()).packet
    back(cell, tcp("SA", 443, sent.sport), sent.src)
    out(cell, tcp("A"))
    back(cell, tcp("A", 443, sent.sport), sent.src)
    return sent


@pytest.mark.parametrize("begin", [
    lambda cell: out(cell, tcp()),
    lambda cell: out(cell, UDP(sport=1, dport=53)),
    lambda cell: out(cell, ICMP(id=9)),
    lambda cell: to_balancer(cell, tcp(dport=PRESERVED)),
    lambda cell: to_balancer(cell, tcp(dport=HIDDEN)),
], ids=["NAT", "NAT, a datagram", "NAT, an echo", "balancer, preserved", "balancer, hidden"])  # fmt: skip
def test_a_new_flow_passes_the_whole_chain_in_xdp(cell: Cell, begin) -> None:  # type: ignore[no-untyped-def]
    went = begin(cell)
    assert went.verdict is Verdict.SENT and len(went.path) > 1
    assert deferred_by(cell) == 0


def test_of_a_connection_tc_gets_what_its_trackers_must_hear_and_nothing_else(cell: Cell) -> None:
    """Both directions' first packet behind the handshake, and both ends; one a second besides."""
    sent = out(cell, tcp()).packet
    answer = [back(cell, tcp("SA", 443, sent.sport), sent.src)]
    assert deferred_by(cell) == 0
    out(cell, tcp("A"))
    answer.append(back(cell, tcp("A", 443, sent.sport), sent.src))
    assert deferred_by(cell) == 2
    for _ in range(5):
        assert out(cell, tcp("PA") / Raw(b"penguins")).packet.sport == sent.sport
        answer.append(back(cell, tcp("PA", 443, sent.sport) / Raw(b"penguins"), sent.src))
    assert deferred_by(cell) == 0
    out(cell, tcp("FA"))
    answer.append(back(cell, tcp("FA", 443, sent.sport), sent.src))
    assert deferred_by(cell) == 2
    assert {(one.packet.dst, one.packet.dport) for one in answer} == {(CLIENT, 1111)}


def test_a_flow_that_nobody_told_of_for_a_second_is_told_of_by_tc(cell: Cell) -> None:
    shake_hands(cell)
    deferred_by(cell)
    let_heartbeats_be_due(cell)
    assert out(cell, tcp("A")).verdict is Verdict.SENT
    assert deferred_by(cell) == 1


def hop_too_far(cell: Cell) -> Journey:
    return out(cell, UDP(sport=33000, dport=33434) / Raw(b"x" * 32), ttl=1)


def too_large(cell: Cell) -> Journey:
    return out(cell, UDP(sport=1111, dport=53) / Raw(b"x" * 1500))


def far_too_large(cell: Cell) -> Journey:
    """Its frame does not lie in one piece, and what is too much of it is taken away at its end."""
    for node in cell.nodes:
        node.real.configure_substrate(node.real.substrate._replace(mtu=9100))
    return out(cell, UDP(sport=1111, dport=53) / Raw(b"x" * 8000))


def unknown(cell: Cell) -> Journey:
    return out(cell, tcp("A", ack=2000) / Raw(b"hello"))


@pytest.mark.parametrize("ask", [hop_too_far, too_large, far_too_large, unknown])
def test_what_the_cell_itself_says_xdp_says(cell: Cell, ask) -> None:  # type: ignore[no-untyped-def]
    told = ask(cell)
    assert (told.verdict, told.host, told.packet.dst) == (Verdict.SENT, str(plan.HOST_A), CLIENT)
    again = IP(bytes(told.packet))
    del again.chksum, again.payload.chksum
    if IPerror not in again:
        assert str(again[TCP].flags) == "R"
    assert bytes(again)[:28] == bytes(told.packet)[:28]
    assert deferred_by(cell) == 0


def test_an_error_about_a_flow_reaches_whoever_sent_it_by_xdp_alone(cell: Cell) -> None:
    sent = out(cell, UDP(sport=1111, dport=53) / Raw(b"penguin")).packet
    told = back(cell, ICMP(type=3, code=3) / Raw(bytes(sent)), sent.src).packet
    assert (told.dst, told[IPerror].src, told[IPerror].dst) == (CLIENT, CLIENT, SERVER)
    assert deferred_by(cell) == 0


def test_a_jumbo_frame_goes_through_a_balancer_in_xdp(cell: Cell) -> None:
    for node in cell.nodes:
        node.real.configure_substrate(node.real.substrate._replace(mtu=9100))
    content = UDP(sport=1111, dport=53) / Raw(bytes(range(250)) * 32)
    went = to_balancer(cell, content)
    assert went.verdict is Verdict.SENT and bytes(went.packet[UDP].payload) == bytes(range(250)) * 32
    assert deferred_by(cell) == 0


def test_a_probe_is_answered_to_the_neighbour(cell: Cell) -> None:
    node = cell.nodes[0]
    left = cell.within(lambda: node.run(probe_of(0)))
    assert (left.action, IP(left.frame[14:]).dst, node.deferred) == (REDIRECTED, str(plan.HOST_A), 0)


def by_xdp(cell: Cell, wire: bytes, place: int = 0) -> int:
    """What XDP does; a packet that it passes is as it came."""
    node = cell.nodes[place]
    context = RunContext(ifindex=node.device, xdp=True)
    left = cell.within(lambda: node.real.test_run(f"hyperplane{XDP_BUILD}", wire, context))
    assert left.action != XDP_PASSED or left.frame == wire
    return left.action


LEFT = {
    "ARP": bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP()),
    "the mapping service": bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / IP(src="100.64.0.2", dst=str(NODES[0])) / TCP()),
    "to be forwarded by mistake": bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / IP(src="100.64.0.2", dst=SERVER) / TCP()),
    "from the node's own address": to_top(ip(CLIENT, SERVER) / tcp(), led_to=NAT)[:26]
    + NODES[0].packed
    + to_top(ip(CLIENT, SERVER) / tcp(), led_to=NAT)[30:],
}


@pytest.mark.parametrize("wire", LEFT.values(), ids=LEFT)
def test_what_is_not_a_nodes_is_left_to_tc(cell: Cell, wire: bytes) -> None:
    before = deferred_rows(cell)
    assert by_xdp(cell, wire) == XDP_PASSED
    assert deferred_rows(cell) == before + 1


def test_the_answer_of_a_check_is_given_to_its_socket_by_tc(cell: Cell) -> None:
    way, target = CheckWay(plan.VPC, BALANCER, address_bytes("10.7.1.6")), "10.7.1.6"
    for node in cell.nodes:
        node.real.configure_checks(ChecksConfig(node.device, bytes(6), bytes(6)))
        node.real.check_numbers.put_many({way: RowNumber(5)})
    heard = cell.travel(to_top(ip(target, BALANCER_ADDRESS) / tcp("SA", 8001, ports_of(2)[0])))
    assert heard.path == [0, 2] and IP(heard.frame[14:]).dst != target
    assert [node.deferred for node in cell.nodes] == [0, 0, 1, 0]


def forget_neighbour(cell: Cell, place: int, address: str) -> None:
    """Within the second that a shortcut has."""

    def there() -> None:
        with IPRoute() as route:
            route.neigh("del", dst=address, ifindex=cell.nodes[place].device)

    cell.within(there)


def know_neighbour(cell: Cell, place: int, address: str) -> None:
    mac = plan_cell.neighbour_mac(plan_edge.IPv4Address(address))
    run("ip", "-n", cell.namespace, "neighbour", "replace", address, "lladdr", mac, "dev", f"u{place}", "nud", "permanent")


def test_a_neighbour_whose_mac_is_not_known_is_tcs_to_ask_and_the_decision_stays(cell: Cell) -> None:
    """The chain has been walked by then; TC walks it once more, and finds what is stored."""
    forget_neighbour(cell, 0, str(EDGE_1))
    try:
        went = out(cell, tcp())
        assert went.verdict is Verdict.SENT and deferred_by(cell) == 1
    finally:
        know_neighbour(cell, 0, str(EDGE_1))
    assert out(cell, tcp()).packet.sport == went.packet.sport
    assert len({key for node in cell.nodes for key in node.tracked()}) == 2


def test_a_known_flows_neighbour_is_asked_for_once_and_again_behind_its_next_heartbeat(cell: Cell) -> None:
    shake_hands(cell)
    data = tcp("PA") / Raw(b"penguins")
    out(cell, data)
    deferred_by(cell)
    forget_neighbour(cell, 0, str(EDGE_1))
    try:
        assert out(cell, data).verdict is Verdict.SENT and deferred_by(cell) == 0
        let_heartbeats_be_due(cell)
        assert [out(cell, data).verdict for _ in range(2)] == [Verdict.SENT] * 2
        assert deferred_by(cell) == 2
    finally:
        know_neighbour(cell, 0, str(EDGE_1))
    assert out(cell, data).verdict is Verdict.SENT and deferred_by(cell) == 0


def test_what_is_deferred_is_measured_once(cell: Cell) -> None:
    def packets() -> int:
        return sum(sum(node.real.measures.read(plan_cell.MEASURED[NAT])) for node in cell.nodes)

    out(cell, UDP(sport=1111, dport=53))
    out(cell, UDP(sport=1111, dport=53))
    known = [packets()]
    for _ in range(2):
        deferred_by(cell)
        out(cell, UDP(sport=1111, dport=53))
        known.append(packets())
    assert deferred_by(cell) == 0
    let_heartbeats_be_due(cell)
    out(cell, UDP(sport=1111, dport=53))
    assert deferred_by(cell) == 1
    assert packets() - known[-1] == known[-1] - known[-2]


def test_both_builds_share_their_shortcuts_and_forget_them_together(cell: Cell) -> None:
    """What XDP found out TC believes; a port that begins anew in XDP is followed by nobody's old way."""
    sent = shake_hands(cell)
    data = tcp("PA", 443, sent.sport) / Raw(b"penguins")
    real = cell.nodes[0].real
    back(cell, data, sent.src)
    said, real.mappings.after_write = real.mappings.after_write, None
    client = MappingKey(plan.VPC, address_bytes(CLIENT))
    row = real.mappings.get(client)
    assert row
    real.mappings.put_many({client: row._replace(host=plan.HOST_C.packed)})
    real.mappings.after_write = said

    def by_tc() -> str:
        wire = from_outside(ip(SERVER, sent.src) / data)
        left = real.test_run("hyperplane", wire, RunContext(ifindex=cell.nodes[0].device))
        return str(IP(left.frame[14:34]).dst)

    assert cell.within(by_tc) == str(plan.HOST_A)
    back(cell, tcp("SA", 443, sent.sport), sent.src)
    assert cell.within(by_tc) == str(plan.HOST_C)


def test_whatever_comes_either_build_does_the_same_to_it(cell: Cell) -> None:
    told = fuzz_cell.fuzz(cell, 1500, seed=30)
    assert told["SENT XDP"] > 500
    assert sum(times for name, times in told.items() if name.endswith(" TC")) < 100
