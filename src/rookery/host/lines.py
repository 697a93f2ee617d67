"""A decoded event of the data plane in the words of the control socket. Pure, but for a look at the clocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rookery.dataplane.events import Event
from rookery.dataplane.formats import Direction, Verdict
from rookery.host.alarms import Alarm
from rookery.host.control import EventLine

Said = Callable[[int, int, int], str]
"""(list, direction, bit) -> the rule in words; rookery.host.rule_book knows."""


class Why(NamedTuple):
    """What only the node knows of an event: whose attachment it was about (nat-..., lb-..., vpce-...), and why it came to it."""

    of: str = ""
    cause: str = ""


Explain = Callable[[Event], Why]


def monotonic_zero() -> float:
    """Unix time at which CLOCK_MONOTONIC, the clock of events, was 0."""
    return time.time() - time.monotonic()


def line_of(
    event: Event,
    host: str,
    names: Mapping[int, str],
    boot: float,
    said: Said = lambda *_: "",
    *,
    explain: Explain = lambda _: Why(),
) -> EventLine:
    """`names`: ifindex -> interface's id. `boot`: unix time at which the monotonic clock was 0."""
    at_a_gate = event.direction in tuple(Direction)
    why = explain(event)
    return EventLine(
        host=host,
        time=boot + event.time / 1e9,
        program=event.program.name.lower(),
        step=event.step.name.lower(),
        verdict="" if event.verdict == Verdict.CONTINUE else event.verdict.name.lower(),
        trace=event.trace,
        interface=names.get(event.ifindex, ""),
        vni=event.vni,
        source=event.source,
        destination=event.destination,
        outer_source=event.outer_source,
        outer_destination=event.outer_destination,
        protocol=event.protocol,
        source_port=event.source_port,
        destination_port=event.destination_port,
        length=event.length,
        detail=event.detail,
        direction=Direction(event.direction).name.lower() if at_a_gate else "",
        rule=said(event.detail, event.direction, event.rule) if at_a_gate else "",
        of=why.of,
        cause=why.cause if event.verdict is not Verdict.CONTINUE else "",
    )


def line_of_alarm(alarm: Alarm, host: str, program: str) -> EventLine:
    """`detail`: packets so far."""
    eni = alarm.device if alarm.device.startswith("eni-") else ""
    return EventLine(
        host=host,
        time=alarm.last,
        program=program,
        step="alarm",
        verdict=alarm.verdict,
        interface=eni,
        detail=alarm.packets,
    )
