"""A host lies on the substrate: none of it is delivered, each lie is counted under its reason and raises an alarm at once.

host-1 red-1 10.0.1.10            host-2 red-2 10.0.2.10, the victim        red: a VPC; blue: another with the same block
host-3 blue-1 10.0.1.20, the liar: root in the host's namespace, with a raw socket
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from rookery.host.control import GetStatus, StatusReply
from rookery.host.instances.namespace import inside
from rookery.model.objects import NetworkInterface
from rookery.region import agents, directory
from rookery.region.layout import Layout
from rookery.tour import twins
from rookery.tour.forgery import GENEVE_PORT, forge, ping_frame
from tests.faults.harm import until

pytestmark = pytest.mark.faults

NOBODYS_VNI = 0xFFFFFE
GENEVE, ORIGIN = 8, 16  # bytes of the headers
CRITICAL = struct.pack("!HBB", 0xFF52, 0x85, 0)  # RFC 8926, 3.5: the high bit of the type
HARMLESS = struct.pack("!HBB", 0x0102, 0x05, 0)


class Stage(NamedTuple):
    plan: Layout
    red: int  # VNI
    blue: int
    red_1: NetworkInterface
    red_2: NetworkInterface
    blue_1: NetworkInterface
    victim: str  # name of red-2's host
    liar: str  # of blue-1's

    def honest(self, vni: int | None = None, source: NetworkInterface | None = None) -> bytes:
        """What a host would send: Geneve, the option, a ping of `source` to red-2."""
        one = source or self.red_1
        inner = ping_frame(one.mac, self.red_2.mac, one.primary, self.red_2.primary)
        return forge(self.red if vni is None else vni, one.number, inner)


@pytest.fixture(scope="module")
def stage(region: Any) -> Stage:
    twins.set_up(region.name)
    plan = Layout(region.name)
    known = directory.read(plan)
    instances = {name: known.instance(name) for name in ("red-1", "red-2", "blue-1")}
    interfaces = [known.interface(one.interface_ids[0]) for one in instances.values()]
    vnis = (known.vpc("red").vni, known.vpc("blue").vni)
    return Stage(plan, *vnis, *interfaces, instances["red-2"].host, instances["blue-1"].host)


def udp(payload: bytes, checksum: int = 0) -> bytes:
    return struct.pack("!HHHH", 50000, GENEVE_PORT, 8 + len(payload), checksum) + payload


def send(stage: Stage, datagram: bytes, fragment: int = 0) -> None:
    """From the liar's own address; the kernel fills in what is 0 (raw(7))."""
    known = directory.read(stage.plan)
    source, destination = known.host(stage.liar).address, known.host(stage.victim).address
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 7, fragment, 64, socket.IPPROTO_UDP, 0) + addresses
    with inside(stage.plan.host_namespace(stage.liar)):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        raw.sendto(header + datagram, (destination, 0))


def with_options(stage: Stage, options: bytes) -> bytes:
    """Instead of the one that hosts send."""
    honest = stage.honest()
    return bytes([len(options) // 4]) + honest[1:GENEVE] + options + honest[GENEVE + ORIGIN :]


def with_byte(stage: Stage, offset: int, value: int) -> bytes:
    honest = bytearray(stage.honest())
    honest[offset] = value
    return bytes(honest)


def origin(stage: Stage) -> bytes:
    return stage.honest()[GENEVE : GENEVE + ORIGIN]


Lie = Callable[[Stage], bytes]
LIES: dict[str, tuple[Lie, str]] = {
    "of another host's instance": (lambda s: s.honest(), "drop_source_not_at_host"),
    "in a VPC that nobody has": (lambda s: s.honest(vni=NOBODYS_VNI), "drop_source_not_mapped"),
    "of its own instance, in another's VPC": (lambda s: s.honest(source=s.blue_1), "drop_source_not_mapped"),
    "in a VPC that the victim's host does not hold": (
        lambda s: s.honest(vni=s.blue, source=s.blue_1),
        "drop_source_not_mapped",
    ),
    "cut in the Geneve header": (lambda s: s.honest()[:5], "drop_truncated"),
    "cut in the options": (lambda s: s.honest()[: GENEVE + 6], "drop_truncated"),
    "cut in the inner Ethernet header": (lambda s: s.honest()[: GENEVE + ORIGIN + 9], "drop_truncated"),
    "cut in the inner IP header": (lambda s: s.honest()[: GENEVE + ORIGIN + 14 + 11], "drop_truncated"),
    "without a word of who sends": (lambda s: with_options(s, b""), "drop_malformed_geneve"),
    "with two words of who sends": (lambda s: with_options(s, origin(s) * 2), "drop_malformed_geneve"),
    "with an option longer than all": (
        lambda s: with_options(s, HARMLESS[:3] + b"\x1f"),
        "drop_malformed_geneve",
    ),
    "with an option that must be understood": (
        lambda s: with_options(s, CRITICAL + origin(s)),
        "drop_unknown_option",
    ),
    "with an option that need not be understood": (
        lambda s: with_options(s, HARMLESS + origin(s)),
        "drop_source_not_at_host",
    ),
    "of a Geneve to come": (lambda s: with_byte(s, 0, 0x40 | 3), "drop_malformed_geneve"),
    "that asks for control": (lambda s: with_byte(s, 1, 0x80), "drop_malformed_geneve"),
    "that holds no Ethernet": (lambda s: with_byte(s, 2, 0x08), "drop_malformed_geneve"),
    "of inner IPv6": (lambda s: with_byte(s, GENEVE + ORIGIN + 12, 0x86), "drop_not_ip"),
    "of an inner IP of version 5": (lambda s: with_byte(s, GENEVE + ORIGIN + 14, 0x55), "drop_malformed_ip"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_packet(stage: Stage, lie: str):
    make, reason = LIES[lie]
    dropped(stage, udp(make(stage)), reason)


def test_a_fragment_and_a_checksum_are_no_hosts(stage: Stage):
    dropped(stage, udp(stage.honest(), checksum=0x1234), "drop_malformed_geneve")
    dropped(stage, udp(stage.honest()), "drop_malformed_geneve", fragment=0x2000)


def dropped(stage: Stage, datagram: bytes, reason: str, fragment: int = 0) -> None:
    """Nothing else is counted at the victim, and the alarm is there within a second."""
    before = status(stage)
    sent = time.monotonic()
    send(stage, datagram, fragment)
    until(lambda: alarms(status(stage), reason) > alarms(before, reason), f"an alarm of {reason}", within=1.0)
    assert time.monotonic() - sent < 1.0
    was = counted(before)
    assert counted(status(stage)) == was | {reason: was.get(reason, 0) + 1}


def status(stage: Stage) -> StatusReply:
    return agents.ask(stage.plan.control_socket(stage.victim), GetStatus(), StatusReply)


def counted(told: StatusReply) -> dict[str, int]:
    """Without what is the host's own: its connection to the mapping service."""
    return {verdict: row["packets"] for verdict, row in told.counters.items() if verdict != "not_ours"}


def alarms(told: StatusReply, reason: str) -> int:
    """Packets that the alarms of this reason speak of."""
    found = (re.match(rf"{reason} at u0: (\d+) packets", alarm) for alarm in told.alarms)
    return sum(int(match[1]) for match in found if match)
