"""What a node counts for its report, and when it has nothing to sweep."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    Allowance,
    CounterKey,
    FlowSweepOutcome,
    LeavingKey,
    TenantNumber,
    Traffic,
    Verdict,
)
from rookery.hyperplane.load import LoadMeter, fullest
from rookery.hyperplane.report import LeavingAddress, Share
from rookery.hyperplane.rows import tenant_number
from tests.hyperplane.fake_tables import FakeTable
from tests.hyperplane.files import attachment, file

ACCOUNT = "123456789012"
MINE = TenantNumber(tenant_number(ACCOUNT))


class Node:
    def __init__(self) -> None:
        self.tenants = FakeTable()
        self.counted: dict[Verdict, int] = {}
        self.sweeps: list[set[LeavingKey]] = []
        self.found = FlowSweepOutcome(0, 0, 0, 0, 0)
        self.left: dict[LeavingKey, int] = {}

    def counters_of(self, ifindex: int) -> dict[CounterKey, Traffic]:
        return {CounterKey(ifindex, verdict): Traffic(packets, 0) for verdict, packets in self.counted.items()} if ifindex == 7 else {}

    def sweep_flows(self, leaving: Iterable[LeavingKey]) -> tuple[FlowSweepOutcome, dict[LeavingKey, int]]:
        self.sweeps.append(set(leaving))
        return self.found, {key: self.left.get(key, 0) for key in self.sweeps[-1]}


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def meter(node: Node, now: list[float]) -> LoadMeter:
    return LoadMeter(node, 7, clock=lambda: now[0])


def leaving_file(*addresses: str):
    base = file(attachments=1)
    gone = attachment(1, draining_addresses=addresses)
    return msgspec.structs.replace(base, intent=msgspec.structs.replace(base.intent, attachments=(gone,)))


def test_packets_are_those_that_were_sent_on_and_their_rate_is_since_the_last_look(node: Node, meter: LoadMeter, now: list[float]):
    node.counted = {Verdict.SENT: 50, Verdict.ANSWERED: 900, Verdict.DROP_NO_FLOW: 3, Verdict.DROP_NO_TARGET: 4}
    first = meter.look(None)
    assert (first.packets, first.dropped, first.rate) == (50, 7, 0.0)
    node.counted[Verdict.SENT], now[0] = 250, 102.0
    assert meter.look(None).rate == 100.0


def test_the_fullest_share_is_by_its_room_and_not_by_its_flows():
    other = TenantNumber(tenant_number("210987654321"))
    shares = {TenantNumber(0): Allowance(0, 5), MINE: Allowance(30, 1000), other: Allowance(20, 100)}
    assert fullest(shares, file(attachments=1)) == Share(account=f"number {other.tenant:#010x}", flows=20, allowed=100)
    assert fullest({MINE: Allowance(30, 1000)}, file(attachments=1)) == Share(account=ACCOUNT, flows=30, allowed=1000)
    assert fullest({TenantNumber(0): Allowance(0, 5), MINE: Allowance(0, 9)}, None) is None


def test_a_node_that_holds_nothing_and_sends_nothing_sweeps_nothing(node: Node, meter: LoadMeter):
    for _ in range(3):
        meter.sweep(None)
    assert len(node.sweeps) == 1  # an earlier agent may have left anything
    node.counted[Verdict.SENT] = 1
    meter.sweep(None)
    meter.sweep(None)
    assert len(node.sweeps) == 2


@pytest.mark.parametrize("left", ["a tracker", "a directive", "a share"])
def test_as_long_as_anything_is_held_flows_are_swept(node: Node, meter: LoadMeter, left: str):
    node.found = FlowSweepOutcome(left == "a tracker", 0, 0, left == "a directive", 0)
    node.tenants.rows = {MINE: Allowance(left == "a share", 9)}
    for _ in range(3):
        meter.sweep(None)
    assert len(node.sweeps) == 3
    assert (meter.flows, meter.directives) == (left == "a tracker", left == "a directive")


def test_connections_that_are_over_are_counted_apart_and_swept(node: Node, meter: LoadMeter):
    """Their ports rest for two minutes: nobody has to wait for them."""
    node.found = FlowSweepOutcome(held=7, closed=7, forgotten=0, cached=0, leaving=0)
    for _ in range(3):
        meter.sweep(None)
    assert (meter.flows, meter.resting, len(node.sweeps)) == (0, 7, 3)


def test_the_flows_of_an_address_that_goes_are_told_from_its_second_sweep_on(node: Node, meter: LoadMeter):
    """A node that has not heard may hand it out a moment longer."""
    leaving, key = leaving_file("10.1.0.9"), LeavingKey(1, 1, address_bytes("10.1.0.9"))
    node.left[key] = 4
    meter.sweep(leaving)
    assert (node.sweeps, meter.leaving(leaving)) == ([{key}], ())
    meter.sweep(leaving)
    assert meter.leaving(leaving) == (LeavingAddress(interface=f"eni-{1:017x}", address="10.1.0.9", flows=4),)
    node.left[key] = 0
    meter.sweep(leaving)
    assert [one.flows for one in meter.leaving(leaving)] == [0]


def test_an_address_that_is_gone_or_stays_after_all_is_told_no_longer(node: Node, meter: LoadMeter):
    leaving = leaving_file("10.1.0.9")
    meter.sweep(leaving)
    meter.sweep(leaving)
    assert meter.leaving(leaving)
    assert meter.leaving(file(attachments=0)) == ()
    meter.sweep(leaving_file())
    assert meter.leaving(leaving) == ()
