"""What a node's program tells of packets that it drops, and of connections that it resets: in whose name, and about which flow.

    instance 11 (10.7.1.5) -- host A -- one node, NAT gateway 10.7.8.10 and balancer 10.7.9.10 -- edge -- server 192.0.2.80
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rookery.dataplane.events import Event
from rookery.dataplane.formats import (
    Allowance,
    CounterKey,
    Direction,
    Program,
    Step,
    TargetFlag,
    TenantNumber,
    Verdict,
)
from tests.dataplane import cells, plan, plan_cell
from tests.dataplane.cells import Cell, Journey, to_top
from tests.dataplane.packets import TCP, UDP, Raw
from tests.dataplane.packets_edge import ip
from tests.dataplane.plan_cell import ACCOUNT, BALANCER, BALANCER_ADDRESS, NAT
from tests.dataplane.plan_edge import SERVER

CLIENT = "10.7.1.5"


one_cell = cells.shared(cells.kinds(1))


@contextmanager
def told(cell: Cell) -> Iterator[list[Event]]:
    """Of real traffic, not of what-ifs."""
    node, found = cell.nodes[0].real, list[Event]()
    node.poll_events()
    end = node.events(found.append)
    try:
        yield found
        node.poll_events()
    finally:
        end()


def out(cell: Cell, flags: str = "S", sport: int = 1111) -> Journey:
    return cell.travel(to_top(ip(CLIENT, SERVER) / TCP(sport=sport, dport=443, flags=flags, seq=1, ack=2) / Raw(b"hi"), 0, led_to=NAT))


def to_balancer(cell: Cell, flags: str = "S", dport: int = 80) -> Journey:
    return cell.travel(to_top(ip(CLIENT, BALANCER_ADDRESS) / TCP(sport=1111, dport=dport, flags=flags, seq=1, ack=2), 0))


def flow_of(event: Event) -> tuple[str, int, str, int, int]:
    return (event.source, event.source_port, event.destination, event.destination_port, event.protocol)


def test_without_a_free_port_it_is_told_at_which_gateway_and_towards_where(cell: Cell) -> None:
    cell.nodes[0].real.attachments.put_many({plan_cell.attachment_key(NAT): plan_cell.attachment(NAT, addresses=0)})
    with told(cell) as events:
        assert out(cell).verdict is Verdict.DROP_PORTS_EXHAUSTED
    (event,) = events
    assert (event.step, event.verdict, event.trace) == (Step.DROPPED, Verdict.DROP_PORTS_EXHAUSTED, 0)
    assert (event.vni, event.attachment) == (plan.VPC, NAT)
    assert flow_of(event) == (CLIENT, 1111, SERVER, 443, 6)


def test_without_a_target_it_is_told_at_which_balancer_and_listener(cell: Cell) -> None:
    node = cell.nodes[0].real
    node.cell_choices.put_many({node.choices_row(0, 0): plan_cell.choices()})
    with told(cell) as events:
        assert to_balancer(cell).verdict is Verdict.DROP_NO_TARGET
    (event,) = events
    assert (event.attachment, event.destination, event.destination_port) == (BALANCER, BALANCER_ADDRESS, 80)


def test_a_share_that_is_full_is_told_in_the_name_of_whose_attachment_it_was(cell: Cell) -> None:
    cell.nodes[0].real.tenants.put_many({TenantNumber(ACCOUNT): Allowance(5, 5)})
    with told(cell) as events:
        assert out(cell).verdict is Verdict.DROP_FLOWS_FULL
    assert [(event.verdict, event.attachment) for event in events] == [(Verdict.DROP_FLOWS_FULL, NAT)]


def test_a_connection_that_was_idle_for_too_long_is_told_when_it_is_reset(cell: Cell) -> None:
    out(cell)
    node = cell.nodes[0].real
    for table in (node.trackers, node.directives):
        table.delete_many([key for key, _ in table.items()])
    with told(cell) as events:
        assert out(cell, "PA").verdict is Verdict.SENT  # the reset
    (event,) = events
    assert (event.program, event.step, event.verdict, event.detail) == (Program.HYPERPLANE_TOP, Step.RESET, Verdict.ANSWERED, 0)
    assert (event.vni, event.attachment) == (plan.VPC, NAT)
    assert flow_of(event) == (CLIENT, 1111, SERVER, 443, 6)


def test_a_connection_whose_target_was_given_up_is_told_as_such(cell: Cell) -> None:
    to_balancer(cell)
    to_balancer(cell, "A")
    node = cell.nodes[0].real
    node.cell_targets.put_many({node.target_row(0, n): plan_cell.target(n, TargetFlag.TERMINATES) for n in range(2)})
    with told(cell) as events:
        to_balancer(cell, "PA")
    assert [(event.step, event.detail, event.attachment) for event in events] == [(Step.RESET, 1, BALANCER)]
    assert flow_of(events[0]) == (CLIENT, 1111, BALANCER_ADDRESS, 80, 6)


def test_a_datagram_of_no_flow_and_a_port_of_no_listener_are_told_with_whose_they_would_be(cell: Cell) -> None:
    with told(cell) as events:
        back = cell.travel(cells.from_outside(ip(SERVER, plan_cell.NAT_ADDRESS) / UDP(sport=53, dport=2000), 0))
        assert back.verdict is Verdict.DROP_NO_FLOW
        assert to_balancer(cell, dport=81).verdict is Verdict.DROP_NO_SERVICE
    assert [(event.verdict, event.attachment) for event in events] == [
        (Verdict.DROP_NO_FLOW, NAT),
        (Verdict.DROP_NO_SERVICE, BALANCER),
    ]


def test_a_gate_tells_the_attachment_as_well(cell: Cell) -> None:
    closed = plan_cell.attachment(NAT, acl=0, open_egress=0, open_ingress=0)
    cell.nodes[0].real.attachments.put_many({plan_cell.attachment_key(NAT): closed})
    with told(cell) as events:
        assert out(cell).verdict is Verdict.DROP_NOT_CONFIGURED
    assert [(event.direction, event.attachment) for event in events] == [(Direction.INGRESS, NAT)]


def test_a_what_if_tells_its_steps_with_the_attachment_and_resets_nobody(cell: Cell) -> None:
    with told(cell) as events:
        wire = to_top(ip(CLIENT, SERVER) / TCP(sport=1111, dport=443, flags="PA", seq=1, ack=2), 0, led_to=NAT)
        (ended,) = cell.what_if(wire)
    assert events == []
    assert ended.verdict is Verdict.ANSWERED
    assert {event.attachment for event in ended.events if event.step is Step.RESET} == {NAT}


def test_counters_of_one_device_and_of_drops_say_what_all_of_them_say(cell: Cell) -> None:
    out(cell)
    to_balancer(cell, dport=81)
    node, device = cell.nodes[0].real, cell.nodes[0].device
    for reserved in (False, True):  # in the table that is searched, and in the one that is not
        if reserved:
            node.reserve_counters(device)
            out(cell, sport=1112)
        every = node.counters()
        assert node.counters_of(device) == {key: row for key, row in every.items() if key.ifindex == device}
        assert node.counters_of(device)[CounterKey(device, Verdict.SENT)].packets
        assert node.counters_of(device + 1) == {}
        assert node.drops() == {key: row for key, row in every.items() if key.verdict >= Verdict.DROP_NOT_CONFIGURED} != {}
    node.forget_counters(device)
