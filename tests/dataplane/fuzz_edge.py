"""Random and mutated packets through an edge's programs and the model: same verdict, same bytes, same device (fuzz.py).

    PYTHONPATH=src:. python -m tests.dataplane.fuzz_edge 1000000 [--seed N] [--build xdp]"""

from __future__ import annotations

import argparse
import random
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

from rookery.dataplane.formats import UplinkFlag, Verdict, VpcNumber, WhatIfMark
from rookery.dataplane.syscall import RunContext
from tests.dataplane import edges, model, model_edge, plan, plan_edge
from tests.dataplane.edges import Edge
from tests.dataplane.fuzz import (
    ADDRESSES,
    HOSTS,
    NODES,
    OUTSIDE,
    OWNERS,
    PLACES,
    SET,
    Difference,
    ip_packet,
    mutate,
    options,
    origin_option,
)
from tests.dataplane.namespaces import inside
from tests.dataplane.packets_edge import GENEVE_PORT

PUBLIC = [IPv4Address(a).packed for a in (*plan_edge.PUBLIC.values(), "203.0.113.99")]
OWN = [IPv4Address(a).packed for a in (plan_edge.UPLINK, "100.127.0.255", "100.64.1.20", "224.0.0.5", "169.254.0.1", "255.255.255.255")]
PASSED = 2  # XDP_PASS
PROGRAMS = ("blackfoot_outward", "blackfoot_inward")


def error_about(rng: random.Random, quoted_source: bytes, quoted_destination: bytes) -> bytes:
    """An ICMP message that quotes a packet, or as much of it as is left."""
    quoted = ip_packet(rng, quoted_source, quoted_destination)
    return bytes((rng.choice((3, 11, 12, 5, 8)), 0)) + rng.randbytes(6) + quoted[: rng.choice((0, 19, 28, 60, len(quoted)))]


def with_payload(rng: random.Random, source: bytes, destination: bytes, payload: bytes) -> bytes:
    whole = bytearray(ip_packet(rng, source, destination))
    header = (whole[0] & 15) * 4
    whole[header:] = payload
    whole[9] = 1
    struct.pack_into("!H", whole, 2, len(whole))
    return bytes(whole)


def inner_packet(rng: random.Random, source: bytes, destination: bytes) -> bytes:
    """Rarer transports, and errors about what came the other way."""
    if rng.random() < 0.25:
        quoted = (rng.choice((destination, *PUBLIC)), rng.choice((source, *PUBLIC, *ADDRESSES[:4])))
        return with_payload(rng, source, destination, error_about(rng, *quoted))
    whole = bytearray(ip_packet(rng, source, destination))
    if rng.random() < 0.1:
        whole[9] = rng.choice((33, 132, 136))
    return bytes(whole)


def outward_frame(rng: random.Random) -> bytes:
    number, source = rng.choice(OWNERS[:5]) if rng.random() < 0.8 else rng.choice(OWNERS)
    vni, host = PLACES[number]
    if rng.random() < 0.1:
        number = rng.choice((0, *PLACES))
    given = options(rng, origin_option(rng, vni if rng.random() < 0.95 else plan.PEER, number))
    to = rng.choice(rng.choice((OUTSIDE, OUTSIDE[:3], PUBLIC, PUBLIC, ADDRESSES, OWN)))
    carried = plan.ROUTER_MAC + plan.mac(11) + b"\x08\x00" + inner_packet(rng, source, to)
    inside_it = struct.pack("!BBHI", len(given) // 4 & 0x3F, 0, 0x6558, vni << 8) + given + carried
    if rng.random() < 0.1:
        inside_it = bytes.fromhex("0080655800000000") + rng.randbytes(16)
    ports = rng.choice((GENEVE_PORT, rng.randrange(65536))), GENEVE_PORT
    udp = struct.pack("!HHHH", *ports, 8 + len(inside_it), rng.choice((0, 0, 0, 0, 7)))
    host = host if rng.random() < 0.9 else rng.choice((*HOSTS, plan_edge.EDGE_1.packed, plan_edge.EDGE_2.packed))
    if rng.random() < 0.2:
        host = rng.choice(NODES).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(inside_it), 0, 0x4000, 63, 17, 0) + host + plan_edge.EDGE_1.packed
    return bytes(12) + b"\x08\x00" + head + udp + inside_it


def inward_frame(rng: random.Random) -> bytes:
    source = rng.choice(OUTSIDE[:5]) if rng.random() < 0.7 else rng.choice((*OUTSIDE, *PUBLIC, *HOSTS, *OWN))
    to = rng.choice(PUBLIC) if rng.random() < 0.8 else rng.choice((*OWN, *OUTSIDE, *HOSTS))
    kind = b"\x08\x00" if rng.random() < 0.97 else rng.choice((b"\x08\x06", b"\x81\x00", b"\x00\x40"))
    return bytes(6) + rng.randbytes(6) + kind + inner_packet(rng, source, to)


FRAMES: dict[str, Callable[[random.Random], bytes]] = {"blackfoot_outward": outward_frame, "blackfoot_inward": inward_frame}


def change_world(rng: random.Random, edge: Edge) -> model_edge.Edge:
    """Of the plan, with what a random hand changed; the real one too."""
    edge.restore()
    host = plan_edge.edge_tables(edge.address, edge.substrate)
    assert host.substrate
    gateway = rng.choice((None, IPv4Address("100.64.0.1")))
    host.substrate = model.Substrate(host.substrate.address, host.substrate.network, edge.substrate, rng.choice((1700, 1500)), gateway)
    moved = rng.choice(sorted(host.mappings))
    host.mappings[moved] = replace(host.mappings[moved], host=rng.choice((plan.HOST_B, plan.HOST_C, plan.FAR_HOST)))
    if rng.random() < 0.7:
        at_cell = rng.choice(sorted(plan_edge.PUBLIC))
        key = at_cell[0], IPv4Address(at_cell[1])
        host.mappings[key] = replace(host.mappings[key], host=SET, at_cell=True)
    living = rng.randrange(4)
    host.tops = {SET: model.Tops(NODES[:living], NODES[living : living + rng.randrange(2)])}
    host.gateways = {vni for vni in plan_edge.GATEWAYS if rng.random() < 0.9}
    publics = {IPv4Address(public): (vni, IPv4Address(private)) for (vni, private), public in plan_edge.PUBLIC.items()}
    own = {IPv4Address(plan_edge.UPLINK), IPv4Address("100.127.0.255")}
    uplink, closing = rng.choice((0, edge.uplink, edge.uplink, edge.uplink)), rng.random() < 0.2
    wanted = model_edge.Edge(host, publics, uplink, rng.choice((1500, 1400)), closing, own)
    _apply(edge, wanted)
    return wanted


def _apply(edge: Edge, wanted: model_edge.Edge) -> None:
    assert wanted.host.substrate
    edge.real.configure_substrate(plan.substrate_row(wanted.host.substrate))
    edge.real.mappings.put_many(plan.mapping_rows(wanted.host))
    plan.fill_tops(edge.real, wanted.host)
    edge.real.gateways.delete_many([VpcNumber(vni) for vni in plan_edge.GATEWAYS.keys() - wanted.host.gateways])
    row = edge.real.uplink._replace(ifindex=wanted.uplink, mtu=wanted.uplink_mtu, flags=UplinkFlag.CLOSING if wanted.closing else 0)
    edge.real.configure_uplink(row)


def ends(edge: Edge, wanted: model_edge.Edge, outcome: model.Outcome) -> bytes:
    """Between whom XDP sends what the model leaves to the kernel."""
    assert outcome.frame and wanted.host.substrate
    to = IPv4Address(outcome.frame[30:34])
    if outcome.target == edge.uplink:
        return bytes(edge.ends_to(plan_edge.ROUTER))[:12]
    return bytes(edge.ends_to(str(to if to in wanted.host.substrate.network else wanted.host.substrate.gateway)))[:12]


def compare(edge: Edge, wanted: model_edge.Edge, program: str, frame: bytes) -> str:
    """The verdict both agree on. Raises Difference. In the edge's namespace."""
    result = edge.run(program, frame, WhatIfMark.MARK)
    by_xdp = edge.xdp and result.cb[0] != Verdict.DEFERRED
    if edge.xdp and not by_xdp:
        if (result.action, result.frame) != (PASSED, frame):
            raise Difference(f"{program} {frame.hex()}\ndeferred, but changed: {result}")
        device = edge.substrate if program == PROGRAMS[0] else edge.uplink
        result = edge.real.test_run(program, frame, RunContext(WhatIfMark.MARK, device))
    found = model.Outcome(Verdict(result.cb[0]).name, result.frame, result.cb[1])
    expected = model_edge.run(wanted, program, frame)
    if by_xdp and expected.frame is not None:
        expected = replace(expected, frame=ends(edge, wanted, expected) + expected.frame[12:])
    if expected.frame is None:
        found = model.Outcome(found.verdict, None, found.target)
    if found != expected:
        raise Difference(f"{program} {frame.hex()}\nprogram {found}\nmodel   {expected}")
    return found.verdict


def fuzz(edge: Edge, packets: int, seed: int, world_every: int = 2000) -> Counter[str]:
    """How often each verdict came. Raises Difference."""
    rng, verdicts = random.Random(seed), Counter[str]()

    def work() -> None:
        for number in range(packets):
            if number % world_every == 0:
                wanted = change_world(rng, edge)
            program = rng.choice(PROGRAMS)
            frame = mutate(rng, FRAMES[program](rng), 34)
            try:
                verdicts[f"{program} {compare(edge, wanted, program, frame)}"] += 1
            except Difference as difference:
                raise Difference(f"seed {seed}, packet {number}: {difference}") from None

    inside(edge.namespace, work)
    return verdicts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packets", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--build", choices=("tc", "xdp"), default="tc")
    asked = parser.parse_args()
    begun = time.monotonic()
    with edges.edge(build=asked.build) as edge:
        for verdict, times in sorted(fuzz(edge, asked.packets, asked.seed).items()):
            print(f"{times:9} {verdict}")
    print(f"{asked.packets} packets, seed {asked.seed}, {time.monotonic() - begun:.0f} s: no difference")


if __name__ == "__main__":
    main()
