"""Drops that no honest packet causes, noticed from the counters. Pure: the agent polls, this decides."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import msgspec

# Somebody on the substrate sent what no Rookery host sends, or an instance pretends to be another.
FORGED = frozenset(
    {
        "drop_source_not_at_host",
        "drop_source_not_mapped",
        "drop_malformed_geneve",
        "drop_unknown_option",
        "drop_not_an_edge",
        "drop_source_address",
        "drop_source_mac",
    }
)


# Hosts check what their instances send, and so no host sends these: off the substrate they are forged as well.
FORGED_ON_SUBSTRATE = FORGED | {"drop_truncated", "drop_not_ip", "drop_malformed_ip"}


def is_forged(verdict: str, on_substrate: bool) -> bool:
    return verdict in (FORGED_ON_SUBSTRATE if on_substrate else FORGED)


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    verdict: str
    device: str  # eni-..., or the substrate's device
    packets: int  # since the agent's start
    first: float  # unix seconds
    last: float

    def __str__(self) -> str:
        first, last = (
            datetime.datetime.fromtimestamp(t, datetime.UTC).isoformat(timespec="seconds") for t in (self.first, self.last)
        )
        return f"{self.verdict} at {self.device}: {self.packets} packets, first {first}, last {last}"


class AlarmBook:
    """The alarms raised so far, by device and verdict.

    What the counters already say when the first look is taken happened under an earlier agent, who told it."""

    def __init__(self, substrate_device: str) -> None:
        self._substrate = substrate_device
        self._seen: dict[tuple[str, str], int] | None = None
        self._alarms: dict[tuple[str, str], Alarm] = {}

    def look(self, counters: Mapping[tuple[str, str], int], now: float) -> list[Alarm]:
        """`counters`: (device, verdict) -> packets. Returns the alarms that are new or grew since the last look."""
        before = counters if self._seen is None else self._seen
        self._seen = dict(counters)
        return [
            self._raise(key, packets - before.get(key, 0), now)
            for key, packets in counters.items()
            if is_forged(key[1], on_substrate=key[0] == self._substrate) and packets > before.get(key, 0)
        ]

    def _raise(self, key: tuple[str, str], packets: int, now: float) -> Alarm:
        old = self._alarms.get(key)
        alarm = Alarm(
            device=key[0],
            verdict=key[1],
            packets=packets + (old.packets if old else 0),
            first=old.first if old else now,
            last=now,
        )
        self._alarms[key] = alarm
        return alarm

    @property
    def all(self) -> list[Alarm]:
        """Newest last."""
        return sorted(self._alarms.values(), key=lambda alarm: alarm.last)
