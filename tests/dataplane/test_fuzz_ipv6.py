"""Thousands of IPv6 packets, whole and damaged: the programs read them as the model does."""

from __future__ import annotations

import random

import pytest

from rookery.dataplane.formats import Verdict
from rookery.dataplane.host import HostDataplane
from tests.dataplane import model_ipv6, plan, plan_ipv6
from tests.dataplane.model_ipv6 import EXTENSIONS, FRAGMENT, HOP_BY_HOP, ICMPV6, TCP, UDP
from tests.dataplane.packets_ipv6 import ipv6_from_11

UNREAD = {"DROP_TRUNCATED", "DROP_MALFORMED_IP"}
ROUNDS = 1500
NEIGHBOUR_DISCOVERY = range(133, 138)


def _extension(rng: random.Random, kind: int, following: int) -> bytes:
    if kind == FRAGMENT:
        offset = rng.choice((0, 0, 0, 1, 185)) << 3 | rng.randrange(2)
        return bytes((following, 0)) + offset.to_bytes(2, "big") + rng.randbytes(4)
    units = rng.choice((0, 0, 0, 1, 2, 40))
    return bytes((following, units)) + rng.randbytes(6 + 8 * units)


def _chain(rng: random.Random) -> list[int]:
    kinds = rng.choices(sorted(EXTENSIONS - {HOP_BY_HOP}), k=rng.choice((0, 0, 1, 2, 3, 7, 8, 9)))
    if rng.random() < 0.3:
        kinds.insert(0 if rng.random() < 0.7 else len(kinds), HOP_BY_HOP)
    return kinds


def packet(rng: random.Random) -> bytes:
    """From instance 11 to 12; nothing says that it is well formed."""
    protocol = rng.choice((TCP, UDP, ICMPV6, 1, 59, 132))
    kinds = [*_chain(rng), protocol]
    body = b"".join(_extension(rng, kind, kinds[n + 1]) for n, kind in enumerate(kinds[:-1]))
    body += rng.randbytes(rng.choice((0, 4, 7, 8, 19, 20, 64)))
    head = bytearray(bytes(ipv6_from_11())[:54])
    head[18:20], head[20] = len(body).to_bytes(2, "big"), kinds[0]
    return bytes(head) + body


def damaged(rng: random.Random, frame: bytes) -> bytes:
    harm = rng.randrange(4)
    if harm == 0:
        return frame
    if harm == 1:
        return frame[: rng.randint(54, len(frame))]
    if harm == 2:
        return frame + rng.randbytes(rng.randint(1, 20))
    at = rng.choice((*range(18, 21), *range(54, len(frame)))) if len(frame) > 54 else 20
    return frame[:at] + rng.randbytes(1) + frame[at + 1 :]


@pytest.mark.parametrize("seed", range(4))
def test_the_programs_read_ipv6_as_the_model_does(host_a: HostDataplane, seed: int) -> None:
    plan_ipv6.fill(host_a, {11: plan.DEVICE})
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        frame = damaged(rng, packet(rng))
        outcome = host_a.what_if("host_egress", frame, plan.DEVICE, 5)
        assert _told(outcome.verdict, outcome.events[-1]) == _expected(frame), frame.hex()


def _told(verdict: Verdict, event: object) -> tuple[object, ...]:
    if verdict.name in UNREAD:
        return (verdict.name,)
    fields = ("source", "destination", "protocol", "source_port", "destination_port")
    discovery = verdict in (Verdict.DROP_MALFORMED_NEIGHBOUR, Verdict.DROP_NEIGHBOUR_UNANSWERED)
    return (discovery, *(getattr(event, field) for field in fields))


def _expected(frame: bytes) -> tuple[object, ...]:
    try:
        read = model_ipv6.read(frame)
    except model_ipv6.Unreadable as reason:
        return (str(reason),)
    discovery = read.icmp_type in NEIGHBOUR_DISCOVERY
    ports = (read.source_port, read.destination_port)
    return (discovery, str(read.source), str(read.destination), read.protocol, *ports)
