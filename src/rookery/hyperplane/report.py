"""What a node says of itself and of targets: one object per node, written every two seconds and whenever its word on a target changed;
read by the controller and by `rookery cell`."""

from __future__ import annotations

import msgspec


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
    directives: int = 0  # that it has at hand as a top
    packets: int = 0  # that it sent on, since its counters began
    dropped: int = 0
    health: dict[str, dict[str, str]] = {}  # of targets (rookery.hyperplane.health.Words)


def encode(report: NodeReport) -> bytes:
    return msgspec.json.encode(report)


def decode(packed: bytes) -> NodeReport:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(packed, type=NodeReport)
