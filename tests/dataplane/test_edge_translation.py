"""What an edge changes in a packet, and that it changes nothing else: whole packets are compared, checksums made by scapy.

    10.7.1.5 of VPC 7 is 203.0.113.5 outside, 10.7.1.50 is 203.0.113.50; the server is 192.0.2.80 (plan_edge.py)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6ExtHdrFragment
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import Verdict
from tests.dataplane import edges, plan_edge
from tests.dataplane.edges import Edge
from tests.dataplane.packets_edge import claim_of, ip, packet_in, to_edge
from tests.dataplane.plan_edge import EDGE_2, SERVER, SERVER_IPV6

PRIVATE, PUBLIC = "10.7.1.5", "203.0.113.5"
SECOND, SECOND_PUBLIC = "10.7.1.50", "203.0.113.50"
OWN_IPV6 = "2001:db8:7:1::5"


def outward(edge: Edge, packet: Packet) -> bytes:
    """The IP packet that leaves."""
    told = edge.outward(to_edge(packet))
    assert told.verdict is Verdict.SENT
    return told.frame[14:]


def inward(edge: Edge, packet: Packet) -> bytes:
    """The IP packet that its host gets."""
    told = edge.inward(packet)
    assert told.verdict is Verdict.SENT
    return packet_in(told.frame)


def udp_without_checksum() -> Packet:
    return UDP(sport=1, dport=2, chksum=0) / b"x"


CONTENTS = [
    ("TCP", lambda: TCP(sport=1111, dport=443, flags="S") / Raw(b"penguin")),
    ("UDP", lambda: UDP(sport=1111, dport=53) / Raw(b"penguins")),
    ("UDP without a checksum", udp_without_checksum),
    ("an echo request", lambda: ICMP(type=8, id=7, seq=1) / Raw(b"ping")),
    ("an echo reply", lambda: ICMP(type=0, id=7, seq=1) / Raw(b"pong")),
    ("GRE", lambda: GRE() / IP(src="10.1.1.1", dst="10.2.2.2") / UDP()),
]
BARE = [("ESP", 50), ("AH", 51), ("SCTP", 132), ("IPv6 in IPv4", 41)]


@pytest.mark.parametrize("content", [make for _, make in CONTENTS], ids=[name for name, _ in CONTENTS])
def test_only_the_address_and_what_covers_it_change(edge: Edge, content) -> None:
    assert outward(edge, ip(PRIVATE, SERVER) / content()) == bytes(ip(PUBLIC, SERVER) / content())
    assert inward(edge, ip(SERVER, PUBLIC) / content()) == bytes(ip(SERVER, PRIVATE) / content())


@pytest.mark.parametrize("protocol", [number for _, number in BARE], ids=[name for name, _ in BARE])
def test_any_protocol_passes(edge: Edge, protocol: int) -> None:
    """T5-06: and GRE, above."""
    content = Raw(b"\x00\x01whatever is in it")
    assert outward(edge, ip(PRIVATE, SERVER, proto=protocol) / content) == bytes(ip(PUBLIC, SERVER, proto=protocol) / content)
    assert inward(edge, ip(SERVER, PUBLIC, proto=protocol) / content) == bytes(ip(SERVER, PRIVATE, proto=protocol) / content)


def one_complement(data: bytes) -> int:
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize(("protocol", "length"), [(136, 8), (33, 12)], ids=["UDP-Lite", "DCCP"])
def test_rarer_transports_that_cover_addresses_stay_right(edge: Edge, protocol: int, length: int) -> None:
    """Their checksum is where UDP's is. Its change is the address's."""
    content = bytes(range(1, length + 1))
    before, after = (bytes(ip(address, SERVER, proto=protocol) / Raw(content)) for address in (PRIVATE, PUBLIC))
    seen = outward(edge, ip(PRIVATE, SERVER, proto=protocol) / Raw(content))
    assert seen[:26] + seen[28:] == after[:26] + after[28:]
    assert one_complement(seen[12:]) == one_complement(before[12:])


def test_each_private_address_has_its_own_public_one(edge: Edge) -> None:
    """T5-02."""
    packet = UDP(sport=1, dport=2) / b"x"
    assert outward(edge, ip(SECOND, SERVER) / packet) == bytes(ip(SECOND_PUBLIC, SERVER) / packet)
    assert outward(edge, ip(PRIVATE, SERVER) / packet) == bytes(ip(PUBLIC, SERVER) / packet)
    assert inward(edge, ip(SERVER, SECOND_PUBLIC) / packet) == bytes(ip(SERVER, SECOND) / packet)


def test_fragments_pass_and_only_the_first_has_a_checksum(edge: Edge) -> None:
    """T5-06."""
    whole = UDP(sport=1, dport=2) / Raw(bytes(range(200)) * 15)

    def cut(source: str, destination: str) -> list[Packet]:
        packet = IP(bytes(IP(src=source, dst=destination, id=77) / whole))
        return [IP(bytes(part)) for part in packet.fragment(fragsize=1400)]

    assert [outward(edge, part) for part in cut(PRIVATE, SERVER)] == [bytes(part) for part in cut(PUBLIC, SERVER)]
    assert [inward(edge, part) for part in cut(SERVER, PUBLIC)] == [bytes(part) for part in cut(SERVER, PRIVATE)]


def test_ip_options_stay(edge: Edge) -> None:
    content, options = UDP(sport=1, dport=2) / b"x", [IPOption_Router_Alert()]
    assert outward(edge, ip(PRIVATE, SERVER, options=options) / content) == bytes(ip(PUBLIC, SERVER, options=options) / content)
    assert inward(edge, ip(SERVER, PUBLIC, options=options) / content) == bytes(ip(SERVER, PRIVATE, options=options) / content)


def test_the_edge_is_no_hop(edge: Edge) -> None:
    packet = UDP(sport=1, dport=2) / b"x"
    assert outward(edge, ip(PRIVATE, SERVER, ttl=1) / packet) == bytes(ip(PUBLIC, SERVER, ttl=1) / packet)


def quoted(content: Packet, length: int = 1000) -> Raw:
    """As much as an error quotes."""
    return Raw(bytes(content)[:length])


QUOTED = [
    ("UDP", 1000, lambda: UDP(sport=53, dport=1111) / Raw(b"answer")),
    ("UDP without a checksum", 1000, udp_without_checksum),
    ("TCP, whole", 1000, lambda: TCP(sport=443, dport=1111, flags="A") / Raw(b"data")),
    ("TCP, as little as RFC 792 asks for", 28, lambda: TCP(sport=443, dport=1111, flags="A") / Raw(b"data")),
    ("an echo request", 1000, lambda: ICMP(type=8, id=7, seq=1) / Raw(b"ping")),
]
ERRORS = [{"type": 3, "code": 3}, {"type": 3, "code": 4, "nexthopmtu": 1280}, {"type": 11, "code": 0}, {"type": 12, "code": 0}]


@pytest.mark.parametrize("error", ERRORS, ids=str)
@pytest.mark.parametrize(("length", "content"), [row[1:] for row in QUOTED], ids=[row[0] for row in QUOTED])
def test_an_error_quotes_the_packet_as_its_reader_knows_it(edge: Edge, error, length: int, content) -> None:
    """T5-07. Inside, a packet to 10.7.1.5 caused it; outside, one to 203.0.113.5 was sent. And the other way."""
    inside = ip(PRIVATE, SERVER) / ICMP(**error) / quoted(ip(SERVER, PRIVATE, id=9) / content(), length)
    outside = ip(PUBLIC, SERVER) / ICMP(**error) / quoted(ip(SERVER, PUBLIC, id=9) / content(), length)
    assert outward(edge, inside) == bytes(outside)
    inside = ip(SERVER, PRIVATE) / ICMP(**error) / quoted(ip(PRIVATE, SERVER, id=9) / content(), length)
    outside = ip(SERVER, PUBLIC) / ICMP(**error) / quoted(ip(PUBLIC, SERVER, id=9) / content(), length)
    assert inward(edge, outside) == bytes(inside)


def test_an_error_of_a_router_inside_quotes_the_address_that_was_asked_for(edge: Edge) -> None:
    """10.7.1.50 says that 10.7.1.5 cannot be reached."""
    content = UDP(sport=53, dport=1111) / b"x"
    inside = ip(SECOND, SERVER) / ICMP(type=3, code=1) / quoted(ip(SERVER, PRIVATE) / content)
    outside = ip(SECOND_PUBLIC, SERVER) / ICMP(type=3, code=1) / quoted(ip(SERVER, PUBLIC) / content)
    assert outward(edge, inside) == bytes(outside)


def test_an_error_of_any_router_outside_reaches_the_sender(edge: Edge) -> None:
    content = UDP(sport=1111, dport=53) / b"x"
    outside = ip("192.0.2.1", PUBLIC) / ICMP(type=11) / quoted(ip(PUBLIC, SERVER, ttl=1) / content)
    assert inward(edge, outside) == bytes(ip("192.0.2.1", PRIVATE) / ICMP(type=11) / quoted(ip(PRIVATE, SERVER, ttl=1) / content))


def test_a_private_address_of_one_vpc_is_never_told_in_another(edge: Edge) -> None:
    """Somebody outside makes up an error that quotes 203.0.113.31, which is 10.6.1.5 of VPC 6."""
    error = ICMP(type=3, code=1) / quoted(ip("203.0.113.31", SERVER) / UDP(sport=1, dport=2))
    assert inward(edge, ip(SERVER, PUBLIC) / error) == bytes(ip(SERVER, PRIVATE) / error)


@pytest.mark.parametrize(
    "content",
    [Raw(b""), Raw(b"E"), Raw(b"\x65" + bytes(40)), Raw(b"\x44" + bytes(40)), quoted(ip("1.1.1.1", "2.2.2.2") / UDP())],
    ids=["nothing", "one octet", "no IPv4", "a short header", "somebody else's packet"],
)
def test_an_error_that_quotes_nothing_of_ours_passes_as_it_is(edge: Edge, content: Raw) -> None:
    error = ICMP(type=3, code=1) / content
    assert outward(edge, ip(PRIVATE, SERVER) / error) == bytes(ip(PUBLIC, SERVER) / error)
    assert inward(edge, ip(SERVER, PUBLIC) / error) == bytes(ip(SERVER, PRIVATE) / error)


def test_what_lies_behind_the_packet_is_not_taken_for_a_part_of_it(edge: Edge) -> None:
    """The quoted TCP header ends with the packet; the frame goes on."""
    cut = quoted(ip(SERVER, PRIVATE) / TCP(sport=443, dport=1111), 28)
    inside, behind = ip(PRIVATE, SERVER) / ICMP(type=3, code=1) / cut, b"\x55" * 20
    length = len(bytes(inside))
    seen = outward(edge, IP(bytes(inside)) / Raw(behind))
    wanted = ip(PUBLIC, SERVER) / ICMP(type=3, code=1) / quoted(ip(SERVER, PUBLIC) / TCP(sport=443, dport=1111), 28)
    assert seen[length:] == behind
    assert one_complement(seen[20:length]) == 0xFFFF
    assert seen[28:length] == bytes(wanted)[28:length]


IPV6 = [
    ("TCP", lambda: TCP(sport=1, dport=443, flags="S")),
    ("UDP", lambda: UDP(sport=1, dport=53) / Raw(b"x")),
    ("an echo request", lambda: ICMPv6EchoRequest(id=1)),
    ("packet too big", lambda: ICMPv6PacketTooBig(mtu=1280) / Raw(b"quoted" * 20)),
    ("unreachable", lambda: ICMPv6DestUnreach(code=4) / Raw(b"quoted" * 20)),
    ("a fragment", lambda: IPv6ExtHdrFragment(offset=100, m=1, id=5, nh=17) / Raw(b"x" * 64)),
]


@pytest.mark.parametrize("content", [make for _, make in IPV6], ids=[name for name, _ in IPV6])
def test_ipv6_passes_as_it_is(edge: Edge, content) -> None:
    out, back = ip(OWN_IPV6, SERVER_IPV6) / content(), ip(SERVER_IPV6, OWN_IPV6) / content()
    assert outward(edge, out) == bytes(out)
    assert inward(edge, back) == bytes(back)


PORTS = st.integers(0, 0xFFFF)
PAYLOADS = st.binary(max_size=64)
TRANSPORTS = st.one_of(
    st.builds(lambda s, d, p: UDP(sport=s, dport=d) / Raw(p), PORTS, PORTS, PAYLOADS),
    st.builds(lambda s, d, q, p: TCP(sport=s, dport=d, seq=q) / Raw(p), PORTS, PORTS, st.integers(0, 2**32 - 1), PAYLOADS),
    st.builds(lambda i, p: ICMP(type=8, id=i) / Raw(p), PORTS, PAYLOADS),
    st.builds(lambda a, p: ICMP(type=3, code=1) / quoted(ip(SERVER, PRIVATE) / UDP(sport=a) / Raw(p)), PORTS, PAYLOADS),
)


def mirrored(packet: bytes) -> Packet:
    """Back to where it came from. An error's quoted packet goes the other way, too. Sums stay what they are."""
    out = bytearray(packet[:12] + packet[16:20] + packet[12:16] + packet[20:])
    if out[9] == 1 and out[20] == 3:
        out[40:48] = out[44:48] + out[40:44]
    return Raw(bytes(out))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=TRANSPORTS, ttl=st.integers(1, 255), tos=st.integers(0, 255), number=PORTS)
def test_inward_undoes_what_outward_did(edge: Edge, content: Packet, ttl: int, tos: int, number: int) -> None:
    packet = bytes(ip(PRIVATE, SERVER, ttl=ttl, tos=tos, id=number) / content)
    outside = outward(edge, IP(packet))
    assert IP(outside).src == PUBLIC
    frame = bytes(edges.from_router(Raw(b"")))[:12] + b"\x08\x00" + bytes(mirrored(outside))
    told = edge.inward(frame)
    assert told.verdict is Verdict.SENT
    assert packet_in(told.frame) == bytes(mirrored(packet))


@pytest.fixture(scope="module")
def other_edge() -> Iterator[Edge]:
    with edges.edge(EDGE_2) as made:  # of the other build, if `edge` is one of XDP
        yield made


def test_any_edge_does_the_same_to_any_packet(edge: Edge, other_edge: Edge) -> None:
    """A flow whose packets alternate between two edges, each of which never saw its beginning."""
    flow = [TCP(sport=1111, dport=443, flags=flags, seq=n) / Raw(b"x" * n) for n, flags in enumerate("SAPAF")]
    for number, content in enumerate(flow):
        here, there = (edge, other_edge) if number % 2 else (other_edge, edge)
        sent = to_edge(ip(PRIVATE, SERVER) / content)
        if here is other_edge:
            sent = sent[:30] + EDGE_2.packed + sent[34:]
        assert here.outward(sent).frame[14:] == bytes(ip(PUBLIC, SERVER) / content)
        assert inward(there, ip(SERVER, PUBLIC) / content) == bytes(ip(SERVER, PRIVATE) / content)


def test_an_address_that_moves_is_the_new_owners_with_the_next_packet(edge: Edge) -> None:
    """No flow is remembered: what was 10.7.1.5's a moment ago is 10.7.1.6's."""
    moved = {key: row for key, row in plan_edge.public_rows().items() if key.address.endswith(bytes((203, 0, 113, 5)))}
    ((key, row),) = moved.items()
    segment = TCP(sport=443, dport=1111, flags="PA") / Raw(b"in the middle of a connection")
    edge.real.publics.put_many({key: row._replace(interface=12, private=row.private[:12] + bytes((10, 7, 1, 6)))})
    told = edge.inward(ip(SERVER, PUBLIC) / segment)
    assert packet_in(told.frame) == bytes(ip(SERVER, "10.7.1.6") / segment)
    assert IP(told.frame[14:]).dst == "100.64.1.11"


def test_whom_a_sender_names_as_target_does_not_matter_at_the_edge(edge: Edge) -> None:
    """What turns back goes to the owner of the address, and leads nowhere else."""
    packet = ip(PRIVATE, "203.0.113.7") / UDP(sport=1, dport=2) / b"x"
    back = edge.outward(to_edge(packet, target=16))
    assert (claim_of(back.frame).target, IP(back.frame[14:]).dst) == (0, "100.64.1.11")
    assert back.frame == edge.outward(to_edge(packet)).frame


def test_what_comes_in_says_so_and_no_interface_sent_it(edge: Edge) -> None:
    told = edge.inward(ip(SERVER, PUBLIC) / UDP(sport=53, dport=1111) / b"x")
    claim = claim_of(told.frame)
    assert (claim.vni, claim.origin_vni, claim.interface, claim.target) == (7, 7, 0, 0)
    assert (IP(told.frame[14:]).src, IP(told.frame[14:]).dst) == ("100.64.1.20", "100.64.1.10")
