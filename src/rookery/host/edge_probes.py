"""Which edges live? Those that answer probes (rookery.host.probes, bpf/stages/reflect.h); to others no flow is led any more.

When none answers all stay: it is likelier that this host has lost the substrate than that all edges died at once, and where
nobody lives there is nothing to lose."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from rookery.dataplane.addresses import substrate_bytes, substrate_text
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import EdgeAddress, EdgeConstant, EdgeSet
from rookery.dataplane.sender import SenderDataplane
from rookery.host.probes import Probes

log = logging.getLogger("rookery.host")


def edge_set(addresses: Iterable[str]) -> EdgeSet:
    packed = [substrate_bytes(address) for address in addresses]
    return EdgeSet(living=len(packed), address=b"".join(packed).ljust(4 * EdgeConstant.EDGES_MAX, b"\0"))


def addresses_of(chosen: EdgeSet) -> list[str]:
    """The other way round."""
    return [substrate_text(chosen.address[4 * n : 4 * n + 4]) for n in range(chosen.living)]


def nodes_of(keys: Iterable[EdgeAddress]) -> tuple[str, ...]:
    """Of the table `edge_nodes`: the region's edges, living or not."""
    return tuple(sorted(substrate_text(key.address) for key in keys))


class EdgeProbes(Probes):
    """`edges`: addresses of those that there are, now. `choose`: writes down who lives; called when that changes. `chosen`: who did,
    by what was written down last."""

    def __init__(
        self,
        edges: Callable[[], Iterable[str]],
        choose: Callable[[EdgeSet], None],
        chosen: Iterable[str] = (),
    ):
        super().__init__(edges, chosen)
        self._choose = choose
        self._chosen: tuple[str, ...] | None = None

    def _tell(self) -> None:
        living = self.liveness.living
        if living == self._chosen:
            return
        try:
            self._choose(edge_set(living))
        except DataplaneError as error:
            log.error("edges that live: %s", error)
            return
        log.info("edges that live: %s", ", ".join(living) or "none")
        self._chosen = living


def of_an_agent(
    dataplane: SenderDataplane, named: Callable[[], Iterable[str]], has_intent: Callable[[], bool]
) -> EdgeProbes:
    """`named`: the edges that the intent names. Until there is one, those that the kernel has kept: one may die while the mapping service
    is away."""
    kept = nodes_of(key for key, _ in dataplane.edge_nodes.items())
    return EdgeProbes(
        lambda: named() if has_intent() else kept, dataplane.choose_edges, addresses_of(dataplane.edges)
    )
