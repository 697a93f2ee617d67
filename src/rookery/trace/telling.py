"""A journey, told: one line a step, in the words of docs/life-of-a-packet.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rookery.host.control import EventLine
from rookery.region.directory import Directory
from rookery.trace import words
from rookery.trace.journey import INGRESS, SENT, Journey, Leg
from rookery.trace.packet import PROTOCOLS

ROUTES = {1: "local", 2: "blackhole"}


def tell(journey: Journey) -> Iterator[str]:
    start = f"{journey.source_instance} ({journey.source}) at {journey.source_host}"
    yield f"{start} sends to {journey.destination}: {journey.probe}"
    for leg in journey.legs:
        yield from (f"  {leg.host:<8} {line}" for line in _leg(journey, leg))
    if journey.delivered:
        yield f"delivered to {journey.delivered_to} at {journey.destination_host}"
    else:
        yield f"dropped: {words.VERDICT.get(journey.verdict, journey.verdict)}"


def _leg(journey: Journey, leg: Leg) -> Iterator[str]:
    if leg.what == "arp":
        yield f"ARP: who has {journey.next_hop}?"
    for event in leg.steps:
        yield step_line(event)
    if leg.program == INGRESS and leg.delivered_to:
        yield f"delivered to {leg.delivered_to}"
    elif leg.verdict == SENT and not leg.steps:
        yield "sent"


def step_line(event: EventLine) -> str:
    """One step of one packet."""
    teller = STEPS.get(event.step)
    return teller(event) if teller else event.step.replace("_", " ")


def drop_line(event: EventLine, known: Directory) -> str:
    """Of `watch`: when, where, whose, what, why."""
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    whose = _owner(event, known)
    outer = f", from {known.host_at(event.outer_source)}" if event.outer_source else ""
    return f"{clock}  {event.host:<8} {whose}  {_flow(event)}{outer}  {event.verdict}: {_sentence(event)}"


def _owner(event: EventLine, known: Directory) -> str:
    instance = known.instance_of(event.interface)
    if instance:
        return known.name_of(instance)
    return event.interface or (f"VNI {event.vni:06x}" if event.vni else "-")


def _flow(event: EventLine) -> str:
    protocol = PROTOCOLS.get(event.protocol, f"protocol {event.protocol}") if event.protocol else ""
    ports = (event.source_port, event.destination_port) if event.protocol in (6, 17) else (0, 0)
    source = f"{event.source}:{ports[0]}" if ports[0] else event.source or "?"
    destination = f"{event.destination}:{ports[1]}" if ports[1] else event.destination or "?"
    return f"{source} -> {destination} {protocol}".rstrip()


def _sentence(event: EventLine) -> str:
    return words.VERDICT.get(event.verdict, event.verdict)


def _mac(detail: int) -> str:
    return detail.to_bytes(8, "big")[2:].hex(":")


STEPS: dict[str, Callable[[EventLine], str]] = {
    "received": lambda e: f"received {e.length} bytes",
    "arp_answered": lambda e: f"the host answers the ARP request: {_mac(e.detail)}",
    "source_checked": lambda e: (
        f"source checked: {e.source} and its MAC belong to {e.interface or 'the interface'}"
    ),
    "same_subnet": lambda e: f"{e.destination} is in the same subnet: no route needed",
    "route_found": lambda e: f"route found: {ROUTES.get(e.detail, e.detail)}",
    "mapping_found": lambda e: (
        f"mapping found: {e.destination} lives at {e.outer_destination} (generation {e.detail})"
    ),
    "wrapped": lambda e: f"wrapped: Geneve, VNI {e.vni:06x}, {e.outer_source} to {e.outer_destination}",
    "unwrapped": lambda e: f"unwrapped: VNI {e.vni:06x}, from {e.outer_source}",
    "verified": lambda e: f"verified: {e.source} does live at {e.outer_source} (generation {e.detail})",
    "delivered": lambda e: f"delivered to {e.interface or 'the instance'}",
    "dropped": lambda e: f"dropped, {e.verdict}: {_sentence(e)}",
    "fragmentation_needed": lambda e: f"too big: the sender is told that {e.detail} bytes fit",
}
