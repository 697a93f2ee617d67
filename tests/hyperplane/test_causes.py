"""Causes of drops and resets at a node, in words that name the gateway, the account and the flow."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec
import pytest

from rookery.dataplane.events import Event
from rookery.dataplane.formats import Allowance, Program, Step, TenantNumber, Verdict
from rookery.host.lines import line_of
from rookery.hyperplane.causes import KEPT, Causes
from rookery.hyperplane.rows import tenant_number
from rookery.intent.cell import BALANCER
from rookery.region.directory import Directory
from rookery.trace.telling import drop_line, step_line
from tests.hyperplane.fake_tables import FakeTable
from tests.hyperplane.files import attachment, file, service, target

ACCOUNT = "123456789012"
NAT = 1
FRONT = 2


def cell_file():
    """One NAT gateway with two addresses, one balancer that listens at port 80."""
    base = file(attachments=2)
    gateway = msgspec.structs.replace(base.intent.attachments[0], addresses=("10.1.0.5", "10.1.0.6"))
    front = attachment(FRONT, id="eni-2", of="lb-0000000000000002", kind=BALANCER)
    listens = msgspec.structs.replace(service(FRONT, (target(0),)), idle_seconds=900)
    intent = msgspec.structs.replace(base.intent, attachments=(gateway, front), services=(listens,))
    return msgspec.structs.replace(base, intent=intent)


def event(verdict: Verdict = Verdict.DROP_PORTS_EXHAUSTED, **changed: object) -> Event:
    given = Event(
        time=5_000_000_000, program=Program.HYPERPLANE_CHAIN, step=Step.DROPPED, verdict=verdict, trace=0, ifindex=7, vni=1,
        length=80, source="10.1.9.9", destination="192.0.2.80", outer_source="", outer_destination="", protocol=6,
        source_port=40000, destination_port=443, detail=int(verdict), attachment=NAT,
    )  # fmt: skip
    return given._replace(**changed)


@pytest.fixture
def shares() -> FakeTable:
    return FakeTable()


@pytest.fixture
def causes(shares: FakeTable) -> Causes:
    held = cell_file()
    return Causes(lambda: held, shares)


OF_NAT = f"nat-{NAT:017x}"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (event(), f"{OF_NAT}: no port of 10.1.0.5, 10.1.0.6 is free towards 192.0.2.80:443, tcp"),
        (event(protocol=1, destination_port=0), f"{OF_NAT}: no port of 10.1.0.5, 10.1.0.6 is free towards 192.0.2.80, icmp"),
        (event(Verdict.DROP_NO_TARGET, attachment=FRONT, destination_port=80), "lb-0000000000000002: no target for tcp port 80"),
        (event(Verdict.DROP_NO_SERVICE, attachment=FRONT, protocol=17), "lb-0000000000000002: listens for nothing at udp port 443"),
        (event(Verdict.DROP_NO_FLOW), f"{OF_NAT}: no node knows the flow: idle for more than 350 s, or never begun here"),
        (
            event(Verdict.ANSWERED, step=Step.RESET, detail=0, attachment=FRONT, destination_port=80),
            "lb-0000000000000002: reset, for no node knows the flow: idle for more than 900 s, or never begun here",
        ),
        (
            event(Verdict.ANSWERED, step=Step.RESET, detail=1, attachment=FRONT),
            "lb-0000000000000002: reset, for its target is gone or was given up",
        ),
        (event(Verdict.DROP_CONFLICT), OF_NAT),
        (event(attachment=0x99), "interface 0x00000099: no port of its address is free towards the target of tcp port 443"),
        (event(Verdict.DROP_CHAIN, attachment=0), ""),
    ],
    ids=lambda one: one.verdict.name.lower() if isinstance(one, Event) else "",
)
def test_a_cause_names_what_a_person_can_act_on(causes: Causes, what: Event, words: str):
    assert causes.why(what).cause == words


def test_a_full_share_is_told_apart_from_a_full_node(causes: Causes, shares: FakeTable):
    shares.rows[TenantNumber(tenant_number(ACCOUNT))] = Allowance(100, 100)
    full = causes.why(event(Verdict.DROP_FLOWS_FULL))
    assert (full.of, full.cause) == (OF_NAT, f"{OF_NAT}: the account {ACCOUNT} keeps 100 flows at this node, as many as it may")
    shares.rows[TenantNumber(tenant_number(ACCOUNT))] = Allowance(9, 100)
    assert "of all accounts together" in causes.why(event(Verdict.DROP_FLOWS_FULL)).cause


def test_what_happens_again_is_counted_and_the_newest_comes_first(causes: Causes):
    for second in (1, 2, 3):
        causes.note(event(time=second * 10**9))
    causes.note(event(destination="192.0.2.81", time=4 * 10**9))
    last, before = causes.last
    assert (last.seen, before.seen, before.what, before.alarm) == (1, 3, "drop_ports_exhausted", True)
    assert before.last - before.first == pytest.approx(2.0, abs=0.1)


def test_what_was_missing_is_an_alarm_for_five_minutes(causes: Causes):
    causes.note(event())
    (one,) = causes.last
    assert (one.is_alarm(one.last + 299), one.is_alarm(one.last + 301)) == (True, False)
    assert str(one).startswith(f"drop_ports_exhausted at {OF_NAT}: no port of ")


def test_a_reset_is_a_cause_and_no_alarm(causes: Causes):
    causes.note(event(Verdict.ANSWERED, step=Step.RESET, detail=0))
    assert [(one.what, one.alarm) for one in causes.last] == [("reset", False)]


def test_what_is_traced_or_names_no_attachment_or_is_told_elsewhere_is_no_cause(causes: Causes):
    for one in (event(trace=7), event(attachment=0), event(Verdict.DROP_NETWORK_ACL_INGRESS), event(Verdict.DROP_SOURCE_NOT_MAPPED)):
        causes.note(one)
    assert causes.last == ()


def test_no_flood_of_causes_takes_more_room_than_there_is(causes: Causes):
    for number in range(3 * KEPT):
        causes.note(event(destination=str(ip_address("192.0.2.1") + number), time=number * 10**9))
    assert len(causes.last) == KEPT
    assert "192.0.2.48" in causes.last[0].cause


def test_before_the_first_file_causes_name_numbers(shares: FakeTable):
    assert Causes(lambda: None, shares).why(event(Verdict.DROP_CONFLICT)).cause == "interface 0x00000001"


def test_watch_and_trace_say_the_cause(causes: Causes):
    line = line_of(event(), "node-1", {}, 0.0, explain=causes.why)
    nobody = Directory([], [])
    assert drop_line(line, nobody).endswith(f"is free towards this destination [{line.cause}]")
    assert line.cause in step_line(line, {})
    reset = line_of(event(Verdict.ANSWERED, step=Step.RESET, detail=0), "node-1", {}, 0.0, explain=causes.why)
    assert "  10.1.9.9:40000 -> 192.0.2.80:443 tcp  reset: the sender is told that its connection is no more [" in drop_line(reset, nobody)
