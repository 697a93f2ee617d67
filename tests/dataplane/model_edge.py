"""What docs/life-of-a-packet.md (steps 29 to 41) says of edges, as plain Python over bytes, IPv4 only: part of the other opinion
that the programs are compared with (model.py)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from tests.dataplane import model
from tests.dataplane.model import NOT_OUTSIDE, WRAPPING, Claim, Dropped, Hop, Host, Inner, Outcome

CHECKSUMS = {6: 16, 17: 6, 136: 6, 33: 6}  # protocol: where it is
ERRORS = (3, 11, 12)
Lookup = Callable[[IPv4Address], IPv4Address]


@dataclass
class Edge:
    """`host`: its substrate, mappings, forwarders and gateways."""

    host: Host
    publics: dict[IPv4Address, tuple[int, IPv4Address]]  # -> VPC, private address
    uplink: int = 0  # ifindex; 0: none
    uplink_mtu: int = 1500
    closing: bool = False
    own: set[IPv4Address] = field(default_factory=set)  # outside: of the kernel, broadcasts too

    def public(self, vni: int, private: IPv4Address) -> IPv4Address | None:
        return next((public for public, inside in self.publics.items() if inside == (vni, private)), None)


def mended(old: bytes, before: bytes, now: bytes) -> bytes:
    """RFC 1624."""
    total = sum(word ^ 0xFFFF for word in words(old + before)) + sum(words(now))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", total ^ 0xFFFF)


def words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"!{len(data) // 2}H", data)


def mend_transport(packet: bytearray, protocol: int, transport: int, before: bytes, now: bytes) -> None:
    place = transport + CHECKSUMS.get(protocol, 0)
    old = bytes(packet[place : place + 2])
    if place == transport or (protocol == 17 and old == b"\0\0"):
        return
    if len(old) < 2:
        raise Dropped("DROP_TRANSLATION")
    new = mended(old, before, now)
    packet[place : place + 2] = b"\xff\xff" if protocol == 17 and new == b"\0\0" else new


def translate(packet: bytes, source: IPv4Address, destination: IPv4Address, inside_out: Lookup, outside_in: Lookup) -> bytes:
    """`inside_out`: of a quoted destination; `outside_in`: of a quoted source."""
    changed, header = bytearray(packet), (packet[0] & 15) * 4
    before, now = packet[12:20], source.packed + destination.packed
    changed[12:20] = now
    changed[10:12] = mended(packet[10:12], before, now)
    if struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
        return bytes(changed)
    if packet[9] == 1 and packet[header] in ERRORS:
        translate_quoted(changed, header, inside_out, outside_in)
    mend_transport(changed, packet[9], header, before, now)
    return bytes(changed)


def translate_quoted(packet: bytearray, icmp: int, inside_out: Lookup, outside_in: Lookup) -> None:
    at, total = icmp + 8, struct.unpack_from("!H", packet, 2)[0]
    ip = bytes(packet[at : at + 20])
    if len(ip) < 20 or ip[0] >> 4 != 4 or ip[0] & 15 < 5:
        return
    before = ip[12:20]
    now = outside_in(IPv4Address(ip[12:16])).packed + inside_out(IPv4Address(ip[16:20])).packed
    packet[at + 12 : at + 20] = now
    packet[at + 10 : at + 12] = mended(ip[10:12], before, now)
    place = at + (ip[0] & 15) * 4 + CHECKSUMS.get(ip[9], total)
    if struct.unpack_from("!H", ip, 6)[0] & 0x1FFF or place + 2 > min(total, len(packet)):
        return
    old = bytes(packet[place : place + 2])
    mend_transport(packet, ip[9], place - CHECKSUMS[ip[9]], before, now)
    packet[icmp + 2 : icmp + 4] = mended(bytes(packet[icmp + 2 : icmp + 4]), old, bytes(packet[place : place + 2]))


def as_it_is(address: IPv4Address) -> IPv4Address:
    return address


def into(edge: Edge, vni: int) -> Lookup:
    def look(address: IPv4Address) -> IPv4Address:
        found = edge.publics.get(address)
        return found[1] if found and found[0] == vni else address

    return look


def out_of(edge: Edge, vni: int) -> Lookup:
    return lambda address: edge.public(vni, address) or address


def is_outside(edge: Edge, address: IPv4Address) -> bool:
    assert edge.host.substrate
    return address not in edge.host.substrate.network and not any(address in network for network in NOT_OUTSIDE)


def way_in(edge: Edge, inner: Inner, source: IPv4Address, vni: int, private: IPv4Address) -> Hop:
    """`source`: as it is outside."""
    substrate = edge.host.substrate
    assert substrate
    if vni not in edge.host.gateways:
        raise Dropped("DROP_NO_GATEWAY")
    if inner.largest + WRAPPING > substrate.mtu:
        raise Dropped("DROP_TOO_BIG")
    hop = model.owner(edge.host, vni, replace(inner, source=source, destination=private))
    if hop.host not in substrate.network and not substrate.gateway:
        raise Dropped("DROP_NOT_CONFIGURED")
    return hop


def wrapped(edge: Edge, inner: Inner, hop: Hop, packet: bytes) -> Outcome:
    assert edge.host.substrate
    seen = replace(
        inner, frame=inner.frame[:14] + packet, source=IPv4Address(packet[12:16]), destination=IPv4Address(packet[16:20])
    )
    return model.wrap(edge.host.substrate, 0, hop.vni, seen, hop)


def reflect(edge: Edge, frame: bytes) -> Outcome:
    ip, udp, geneve = frame[14:34], frame[34:42], frame[42:50]
    fragment = struct.unpack_from("!H", ip, 6)[0] & 0x3FFF
    if len(geneve) < 8 or ip[0] != 0x45 or fragment or udp[:2] == b"\x17\xc1" or geneve[:2] != b"\0\x80" or any(geneve[4:]):
        raise Dropped("DROP_MALFORMED_GENEVE")
    if not edge.uplink:
        raise Dropped("DROP_NOT_CONFIGURED")
    if edge.closing:
        raise Dropped("DROP_PROBE_UNANSWERED")
    assert edge.host.substrate
    if IPv4Address(frame[26:30]) not in edge.host.substrate.network and not edge.host.substrate.gateway:
        raise Dropped("DROP_NOT_CONFIGURED")
    ends = bytes(12)  # the kernel writes them
    turned = ends + frame[12:26] + frame[30:34] + frame[26:30] + frame[36:38] + frame[34:36] + frame[38:]
    return Outcome("ANSWERED", turned, edge.host.substrate.ifindex)


def read_outer(edge: Edge, frame: bytes) -> tuple[Claim, bytes] | Outcome:
    try:
        model.check_outer(frame, 0)
        return model.read_geneve(frame)
    except Dropped as reason:
        if str(reason) != "DROP_MALFORMED_GENEVE":
            raise
        return reflect(edge, frame)


def outward(edge: Edge, frame: bytes) -> Outcome:
    """Of frames that are not addressed to the edge's MAC, as the substrate's switch floods them: others are its kernel's."""
    substrate = edge.host.substrate
    assert substrate
    if not model.is_overlay(frame) or frame[30:34] != substrate.address.packed:
        return Outcome("NOT_OURS", frame)
    read = read_outer(edge, frame)
    if isinstance(read, Outcome):
        return read
    claim, carried = read
    if len(carried) < 14:
        raise Dropped("DROP_TRUNCATED")
    inner, outer_source = model.read_ip(carried, 0), IPv4Address(frame[26:30])
    if outer_source == substrate.address:
        raise Dropped("DROP_SOURCE_NOT_AT_HOST")
    model.verify_interface(edge.host, claim, inner, outer_source)
    return lead_out(edge, claim, inner, frame)


def lead_out(edge: Edge, claim: Claim, inner: Inner, frame: bytes) -> Outcome:
    if claim.vni not in edge.host.gateways:
        raise Dropped("DROP_NO_GATEWAY")
    if not is_outside(edge, inner.destination):
        raise Dropped("DROP_PRIVATE_DESTINATION")
    public = edge.public(claim.vni, inner.source)
    if public is None:
        raise Dropped("DROP_NO_PUBLIC_ADDRESS")
    quoted, owner = out_of(edge, claim.vni), edge.publics.get(inner.destination)
    if owner:
        hop = way_in(edge, inner, public, *owner)
        return wrapped(edge, inner, hop, translate(inner.frame[14:], public, owner[1], quoted, into(edge, owner[0])))
    if not edge.uplink:
        raise Dropped("DROP_NOT_CONFIGURED")
    if inner.largest > edge.uplink_mtu and inner.dont_fragment:
        raise Dropped("DROP_TOO_BIG")
    seen = translate(inner.frame[14:], public, inner.destination, quoted, as_it_is)
    return Outcome("SENT", frame[:14] + seen, edge.uplink)


def inward(edge: Edge, frame: bytes) -> Outcome:
    if frame[12:14] != b"\x08\x00":
        return Outcome("NOT_OURS", frame)
    inner = model.read_ip(frame, 0)
    owner = edge.publics.get(inner.destination)
    if owner is None:
        return leave_to_kernel(edge, inner)
    if not is_outside(edge, inner.source) or inner.source in edge.publics:
        raise Dropped("DROP_PRIVATE_SOURCE")
    hop = way_in(edge, inner, inner.source, *owner)
    return wrapped(edge, inner, hop, translate(frame[14:], inner.source, owner[1], as_it_is, into(edge, owner[0])))


def leave_to_kernel(edge: Edge, inner: Inner) -> Outcome:
    assert edge.host.substrate
    to = inner.destination
    if inner.source in edge.host.substrate.network:
        raise Dropped("DROP_PRIVATE_SOURCE")
    if to in edge.host.substrate.network:
        raise Dropped("DROP_PRIVATE_DESTINATION")
    if to.is_multicast or to == IPv4Address("255.255.255.255") or to.is_link_local or to in edge.own:
        return Outcome("NOT_OURS", inner.frame)
    raise Dropped("DROP_UNKNOWN_PUBLIC_ADDRESS")


def run(edge: Edge, program: str, frame: bytes) -> Outcome:
    try:
        return outward(edge, frame) if program == "blackfoot_outward" else inward(edge, frame)
    except Dropped as reason:
        return Outcome(str(reason))
