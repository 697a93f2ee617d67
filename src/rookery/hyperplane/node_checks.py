"""The health checks that a node makes, by its cell's file and by the ways that it has: those of balancers for which hosts let it speak.

Every node of a cell checks all of its targets; what others would ask nobody would believe."""

from __future__ import annotations

import logging
from collections.abc import Callable, Set
from types import TracebackType
from typing import Protocol, Self

from rookery.dataplane.errors import DataplaneError
from rookery.hyperplane.cell_file import CellFile
from rookery.hyperplane.checker import Checker, OpenSocket
from rookery.hyperplane.checks import wanted_checks
from rookery.hyperplane.health import Words

log = logging.getLogger("rookery.hyperplane")


class Ways(Protocol):
    """rookery.hyperplane.check_ways.CheckWays."""

    @property
    def open_socket(self) -> OpenSocket: ...

    def speaks_for(self, vni: int, interface: int) -> bool: ...

    def keep(self, wanted: Set[tuple[int, int, str]]) -> None: ...


class NodeChecks:
    """`ways`: None: this node makes no checks. `tell`: called when its word on some target changed."""

    def __init__(self, ways: Ways | None, tell: Callable[[], None]):
        self._ways = ways
        self._checker = Checker(ways.open_socket, tell) if ways else None

    async def __aenter__(self) -> Self:
        if self._checker:
            await self._checker.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._checker:
            await self._checker.__aexit__(kind, error, traceback)

    @property
    def words(self) -> Words:
        return self._checker.words if self._checker else {}

    def follow(self, file: CellFile) -> None:
        """For whom it speaks may change without a new target: to be called with every file."""
        if self._ways is None or self._checker is None:
            return
        try:
            wanted = wanted_checks(file.intent)
            spoken = {way for way in {key.way[:2] for key in wanted} if self._ways.speaks_for(*way)}
            self._checker.become({key: one for key, one in wanted.items() if key.way[:2] in spoken})
            self._ways.keep(self._checker.ways)
        except DataplaneError as error:
            log.error("checks go on as they were: %s", error)
