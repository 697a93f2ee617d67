"""Later fragments carry no ports: they go the way of their first one, at each gate.

    instance 11 (10.7.1.5) -- gate -- [host A] -- substrate -- host B with 12 (10.7.1.6)
                                         +------- gate -- instance 14 (10.7.1.8)
"""

from __future__ import annotations

import pytest
from scapy.packet import Raw

from rookery.dataplane.formats import Direction
from tests.dataplane.gated import LOCAL, POLICY, Gated, incoming, outgoing, tcp, udp
from tests.dataplane.packets import ICMP
from tests.dataplane.rule_rows import GRE, TCP, UDP, into, out

PAYLOAD = Raw(b"x" * 64)
FIRST = {"flags": "MF", "id": 700}
LATER = {"flags": 0, "frag": 9, "id": 700}


def test_a_later_fragment_is_judged_by_the_ports_of_the_first(gated: Gated) -> None:
    gated.policy(out(UDP, 53))
    assert gated.all_pass([outgoing(udp(5000, 53) / PAYLOAD, **FIRST), outgoing(PAYLOAD, proto=UDP, **LATER)])
    assert gated.ask(outgoing(PAYLOAD, proto=UDP, **LATER)).events[-1].destination_port == 53
    assert not gated.passes(outgoing(udp(5000, 54) / PAYLOAD, flags="MF", id=701))
    assert gated.verdict(outgoing(PAYLOAD, proto=UDP, frag=9, flags=0, id=701)) == "DROP_SECURITY_GROUP_EGRESS"


def test_a_later_fragment_of_a_tracked_flow_comes_in(gated: Gated) -> None:
    gated.policy(out())
    assert gated.passes(outgoing(udp(5000, 53)))
    assert gated.all_pass([incoming(udp(53, 5000) / PAYLOAD, **FIRST), incoming(PAYLOAD, proto=UDP, **LATER)])


@pytest.mark.parametrize("packet", [outgoing, incoming])
@pytest.mark.parametrize("protocol", [1, TCP, UDP])
def test_a_fragment_whose_first_one_nobody_saw_is_dropped(gated: Gated, packet: object, protocol: int) -> None:
    assert gated.verdict(packet(PAYLOAD, proto=protocol, **LATER)) == "DROP_UNKNOWN_FRAGMENT"  # type: ignore[operator]


@pytest.mark.parametrize("other", [{"id": 701}, {"proto": TCP}, {"src": "10.7.1.50"}])
def test_a_fragment_of_another_packet_is_another(gated: Gated, other: dict[str, object]) -> None:
    assert gated.passes(outgoing(udp(5000, 53) / PAYLOAD, **FIRST))
    assert gated.verdict(outgoing(PAYLOAD, **{"proto": UDP, **LATER, **other})) == "DROP_UNKNOWN_FRAGMENT"


def test_one_gates_fragments_are_not_the_others(gated: Gated) -> None:
    assert gated.passes(outgoing(udp(5000, 53) / PAYLOAD, **FIRST))
    assert gated.verdict(incoming(PAYLOAD, proto=UDP, **LATER)) == "DROP_UNKNOWN_FRAGMENT"


def test_both_gates_of_one_host_follow_the_first_fragment(gated: Gated) -> None:
    gated.local_gates(14, policy=POLICY)
    gated.policy(into(UDP, 53), out())
    later = outgoing(PAYLOAD, to=LOCAL, proto=UDP, **LATER)
    assert gated.passes(outgoing(udp(5000, 53) / PAYLOAD, to=LOCAL, **FIRST))
    assert gated.verdict(later) == "DELIVERED"
    assert {key.direction for key, _ in gated.real.fragments.items()} == {Direction.EGRESS, Direction.INGRESS}


def test_a_large_ping_is_one_flow(gated: Gated) -> None:
    gated.policy(out(1, 8 << 8))
    assert gated.all_pass([outgoing(ICMP(type=8, id=7) / PAYLOAD, **FIRST), outgoing(PAYLOAD, proto=1, **LATER)])
    assert gated.all_pass([incoming(ICMP(type=0, id=7) / PAYLOAD, **FIRST), incoming(PAYLOAD, proto=1, **LATER)])
    assert len(gated.connections) == 1


def test_what_has_no_ports_needs_no_first_fragment(gated: Gated) -> None:
    assert gated.passes(outgoing(PAYLOAD, proto=GRE, **LATER))


def test_a_first_fragment_must_hold_the_transport_header(gated: Gated) -> None:
    """RFC 1858: what is cut within it hides its ports from whoever judges."""
    tiny = bytes(tcp(1, 22, "S"))[:8]
    assert gated.verdict(outgoing(Raw(tiny), proto=TCP, **FIRST)) == "DROP_TRUNCATED"


def test_a_first_fragment_that_was_seen_long_ago_is_forgotten(gated: Gated) -> None:
    assert gated.passes(outgoing(udp(5000, 53) / PAYLOAD, **FIRST))
    rows = dict(gated.real.fragments.items())
    gated.real.fragments.put_many({key: row._replace(seen=row.seen - 32) for key, row in rows.items()})
    assert gated.verdict(outgoing(PAYLOAD, proto=UDP, **LATER)) == "DROP_UNKNOWN_FRAGMENT"


def test_a_what_if_keeps_no_fragment(gated: Gated) -> None:
    assert gated.verdict(outgoing(udp(5000, 53) / PAYLOAD, **FIRST)) == "SENT"
    assert list(gated.real.fragments.items()) == []


def test_a_later_fragment_opens_no_connection_of_tcp(gated: Gated) -> None:
    gated.policy(out())
    assert gated.all_pass([outgoing(tcp(1, 22, "A") / PAYLOAD, **FIRST), outgoing(PAYLOAD, proto=TCP, **LATER)])
    assert gated.connections == {}
