"""The fleet of edges grows and shrinks while the region runs, and no packet of a running flow is lost.

A new edge is heard of when its tables are filled: hosts lead flows there after it has answered their probes, the router outside after it
has announced. One that goes drains first, until nothing comes any more. Edges remember nothing, so flows may come and go with them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import msgspec

from rookery.host.control import EdgeReply, GetEdge
from rookery.region import (
    agents,
    edges,
    identities,
    internet,
    namespaces,
    owned,
    port_guard,
    prepare,
    processes,
    settings,
    supervisor,
)
from rookery.region.errors import CannotStart, StillInUse
from rookery.region.lock import only_one
from rookery.region.parts import parts_of
from rookery.region.ready import wait_ready
from rookery.region.settings import Settings
from rookery.region.status import current

QUIET = 1.0  # seconds without a packet: nobody sends any more
PATIENCE = 20.0
GRACE = 3.0
LOOK = 0.1


def add(name: str, tell: Callable[[str], None]) -> str:
    """Its name; returns when it is in use. Raises NotRunning, CannotStart."""
    with only_one(name):
        before = current(name)
        shape = msgspec.structs.replace(before, edges=before.edges + 1)
        settings.check(shape)
        prepare.prepare(shape, tell)
        _settle(shape)
        wait_ready(shape, tell)
        return shape.edge_names[-1]


def remove(name: str, tell: Callable[[str], None]) -> str:
    """Takes the newest; its name. Raises NotRunning, CannotStart, NoAnswer, StillInUse."""
    with only_one(name):
        before = current(name)
        if before.edges <= 1:
            raise CannotStart(f"the region {name} has {before.edges} edges: without any nothing leads outside; see `up --edges 0`")
        going = before.edge_names[-1]
        tell(f"draining {going}")
        edges.drain(name, going, draining=True)
        _await_quiet(before, going)
        shape = msgspec.structs.replace(before, edges=before.edges - 1)
        prepare.register(shape)
        identities.withdraw_certificates(shape)
        internet.write_files(shape)
        _settle(shape)
        tell(f"removing {going}")
        _clear(before, shape, going)
        return going


def _settle(shape: Settings) -> None:
    """The router outside, and a supervisor, that know the new shape."""
    settings.write(shape)
    internet.tell_router(shape)
    supervisor.replace(shape.layout)


def _await_quiet(shape: Settings, edge: str) -> None:
    """Until nothing comes any more. Raises StillInUse, NoAnswer."""
    began = since = time.monotonic()
    passed = _passed(shape, edge)
    while time.monotonic() - since < QUIET:
        time.sleep(LOOK)
        now = _passed(shape, edge)
        if now != passed:
            passed, since = now, time.monotonic()
        if since - began > PATIENCE:
            raise StillInUse(f"{edge} drains, and is still sent packets after {PATIENCE:.0f} s: a host's agent, or the router outside, does not turn away")


def _passed(shape: Settings, edge: str) -> int:
    """Packets of both ways. What it announces still counts as one: somebody may yet come."""
    told = agents.ask(shape.layout.control_socket(edge), GetEdge(), EdgeReply)
    return sum(side.get("sent", {}).get("packets", 0) for side in (told.outward, told.inward)) + len(told.announced)


def _clear(before: Settings, shape: Settings, edge: str) -> None:
    """All that only this edge had: processes, namespace with both its cables, pins, files."""
    plan, staying = shape.layout, {part.name for part in parts_of(shape)}
    going = [owned.find(part.identity) for part in parts_of(before) if part.name not in staying]
    processes.end([process for process in going if process], GRACE)
    namespaces.remove(plan.host_namespace(edge))
    for folder in (plan.pins / edge, plan.host_run(edge), plan.state / edge):
        shutil.rmtree(folder, ignore_errors=True)
    port_guard.pin_of(plan, edge).unlink(missing_ok=True)
