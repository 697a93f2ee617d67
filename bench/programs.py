"""Nanoseconds a packet of each program, by BPF_PROG_TEST_RUN, net of a program that does nothing.

    PYTHONPATH=src python -m bench.programs [--json] [--runs 4000] [--large 1000000]

"talking": how many of the mapped addresses take part. 1,000 are a busy host; when each of a million packets goes to another
address, every one pays for memory that no cache holds. Medians of single runs in interleaved rounds: a run changes its packet,
so none is repeated in the kernel. Nothing is sent, and nothing is left behind."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import statistics
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from rookery.dataplane import formats, syscall
from rookery.dataplane.addresses import address_bytes, substrate_bytes
from rookery.dataplane.formats import Ifindex
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.syscall import Buffer, RunContext

OBJECTS = Path(__file__).resolve().parents[1] / "build" / "bpf"
DEVICE, VPC, SMALL, ROUNDS = 1, 7, 1000, 4
HERE, THERE = "100.64.1.10", "100.64.1.11"
OWN_MAC, PEER_MAC, ROUTER_MAC = (bytes((2, 0, 0, 0, 0, n)) for n in (5, 6, 1))
OWN = bytes((10, 0, 0, 5))
RETURN_ZERO = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)
TARGETS = {"host_egress": 800, "host_ingress": 400}


def null_program() -> int:
    """A descriptor."""
    code, license_name = Buffer(RETURN_ZERO), Buffer(b"GPL\0")
    attribute = struct.pack("=IIQQ", 3, 2, code.address, license_name.address)
    return syscall.call(5, bytearray(attribute.ljust(syscall.ATTRIBUTE_BYTES, b"\0")))


def peer(number: int) -> bytes:
    return (0x0A010000 + number).to_bytes(4, "big")


def udp_packet(source: bytes, destination: bytes) -> bytes:
    payload = b"x" * 64
    udp = struct.pack("!HHHH", 1111, 2222, 8 + len(payload), 0)
    total = 20 + len(udp) + len(payload)
    return (
        struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0x4000, 64, 17, 0, source, destination)
        + udp
        + payload
    )


def leaving(number: int) -> bytes:
    return ROUTER_MAC + OWN_MAC + b"\x08\x00" + udp_packet(OWN, peer(number))


def arriving(number: int) -> bytes:
    inner = OWN_MAC + PEER_MAC + b"\x08\x00" + udp_packet(peer(number), OWN)
    geneve = struct.pack("!BBHI", 4, 0, 0x6558, VPC << 8) + struct.pack("!HBBIII", 0xFF52, 1, 3, 6, VPC << 8, 0)
    udp = struct.pack("!HHHH", 50000, 6081, 8 + len(geneve) + len(inner), 0)
    ends = substrate_bytes(THERE), substrate_bytes(HERE)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp + geneve + inner), 0, 0x4000, 64, 17, 0, *ends)
    return bytes(12) + b"\x08\x00" + head + udp + geneve + inner


def arp_question(_number: int) -> bytes:
    arp = b"\x00\x01\x08\x00\x06\x04\x00\x01" + OWN_MAC + OWN + bytes(6) + bytes((10, 0, 0, 1))
    return b"\xff" * 6 + OWN_MAC + b"\x08\x06" + arp


def configure(real: HostDataplane) -> None:
    network = substrate_bytes("100.64.0.0"), substrate_bytes("255.255.0.0"), bytes(4)
    real.configure_substrate(formats.SubstrateConfig(substrate_bytes(HERE), *network, ifindex=2, mtu=1700))
    ends = address_bytes("10.0.0.1"), bytes(16), address_bytes("10.0.0.5"), OWN_MAC, ROUTER_MAC
    gates = formats.Gates(policy=0, acl=0, tcp_established=432_000, udp_stream=180, udp=30, padding=0)
    real.reserve_counters(DEVICE)
    real.interfaces.put_many({Ifindex(DEVICE): formats.InterfaceConfig(VPC, 5, 1, 1, *ends, 1500, 1, *gates)})
    local = formats.LocalInterface(DEVICE, 1500, 1, OWN_MAC, ROUTER_MAC, 1, *gates)
    real.local_interfaces.put_many({formats.LocalInterfaceKey(VPC, 5): local})
    route = formats.RouteKey(32 + 96 + 8, 1, address_bytes("10.0.0.0"))
    real.routes.put_many({route: formats.Route(formats.RouteKind.LOCAL, 0)})
    own = formats.Mapping(substrate_bytes(HERE), 5, 1, OWN_MAC, 1, 1, 0, 1, group_set=0)
    real.mappings.put_many({formats.MappingKey(VPC, address_bytes("10.0.0.5")): own})


def map_peers(real: HostDataplane, first: int, last: int) -> None:
    place = formats.Mapping(substrate_bytes(THERE), 6, 2, PEER_MAC, 1, 1, 0, 1, group_set=0)
    prefix = address_bytes("0.0.0.0")[:12]
    real.mappings.put_many({formats.MappingKey(VPC, prefix + peer(n)): place for n in range(first, last)})


def timed(descriptor: int, make: Callable[[int], bytes], talking: int, runs: int) -> list[int]:
    """Everything is made before the first run, so that next to nothing but the kernel's own work lies between two."""
    context = RunContext(ifindex=DEVICE)
    prepared = [
        syscall.PreparedRun(descriptor, make(random.randrange(talking)), context) for _ in range(runs)
    ]
    for one in prepared:
        one.run()
    return [one.nanoseconds for one in prepared]


def measure(real: HostDataplane, talking: int, runs: int) -> dict[str, float]:
    """Median nanoseconds, net."""
    egress, ingress = (real.program_fd(name) for name in ("host_egress", "host_ingress"))
    null = null_program()
    subjects = {"null": (null, leaving), "arp": (egress, arp_question),
                "host_egress": (egress, leaving), "host_ingress": (ingress, arriving)}  # fmt: skip
    found: dict[str, list[int]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, (descriptor, make) in subjects.items():
            found[name] += timed(descriptor, make, talking, runs // ROUNDS)
    medians = {name: statistics.median(times) for name, times in found.items()}
    return {name: medians[name] - medians["null"] for name in medians if name != "null"}


def measure_all(runs: int, large: int) -> list[dict[str, object]]:
    pins = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    try:
        real = HostDataplane.open(pins, OBJECTS, large + 1024)
        configure(real)
        map_peers(real, 0, SMALL)
        cases = [(SMALL, SMALL, measure(real, SMALL, runs))]
        for first in range(SMALL, large, 100_000):
            map_peers(real, first, min(first + 100_000, large))
        cases += [(large, talking, measure(real, talking, runs)) for talking in (SMALL, large)]
        real.close()
    finally:
        HostDataplane.remove_pins(pins)
    return [
        {
            "program": name,
            "mappings": mappings,
            "talking": talking,
            "nanoseconds": ns,
            "target": TARGETS.get(name),
        }
        for mappings, talking, found in cases
        for name, ns in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=4000, help="of each program")
    parser.add_argument("--large", type=int, default=1_000_000, help="mappings in the large case")
    asked = parser.parse_args()
    rows = measure_all(asked.runs, asked.large)
    if asked.json:
        json.dump({"unit": "nanoseconds a packet, net of a null program", "rows": rows}, sys.stdout, indent=1)
        print()
        return
    print(f"{'program':14}{'mappings':>10}{'talking':>10}{'ns':>8}{'target':>8}")
    for row in rows:
        where = f"{row['program']:14}{row['mappings']:>10}{row['talking']:>10}"
        print(f"{where}{row['nanoseconds']:>8.0f}{row['target'] or '-':>8}")


if __name__ == "__main__":
    main()
