"""What nodes count in the name of each attachment: what happened, once, whichever nodes it went through, and nothing else.

    client 11 (10.7.1.5) -- cell, NAT gateway 10.7.8.10 -- server 192.0.2.80
    client 11            -- cell, balancer 10.7.9.10    -- targets 10.7.1.6:8001 and 10.7.2.7:8002
    consumer 31 (VPC 6)  -- cell, endpoint 10.6.1.50 --/                         tests/dataplane/plan_cell.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.formats import Measure, MeasureProtocol, MeasureWay, Verdict
from tests.dataplane import cells, plan_cell, rule_rows
from tests.dataplane.cells import Cell, Journey, age, from_outside, to_top
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import BALANCER, BALANCER_ADDRESS, ENDPOINT, ENDPOINT_ADDRESS, MEASURED, NAT
from tests.dataplane.plan_edge import SERVER
from tests.dataplane.rule_rows import TCP as TCP_ONLY
from tests.dataplane.rule_rows import into, out

CLIENT, CONSUMER = "10.7.1.5", "10.6.1.5"
PRESERVED, HIDDEN = 80, 8080
POLICY = 78
PASSED = ("in", "bytes_in", "out", "bytes_out")


def name_of(number: int) -> str:
    """Of one count: "tcp_outward_bytes_in"; of what is counted by protocol: "flows_udp"."""
    if number < Measure.DROPPED:
        way, rest = divmod(number, 12)
        protocol, what = divmod(rest, 4)
        return f"{MeasureProtocol(protocol).name}_{MeasureWay(way).name}_{PASSED[what]}".lower()
    first = max(one for one in Measure if one <= number)
    by_protocol = first in (Measure.FLOWS, Measure.REFUSED, Measure.NO_TARGET, Measure.GROUPS_INWARD, Measure.GROUPS_OUTWARD)
    return f"{first.name}_{MeasureProtocol(number - first).name}".lower() if by_protocol else first.name.lower()


class Watched:
    """A cell, and what its nodes together counted since `begin`."""

    def __init__(self, cell: Cell):
        self.cell = cell
        self._before: dict[int, Counter[str]] = {}

    def begin(self) -> None:
        self.cell.restore()
        self._before = {interface: self._total(interface) for interface in MEASURED}

    def _total(self, interface: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for node in self.cell.nodes:
            counts = node.real.measures.read(MEASURED[interface])
            found.update({name_of(number): count for number, count in enumerate(counts) if count})
        return found

    def counted(self, interface: int) -> dict[str, int]:
        return dict(self._total(interface) - self._before[interface])

    def only(self, interface: int) -> dict[str, int]:
        """And nothing in the name of any other."""
        assert [other for other in MEASURED if other != interface and self.counted(other)] == []
        return self.counted(interface)

    def held(self, interface: int) -> formats.FlowsHeld:
        """As sweeps of all nodes find it."""
        row = MEASURED[interface]
        for node in self.cell.nodes:
            node.real.measures.forget_held([row])
            node.real.sweep_flows()
        found = [node.real.measures.held([row])[row] for node in self.cell.nodes]
        return formats.FlowsHeld(*map(sum, zip(*found, strict=True)))


@pytest.fixture(scope="module", params=cells.kinds(1, 4))
def one_cell(request: pytest.FixtureRequest) -> Iterator[Watched]:
    with cells.cell(*request.param) as made:
        yield Watched(made)


@pytest.fixture
def watched(one_cell: Watched) -> Watched:
    one_cell.begin()
    return one_cell


@pytest.fixture(scope="module", params=cells.kinds(1))
def one_node(request: pytest.FixtureRequest) -> Iterator[Watched]:
    with cells.cell(*request.param) as made:
        yield Watched(made)


@pytest.fixture
def alone(one_node: Watched) -> Watched:
    """Heartbeats do not leave a test run: only who is alone knows which handshakes have ended."""
    one_node.begin()
    return one_node


def leave(watched: Watched, content: Packet, top: int = 0) -> Journey:
    return watched.cell.travel(to_top(ip(CLIENT, SERVER) / content, top % len(watched.cell.nodes), led_to=NAT))


def come(watched: Watched, content: Packet, to: str, top: int = 1) -> Journey:
    return watched.cell.travel(from_outside(ip(SERVER, to) / content, top % len(watched.cell.nodes)))


def ask(watched: Watched, content: Packet, source: str = CLIENT, to: str = BALANCER_ADDRESS, top: int = 0) -> Journey:
    return watched.cell.travel(to_top(ip(source, to) / content, top % len(watched.cell.nodes)))


def answer(watched: Watched, content: Packet, source: str, to: str, led_to: int = 0) -> Journey:
    return watched.cell.travel(to_top(ip(source, to) / content, 1 % len(watched.cell.nodes), led_to=led_to))


def syn(dport: int = 443, sport: int = 1111) -> Packet:
    return TCP(sport=sport, dport=dport, flags="S")


def connect(watched: Watched, sport: int = 1111) -> Packet:
    """Through the NAT gateway; what its first packet became."""
    sent = leave(watched, syn(sport=sport)).packet
    come(watched, TCP(sport=443, dport=sent.sport, flags="SA"), sent.src)
    leave(watched, TCP(sport=sport, dport=443, flags="A"))
    return sent


def rows(watched: Watched, name: str, row: dict[object, object]) -> None:
    for _, table in watched.cell.each(name):
        table.put_many(row)  # type: ignore[attr-defined]


def test_a_connection_through_a_nat_gateway(watched: Watched) -> None:
    sent = connect(watched)
    leave(watched, TCP(sport=1111, dport=443, flags="PA") / Raw(b"x" * 100))
    come(watched, TCP(sport=443, dport=sent.sport, flags="PA") / Raw(b"y" * 1000), sent.src)
    assert watched.only(NAT) == {
        "tcp_outward_in": 3,
        "tcp_outward_bytes_in": 3 * 40 + 100,
        "tcp_outward_out": 3,
        "tcp_outward_bytes_out": 3 * 40 + 100,
        "tcp_inward_in": 2,
        "tcp_inward_bytes_in": 2 * 40 + 1000,
        "tcp_inward_out": 2,
        "tcp_inward_bytes_out": 2 * 40 + 1000,
        "flows_tcp": 1,
        "established": 1,
    }


def test_a_syn_that_comes_again_is_the_same_flow(watched: Watched) -> None:
    for top in range(4):
        leave(watched, syn(), top)
    assert watched.only(NAT) == {
        "tcp_outward_in": 4,
        "tcp_outward_bytes_in": 160,
        "tcp_outward_out": 4,
        "tcp_outward_bytes_out": 160,
        "flows_tcp": 1,
    }


def test_datagrams_and_echoes_are_counted_by_themselves(watched: Watched) -> None:
    leave(watched, UDP(sport=1111, dport=53) / Raw(b"12345678"))
    leave(watched, ICMP(id=7))
    assert watched.only(NAT) == {
        "udp_outward_in": 1,
        "udp_outward_bytes_in": 36,
        "udp_outward_out": 1,
        "udp_outward_bytes_out": 36,
        "other_outward_in": 1,
        "other_outward_bytes_in": 28,
        "other_outward_out": 1,
        "other_outward_bytes_out": 28,
        "flows_udp": 1,
        "flows_other": 1,
    }


def test_what_takes_a_shortcut_is_counted_as_what_goes_the_long_way(watched: Watched) -> None:
    """Both ways, packet for packet (docs/decisions/0024)."""
    for _ in range(5):
        sent = leave(watched, UDP(sport=1111, dport=53) / Raw(b"12345678")).packet
    for _ in range(4):
        come(watched, UDP(sport=53, dport=sent.sport) / Raw(b"1234"), sent.src)
    assert watched.only(NAT) == {
        "udp_outward_in": 5,
        "udp_outward_bytes_in": 180,
        "udp_outward_out": 5,
        "udp_outward_bytes_out": 180,
        "udp_inward_in": 4,
        "udp_inward_bytes_in": 128,
        "udp_inward_out": 4,
        "udp_inward_bytes_out": 128,
        "flows_udp": 1,
    }


def test_what_nobody_asked_for_comes_in_and_is_dropped(watched: Watched) -> None:
    come(watched, TCP(sport=443, dport=40000, flags="S"), plan_cell.NAT_ADDRESS)
    assert watched.only(NAT) == {"tcp_inward_in": 1, "tcp_inward_bytes_in": 40, "dropped": 1}


def test_a_segment_of_no_connection_is_answered_with_a_reset(watched: Watched) -> None:
    leave(watched, TCP(sport=1111, dport=443, flags="A"))
    assert watched.only(NAT) == {"tcp_outward_in": 1, "tcp_outward_bytes_in": 40, "resets_own": 1}


def test_a_flow_that_gets_no_port(watched: Watched) -> None:
    """T6-03: no address is left that new flows may leave by. It is AWS's ErrorPortAllocation."""
    rows(watched, "attachments", {plan_cell.attachment_key(NAT): plan_cell.attachment(NAT, addresses=0)})
    assert leave(watched, syn()).verdict is Verdict.DROP_PORTS_EXHAUSTED
    assert watched.only(NAT) == {"tcp_outward_in": 1, "tcp_outward_bytes_in": 40, "dropped": 1, "refused_tcp": 1, "no_port": 1}


def test_a_balancer_that_hides_its_clients_runs_out_of_ports_towards_a_target(alone: Watched) -> None:
    """PortAllocationErrorCount: as if all had been handed out. Another target has all of them, and who preserves its clients needs none."""
    node = alone.cell.nodes[0].real
    rows(alone, "cell_choices", {node.choices_row(0, service): plan_cell.choices(0) for service in (0, 1)})
    sent = ask(alone, syn(HIDDEN)).packet
    ((key, row),) = ((key, row) for key, row in node.trackers.items() if key.destination_port == sent.sport.to_bytes(2, "big"))
    ports = (port.to_bytes(2, "big") for port in range(1024, 65536))
    rows(alone, "trackers", dict.fromkeys((key._replace(destination_port=port) for port in ports), row))
    assert ask(alone, syn(HIDDEN, 1112)).verdict is Verdict.DROP_PORTS_EXHAUSTED
    counted = alone.only(BALANCER)
    assert (counted["no_port"], counted["refused_tcp"], counted["dropped"], counted["flows_tcp"]) == (1, 1, 1, 1)
    assert ask(alone, syn(PRESERVED, 1113)).verdict is Verdict.SENT
    rows(alone, "cell_choices", {node.choices_row(0, 1): plan_cell.choices(1)})
    assert ask(alone, syn(HIDDEN, 1114)).verdict is Verdict.SENT


def test_a_what_if_is_not_counted(watched: Watched) -> None:
    watched.cell.what_if(to_top(ip(CLIENT, SERVER) / syn(), led_to=NAT))
    assert watched.only(NAT) == {}


def test_connections_are_held_by_one_node_each(watched: Watched) -> None:
    """Kept by two, and in both directions."""
    for sport in range(2000, 2005):
        connect(watched, sport)
    leave(watched, syn(sport=3000))
    leave(watched, ICMP(id=7))
    held = watched.held(NAT)
    assert (held.connections + held.opening, held.others) == (6, 1)
    assert watched.held(BALANCER) == formats.FlowsHeld(0, 0, 0, 0)


def test_connections_are_held_apart_from_those_that_open(alone: Watched) -> None:
    connect(alone)
    leave(alone, syn(sport=3000))
    leave(alone, UDP(sport=1111, dport=53))
    assert alone.held(NAT) == formats.FlowsHeld(connections=1, opening=1, datagrams=1, others=0)


def let_pass(watched: Watched) -> None:
    """So much time that nothing is remembered any more."""
    for node, _ in watched.cell.each("trackers"):
        held = dict(node.real.trackers.items())
        node.real.trackers.put_many({key: row._replace(deadline=1) for key, row in held.items()})


def test_a_connection_that_was_closed_is_held_no_more(alone: Watched) -> None:
    """Though its port rests, so that nobody else has it."""
    connect(alone)
    assert alone.held(NAT).connections == 1
    leave(alone, TCP(sport=1111, dport=443, flags="R"))
    assert alone.held(NAT) == formats.FlowsHeld(0, 0, 0, 0)


def test_connections_that_nobody_closed_are_idle_when_they_are_forgotten(alone: Watched) -> None:
    connect(alone, 2000)
    connect(alone, 2001)
    leave(alone, TCP(sport=2001, dport=443, flags="R"))
    leave(alone, syn(sport=2002))
    leave(alone, UDP(sport=1111, dport=53))
    let_pass(alone)
    assert alone.held(NAT) == formats.FlowsHeld(0, 0, 0, 0)
    assert alone.only(NAT)["idle"] == 1


def test_a_balancer_that_preserves_its_clients(watched: Watched) -> None:
    went = ask(watched, syn(PRESERVED)).packet
    answer(watched, TCP(sport=went.dport, dport=1111, flags="SA"), went.dst, CLIENT, led_to=BALANCER)
    ask(watched, TCP(sport=1111, dport=PRESERVED, flags="A"))
    ask(watched, TCP(sport=1111, dport=PRESERVED, flags="R"))
    assert watched.only(BALANCER) == {
        "tcp_outward_in": 3,
        "tcp_outward_bytes_in": 120,
        "tcp_outward_out": 3,
        "tcp_outward_bytes_out": 120,
        "tcp_inward_in": 1,
        "tcp_inward_bytes_in": 40,
        "tcp_inward_out": 1,
        "tcp_inward_bytes_out": 40,
        "flows_tcp": 1,
        "established": 1,
        "resets_outward": 1,
    }


def test_after_its_idle_time_both_ends_of_a_connection_are_reset_in_the_balancers_name(watched: Watched) -> None:
    """T7-05: TCP_ELB_Reset_Count."""
    went = ask(watched, syn(PRESERVED)).packet
    answer(watched, TCP(sport=went.dport, dport=1111, flags="SA"), went.dst, CLIENT, led_to=BALANCER)
    ask(watched, TCP(sport=1111, dport=PRESERVED, flags="A"))
    age(watched.cell, 351)
    for told in (
        ask(watched, TCP(sport=1111, dport=PRESERVED, flags="PA", ack=3)),
        answer(watched, TCP(sport=went.dport, dport=1111, flags="PA", ack=4), went.dst, CLIENT, led_to=BALANCER),
    ):
        assert str(told.packet[TCP].flags) == "R"
    assert watched.only(BALANCER)["resets_own"] == 2


def test_a_target_that_resets(watched: Watched) -> None:
    went = ask(watched, syn(HIDDEN)).packet
    answer(watched, TCP(sport=went.dport, dport=went.sport, flags="RA"), went.dst, BALANCER_ADDRESS)
    counted = watched.only(BALANCER)
    assert (counted["resets_inward"], counted["tcp_inward_in"], counted["tcp_inward_out"]) == (1, 1, 1)
    assert "resets_outward" not in counted


def test_a_flow_without_targets_and_one_to_a_target_that_is_not_healthy(watched: Watched) -> None:
    node = watched.cell.nodes[0].real
    rows(watched, "cell_choices", {node.choices_row(0, 0): plan_cell.choices()})
    ask(watched, syn(PRESERVED))
    rows(watched, "cell_choices", {node.choices_row(0, 0): plan_cell.choices(0)})
    rows(watched, "cell_targets", {node.target_row(0, 0): plan_cell.target(0, flags=0)})
    ask(watched, syn(PRESERVED, 1112))
    counted = watched.only(BALANCER)
    assert {name: counted.get(name) for name in ("refused_tcp", "no_target_tcp", "flows_tcp", "unhealthy", "dropped")} == {
        "refused_tcp": 1,
        "no_target_tcp": 1,
        "flows_tcp": 1,
        "unhealthy": 1,
        "dropped": 1,
    }


@pytest.mark.parametrize(
    ("rules", "name"),
    [([into(TCP_ONLY, PRESERVED, "192.0.2.0/24"), out()], "groups_inward_tcp"), ([into()], "groups_outward_tcp")],
    ids=["to the balancer", "on to its target"],
)
def test_what_a_balancers_groups_do_not_admit(watched: Watched, rules: list[rule_rows.Rule], name: str) -> None:
    """T7-13."""
    for node in watched.cell.nodes:
        rule_rows.remove_lists(node.real, POLICY)
        rule_rows.put_policy(node.real, POLICY, rules)
    guarded = plan_cell.attachment(BALANCER, group_set=5, policy=POLICY)
    rows(watched, "attachments", {plan_cell.attachment_key(BALANCER): guarded})
    ask(watched, syn(PRESERVED))
    counted = watched.only(BALANCER)
    assert (counted[name], counted["dropped"], counted.get("flows_tcp")) == (1, 1, None)


def test_an_endpoints_flow_is_one_of_the_balancer_behind_it_too(watched: Watched) -> None:
    """Of two accounts: what comes from the consumer is the one's, what goes to the target the other's."""
    went = ask(watched, syn(443), CONSUMER, ENDPOINT_ADDRESS).packet
    answer(watched, TCP(sport=went.dport, dport=went.sport, flags="SA") / Raw(b"y" * 10), went.dst, BALANCER_ADDRESS)
    ask(watched, TCP(sport=1111, dport=443, flags="A"), CONSUMER, ENDPOINT_ADDRESS)
    assert watched.counted(ENDPOINT) == {
        "tcp_outward_in": 2,
        "tcp_outward_bytes_in": 80,
        "tcp_inward_out": 1,
        "tcp_inward_bytes_out": 50,
        "flows_tcp": 1,
    }
    assert watched.counted(BALANCER) == {
        "tcp_outward_out": 2,
        "tcp_outward_bytes_out": 80,
        "tcp_inward_in": 1,
        "tcp_inward_bytes_in": 50,
        "flows_tcp": 1,
        "established": 1,
    }
    assert watched.counted(NAT) == {}


def test_an_endpoints_connection_is_held_in_both_names(alone: Watched) -> None:
    went = ask(alone, syn(443), CONSUMER, ENDPOINT_ADDRESS).packet
    answer(alone, TCP(sport=went.dport, dport=went.sport, flags="SA"), went.dst, BALANCER_ADDRESS)
    ask(alone, TCP(sport=1111, dport=443, flags="A"), CONSUMER, ENDPOINT_ADDRESS)
    assert [alone.held(interface).connections for interface in (ENDPOINT, BALANCER, NAT)] == [1, 1, 0]
