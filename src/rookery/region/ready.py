"""Whether a region's parts do their work: asked of themselves, never guessed from a pid."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Collection

import msgspec

from rookery.host.control import EdgeReply, GetEdge, GetStatus, StatusReply
from rookery.region import agents, port_guard
from rookery.region.errors import CannotStart, NoAnswer
from rookery.region.parts import services_of
from rookery.region.settings import Settings
from rookery.region.supervisor import PartRecord, read_records

POLL = 0.05
PATIENCE = 60.0
DEATHS_TO_GIVE_UP = 3


class HostState(msgspec.Struct, kw_only=True):
    """Of a host, of a node of a cell (`cell`), or of an edge, which tells more (`edge`)."""

    name: str
    address: str
    zone: int
    cell: str = ""  # name
    problem: str = ""
    refused: int = 0  # packets that its port of the substrate refused: they bore another's address
    status: StatusReply | None = None
    edge: EdgeReply | None = None


def api_answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def host_states(settings: Settings) -> list[HostState]:
    return [
        _state(settings, HostState(name=name, address=settings.address_of(i), zone=settings.zone_of(i)))
        for i, name in enumerate(settings.host_names)
    ]


def edge_states(settings: Settings) -> list[HostState]:
    states = [
        _state(settings, HostState(name=name, address=settings.edge_address_of(i), zone=settings.zone_of(i)))
        for i, name in enumerate(settings.edge_names)
    ]
    for state in states:
        if state.status:
            _look_outside(settings, state)
    return states


def node_states(settings: Settings) -> list[HostState]:
    return [
        _state(settings, HostState(name=node.name, address=node.address, zone=node.zone, cell=node.cell))
        for node in settings.node_places
    ]


def _look_outside(settings: Settings, state: HostState) -> None:
    try:
        state.edge = agents.ask(settings.layout.control_socket(state.name), GetEdge(), EdgeReply, timeout=5)
    except NoAnswer as silent:
        state.problem = str(silent)
    else:
        state.problem = state.problem or state.edge.problem


def _state(settings: Settings, state: HostState) -> HostState:
    state.refused = port_guard.refused(settings.layout, state.name)
    try:
        state.status = agents.ask(settings.layout.control_socket(state.name), GetStatus(), StatusReply, timeout=2)
    except NoAnswer as silent:
        state.problem = str(silent)
        return state
    if not state.status.connected:
        state.problem = "not connected to the mapping service"
    return state


def waiting_for(settings: Settings) -> list[str]:
    """Names of the parts that are not ready; empty when all are. The mapping service is when every host says so."""
    hosts = host_states(settings)
    agents_not_ready = [state.name for state in hosts if state.problem]
    services = [services_of(state.name) for state in hosts if not state.status or state.status.services]
    edges = [state.name for state in edge_states(settings) if state.problem]
    nodes = [state.name for state in node_states(settings) if state.problem]
    return ([] if api_answers(settings.port) else ["api"]) + agents_not_ready + services + edges + nodes


def wait_ready(
    settings: Settings, tell: Callable[[str], None], patience: float = PATIENCE, among: Collection[str] | None = None
) -> None:
    """`among`: the parts that are waited for; None: all. Raises CannotStart with what a part said when it dies again and again, or when
    patience is over."""
    deadline = time.monotonic() + patience
    before: list[str] = []
    deaths = {record.name: record.restarts for record in read_records(settings.layout)}
    while waiting := [part for part in waiting_for(settings) if among is None or part in among]:
        for name in before:
            if name not in waiting:
                tell(f"{name} is ready")
        before = waiting
        _give_up_on_the_dying(settings, deaths, among)
        if time.monotonic() > deadline:
            raise CannotStart(
                f"not ready after {patience:.0f} s: {', '.join(waiting)}. {_last_words(settings, waiting)}"
            )
        time.sleep(POLL)


def _give_up_on_the_dying(settings: Settings, deaths: dict[str, int], among: Collection[str] | None) -> None:
    for record in read_records(settings.layout):
        if among is not None and record.name not in among:
            continue
        if record.restarts - deaths.get(record.name, 0) >= DEATHS_TO_GIVE_UP:
            raise CannotStart(
                f"{record.name} does not stay up ({record.last_end}). {_words_of(settings, record)}"
            )


def _last_words(settings: Settings, names: list[str]) -> str:
    records = [record for record in read_records(settings.layout) if record.name in names]
    return " ".join(_words_of(settings, record) for record in records[:1])


def _words_of(settings: Settings, record: PartRecord) -> str:
    path = settings.layout.logs / f"{record.name}.log"
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return f"Its last words ({path}):\n" + "\n".join(lines[-15:])
