"""The edges of a region, as `rookery edge` shows and drains them."""

from __future__ import annotations

from rookery.host.control import Drain, EdgeReply
from rookery.region import agents
from rookery.region.errors import NotFound
from rookery.region.ready import HostState, edge_states
from rookery.region.status import current

PATIENCE = 10.0  # seconds: BIRD takes in what is new


def states(name: str) -> list[HostState]:
    """Raises NotRunning."""
    return edge_states(current(name))


def drain(name: str, edge: str, draining: bool) -> EdgeReply:
    """Raises NotFound, NoAnswer."""
    shape = current(name)
    if edge not in shape.edge_names:
        raise NotFound(f"there is no edge {edge!r}; there are: {', '.join(shape.edge_names) or 'none'}")
    return agents.ask(shape.layout.control_socket(edge), Drain(draining=draining), EdgeReply, timeout=PATIENCE)
