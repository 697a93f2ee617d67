"""A journey, told: one line a step, in the words of rookery.trace.words and docs/life-of-a-packet.md."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from rookery.dataplane.formats import AttachmentKind, ChainStep, RouteKind, Service, Step, Verdict
from rookery.host.control import EventLine
from rookery.region.directory import Directory
from rookery.trace import words
from rookery.trace.journey import ANSWERED, Journey, Leg
from rookery.trace.packet import PROTOCOLS, TCP, UDP

QUESTIONS = {"arp": "ARP", "neighbour": "neighbour discovery"}
NOBODY: Mapping[int, str] = {}
RESET, RESETS = "reset", "the sender is told that its connection is no more"
DELIVERED = "delivered to {interface}"  # an interface's id says more than the device's number


def tell(journey: Journey) -> Iterator[str]:
    start = f"{journey.source_instance} ({journey.source}) at {journey.source_host}"
    yield f"{start} sends to {journey.destination}: {journey.probe}"
    width = max((len(leg.host) for leg in journey.legs), default=0)
    for leg in journey.legs:
        yield from (f"  {leg.host:<{max(width, 8)}} {line}" for line in _leg(journey, leg))
    if journey.delivered:
        yield f"delivered to {journey.delivered_to} at {journey.destination_host}"
    elif journey.left_at:
        yield f"left the region at {journey.left_at}, seen outside as {journey.seen_as}"
    elif journey.served:
        yield f"served at {journey.source_host}: {sentence(journey.verdict)}"
    else:
        yield f"dropped ({journey.verdict}): {sentence(journey.verdict)}{_why_at_last(journey)}"


def sentence(verdict: str) -> str:
    """Of an enum verdict's name in lower case; the name itself when a newer agent knows one that we do not."""
    try:
        return words.VERDICTS[Verdict[verdict.upper()]]
    except KeyError:
        return verdict


def step_line(event: EventLine, hosts: Mapping[str, str], interfaces: Mapping[int, str] = NOBODY) -> str:
    """`hosts`: substrate address -> name. `interfaces`: number -> id."""
    try:
        step = Step[event.step.upper()]
    except KeyError:
        return event.step
    return (DELIVERED if step is Step.DELIVERED else words.STEPS[step]).format(**_values(event, hosts, interfaces))


def drop_line(event: EventLine, known: Directory) -> str:
    """Of `watch`: when, where, whose, what, why."""
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    if event.step == "alarm" and event.cause:
        return f"{clock}  {event.host}  ALARM  {event.cause}"
    if event.step == "alarm":
        return f"{clock}  {event.host}  ALARM  {event.verdict}, {event.detail} so far: {sentence(event.verdict)}"
    outer = f", sent by {known.host_at(event.outer_source)}" if event.outer_source else ""
    what = event.step if event.step == RESET else event.verdict
    why = f"{what}: {RESETS if event.step == RESET else sentence(event.verdict)}{_by_rule(event.rule)}{_by_cause(event, known)}"
    return f"{clock}  {event.host}  {_owner(event, known)}  {_flow(event)}{outer}  {why}"


def _called(journey: Journey) -> Mapping[str, str]:
    """Substrate address -> name; of a node also its cell's, where there are several and its own name does not say it."""
    if len(set(journey.cells.values())) < 2:
        return journey.hosts
    silent = {name: cell for name, cell in journey.cells.items() if not name.startswith(cell)}
    return {address: f"{name} ({silent[name]})" if name in silent else name for address, name in journey.hosts.items()}


def _leg(journey: Journey, leg: Leg) -> Iterator[str]:
    question = QUESTIONS.get(leg.what, "")
    if question:
        yield f"{question}: who has {journey.next_hop}?"
    for event in leg.steps:
        yield step_line(event, _called(journey), journey.interfaces)
    if question and leg.verdict == ANSWERED and not leg.steps:
        yield f"{question} answered: {journey.next_hop_mac}"


def _why_at_last(journey: Journey) -> str:
    """What decided on the last step of all, and its cause: empty when that was no gate and no node of a cell."""
    steps = [event for leg in journey.legs[-1:] for event in leg.steps]
    return _by_rule(steps[-1].rule) + _by_cause(steps[-1]) if steps else ""


def _by_rule(rule: str) -> str:
    return f": {rule}" if rule else ""


def _by_cause(event: EventLine, known: Directory | None = None) -> str:
    """Ids of the region's own making are told as their owner calls them."""
    if not event.cause:
        return ""
    owner = known.resources.get(event.of) if known else None
    called = (getattr(owner, "path", "") or known.name_of(event.of)) if known and event.of else event.of
    return f" [{event.cause.replace(event.of, called) if event.of else event.cause}]"


def _values(event: EventLine, hosts: Mapping[str, str], interfaces: Mapping[int, str]) -> dict[str, object]:
    """What the words of a step may name."""
    values: dict[str, object] = {name: getattr(event, name) for name in event.__struct_fields__}
    for outer in ("outer_source", "outer_destination"):
        values[outer] = hosts.get(getattr(event, outer), getattr(event, outer))
    values["mac"] = event.detail.to_bytes(8, "big")[2:].hex(":")
    values["route"] = (
        words.ROUTES[RouteKind(event.detail)] if event.detail in tuple(RouteKind) else event.detail
    )
    values["service"] = words.SERVICES[Service(event.detail)] if event.detail in tuple(Service) else event.detail
    values["attachment"] = words.ATTACHMENTS[AttachmentKind(event.detail)] if event.detail in tuple(AttachmentKind) else event.detail
    values["turn"] = words.TURNS.get(ChainStep(event.detail), "is next") if event.detail in tuple(ChainStep) else event.detail
    values["target"] = interfaces.get(event.detail, f"interface {event.detail:#010x}")
    values["reason"] = sentence(event.verdict) + _by_rule(event.rule) + _by_cause(event)
    values["rule"] = event.rule or "a rule without a name"
    values["interface"] = event.interface or "the instance"
    values["ifindex"] = values["interface"]
    return values


def _owner(event: EventLine, known: Directory) -> str:
    instance = known.instance_of(event.interface)
    if instance:
        return known.name_of(instance)
    return event.interface or (f"VPC {event.vni:06x}" if event.vni else "no VPC")


def _flow(event: EventLine) -> str:
    ported = event.protocol in (TCP, UDP)
    source = f"{event.source}:{event.source_port}" if ported else event.source
    destination = f"{event.destination}:{event.destination_port}" if ported else event.destination
    protocol = PROTOCOLS.get(event.protocol, f"protocol {event.protocol}") if event.protocol else ""
    return f"{source or '?'} -> {destination or '?'} {protocol}".rstrip()
