"""What a node holds and has to do, counted for its report: flows, what is at hand, packets, the fullest share, and the flows that still
leave by an address which is to go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from rookery.dataplane.addresses import address_bytes, address_text
from rookery.dataplane.formats import (
    Allowance,
    CellConstant,
    CounterKey,
    FlowSweepOutcome,
    LeavingKey,
    TenantNumber,
    Traffic,
    Verdict,
)
from rookery.hyperplane.cell_file import CellFile
from rookery.hyperplane.report import LeavingAddress, Share
from rookery.hyperplane.rows import tenant_number


class Tenants(Protocol):
    def items(self) -> Iterable[tuple[TenantNumber, Allowance]]: ...


class Counted(Protocol):
    """The dataplane."""

    @property
    def tenants(self) -> Tenants: ...

    def counters_of(self, ifindex: int) -> Mapping[CounterKey, Traffic]: ...

    def sweep_flows(self, leaving: Iterable[LeavingKey]) -> tuple[FlowSweepOutcome, dict[LeavingKey, int]]: ...


class Load(NamedTuple):
    packets: int  # that came over the substrate and were sent on, since the counters began
    dropped: int  # of those that came over it
    rate: float  # packets sent on in a second, since the last look
    fullest: Share | None  # None: nobody holds a flow here


class LoadMeter:
    def __init__(self, dataplane: Counted, substrate: int, clock: Callable[[], float] = time.monotonic):
        """`substrate`: ifindex. What the node sends of its own accord is nobody's packet."""
        self._dataplane = dataplane
        self._substrate = substrate
        self._clock = clock
        self._before: tuple[float, int] | None = None  # when the last look was, and the packets then
        self._swept_at = -1  # packets when the flows were last swept
        self._asked: frozenset[LeavingKey] = frozenset()  # addresses that the last sweep counted
        self._left: dict[LeavingKey, int] = {}
        self.flows = 0  # kept as a tracker
        self.resting = 0  # connections that are over, beside them: their ports rest
        self.directives = 0  # at hand as a top

    def sweep(self, file: CellFile | None) -> None:
        """Every few seconds; blocks for some ten milliseconds, but where nothing can have changed. Raises DataplaneError."""
        wanted, packets = leaving_keys(file), self._packets()
        if not (wanted or self._asked or self.holds() or packets != self._swept_at):
            return
        outcome, counted = self._dataplane.sweep_flows(wanted)
        self.flows, self.resting = outcome.held - outcome.closed, outcome.closed
        self.directives, self._swept_at = outcome.cached, packets
        # An address that was not asked for before may have been handed out a moment ago, by a node that had not heard.
        self._left = {key: flows for key, flows in counted.items() if key in self._asked}
        self._asked = frozenset(wanted)

    def holds(self) -> bool:
        """Is there any flow here?"""
        return bool(self.flows or self.resting or self.directives or any(row.tracked for _, row in self._dataplane.tenants.items()))

    def _packets(self) -> int:
        return self._sent(self._dataplane.counters_of(self._substrate))

    def _sent(self, counters: Mapping[CounterKey, Traffic]) -> int:
        row = counters.get(CounterKey(self._substrate, Verdict.SENT))
        return row.packets if row else 0

    def look(self, file: CellFile | None) -> Load:
        """Raises DataplaneError."""
        counters, now = self._dataplane.counters_of(self._substrate), self._clock()
        packets, before = self._sent(counters), self._before
        self._before = (now, packets)
        return Load(
            packets=packets,
            dropped=sum(row.packets for key, row in counters.items() if key.verdict >= Verdict.DROP_NOT_CONFIGURED),
            rate=(packets - before[1]) / (now - before[0]) if before and now > before[0] else 0.0,
            fullest=fullest(dict(self._dataplane.tenants.items()), file),
        )

    def leaving(self, file: CellFile | None) -> tuple[LeavingAddress, ...]:
        """Of addresses that go: by how many flows each is still used, of those whose answers this node keeps."""
        names = {one.key: one.id for one in file.intent.attachments} if file else {}
        return tuple(
            LeavingAddress(interface=names[key.vni, key.interface], address=address_text(key.address), flows=flows)
            for key, flows in sorted(self._left.items())
            if (key.vni, key.interface) in names
        )


def leaving_keys(file: CellFile | None) -> list[LeavingKey]:
    attachments = file.intent.attachments if file else ()
    return [LeavingKey(*one.key, address_bytes(address)) for one in attachments for address in one.draining_addresses]


def fullest(tenants: Mapping[TenantNumber, Allowance], file: CellFile | None) -> Share | None:
    """Whose share has the least room left."""
    held = [(row.tracked / row.allowed, key, row) for key, row in tenants.items() if key.tenant != CellConstant.EVERYBODY and row.allowed]
    share, key, row = max(held, default=(0.0, TenantNumber(0), Allowance(0, 0)))
    if not share:
        return None
    accounts = {tenant_number(one.account): one.account for one in (file.intent.attachments if file else ())}
    return Share(account=accounts.get(key.tenant, f"number {key.tenant:#010x}"), flows=row.tracked, allowed=row.allowed)
