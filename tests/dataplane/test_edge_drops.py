"""What edges refuse, and what they leave to their kernel: every packet with its reason.

    VPC 7 and VPC 6 have internet gateways, VPC 5 has none; 10.7.1.8 has no public address (plan_edge.py)
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import GatewayFlag, MappingKey, RouteKind, UplinkFlag, Verdict, VpcNumber
from rookery.dataplane.syscall import RunContext
from tests.dataplane import plan, plan_edge
from tests.dataplane.edges import Edge, from_router
from tests.dataplane.namespaces import inside
from tests.dataplane.packets import GENEVE_PORT, mac_text
from tests.dataplane.packets_edge import claim_of, ip, to_edge
from tests.dataplane.plan_edge import EDGE_1, ROUTER, SERVER, SERVER_IPV6, UPLINK, UPLINK_IPV6

PRIVATE, PUBLIC, OWN_IPV6 = "10.7.1.5", "203.0.113.5", "2001:db8:7:1::5"
HOST_A, HOST_B = str(plan.HOST_A), str(plan.HOST_B)
DROPPED = {False: 2, True: 1}  # TC_ACT_SHOT; XDP_DROP
NOT_THE_INTERNETS = ["0.1.2.3", "10.9.9.9", "100.100.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.1.1",
                     "224.0.0.5", "240.0.0.1", "255.255.255.255", HOST_A]  # fmt: skip
NOT_THE_INTERNETS_IPV6 = ["::1", "::", "fc00::1", "fd00:1::1", "fe80::1", "ff02::1", "fec0::1", "4000::1", "64:ff9b::1"]
BIG = UDP(sport=1, dport=2) / Raw(b"x" * 1500)


def content(address: str) -> Packet:
    return UDP(sport=1111, dport=53) / Raw(b"penguin") if ":" not in address else ICMPv6EchoRequest()


def out(destination: str = SERVER, source: str = PRIVATE, sender: str = "", **geneve: object) -> bytes:
    return to_edge(ip(source, destination) / content(source), sender, **geneve)


class Drop(NamedTuple):
    sentence: str
    verdict: str
    packet: bytes


OUTWARD = [
    Drop("a VPC without a gateway", "DROP_NO_GATEWAY", out(source="10.5.1.5")),
    Drop("a sender without a public address", "DROP_NO_PUBLIC_ADDRESS", out(source="10.7.1.8")),
    Drop("another host's instance", "DROP_SOURCE_NOT_AT_HOST", out(sender=HOST_B)),
    Drop("another interface", "DROP_SOURCE_NOT_AT_HOST", out(interface=14)),
    Drop("an address of nobody", "DROP_SOURCE_NOT_MAPPED", out(source="10.7.1.99")),
    Drop("a packet from outside, from a host", "DROP_SOURCE_NOT_AT_HOST", out(interface=0)),
    Drop("a packet from outside, with a source of outside", "DROP_SOURCE_NOT_MAPPED", out(source="192.0.2.81", interface=0)),
    Drop("a packet in this edge's own name", "DROP_SOURCE_NOT_AT_HOST", out(sender=str(EDGE_1))),
    Drop("a VPC in another one's name", "DROP_NOT_PEERED", out(origin_vni=plan.TWIN)),
    Drop("a twin with the same address", "DROP_SOURCE_NOT_AT_HOST", out(vni=plan.TWIN)),
    Drop("too big for the uplink", "DROP_TOO_BIG", to_edge(ip(PRIVATE, SERVER) / BIG)),
    Drop("neighbour discovery", "DROP_NEIGHBOUR_UNANSWERED", to_edge(ip(OWN_IPV6, SERVER_IPV6) / ICMPv6ND_NS(tgt=SERVER_IPV6))),
    Drop("ARP inside", "DROP_NOT_IP", to_edge(ip(PRIVATE, SERVER) / b"")[:66] + bytes(Ether(src=mac_text(11)) / ARP())),
    Drop("an IP header that contradicts itself", "DROP_MALFORMED_IP", to_edge(ip(PRIVATE, SERVER, version=5) / content(PRIVATE))),
    Drop("a transport that is cut before its checksum", "DROP_TRANSLATION", to_edge(ip(PRIVATE, SERVER, proto=33) / Raw(b"abcd"))),
]


@pytest.mark.parametrize("drop", OUTWARD, ids=lambda drop: drop.sentence)
def test_no_way_out_for(edge: Edge, drop: Drop) -> None:
    assert edge.outward(_right_lengths(drop.packet)).verdict.name == drop.verdict


def _right_lengths(frame: bytes) -> bytes:
    total = len(frame) - 14
    return frame[:16] + total.to_bytes(2, "big") + frame[18:38] + (total - 20).to_bytes(2, "big") + frame[40:]


@pytest.mark.parametrize("destination", [*NOT_THE_INTERNETS, *NOT_THE_INTERNETS_IPV6])
def test_what_the_internet_does_not_have_is_not_sent_there(edge: Edge, destination: str) -> None:
    source = OWN_IPV6 if ":" in destination else PRIVATE
    told = edge.outward(out(destination, source))
    assert told.verdict is Verdict.DROP_PRIVATE_DESTINATION


def test_addresses_for_documentation_are_as_good_as_any(edge: Edge) -> None:
    for destination in ("8.8.8.8", "198.51.100.9", "172.32.0.1", "100.128.0.1", "172.15.0.1", "223.255.255.255"):
        assert edge.outward(out(destination)).verdict is Verdict.SENT
    for destination in ("2606:4700::1111", "2001:db8:1::1", "3fff::1"):
        assert edge.outward(out(destination, OWN_IPV6)).verdict is Verdict.SENT


def test_without_its_gateway_a_vpc_has_no_way_out_and_none_in(edge: Edge) -> None:
    edge.real.gateways.delete_many([VpcNumber(plan.VPC)])
    assert edge.outward(out()).verdict is Verdict.DROP_NO_GATEWAY
    assert edge.inward(ip(SERVER, PUBLIC) / content(SERVER)).verdict is Verdict.DROP_NO_GATEWAY


def test_an_egress_only_gateway_is_for_ipv6(edge: Edge) -> None:
    plan_edge.put_gateway(edge.real, plan.VPC, formats.Gateway(GatewayFlag.EGRESS_ONLY, 0))
    assert edge.outward(out()).verdict is Verdict.DROP_NO_GATEWAY
    assert edge.outward(out(SERVER_IPV6, OWN_IPV6)).verdict is Verdict.SENT
    assert edge.inward(ip(SERVER, PUBLIC) / content(SERVER)).verdict is Verdict.DROP_NO_GATEWAY
    assert edge.inward(ip(SERVER_IPV6, OWN_IPV6) / ICMPv6EchoRequest()).verdict is Verdict.SENT


def test_without_an_uplink_nothing_leaves(edge: Edge) -> None:
    edge.real.configure_uplink(formats.UplinkConfig(0, 0, bytes(6), 0))
    assert edge.outward(out()).verdict is Verdict.DROP_NOT_CONFIGURED


@pytest.mark.parametrize("way", [("blackhole",), ("dev", "u0"), ("via", HOST_A, "dev", "u0"), ("prohibit",)], ids=" ".join)
def test_what_the_kernel_would_not_send_outside_is_not_sent(edge: Edge, way: tuple[str, ...]) -> None:
    kind, rest = (way, ()) if len(way) == 1 else ((), way)
    edge.in_namespace("ip", "route", "add", *kind, "198.51.100.0/24", *rest)
    try:
        assert edge.outward(out("198.51.100.9")).verdict is Verdict.DROP_NO_ROUTE
        assert edge.outward(out()).verdict is Verdict.SENT
    finally:
        edge.in_namespace("ip", "route", "delete", "198.51.100.0/24")


def test_an_edge_is_nobody_to_those_inside(edge: Edge) -> None:
    """Its own address outside is private here; were it not, the kernel would say that it does not forward there."""
    edge.in_namespace("ip", "address", "add", "198.51.100.20/32", "dev", "x0")
    try:
        assert edge.outward(out("198.51.100.20")).verdict is Verdict.DROP_NO_ROUTE
    finally:
        edge.in_namespace("ip", "address", "delete", "198.51.100.20/32", "dev", "x0")


@pytest.mark.parametrize("flags", [0, "MF"])
def test_what_is_too_big_and_may_be_cut_is_cut_by_the_kernel(edge: Edge, flags: object) -> None:
    """It gets the packet as it is to be outside."""
    told = edge.outward(to_edge(ip(PRIVATE, SERVER, flags=flags) / BIG))
    assert (told.verdict, told.target) == (Verdict.SENT, edge.uplink)
    assert told.frame[14:] == bytes(ip(PUBLIC, SERVER, flags=flags) / BIG)
    context = RunContext(ifindex=edge.substrate)
    frame = to_edge(ip(PRIVATE, SERVER, flags=flags) / BIG)
    taken = inside(edge.namespace, lambda: edge.real.test_run("blackfoot_outward", frame, context))
    assert taken.action == -1  # TC_ACT_UNSPEC: on to the kernel


def test_options_of_a_newer_host_are_skipped(edge: Edge) -> None:
    """What turns back has the options of this version again."""
    frame = out("203.0.113.7")
    newer = frame[:50] + bytes.fromhex("01000001" "cafecafe") + frame[50:]
    newer = newer[:42] + bytes((newer[42] + 2,)) + newer[43:]
    back = edge.outward(_right_lengths(newer))
    assert back.frame == edge.outward(frame).frame
    there = out()
    newer = there[:50] + bytes.fromhex("01000001" "cafecafe") + there[50:]
    newer = newer[:42] + bytes((newer[42] + 2,)) + newer[43:]
    assert edge.outward(_right_lengths(newer)).frame == edge.outward(there).frame


def to_kernel(packet: Packet, to: str = plan_edge.SUBSTRATE_MAC) -> bytes:
    return bytes(Ether(src=mac_text(1), dst=to) / packet)


SUBSTRATE = [
    ("the mapping service's answer", Verdict.NOT_OURS, to_kernel(IP(src="100.64.0.2", dst=str(EDGE_1)) / TCP(sport=4581))),
    ("a probe's answer to another node", Verdict.NOT_OURS, to_kernel(IP(src=HOST_A, dst=HOST_B) / UDP(), mac_text(12))),
    ("ARP", Verdict.NOT_OURS, to_kernel(ARP(psrc=HOST_A, pdst=str(EDGE_1)))),
    ("a packet to be forwarded outside", Verdict.DROP_DESTINATION_NOT_HERE, to_kernel(IP(src=HOST_A, dst=SERVER) / UDP())),
    ("a packet to be forwarded to a host", Verdict.DROP_DESTINATION_NOT_HERE, to_kernel(IP(src=HOST_A, dst=HOST_B) / UDP())),
    ("IPv6", Verdict.DROP_DESTINATION_NOT_HERE, to_kernel(IPv6(src="fe80::1", dst=SERVER_IPV6) / UDP())),
    ("the overlay of another node", Verdict.DROP_DESTINATION_NOT_HERE, to_kernel(IP(src=HOST_A, dst=HOST_B) / UDP(dport=6081))),
]


@pytest.mark.parametrize(("verdict", "frame"), [row[1:] for row in SUBSTRATE], ids=[row[0] for row in SUBSTRATE])
def test_from_the_substrate_the_kernel_gets_what_is_for_the_edge_itself(edge: Edge, verdict: Verdict, frame: bytes) -> None:
    assert edge.outward(frame).verdict is verdict


def come_in(destination: str = PUBLIC, source: str = SERVER) -> Packet:
    return ip(source, destination) / content(source)


@pytest.mark.parametrize("source", [*NOT_THE_INTERNETS, *plan_edge.PUBLIC.values()])
def test_a_source_that_cannot_be_outside_is_refused(edge: Edge, source: str) -> None:
    """T5-11; and nobody outside has a public address of the region."""
    assert edge.inward(come_in(source=source)).verdict is Verdict.DROP_PRIVATE_SOURCE


@pytest.mark.parametrize("source", [*NOT_THE_INTERNETS_IPV6, "2001:db8:7:2::7", "2001:db8:7:ff::1"])
def test_an_ipv6_source_that_cannot_be_outside_is_refused(edge: Edge, source: str) -> None:
    assert edge.inward(come_in(OWN_IPV6, source)).verdict is Verdict.DROP_PRIVATE_SOURCE


@pytest.mark.parametrize("destination", ["203.0.113.99", "198.51.100.1", "10.7.1.5", "192.168.1.1", "2001:db8:8::1", "fd00::1"])
def test_an_address_that_nobody_has_is_unknown(edge: Edge, destination: str) -> None:
    source = SERVER_IPV6 if ":" in destination else SERVER
    assert edge.inward(come_in(destination, source)).verdict is Verdict.DROP_UNKNOWN_PUBLIC_ADDRESS


@pytest.mark.parametrize("destination", [HOST_A, str(EDGE_1), "100.64.255.255"])
def test_the_substrate_is_not_reached_from_outside(edge: Edge, destination: str) -> None:
    assert edge.inward(come_in(destination)).verdict is Verdict.DROP_PRIVATE_DESTINATION
    assert edge.inward(come_in(UPLINK, HOST_A)).verdict is Verdict.DROP_PRIVATE_SOURCE


UPLINKS = [
    ("BGP", from_router(IP(src=ROUTER, dst=UPLINK) / TCP(sport=1111, dport=179))),
    ("BFD", from_router(IP(src=ROUTER, dst=UPLINK, ttl=255) / UDP(sport=50000, dport=3784))),
    ("BGP over IPv6", from_router(IPv6(src="2001:db8:fe::1", dst=UPLINK_IPV6) / TCP(sport=1111, dport=179))),
    ("BGP between link-local addresses", from_router(IPv6(src="fe80::1", dst="fe80::20") / TCP(sport=1111, dport=179))),
    ("a ping", from_router(IP(src=SERVER, dst=UPLINK) / ICMP())),
    ("ARP", from_router(ARP(psrc=ROUTER, pdst=UPLINK))),
    ("neighbour discovery", from_router(IPv6(src="fe80::1", dst=UPLINK_IPV6, hlim=255) / ICMPv6ND_NS(tgt=UPLINK_IPV6))),
    ("a router's advertisement", from_router(IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA())),
    ("multicast", from_router(IP(src=ROUTER, dst="224.0.0.5") / UDP())),
    ("a VLAN", from_router(Dot1Q(vlan=5) / IP(src=SERVER, dst=PUBLIC) / UDP())),
]


@pytest.mark.parametrize("frame", [row[1] for row in UPLINKS], ids=[row[0] for row in UPLINKS])
def test_from_outside_the_kernel_gets_what_is_for_the_edge_itself(edge: Edge, frame: Packet) -> None:
    assert edge.inward(bytes(frame)).verdict is Verdict.NOT_OURS


def test_an_address_whose_interface_lives_nowhere_is_not_reached(edge: Edge) -> None:
    """A stopped instance."""
    edge.real.mappings.delete_many([MappingKey(plan.VPC, address_bytes(PRIVATE))])
    assert edge.inward(come_in()).verdict is Verdict.DROP_NO_MAPPING


def test_what_the_substrate_does_not_carry_is_dropped(edge: Edge) -> None:
    config = edge.real.substrate
    edge.real.configure_substrate(config._replace(mtu=1500))
    for size, verdict in ((1434, Verdict.SENT), (1435, Verdict.DROP_TOO_BIG)):
        content = UDP() / Raw(b"x" * (size - 28))
        assert edge.inward(ip(SERVER, PUBLIC) / content).verdict is verdict
        assert edge.outward(to_edge(ip(PRIVATE, "203.0.113.7") / content)).verdict is verdict


def test_a_host_outside_the_substrate_needs_a_gateway(edge: Edge) -> None:
    key = plan_edge.public_rows()
    ((public, row),) = [(k, r) for k, r in key.items() if r.interface == 13]
    edge.real.publics.put_many({public: row._replace(interface=15, private=address_bytes("10.7.2.9"))})
    assert edge.inward(come_in("203.0.113.7")).verdict is Verdict.DROP_NOT_CONFIGURED
    assert edge.outward(out("203.0.113.7")).verdict is Verdict.DROP_NOT_CONFIGURED
    edge.real.configure_substrate(edge.real.substrate._replace(gateway=IPv4Address("100.64.0.1").packed))
    assert edge.inward(come_in("203.0.113.7")).verdict is Verdict.SENT


TABLE, NOBODY = 9, 99


def route_in(edge: Edge, kind: RouteKind, target: int = 0) -> None:
    """The gateway has a route table, and this is its route."""
    edge.real.routes.put_many(plan_edge.default_route(TABLE, kind, target=target))
    plan_edge.put_gateway(edge.real, plan.VPC, formats.Gateway(GatewayFlag.INTERNET, TABLE))


def test_a_gateways_route_leads_to_an_appliance(edge: Edge) -> None:
    route_in(edge, RouteKind.INTERFACE, 16)
    told = edge.inward(come_in())
    assert told.verdict is Verdict.SENT
    assert claim_of(told.frame).target == 16
    assert IP(told.frame[14:]).dst == str(plan.HOST_C)
    assert IP(told.frame[80:]).dst == PRIVATE


@pytest.mark.parametrize(
    ("kind", "target", "verdict"),
    [
        (RouteKind.LOCAL, 0, Verdict.SENT),
        (RouteKind.INTERFACE, NOBODY, Verdict.DROP_NO_FORWARDER),
        (RouteKind.BLACKHOLE, 0, Verdict.DROP_BLACKHOLE),
        (RouteKind.NONE, 0, Verdict.DROP_NO_ROUTE),
        (RouteKind.PEER, plan.PEER, Verdict.DROP_NO_ROUTE),
        (RouteKind.INTERNET, 0, Verdict.DROP_NO_ROUTE),
    ],
)
def test_a_gateways_route_table_knows_the_vpc_and_nothing_else(edge: Edge, kind: RouteKind, target: int, verdict: Verdict) -> None:
    route_in(edge, kind, target)
    assert edge.inward(come_in()).verdict is verdict


def test_without_a_route_in_its_table_a_gateway_lets_nothing_in(edge: Edge) -> None:
    plan_edge.put_gateway(edge.real, plan.VPC, formats.Gateway(GatewayFlag.INTERNET, TABLE))
    assert edge.inward(come_in()).verdict is Verdict.DROP_NO_ROUTE


GENEVE_PROBE = bytes.fromhex("00806558" "00000000")


def probe(geneve: bytes = GENEVE_PROBE, **udp: int) -> Packet:
    frame = Ether(src=mac_text(12), dst=plan_edge.SUBSTRATE_MAC) / IP(src=HOST_B, dst=str(EDGE_1), flags="DF", id=0)
    return frame / UDP(**{"sport": 40000, "dport": GENEVE_PORT, **udp}) / Raw(geneve + b"round 17")


def test_a_probe_comes_back_from_the_program_itself(edge: Edge) -> None:
    told = edge.outward(bytes(probe()))
    back = edge.ends_to(HOST_B) / IP(src=str(EDGE_1), dst=HOST_B, flags="DF", id=0)
    assert told.frame == bytes(back / UDP(sport=GENEVE_PORT, dport=40000) / Raw(GENEVE_PROBE + b"round 17"))
    assert (told.verdict, told.target) == (Verdict.ANSWERED, edge.substrate)


def test_a_probe_that_was_flooded_to_another_ones_mac_is_answered_from_its_own(edge: Edge) -> None:
    """The edge that had the address before. A port of the substrate carries nobody's MAC but its node's."""
    flooded = probe()
    flooded.dst = mac_text(13)
    assert edge.outward(bytes(flooded)).frame == edge.outward(bytes(probe())).frame


def test_a_probe_from_beyond_the_substrate_is_answered_through_its_gateway(edge: Edge) -> None:
    far = probe()
    far[IP].src = str(plan.FAR_HOST)
    assert edge.outward(bytes(far)).verdict is Verdict.DROP_NOT_CONFIGURED
    edge.real.configure_substrate(edge.real.substrate._replace(gateway=IPv4Address("100.64.0.1").packed))
    told = edge.outward(bytes(far))
    assert told.verdict is Verdict.ANSWERED
    assert told.frame[:12] == bytes(edge.ends_to("100.64.0.1"))[:12]


def test_a_probe_without_a_checksum_comes_back_as_well(edge: Edge) -> None:
    assert edge.outward(bytes(probe(chksum=0))).verdict is Verdict.ANSWERED


@pytest.mark.parametrize(
    "frame",
    [
        probe(sport=GENEVE_PORT),
        probe(bytes.fromhex("01806558" "00000000" "01000000")),
        probe(bytes.fromhex("00806558" "00000700")),
        probe(bytes.fromhex("00006558" "00000000")),
        probe(bytes.fromhex("00c06558" "00000000")),
        probe(bytes.fromhex("40806558" "00000000")),
    ],
    ids=["from the edges' own port", "with options", "with a VPC", "without the bit", "critical", "another version"],
)
def test_what_is_not_quite_a_probe_is_not_answered(edge: Edge, frame: Packet) -> None:
    """Two edges would answer each other's answers for ever."""
    assert edge.outward(bytes(frame)).verdict is Verdict.DROP_MALFORMED_GENEVE


def test_an_edge_without_an_uplink_keeps_silent(edge: Edge) -> None:
    edge.real.configure_uplink(formats.UplinkConfig(0, 0, bytes(6), 0))
    assert edge.outward(bytes(probe())).verdict is Verdict.DROP_NOT_CONFIGURED


def test_an_edge_that_is_about_to_go_keeps_silent_and_carries_what_still_comes(edge: Edge) -> None:
    edge.real.configure_uplink(edge.real.uplink._replace(flags=UplinkFlag.CLOSING))
    assert edge.outward(bytes(probe())).verdict is Verdict.DROP_PROBE_UNANSWERED
    assert edge.outward(out()).verdict is Verdict.SENT


def test_what_an_edge_drops_is_counted_at_its_device(edge: Edge) -> None:
    for program, frame, device in (
        ("blackfoot_outward", out(source="10.7.1.8"), edge.substrate),
        ("blackfoot_inward", bytes(from_router(come_in("203.0.113.99"))), edge.uplink),
    ):
        before = edge.real.counters()
        ran = inside(edge.namespace, lambda p=program, f=frame: edge.run(p, f))
        assert ran.action == DROPPED[edge.xdp]
        changed = {key: row.packets for key, row in edge.real.counters().items() if row != before.get(key)}
        assert list(changed) == [key for key in changed if key.ifindex == device]
        assert len(changed) == 1
