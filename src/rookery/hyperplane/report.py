"""What a node says of itself and of targets: one object per node, written every two seconds and whenever its word on a target changed;
read by the controller and by `rookery cell`."""

from __future__ import annotations

import datetime

import msgspec

ALARM_SECONDS = 300.0  # so long it is an alarm that something was missing


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why packets were dropped, or connections reset (rookery.hyperplane.causes)."""

    what: str  # enum verdict's name in lower case; "reset"
    of: str = ""  # nat-..., lb-..., vpce-...
    cause: str = ""  # in words
    seen: int  # events: samples
    first: float  # unix seconds
    last: float
    alarm: bool = False  # somebody has to bring what is missing

    def is_alarm(self, now: float) -> bool:
        return self.alarm and now - self.last < ALARM_SECONDS

    def __str__(self) -> str:
        first, last = (datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds") for at in (self.first, self.last))
        return f"{self.what} at {self.cause}: seen {self.seen} times, first {first}, last {last}"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How many flows of an account a node keeps, and may."""

    account: str
    flows: int
    allowed: int


class LeavingAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address of a NAT gateway that takes no new flows, and how many still leave by it, as far as this node keeps their answers."""

    interface: str  # eni-...
    address: str  # private
    flows: int


class NodeReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    node: str
    place: int = -1  # -1: in no file that it has read
    epoch: int = 0  # of the file that it works by; 0: none yet
    hash: str = ""  # hexadecimal, of that file
    generation: int = 0  # of the state that the file was made of
    time: float  # unix seconds, by its clock
    file_age: float = 0.0  # seconds since it last took a file: beyond a few it goes by an old one
    refused: str = ""  # why it did not take the newest file
    living: tuple[str, ...] = ()  # nodes that answer its probes, itself included
    flows: int = 0  # that it keeps as a tracker
    resting: int = 0  # connections that are over, beside them: their ports are not given to others yet
    directives: int = 0  # that it has at hand as a top
    packets: int = 0  # that it sent on, since its counters began
    dropped: int = 0
    rate: float = 0.0  # packets that it sends on in a second
    fullest: Share | None = None  # None: it keeps nobody's flow
    leaving: tuple[LeavingAddress, ...] = ()
    causes: tuple[Cause, ...] = ()  # the newest first
    health: dict[str, dict[str, str]] = {}  # of targets (rookery.hyperplane.health.Words)


def encode(report: NodeReport) -> bytes:
    return msgspec.json.encode(report)


def decode(packed: bytes) -> NodeReport:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(packed, type=NodeReport)
