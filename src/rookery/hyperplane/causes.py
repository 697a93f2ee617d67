"""Why did a node of a cell drop a packet, or reset a connection? In whose name, towards where, and whose share is full: from the event that
its program left, the cell's file, and the accounts' shares. Events are samples: a cause may have happened more often than it was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.events import Event
from rookery.dataplane.formats import Allowance, CellConstant, Step, TenantNumber, Verdict
from rookery.host.lines import Why, monotonic_zero
from rookery.hyperplane.cell_file import CellFile
from rookery.hyperplane.report import Cause
from rookery.hyperplane.rows import tenant_number
from rookery.intent.cell import NAT, AttachmentIntent, ServiceIntent

KEPT = 16  # causes: the oldest goes
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}
# Something is missing that somebody has to bring: addresses, targets, a larger share.
ALARMS = frozenset({Verdict.DROP_PORTS_EXHAUSTED, Verdict.DROP_NO_TARGET, Verdict.DROP_FLOWS_FULL})
# Of these it is told what happened last; others are no flow's end, or are told by their rule.
TOLD = ALARMS | {Verdict.DROP_NO_FLOW, Verdict.DROP_CONFLICT, Verdict.DROP_NO_TOP, Verdict.ANSWERED}


class Shares(Protocol):
    """The dataplane's `tenants`."""

    def get(self, key: TenantNumber) -> Allowance | None: ...


class Causes:
    """`file`: that the node works by; None: it has read none yet."""

    def __init__(self, file: Callable[[], CellFile | None], shares: Shares):
        self._file = file
        self._shares = shares
        self._known: dict[tuple[str, str, str], Cause] = {}
        self._read: CellFile | None = None
        self._attachments: Mapping[tuple[int, int], AttachmentIntent] = {}
        self._services: Mapping[tuple[int, int, int, int], ServiceIntent] = {}
        self._words: dict[Verdict, Callable[[Event, AttachmentIntent | None], str]] = {
            Verdict.DROP_PORTS_EXHAUSTED: _no_port,
            Verdict.DROP_NO_TARGET: lambda event, _: f"no target for {_listener(event)}",
            Verdict.DROP_NO_SERVICE: lambda event, _: f"listens for nothing at {_listener(event)}",
            Verdict.DROP_FLOWS_FULL: self._full,
            Verdict.DROP_NO_FLOW: self._unknown,
            Verdict.ANSWERED: self._ended,
        }

    @property
    def last(self) -> tuple[Cause, ...]:
        """The newest first."""
        return tuple(sorted(self._known.values(), key=lambda cause: -cause.last))

    def why(self, event: Event) -> Why:
        """In words, for somebody who watches."""
        self._look_up()
        found = self._attachments.get((event.vni, event.attachment))
        return Why(found.of if found else "", self._sentence(event, found))

    def note(self, event: Event) -> None:
        """It happened; what happens again is counted."""
        if event.trace or event.verdict not in TOLD or not event.attachment:
            return
        why, name = self.why(event), _name(event)
        key, now = (name, why.of, why.cause), monotonic_zero() + event.time / 1e9
        before = self._known.pop(key, None)
        self._known[key] = Cause(
            what=name,
            of=why.of,
            cause=why.cause,
            seen=1 + (before.seen if before else 0),
            first=before.first if before else now,
            last=now,
            alarm=event.verdict in ALARMS,
        )
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]

    def _look_up(self) -> None:
        file = self._file()
        if file is None or file is self._read:
            return
        self._read = file
        self._attachments = {one.key: one for one in file.intent.attachments}
        self._services = {one.key: one for one in file.intent.services}

    def _sentence(self, event: Event, found: AttachmentIntent | None) -> str:
        if not event.attachment:
            return ""
        at = found.of if found else f"interface {event.attachment:#010x}"
        words = self._words.get(event.verdict)
        return f"{at}: {words(event, found)}" if words else at

    def _ended(self, event: Event, found: AttachmentIntent | None) -> str:
        if event.detail:
            return "reset, for its target is gone or was given up"
        return f"reset, for {self._unknown(event, found)}"

    def _unknown(self, event: Event, found: AttachmentIntent | None) -> str:
        seconds = self._idle_seconds(event, found)
        return f"no node knows the flow: idle for more than {seconds} s, or never begun here"

    def _idle_seconds(self, event: Event, found: AttachmentIntent | None) -> int:
        if found is None or found.kind == NAT:
            return CellConstant.NAT_IDLE_SECONDS
        service = self._services.get((*found.key, event.protocol, event.destination_port))
        return service.idle_seconds if service else CellConstant.NAT_IDLE_SECONDS

    def _full(self, _: Event, found: AttachmentIntent | None) -> str:
        share = self._share(found.account) if found else None
        if found is None or share is None or share.tracked < share.allowed:
            return "this node keeps as many flows as it can, of all accounts together"
        return f"the account {found.account} keeps {share.tracked} flows at this node, as many as it may"

    def _share(self, account: str) -> Allowance | None:
        try:
            return self._shares.get(TenantNumber(tenant_number(account)))
        except DataplaneError:
            return None


def _name(event: Event) -> str:
    return "reset" if event.step is Step.RESET else event.verdict.name.lower()


def _protocol(event: Event) -> str:
    return PROTOCOLS.get(event.protocol, f"protocol {event.protocol}")


def _listener(event: Event) -> str:
    return f"{_protocol(event)} port {event.destination_port}"


def _no_port(event: Event, found: AttachmentIntent | None) -> str:
    """A balancer's source is its own address, and where its flow leads is not known yet."""
    if found is None or found.kind != NAT:
        return f"no port of {found.primary if found else 'its address'} is free towards the target of {_listener(event)}"
    port = f":{event.destination_port}" if event.destination_port else ""
    return f"no port of {', '.join(found.addresses) or 'any address'} is free towards {event.destination}{port}, {_protocol(event)}"
