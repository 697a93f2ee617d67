"""Which cell of Hyperplane works in the name of an interface, and whether it does so yet."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from rookery.api.operation import ApiError, Request, View
from rookery.api.room import fullness
from rookery.hyperplane.shards import choose_shard
from rookery.model.objects import Cell, CellAttachment, CellStatus, NetworkInterface, Shard


class Place(NamedTuple):
    cell: Cell
    shards: tuple[Shard, ...]  # the account's, where it had none in this cell


class Placing:
    """Finds the cells in which the new interfaces of one request are to live: of those that serve the zone and take anything new, the
    emptiest; of what the request itself has placed already that counts, too. Who lives in a cell stays there.

    `service`: as it stands in messages."""

    def __init__(self, request: Request, view: View, service: str):
        self._request = request
        self._view = view
        self._service = service
        self._placed = Counter[str]()

    def place(self, zone: str, among: Collection[str] = ()) -> Place:
        """For one interface of the view's account. `among`: names of cells; empty: any. Raises NotAvailableInZone, InsufficientCapacity."""
        number = string.ascii_lowercase.index(zone[-1])
        serving = [one for one in self._view.cells() if number in one.zones]
        if not serving:
            why = f"{self._service} is not available in this availability zone: no cell of Hyperplane serves {zone}."
            raise ApiError("NotAvailableInZone", why)
        possible = [one for one in serving if self._takes(one) and (not among or one.name in among)]
        if not possible:
            names = ", ".join(sorted(one.name for one in serving))
            why = f"There is not enough capacity to fulfill the request: no cell that serves {zone} takes it ({names})."
            raise ApiError("InsufficientCapacity", why, status=500)
        chosen = possible[0] if len(possible) == 1 else min(possible, key=self._rank)
        self._placed[chosen.name] += 1
        return Place(chosen, _shards(self._view, chosen))

    def _takes(self, cell: Cell) -> bool:
        return not cell.closed and cell.name not in self._request.full_cells and bool(_takers(cell))

    def _rank(self, cell: Cell) -> tuple[bool, tuple[float, int], str]:
        """A cell in which no node is known to live comes last."""
        status = self._view.cell_status(cell.name)
        return not (status and status.nodes), fullness(self._view, cell.name, self._placed[cell.name]), cell.name


def _takers(cell: Cell) -> list[str]:
    return [name for name in cell.nodes if name and name not in cell.draining]


def _shards(view: View, cell: Cell) -> tuple[Shard, ...]:
    """A new one, apart from those of others in this cell; none: the account has one."""
    shards = view.shards(cell.name)
    if view.account in shards:
        return ()
    others = {account: shard.nodes for account, shard in shards.items()}
    chosen = choose_shard(_takers(cell), cell.shard_size, others)
    return (Shard(cell=cell.name, account=view.account, nodes=chosen),)


def works_by(view: View, attachment: CellAttachment, revision: int) -> bool:
    """Whether all living nodes of the cell work by the state at `revision`."""
    status = view.cell_status(attachment.cell)
    return status is not None and status.generation >= revision


def drained_addresses(view: View, attachment: CellAttachment, interface: str) -> frozenset[str]:
    """Private ones of the interface `interface` (eni-...) by which no flow leaves any more, of those that take no new ones."""
    status = view.cell_status(attachment.cell)
    return frozenset(address for eni, address in (status.drained if status else ()) if eni == interface)


def has_let_go(view: View, interface: NetworkInterface, revision: int) -> bool:
    """Whether nobody works in its name any more who has seen the state at `revision`. A cell that left the region does not; nor is one waited for
    of which no node is known to live, as no single dead node is: hosts and edges send it nothing in that name and believe nothing that it
    sends, and a node that comes back begins with the newest file."""
    attachment = interface.cell_attachment
    if attachment is None or attachment.cell not in {cell.name for cell in view.cells()}:
        return True
    return _is_dead(view.cell_status(attachment.cell)) or works_by(view, attachment, revision)


def _is_dead(status: CellStatus | None) -> bool:
    """Of a cell of which nothing was told yet nobody knows."""
    return status is not None and not status.nodes and not status.generation
