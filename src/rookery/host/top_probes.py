"""Which nodes of cells live? Probed as edges are (rookery.host.probes); who does not answer
gets no flow. Each set of nodes is asked for itself whether anybody in it lives: where none does, all stay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from rookery.dataplane.errors import DataplaneError
from rookery.host.probes import Probes

log = logging.getLogger("rookery.host")


class TopProbes(Probes):
    """`nodes`: addresses of those to which this node may send, now. `turn_to`: is told who lives; called when that changes. `living`:
    who did, by what was written down last."""

    def __init__(
        self,
        nodes: Callable[[], Iterable[str]],
        turn_to: Callable[[frozenset[str]], None],
        living: Iterable[str],
    ):
        super().__init__(nodes, living)
        self._turn_to = turn_to
        self._told: frozenset[str] | None = None

    def _tell(self) -> None:
        living = self.liveness.answering
        if living == self._told:
            return
        try:
            self._turn_to(living)
        except DataplaneError as error:
            log.error("nodes of cells that live: %s", error)
            return
        if living or self._told:
            log.info("nodes of cells that live: %s", ", ".join(sorted(living)) or "none")
        self._told = living
