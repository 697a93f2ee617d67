"""What a node keeps of a flow, in words: rows of `trackers` and `directives` for the control socket (rookery.host.control)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from rookery.dataplane.addresses import address_text, substrate_text
from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import (
    CachedDirective,
    CellConstant,
    CellNodeFlag,
    DirectiveFlag,
    FlowKey,
    TargetFlag,
    Tracker,
)
from rookery.host.control import FlowRow, FlowsReply
from rookery.hyperplane.flow_end import End
from rookery.hyperplane.placement import Placement

MOST = 256  # rows of a table that are told
SECOND = 1_000_000_000
TABLES = ("trackers", "directives")


def find(node: str, dataplane: CellDataplane, ends: Sequence[End]) -> FlowsReply:
    """Blocks: a second for a million rows. Raises ValueError for what is no address, DataplaneError."""
    from rookery.hyperplane.flow_search import search  # noqa: PLC0415 - loads numpy, which few nodes are ever asked for

    found = {name: search(getattr(dataplane, name), ends, MOST) for name in TABLES}
    told = _Told(dataplane, Placement.of(dataplane), time.monotonic_ns())
    rows = [told.tracker(key, row) for key, row in found["trackers"].rows]
    rows += [told.cached(key, row) for key, row in found["directives"].rows]
    return FlowsReply(node=node, rows=rows, more=any(one.more for one in found.values()))


def is_outward(row: Tracker | CachedDirective) -> bool:
    return bool(row.flags & DirectiveFlag.OUTWARD or (isinstance(row, Tracker) and row.pending))


def is_handed_out(key: FlowKey, row: Tracker | CachedDirective) -> bool:
    """Do these answers come to a port that the cell handed out? Then they go on to another address than they came to."""
    return not is_outward(row) and key.destination != row.destination


def lifetime(row: Tracker) -> int:
    """Seconds from its last packet; bpf/stages/trackers.h."""
    if row.flags & DirectiveFlag.PROVISIONAL:
        return CellConstant.PROVISIONAL_SECONDS
    return CellConstant.REST_SECONDS if row.flags & DirectiveFlag.CLOSING else row.idle_seconds


def left_at_top(row: CachedDirective, now: int) -> float:
    """Seconds until a top asks again (bpf/stages/top.h): if no packet comes meanwhile, or however busy the flow is. What goes by a shortcut is
    not seen here: of a busy flow this is up to a second short."""
    silent = CellConstant.LEASE_SECONDS - (now - row.seen) / SECOND
    if row.flags & DirectiveFlag.PROVISIONAL:
        return silent
    return min(silent, min(row.idle_seconds, CellConstant.REST_SECONDS) / 2 - (now - row.leased) / SECOND)


def state_of(flags: int) -> str:
    if flags & DirectiveFlag.PROVISIONAL:
        return "provisional"
    return "closing" if flags & DirectiveFlag.CLOSING else "established"


class _Told(NamedTuple):
    dataplane: CellDataplane
    placement: Placement
    now: int  # nanoseconds, CLOCK_MONOTONIC

    def tracker(self, key: FlowKey, row: Tracker) -> FlowRow:
        left = (row.deadline - self.now) / SECOND
        state = "pending" if row.pending else state_of(row.flags)
        told: dict[str, Any] = {"decided_by": self._address(row.decider)} if row.pending else self._directive(row)
        return FlowRow(
            table="trackers",
            role=self._role(key, row),
            state=state if left > 0 else "over",
            seen=min(lifetime(row) - left, told.get("age") or lifetime(row)),  # who decides keeps what it decided for a shorter time
            left=left,
            **self._flow(key, row),
            **told,
        )

    def cached(self, key: FlowKey, row: CachedDirective) -> FlowRow:
        seen = (self.now - row.seen) / SECOND
        left = left_at_top(row, self.now)
        state = state_of(row.flags) if left > 0 else "asks again"
        told = {**self._flow(key, row), **self._directive(row)}
        return FlowRow(table="directives", role="top", state=state, seen=seen, left=left, **told)

    def _role(self, key: FlowKey, row: Tracker) -> str:
        me, handed_out = self.placement.config.self, is_handed_out(key, row)
        for ring, names in ((CellNodeFlag.CURRENT, ("primary", "secondary")), (CellNodeFlag.PREVIOUS, ("former", "former"))):
            for place, name in zip(self.placement.keepers(key, handed_out, ring), names, strict=False):
                if place == me:
                    return name
        return "decider" if row.version and row.version % CellConstant.NODES_MAX == me else "other"

    def _flow(self, key: FlowKey, row: Tracker | CachedDirective) -> dict[str, Any]:
        return {
            "outward": is_outward(row),
            "vni": key.vni,
            "interface": key.interface,
            "protocol": key.protocol,
            "source": address_text(key.source),
            "source_port": int.from_bytes(key.source_port, "big"),
            "destination": address_text(key.destination),
            "destination_port": int.from_bytes(key.destination_port, "big"),
        }

    def _directive(self, row: Tracker | CachedDirective) -> dict[str, Any]:
        decider = row.version % CellConstant.NODES_MAX
        mine = decider == self.placement.config.self
        return {
            "new_vni": row.vni,
            "new_interface": row.interface,
            "new_source": address_text(row.source),
            "new_source_port": int.from_bytes(row.source_port, "big"),
            "new_destination": address_text(row.destination),
            "new_destination_port": int.from_bytes(row.destination_port, "big"),
            "has_target": row.target != CellConstant.NO_TARGET,
            "target_gone": self._is_target_gone(row),
            "version": row.version,
            "decided_by": self._address(decider),
            "age": max(0, self.now - row.version) / SECOND if mine else None,
        }

    def _is_target_gone(self, row: Tracker | CachedDirective) -> bool:
        if row.target == CellConstant.NO_TARGET:
            return False
        half, sizes = self.placement.config.half, self.dataplane.sizes
        found = self.dataplane.cell_targets.get(self.dataplane.target_row(half, row.target)) if row.target < sizes.targets else None
        return found is None or found.generation != row.target_generation or bool(found.flags & TargetFlag.TERMINATES)

    def _address(self, place: int) -> str:
        node = self.placement.nodes.get(place)
        return substrate_text(node.address) if node else ""
