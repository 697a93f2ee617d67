"""Random and mutated packets through the programs and the model: same verdict, same bytes, same device.

    PYTHONPATH=src:. python -m tests.dataplane.fuzz 1000000 [--seed N]

A difference is printed with the seed that finds it again."""

from __future__ import annotations

import argparse
import random
import secrets
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import NamedTuple

from rookery.dataplane.formats import Verdict, WhatIfMark
from rookery.dataplane.host import HostDataplane, ProgramName
from rookery.dataplane.syscall import RunContext
from tests.dataplane import model, plan
from tests.dataplane.model import checksum
from tests.dataplane.objects import built_objects

INTERESTING = (0, 1, 2, 4, 5, 6, 8, 0x0F, 0x10, 0x40, 0x45, 0x46, 0x4F, 0x7F, 0x80, 0xC0, 0xFE, 0xFF)
MACS = [plan.mac(n) for n in (11, 12, 13, 14, 16, 32)] + [plan.ROUTER_MAC, b"\xff" * 6, bytes.fromhex("01005e000001")]
ADDRESSES = [IPv4Address(a).packed for _, a in plan.ADDRESSES] + [
    IPv4Address(a).packed
    for a in ("10.7.1.1", "10.7.66.1", "10.7.66.200", "10.7.1.99", "169.254.169.254", "224.0.0.1", "0.0.0.0")
] + [IPv4Address(a).packed for a in ("255.255.255.255", "10.9.0.1", "10.7.1.20", "10.7.1.40", "10.7.1.70", "10.7.4.77",
      "10.6.1.99", "198.51.100.9", "198.51.100.70", "198.51.100.130", "198.51.100.200", "198.51.100.250")]  # fmt: skip
PLACES = {number: (vni, host.packed) for (vni, _), (number, _, host) in plan.ADDRESSES.items()}
OWNERS = [(row[0], IPv4Address(a).packed) for (_, a), row in plan.ADDRESSES.items()] + [
    (number, IPv4Network(prefix)[4].packed) for (_, prefix), number in plan.DELEGATED.items()
]
VPCS = (plan.VPC, plan.TWIN, plan.PEER, plan.THIRD, 9)
EDGES = (IPv4Address("100.64.1.20"), IPv4Address("100.64.1.21"), IPv4Address("100.64.1.22"))
NODES = tuple(IPv4Address(f"100.64.1.{n}") for n in (30, 31, 32, 33))
SET = IPv4Address("13.12.11.10")  # a number, not an address
AT_CELL = {"10.7.2.60": (60, 2), "10.7.1.61": (61, 1)}  # of VPC 7: (interface, subnet)
OUTSIDE = [IPv4Address(a).packed for a in ("198.51.100.9", "192.0.2.80", "8.8.8.8", "172.32.0.1", "100.128.0.1", "192.168.0.1",
                                           "172.31.255.255", "100.127.0.1", "127.0.0.1", "0.0.0.1", "240.0.0.1")]  # fmt: skip
HOSTS = [h.packed for h in (plan.HOST_A, plan.HOST_B, plan.HOST_C, plan.FAR_HOST)]
ANSWERS = (  # end of the service's address, protocol, port, kind of caller, where it asked, its port (0: any)
    ("123", 17, 123, 4, 1, 0), ("123", 17, 123, 6, 1, 0), ("253", 17, 53, 4, 1, 0), ("253", 6, 53, 4, 2, 0),
    ("253", 17, 53, 6, 1, 0), ("254", 6, 80, 4, 1, 0), ("254", 6, 80, 6, 1, 0), ("67", 17, 67, 4, 3, 68),
    ("67", 17, 67, 4, 4, 68), ("547", 17, 547, 7, 1, 546), ("2", 17, 53, 4, 1, 0),
)  # fmt: skip
QUESTIONS = (  # address, protocol, the guest's port (0: any), port
    ("169.254.169.254", 6, 0, 80), ("169.254.169.253", 17, 0, 53), ("169.254.169.253", 6, 0, 53), ("169.254.169.123", 17, 0, 123),
    ("10.7.0.2", 17, 0, 53), ("10.7.0.2", 6, 0, 53), ("10.7.1.1", 17, 68, 67), ("255.255.255.255", 17, 68, 67), ("10.7.1.2", 17, 0, 53),
)  # fmt: skip
# A test run refuses frames of IPv4, and of IPv6, that are shorter; those are sent for real in tests/netns.
LEAST = {"host_egress": 34, "host_ingress": 34, "host_services": 54}
GSO_SIZES = (0, 0, 0, 0, 536, 1200, 1448, 1480, 1600)


class Case(NamedTuple):
    program: ProgramName
    frame: bytes
    gso_size: int


class Difference(AssertionError):
    pass


def ip_packet(rng: random.Random, source: bytes, destination: bytes) -> bytes:
    protocol = rng.choice((1, 6, 17, 17, 47, rng.randrange(256)))
    payload = transport(rng, protocol) + rng.randbytes(rng.choice((0, 0, 3, 30, 120, rng.randrange(1700))))
    options = b"\x01" * (4 * rng.choice((0, 0, 0, 1, 10)))
    fragment = rng.choice((0, 0x4000, 0x4000, 0x4000, 0x2000, 0x00B9, rng.randrange(65536)))
    words = 5 + len(options) // 4
    total = words * 4 + len(payload)
    header = struct.pack("!BBHHHBBH", 0x40 | words, 0, total, 7, fragment, 64, protocol, 0) + source + destination
    whole = header + options
    return whole[:10] + struct.pack("!H", checksum(whole)) + whole[12:] + payload


def transport(rng: random.Random, protocol: int) -> bytes:
    ports = rng.randbytes(4)
    if protocol == 6:
        return ports + rng.randbytes(8) + bytes((rng.choice((0x50, 0x80, 0xF0, 0)),)) + rng.randbytes(7)
    if protocol == 1:
        return bytes((rng.choice((0, 3, 8, 11, 13)), 0)) + rng.randbytes(6)
    return ports + rng.randbytes(4)


def question(rng: random.Random) -> bytes:
    """To some service, or nearly."""
    to, protocol, client, port = rng.choice(QUESTIONS)
    if rng.random() < 0.2:
        protocol, port = rng.choice((6, 17)), rng.choice((53, 67, 80, 123))
    source = ADDRESSES[0] if rng.random() < 0.7 else rng.choice((ADDRESSES[1], bytes(4), rng.choice(ADDRESSES)))
    whole = bytearray(ip_packet(rng, source, IPv4Address(to).packed))
    whole[9] = protocol
    if rng.random() < 0.7:
        whole[6:8] = b"\x40\x00"
    at = (whole[0] & 15) * 4
    struct.pack_into("!HH", whole, at, client or rng.randrange(65536), port)
    return bytes(whole)


def instance_frame(rng: random.Random) -> bytes:
    source = plan.mac(11) if rng.random() < 0.95 else rng.choice(MACS)
    ethernet = (plan.ROUTER_MAC if rng.random() < 0.5 else rng.choice(MACS)) + source
    if rng.random() < 0.15:
        return ethernet + b"\x08\x06" + arp(rng)
    if rng.random() < 0.25:
        return ethernet + b"\x08\x00" + question(rng)
    address = ADDRESSES[0] if rng.random() < 0.8 else rng.choice(ADDRESSES)
    to = rng.choice(OUTSIDE if rng.random() < 0.2 else ADDRESSES)
    if rng.random() < 0.15:
        to = IPv4Address(rng.choice(tuple(AT_CELL))).packed
    return ethernet + b"\x08\x00" + ip_packet(rng, address, to)


def arp(rng: random.Random) -> bytes:
    sender_mac = plan.mac(11) if rng.random() < 0.9 else rng.choice(MACS)
    sender = ADDRESSES[0] if rng.random() < 0.7 else rng.choice(ADDRESSES)
    head = b"\x00\x01\x08\x00\x06\x04" + bytes((0, rng.choice((1, 1, 1, 2, 3))))
    padding = bytes(rng.choice((0, 18)))
    return head + sender_mac + sender + rng.choice(MACS) + rng.choice(ADDRESSES) + padding


def origin_option(rng: random.Random, vni: int, number: int) -> bytes:
    reserved, led_to = rng.choice((0, 0, 9)), rng.choice((0, 0, 0, 11, 14, 16, 17, 18, 32, plan.NOBODY))
    return struct.pack("!HBBIII", 0xFF52, 1, 3, number, vni << 8 | reserved, led_to)


def options(rng: random.Random, origin: bytes) -> bytes:
    if rng.random() < 0.6:
        return origin
    parts = [origin] * rng.choice((0, 1, 1, 1, 2))
    for _ in range(rng.randrange(4)):
        words = rng.randrange(5)
        kind = rng.choice((1, 2, 0x7F, 0x81, 0xFF))
        parts.append(struct.pack("!HBB", rng.choice((0xFF52, 0x0100)), kind, words | rng.choice((0, 0, 0xE0))) + bytes(words * 4))
    rng.shuffle(parts)
    return b"".join(parts)


def substrate_frame(rng: random.Random) -> bytes:
    number, source = rng.choice(OWNERS)
    origin_vni, host = PLACES[number]
    if rng.random() < 0.2:
        number = rng.choice(tuple(PLACES))
    if rng.random() < 0.1:
        origin_vni = rng.choice(VPCS)
    if rng.random() < 0.15:
        address, (number, _) = rng.choice(tuple(AT_CELL.items()))
        source, host, origin_vni = IPv4Address(address).packed, rng.choice(NODES).packed, plan.VPC
    if rng.random() < 0.15:
        number, source, host, origin_vni = 0, rng.choice(OUTSIDE), rng.choice(EDGES).packed, plan.VPC
    given = options(rng, origin_option(rng, origin_vni, number))
    carried = rng.choice(MACS) + rng.choice(MACS) + rng.choice((b"\x08\x00",) * 9 + (b"\x08\x06",))
    if rng.random() < 0.3:
        source = rng.choice(ADDRESSES)
    destination = ADDRESSES[0] if rng.random() < 0.6 else rng.choice(ADDRESSES)
    carried += ip_packet(rng, source, destination)
    vni = plan.VPC if rng.random() < 0.7 else rng.choice((origin_vni, *VPCS))
    geneve = struct.pack("!BBHI", len(given) // 4 & 0x3F, rng.choice((0, 0, 0x40)), 0x6558, vni << 8)
    inside = geneve + given + carried
    udp = struct.pack("!HHHH", rng.randrange(65536), 6081, 8 + len(inside), 0)
    host = host if rng.random() < 0.8 else rng.choice(HOSTS)
    flags = rng.choice((0x4000,) * 9 + (0x2000,))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(inside), 0, flags, 63, 17, 0) + host + HOSTS[0]
    return bytes(12) + b"\x08\x00" + head + udp + inside


def services_frame(rng: random.Random) -> bytes:
    """An answer of some service, or nearly."""
    service, protocol, port, kind, asked, client = rng.choice(ANSWERS)
    kind, asked = (rng.choice((4, 6, 7, 9)), rng.randrange(6)) if rng.random() < 0.2 else (kind, asked)
    number = 11 if rng.random() < 0.9 else rng.choice((12, rng.randrange(1 << 32)))
    guest = bytes(4) + rng.choice((*ADDRESSES[:2], bytes(4), b"\xff" * 4)) if kind == 4 else rng.randbytes(8)
    to = b"\xfd\x52" + bytes((kind, asked)) + number.to_bytes(4, "big") + guest
    ports = struct.pack("!HH", port if rng.random() < 0.9 else rng.randrange(65536), client or rng.randrange(65536))
    payload = ports + transport(rng, protocol)[4:] + rng.randbytes(rng.choice((0, 3, 30, rng.randrange(1700))))
    head = struct.pack("!IHBB", 6 << 28 | rng.getrandbits(28), len(payload), protocol, rng.randrange(256))
    macs = plan.SERVICES.host_mac + plan.SERVICES.mac
    return macs + b"\x86\xdd" + head + IPv6Address(f"fd00:ec2::{service}").packed + to + payload


def mutate(rng: random.Random, frame: bytes, least: int) -> bytes:
    """Mostly in the headers, where it hurts."""
    changed = bytearray(frame)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        position = rng.randrange(min(len(changed), rng.choice((40, 80, 140))))
        changed[position] = rng.choice(INTERESTING) if rng.random() < 0.6 else rng.randrange(256)
    if rng.random() < 0.1:
        del changed[rng.randrange(least, len(changed) + 1) :]
    if rng.random() < 0.05:
        changed += rng.randbytes(rng.randrange(1, 80))
    return bytes(changed)


FRAMES: dict[ProgramName, Callable[[random.Random], bytes]] = {
    "host_egress": instance_frame,
    "host_ingress": substrate_frame,
    "host_services": services_frame,
}


def make_case(rng: random.Random) -> Case:
    program = rng.choice(tuple(FRAMES))
    frame = FRAMES[program](rng)
    return Case(program, mutate(rng, frame, LEAST[program]), rng.choice(GSO_SIZES))


def change_world(rng: random.Random) -> model.Host:
    host = plan.host_a()
    assert host.substrate
    gateway = rng.choice((None, IPv4Address("100.64.0.1")))
    mtu = rng.choice((1700, 1566, 1565, 1300, 9216))
    host.substrate = model.Substrate(host.substrate.address, host.substrate.network, 77, mtu, gateway)
    config = plan.interface(11, rng.choice((1500, 1400, 9001)), rng.random() < 0.8)
    resolver, router_ipv6 = rng.choice((config.resolver, config.router + 1, None)), rng.choice((None, IPv6Address("2001:db8:7:1::1")))
    host.interfaces[plan.DEVICE] = replace(config, resolver=resolver, router_ipv6=router_ipv6)
    host.services = plan.SERVICES if rng.random() < 0.9 else None
    host.spent = rng.choice((0, 0, 1022, 1023, 1024))
    for key, row in host.forwarders.items():
        host.forwarders[key] = replace(row, source_check=rng.random() < 0.4)
    for key, local in host.local.items():
        host.local[key] = replace(local, source_check=rng.random() < 0.5)
    moved = rng.choice(sorted(host.mappings))
    host.mappings[moved] = replace(host.mappings[moved], host=rng.choice((plan.HOST_A, plan.HOST_B, plan.HOST_C)))
    host.peerings = {pair for pair in sorted(host.peerings) if rng.random() < 0.7}
    host.edges = EDGES[: rng.randrange(4)]
    host.edge_nodes = {edge for edge in EDGES if rng.random() < 0.8}
    host.gateways = {vni for vni in (plan.VPC, plan.PEER) if rng.random() < 0.8}
    put_cell(rng, host)
    ways = ("internet", 0), ("internet", 0), ("none", 0), ("interface", 60)
    host.routes[1, IPv4Network("0.0.0.0/0")] = model.Route(*rng.choice(ways))
    host.routes[1, IPv4Network("10.7.1.0/24")] = rng.choice(
        (model.Route("local"), model.Route("interface", 18), model.Route("interface", 11), model.Route("peer", plan.TWIN))
    )
    return host


def put_cell(rng: random.Random, host: model.Host) -> None:
    """Interfaces at a cell, most of whose nodes live."""
    for address, (number, subnet) in AT_CELL.items():
        checked = rng.random() < 0.5
        host.mappings[plan.VPC, IPv4Address(address)] = model.Place(SET, number, subnet, plan.mac(number), True, checked)
        host.forwarders[plan.VPC, number] = model.Forwarder(SET, subnet, plan.mac(number), checked, True)
    living = NODES[: rng.randrange(4)]
    others = tuple(node for node in NODES if node not in living and rng.random() < 0.5)
    host.tops = {SET: model.Tops(living, others)} if rng.random() < 0.9 else {}


def expect(host: model.Host, case: Case) -> model.Outcome:
    """A test run can not say of which type a super-packet is, and the kernel grows or shrinks none without a type."""
    wanted = model.run(host, case.program, case.frame, plan.DEVICE, gso_size=case.gso_size)
    if case.gso_size and wanted.verdict == "SENT":
        return model.Outcome("DROP_ENCAPSULATION")
    if case.gso_size and wanted.verdict == "DELIVERED" and case.program == "host_ingress":
        return model.Outcome("DROP_DECAPSULATION")
    return wanted


def show(row: Case | model.Outcome) -> str:
    frame = row.frame[:150].hex() if row.frame is not None else None
    return f"{row._replace(frame=b'') if isinstance(row, Case) else (row.verdict, row.target)} {frame}"


def compare(real: HostDataplane, host: model.Host, case: Case) -> str:
    """The verdict both agree on. Raises Difference."""
    segments = 2 if case.gso_size else 0
    context = RunContext(WhatIfMark.MARK, plan.DEVICE, segments, case.gso_size)
    result = real.test_run(case.program, case.frame, context)
    found = model.Outcome(Verdict(result.cb[0]).name, result.frame, result.cb[1])
    wanted = expect(host, case)
    if wanted.frame is None:
        found = model.Outcome(found.verdict, None, found.target)
    if found != wanted:
        raise Difference(f"{show(case)}\nprogram {show(found)}\nmodel   {show(wanted)}")
    return found.verdict


def fuzz(real: HostDataplane, packets: int, seed: int, world_every: int = 2000) -> Counter[str]:
    """How often each verdict came. Raises Difference."""
    verdicts: Counter[str] = Counter()
    rng = random.Random(seed)
    host = plan.host_a()
    for number in range(packets):
        if number % world_every == 0:
            host = change_world(rng)
            real.peerings.delete_many(plan.peering_rows(plan.host_a()))
            plan.fill(real, host)
        case = make_case(rng)
        try:
            verdicts[f"{case.program} {compare(real, host, case)}"] += 1
        except Difference as difference:
            raise Difference(f"seed {seed}, packet {number}: {difference}") from None
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packets", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    asked = parser.parse_args()
    pins = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    try:
        real = HostDataplane.open(pins, built_objects(), max_mappings=4096)
        begun = time.monotonic()
        for verdict, times in sorted(fuzz(real, asked.packets, asked.seed).items()):
            print(f"{times:9} {verdict}")
        print(f"{asked.packets} packets, seed {asked.seed}, {time.monotonic() - begun:.0f} s: no difference")
    finally:
        HostDataplane.remove_pins(pins)
    return 0


if __name__ == "__main__":
    sys.exit(main())
