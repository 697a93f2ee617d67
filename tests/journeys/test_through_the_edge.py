"""Out of a VPC and back in: bytes out of a host into an edge, out to the internet, and the other way. All in one process.

Addresses: tests/dataplane/plan_edge.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rookery.dataplane.formats import Verdict
from tests.dataplane.edges import Region, region
from tests.dataplane.packets import IP, ROUTER, UDP, Ether, mac_text
from tests.dataplane.plan_edge import SERVER


@pytest.fixture
def whole() -> Iterator[Region]:
    with region() as made:
        yield made


def test_an_instance_is_seen_outside_by_its_public_address(whole: Region) -> None:
    asked = IP(src="10.7.1.5", dst=SERVER, flags="DF") / UDP(sport=1111, dport=53) / b"penguin"
    left = whole.leave(11, asked)
    assert left.verdict is Verdict.SENT
    out = whole.edge.outward(left.frame)
    print(out.verdict, [e.step.name for e in out.events])
    assert out.verdict is Verdict.SENT
    seen = IP(src="203.0.113.5", dst=SERVER, flags="DF") / UDP(sport=1111, dport=53) / b"penguin"
    assert out.frame[14:] == bytes(seen)


def test_an_answer_from_outside_reaches_the_instance(whole: Region) -> None:
    answer = IP(src=SERVER, dst="203.0.113.6", flags="DF") / UDP(sport=53, dport=1111) / b"fish"
    wire = whole.edge.inward(answer)
    print(wire.verdict, [e.step.name for e in wire.events])
    assert wire.verdict is Verdict.SENT
    came = whole.arrive(wire.frame)
    print(came.verdict, [e.step.name for e in came.events])
    assert came.verdict is Verdict.DELIVERED
    told = IP(src=SERVER, dst="10.7.1.6", flags="DF") / UDP(sport=53, dport=1111) / b"fish"
    assert came.frame == bytes(Ether(src=ROUTER, dst=mac_text(12)) / told)
