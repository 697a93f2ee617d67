"""The proxy protocol's header in front of a client's stream, at a cell of four nodes: every packet at another top.

    client 11 (10.7.1.5, host A) -- cell, balancer 10.7.9.10 --------- target 10.7.1.6:8001 (12, host B), by :80 and :8080
           (2001:db8:7:1::5)            2001:db8:7:9::10           +-- 2001:db8:7:1::6:8001, by :90 and :9090
    consumer 31 (10.6.1.5, host B, VPC 6) -- endpoint 10.6.1.50:443 --+                    tests/dataplane/plan_cell.py
             (2001:db8:6:1::5)               2001:db8:6:5::50, :444

What arrives is read by tests/dataplane/proxy_header.py, and put together by a receiver of its own (tests/dataplane/stream.py).
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6DestUnreach
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import DirectiveFlag, ServiceFlag, Step, Verdict
from rookery.host.lines import line_of
from rookery.trace.telling import step_line
from tests.dataplane import cells, plan, plan_cell
from tests.dataplane.cells import Cell, Journey, to_top
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import (
    BALANCER,
    BALANCER_ADDRESS,
    BALANCER_IPV6,
    CONSUMER_IPV6,
    ENDPOINT_ADDRESS,
    ENDPOINT_IPV6,
    TARGETS,
    TARGETS_IPV6,
)
from tests.dataplane.proxy_header import LENGTH, Said, header, read
from tests.dataplane.stream import AROUND, Receiver

CLIENT, CONSUMER = "10.7.1.5", "10.6.1.5"
CLIENT_IPV6 = "2001:db8:7:1::5"
SAID = Said(CLIENT, BALANCER_ADDRESS, 1111, 80)
ISN, TARGETS_ISN = 5000, 900
PRESERVED, HIDDEN, LINKED = 80, 8080, 443  # listeners
PRESERVED_IPV6, HIDDEN_IPV6, LINKED_IPV6 = 90, 9090, 444  # ... with a target of IPv6
TARGET_OF = {
    **dict.fromkeys((PRESERVED, HIDDEN, LINKED), TARGETS[0]),
    **dict.fromkeys((PRESERVED_IPV6, HIDDEN_IPV6, LINKED_IPV6), TARGETS_IPV6[0]),
}


class Way(NamedTuple):
    source: str = CLIENT
    to: str = BALANCER_ADDRESS
    port: int = PRESERVED

    @property
    def said(self) -> Said:
        endpoint = plan_cell.ENDPOINT_ID.decode() if self.to in (ENDPOINT_ADDRESS, ENDPOINT_IPV6) else ""
        return Said(self.source, self.to, 1111, self.port, endpoint)

    @property
    def target(self) -> tuple[str, int]:
        return TARGET_OF[self.port][:2]


IPV6 = Way(CLIENT_IPV6, BALANCER_IPV6, PRESERVED_IPV6)
FAMILIES = {
    "IPv4": Way(),
    "IPv6": IPV6,
    "IPv6 to IPv4": Way(CLIENT_IPV6, BALANCER_IPV6, PRESERVED),
    "IPv4 to IPv6": Way(port=PRESERVED_IPV6),
}
WAYS = {
    **FAMILIES,
    "hidden": Way(port=HIDDEN),
    "IPv6, hidden": IPV6._replace(port=HIDDEN_IPV6),
    "endpoint": Way(CONSUMER, ENDPOINT_ADDRESS, LINKED),
    "endpoint, IPv6": Way(CONSUMER_IPV6, ENDPOINT_IPV6, LINKED_IPV6),
    "endpoint, IPv6 to IPv4": Way(CONSUMER_IPV6, ENDPOINT_IPV6, LINKED),
    "endpoint, IPv4 to IPv6": Way(CONSUMER, ENDPOINT_ADDRESS, LINKED_IPV6),
}
in_each_family = pytest.mark.parametrize("way", FAMILIES.values(), ids=FAMILIES)
LARGE = b"data" * 350  # no packet of the internet's has room for it and the header
# By AWS: of its own documentation's tools, and of a capture (elastic-load-balancing-tools, pires/go-proxyproto).
OF_AWS = {
    Said("172.31.7.113", "172.31.10.31", 51442, 80, "vpce-08d2bf15fac5001c9"): "e8d6892d",
    Said("192.168.44.10", "192.168.44.7", 52286, 9243, "vpce-00eafc458ec97b833"): "b9286fa6",
}


one_cell = cells.shared(cells.kinds(4))


def proxied(cell: Cell) -> None:
    """Everything anew; all listeners of TCP speak it, and there is one target of each family."""
    cell.restore()
    for node in cell.nodes:
        for interface, protocol, port in plan_cell.SERVICES:
            if protocol != 6:
                continue
            row = plan_cell.service(interface, 6, port)
            row = row._replace(flags=row.flags | ServiceFlag.PROXY_PROTOCOL)
            node.real.cell_services.put_many({plan_cell.service_key(interface, 6, port): row})
            only = len(TARGETS) if row.flags & ServiceFlag.TO_IPV6 else 0
            node.real.cell_choices.put_many({node.real.choices_row(0, row.number): plan_cell.choices(only)})


@pytest.fixture
def cell(one_cell: Cell) -> Cell:
    proxied(one_cell)
    return one_cell


class Wire:
    """Between one client and its target: each packet takes the next top."""

    def __init__(self, cell: Cell, isn: int = ISN, *, way: Way = FAMILIES["IPv4"], only: int | None = None):
        self.cell, self.isn, self.way, self.only = cell, isn, way, only
        self.source, self.to, self.port = way
        self._turns = 0
        self.seen: tuple[str, int] = ("", 0)  # by the target, of its client

    def _top(self) -> int:
        self._turns += 1
        return (self._turns if self.only is None else self.only) % len(self.cell.nodes)

    def journey(self, offset: int, payload: bytes = b"", flags: str = "A", ack: int = TARGETS_ISN + 1, **more: object) -> Journey:
        """From the client. `offset`: in its stream; -1: its SYN's number."""
        segment = TCP(sport=1111, dport=self.port, flags=flags, seq=(self.isn + 1 + offset) % AROUND, ack=ack, **more)
        return self.cell.travel(to_top(ip(self.source, self.to) / segment / Raw(payload), self._top()))

    def send(self, offset: int, payload: bytes = b"", flags: str = "A", ack: int = TARGETS_ISN + 1, **more: object) -> Packet:
        went = self.journey(offset, payload, flags, ack, **more)
        assert went.verdict is Verdict.SENT
        assert (went.packet.dst, went.packet.dport, went.host) == (*self.way.target, str(plan.HOST_B))
        self.seen = (went.packet.src, went.packet.sport)
        return sound(went.packet)

    def syn(self) -> Packet:
        return self.send(-1, flags="S", ack=0)

    def answer(self, ack: int, flags: str = "A", payload: bytes = b"", **more: object) -> Journey:
        """From the target, in its own numbers."""
        address, port = self.seen
        target, target_port = self.way.target
        segment = TCP(sport=target_port, dport=port, flags=flags, seq=TARGETS_ISN + ("S" not in flags), ack=ack % AROUND, **more)
        return self.cell.travel(to_top(ip(target, address) / segment / Raw(payload), self._top(), led_to=self.led_to))

    @property
    def led_to(self) -> int:
        """What the target answers a client's own address goes to its balancer."""
        return BALANCER if self.seen[0] == self.source else 0

    def heard(self, ack: int, flags: str = "A", payload: bytes = b"", **more: object) -> Packet:
        """By the client."""
        went = self.answer(ack, flags, payload, **more)
        assert went.verdict is Verdict.SENT
        assert (went.packet.src, went.packet.sport, went.packet.dst) == (self.to, self.port, self.source)
        return sound(went.packet)

    def offset(self, number: int) -> int:
        """In the client's stream; the header lies from -100 on."""
        return (number - self.isn - 1 + AROUND // 2) % AROUND - AROUND // 2


def sound(packet: Packet) -> Packet:
    """With the checksums that somebody else computes."""
    again = packet.copy()
    del again[TCP].chksum
    if IP in again:
        del again[IP].chksum
    assert bytes(again) == bytes(packet)
    return packet


def payload(packet: Packet) -> bytes:
    return bytes(packet[TCP].payload)


@pytest.mark.parametrize(("said", "crc"), OF_AWS.items(), ids=("documented", "captured"))
def test_the_header_is_that_of_aws(said: Said, crc: str) -> None:
    """So the oracle here is right."""
    assert header(said)[31:35].hex() == crc and read(header(said)) == said


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_ends_the_handshake_carries_the_header(cell: Cell, way: Way) -> None:
    """T7-16, T8-03: of an endpoint the consumer's own address, and the endpoint's id. In the client's family, whatever the target's is."""
    wire = Wire(cell, way=way)
    assert wire.offset(wire.syn().seq) == -1 - LENGTH
    accepted = wire.heard(ISN - LENGTH + 1, "SA", options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 8))])
    assert accepted.ack == ISN + 1
    got = wire.send(0, options=[("NOP", None), ("NOP", None), ("Timestamp", (9, 7))])
    assert (wire.offset(got.seq), read(payload(got))) == (-LENGTH, way.said)
    assert payload(got) == header(way.said)
    assert got[TCP].options == [("NOP", None), ("NOP", None), ("Timestamp", (9, 7))]


def test_without_it_nothing_is_shifted(cell: Cell) -> None:
    for node in cell.nodes:
        node.real.cell_services.put_many({plan_cell.service_key(BALANCER, 6, PRESERVED): plan_cell.service(BALANCER, 6, PRESERVED)})
        node.real.cell_choices.put_many({node.real.choices_row(0, 0): plan_cell.choices(0)})
    wire = Wire(cell)
    assert wire.offset(wire.syn().seq) == -1
    assert wire.heard(ISN + 1, "SA").ack == ISN + 1
    assert payload(wire.send(0)) == b""


@in_each_family
def test_data_keeps_its_place(cell: Cell, way: Way) -> None:
    wire = Wire(cell, way=way, only=1)
    wire.syn()
    wire.send(0)
    for offset in (0, 1, 1448, 1 << 20):
        got = wire.send(offset, b"data", "PA")
        assert (wire.offset(got.seq), payload(got)) == (offset, b"data")


@pytest.mark.parametrize(
    ("way", "size"),
    [*((FAMILIES["IPv4"], size) for size in (1, 4, 511, 512, 1360)), (IPV6, 1), (IPV6, 1340), (FAMILIES["IPv4 to IPv6"], 1340)],
)
def test_data_that_ends_the_handshake_has_the_header_in_front(cell: Cell, way: Way, size: int) -> None:
    """As often as it is sent: it may have been lost."""
    wire = Wire(cell, way=way)
    wire.syn()
    for flags in ("PA", "PA", "FPA"):
        got = wire.send(0, b"d" * size, flags)
        assert (wire.offset(got.seq), payload(got), str(got[TCP].flags)) == (-LENGTH, header(way.said) + b"d" * size, flags)


@pytest.mark.parametrize(("way", "size"), [(FAMILIES["IPv4"], 1361), (IPV6, 1341), (FAMILIES["IPv4 to IPv6"], 1341)])
def test_data_that_leaves_no_room_for_the_header_goes_alone(cell: Cell, way: Way, size: int) -> None:
    wire = Wire(cell, way=way)
    wire.syn()
    got = wire.send(0, b"d" * size, "PA")
    assert (wire.offset(got.seq), payload(got)) == (0, b"d" * size)


@in_each_family
def test_a_client_whose_checksum_is_wrong_gets_no_right_one(cell: Cell, way: Way) -> None:
    wire = Wire(cell, way=way)
    wire.syn()
    for content in (b"", b"data"):
        got = wire.journey(0, content, chksum=0xBAD).packet
        assert payload(got) == header(way.said) + content
        with pytest.raises(AssertionError):
            sound(got)


@in_each_family
@pytest.mark.parametrize("options", [[], [("NOP", None), ("NOP", None), ("Timestamp", (70, 33))]], ids=("", "timestamps"))
def test_a_target_that_lacks_the_header_gets_it_from_the_node(cell: Cell, options: list[object], way: Way) -> None:
    """Its first segment had data in it, or the one with the header was lost: the target acknowledges nothing of what it got."""
    wire = Wire(cell, only=1, way=way)
    wire.syn()
    wire.send(0, LARGE, "PA")
    went = wire.answer(ISN - LENGTH + 1, options=options)
    got = sound(went.packet)
    assert (got.src, got.sport, got.dst, got.dport, went.host) == (*wire.seen, *way.target, str(plan.HOST_B))
    assert (wire.offset(got.seq), got.ack, payload(got)) == (-LENGTH, TARGETS_ISN + 1, header(way.said))
    assert [value for name, value in got[TCP].options if name == "Timestamp"] == ([(33, 70)] if options else [])


def test_a_target_that_goes_on_asking_is_heard_by_the_client(cell: Cell) -> None:
    """Nobody answers each other for ever; a client sends again what is not acknowledged."""
    wire = Wire(cell, only=1)
    wire.syn()
    wire.send(0, LARGE, "PA")
    told = [wire.answer(ISN - LENGTH + 1).packet.dst for _ in range(8)]
    assert told[0] == TARGETS[0][0] and CLIENT in told
    assert wire.heard(ISN - LENGTH + 1, "PA", b"x").ack == ISN + 1


def test_who_only_listens_says_the_header_once(cell: Cell) -> None:
    wire = Wire(cell, only=2)
    wire.syn()
    first, again, later, end = (wire.send(0, ack=TARGETS_ISN + 1 + n, flags=flags) for n, flags in ((0, "A"), (0, "A"), (512, "A"), (900, "FA")))
    assert [payload(one) for one in (first, again, later, end)] == [header(SAID), header(SAID), b"", b""]
    assert [wire.offset(one.seq) for one in (first, again, later, end)] == [-LENGTH, -LENGTH, 0, 0]


def test_a_client_that_closes_at_once_says_the_header_first(cell: Cell) -> None:
    wire = Wire(cell)
    wire.syn()
    got = wire.send(0, flags="FA")
    assert (wire.offset(got.seq), payload(got), str(got[TCP].flags)) == (-LENGTH, header(SAID), "FA")


@pytest.mark.parametrize(("acknowledged", "heard"), [(-LENGTH, 0), (-LENGTH + 1, 0), (-1, 0), (0, 0), (1, 1), (5000, 5000)])
@pytest.mark.parametrize(
    ("isn", "way"),
    [*((isn, FAMILIES["IPv4"]) for isn in (ISN, AROUND - 1, AROUND - 50, 0, 60)), *((AROUND - 50, way) for way in FAMILIES.values())],
)
def test_a_client_never_hears_of_the_header(cell: Cell, isn: int, way: Way, acknowledged: int, heard: int) -> None:
    wire = Wire(cell, isn=isn, way=way)
    wire.syn()
    told = wire.heard(isn + 1 + acknowledged, "PA", b"x", options=[("NOP", None), ("NOP", None), ("SAck", ((isn + 1 - LENGTH) % AROUND, (isn + 1) % AROUND))])
    assert wire.offset(told.ack) == heard
    assert dict(told[TCP].options)["SAck"] == ((isn + 1) % AROUND,) * 2


def test_blocks_of_data_are_acknowledged_as_they_are(cell: Cell) -> None:
    wire = Wire(cell)
    wire.syn()
    blocks = (ISN + 101, ISN + 201, ISN + 301, ISN + 401)
    told = wire.heard(ISN + 1, options=[("NOP", None), ("NOP", None), ("Timestamp", (1, 2)), ("NOP", None), ("NOP", None), ("SAck", blocks)])
    assert dict(told[TCP].options)["SAck"] == blocks


def test_a_refusal_of_the_target_reaches_its_client(cell: Cell) -> None:
    wire = Wire(cell)
    wire.syn()
    assert wire.heard(ISN - LENGTH + 1, "RA").ack == ISN + 1


@in_each_family
@pytest.mark.parametrize("quoted_bytes", (8, 20), ids=("shortly", "with its checksum"))
@pytest.mark.parametrize("segment", [("S", -1, ISN), ("A", 0, ISN + 1), ("PA", 40, ISN + 41)], ids=("SYN", "header", "data"))
def test_an_error_about_a_segment_names_a_number_that_the_client_knows(cell: Cell, way: Way, segment: tuple[str, int, int], quoted_bytes: int) -> None:
    (flags, offset, told), wire = segment, Wire(cell, way=way)
    if flags != "S":
        wire.syn()
    sent = wire.send(offset, b"data" if flags == "PA" else b"", flags, ack=0 if flags == "S" else 1)
    about = bytes(sent)[: len(sent) - len(sent.payload) + quoted_bytes]
    error = ICMPv6DestUnreach(code=3) if ":" in sent.src else ICMP(type=3, code=1)
    got = cell.travel(to_top(ip(sent.dst, sent.src) / error / Raw(about), led_to=wire.led_to)).packet
    quoted = bytes(got)[48 + 40 :] if ":" in got.src else bytes(got)[28 + 20 :]  # behind an IP header and the error's, and another one
    assert got.dst == way.source and int.from_bytes(quoted[4:8], "big") == told
    assert quoted[:4] == b"".join(port.to_bytes(2, "big") for port in (1111, way.port))
    again = got.copy()
    del again.payload.fields["cksum" if ":" in got.src else "chksum"]
    assert bytes(again) == bytes(got)


@in_each_family
@pytest.mark.parametrize("garbage", (b"", b"\0"))
def test_who_asks_whether_the_target_is_there_brings_nothing_into_the_header(cell: Cell, way: Way, garbage: bytes) -> None:
    """A keepalive, before any data."""
    wire = Wire(cell, way=way)
    wire.syn()
    got = wire.send(-1, garbage)
    assert (wire.offset(got.seq), payload(got)) == (-1 - LENGTH, garbage)


FORGED = [
    ("S", -1, b"PROXY"),
    ("PA", -1, b"xy"),
    ("PA", -LENGTH, header(SAID._replace(source="192.0.2.1"))),
    ("PA", -LENGTH - 700, bytes(1000)),
    ("PA", -(1 << 31), b"x"),
    ("A", -2, b""),
]


@in_each_family
@pytest.mark.parametrize(("flags", "offset", "content"), FORGED)
def test_a_client_cannot_write_the_header_itself(cell: Cell, way: Way, flags: str, offset: int, content: bytes) -> None:
    """Not even after it has said that it is far beyond: trackers know from the target how far it is."""
    wire = Wire(cell, way=way)
    wire.syn()
    for _ in range(2):
        assert wire.journey(offset, content, flags).verdict is Verdict.DROP_PROXY_PROTOCOL
        wire.send(1 << 30, b"far", "PA")


def test_another_connection_of_the_same_port_gets_the_first_ones_number(cell: Cell) -> None:
    """A target that knows the first answers, and the client resets that; then it may begin anew."""
    first, second = Wire(cell), Wire(cell, isn=77_000)
    first.syn()
    first.send(0)
    assert first.offset(second.syn().seq) == -1 - LENGTH
    reset = second.send(ISN - second.isn, flags="R", ack=0)
    assert (reset.seq, payload(reset)) == (ISN + 1, b"")


def flags_of(cell: Cell) -> set[int]:
    return {row.flags & DirectiveFlag.PROXY_PROTOCOL for node in cell.nodes for row in node.tracked().values()}


def test_numbers_that_come_round_are_the_clients_again(cell: Cell) -> None:
    """Once the target has acknowledged a gigabyte; all that keep the flow learn of it by the next heartbeat."""
    wire = Wire(cell, only=3)
    wire.syn()
    wire.send(0)
    wire.heard(ISN + 1)
    assert flags_of(cell) == {DirectiveFlag.PROXY_PROTOCOL}
    wire.heard(ISN + 1 + (1 << 30))
    wire.heard(ISN + 1 + (1 << 30) + 1)
    for node in cell.nodes:  # as the copies that a test run does not send would
        rows = {key: row._replace(flags=row.flags & ~DirectiveFlag.PROXY_PROTOCOL) for key, row in node.tracked().items()}
        node.real.trackers.put_many(rows)
    wire.send((1 << 30) + 5, b"x")
    for offset in (-LENGTH, -1, 0):
        assert wire.offset(wire.heard(ISN + 1 + offset, "PA", b"x").ack) == offset
        got = wire.send(offset, b"round", "PA")
        assert (wire.offset(got.seq), payload(got)) == (offset, b"round")


def test_a_what_if_tells_of_the_header_and_leaves_nothing(cell: Cell) -> None:
    wire = Wire(cell, only=0)
    wire.syn()
    segment = ip(CLIENT, BALANCER_ADDRESS) / TCP(sport=1111, dport=PRESERVED, flags="A", seq=ISN + 1, ack=TARGETS_ISN + 9)
    events = {event.step: event for node in cell.what_if(to_top(segment, 0)) for event in node.events}
    words = step_line(line_of(events[Step.HEADER_SENT], host="node-0", names={}, boot=0.0), hosts={})
    assert f"header goes to {TARGETS[0][0]}" in words
    assert payload(wire.send(0)) == header(SAID)


SEGMENTS = st.lists(st.one_of(st.integers(1, 400), st.integers(1355, 1460)), min_size=1, max_size=6)
MOVES = st.lists(st.tuples(st.sampled_from(("segment", "bare", "syn", "ask", "keepalive")), st.integers(0, 5), st.booleans()), max_size=14)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=SEGMENTS, moves=MOVES, isn=st.one_of(st.integers(0, AROUND - 1), st.integers(AROUND - 600, AROUND - 1), st.integers(0, 200)), finned=st.booleans(), way=st.sampled_from([*FAMILIES.values()]))
def test_whatever_happens_on_the_way_the_target_reads_header_and_data(  # noqa: C901, PLR0917 - a move a branch
   one_cell: Cell, sizes: list[int], moves: list[tuple[str, int, bool]], isn: int, finned: bool, way: Way) -> None:
    """Segments in any order, twice, and lost; every acknowledgement that reaches the client is true."""
    proxied(one_cell)
    wire, target = Wire(one_cell, isn=isn, way=way), Receiver()
    data = bytes(n % 251 for n in range(sum(sizes)))
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    acknowledged, ending = 0, False

    def arrive(got: Packet) -> None:
        target.take(got[TCP].seq, payload(got), str(got[TCP].flags))

    def ask() -> None:
        nonlocal acknowledged
        if target.isn is None:
            return
        went = wire.answer(target.acknowledges)
        if went.packet.dst == way.target[0]:
            arrive(sound(went.packet))
            return
        acknowledged = wire.offset(sound(went.packet).ack)
        assert acknowledged == max(0, len(target.stream) - LENGTH) + target.ended

    def segment(number: int) -> Packet:
        nonlocal ending
        last = finned and number == len(sizes) - 1
        ending |= last
        return wire.send(starts[number], data[starts[number] : starts[number] + sizes[number]], "FPA" if last else "PA")

    arrive(wire.syn())
    for move, number, lost in moves:
        if move == "segment":
            got = segment(number % len(sizes))
        elif move == "syn":
            if ending:
                continue  # that begins another connection, of which the keepers in a test run cannot all have heard
            got = wire.syn()
        elif move == "ask":
            ask()
            continue
        else:
            got = wire.send(0 if move == "bare" else -1)
        if not lost:
            arrive(got)
    while acknowledged < len(data) + finned:  # as TCP does
        arrive(segment(max(n for n in range(len(sizes)) if starts[n] <= acknowledged)))
        ask()
    assert target.stream == header(way.said) + data and target.ended == finned
