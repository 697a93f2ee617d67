"""Which cell of Hyperplane works in the name of an interface, and whether it does so yet."""

from __future__ import annotations

import string
from typing import NamedTuple

from rookery.api.operation import ApiError, View
from rookery.hyperplane.shards import choose_shard
from rookery.model.objects import Cell, CellAttachment, NetworkInterface, Shard


class Place(NamedTuple):
    cell: Cell
    shards: tuple[Shard, ...]  # the account's, where it had none in this cell


def place_in(view: View, zone: str, service: str) -> Place:
    """For the view's account. `service`: as it stands in the message. Raises NotAvailableInZone, InsufficientCapacity."""
    number = string.ascii_lowercase.index(zone[-1])
    cell = next((one for one in view.cells() if number in one.zones), None)
    if cell is None:
        why = f"{service} is not available in this availability zone: no cell of Hyperplane serves {zone}."
        raise ApiError("NotAvailableInZone", why)
    shards = view.shards(cell.name)
    if view.account in shards:
        return Place(cell, ())
    nodes = [name for name in cell.nodes if name and name not in cell.draining]
    if not nodes:
        why = f"There is not enough capacity to fulfill the request: the cell {cell.name} has no node."
        raise ApiError("InsufficientCapacity", why, status=500)
    others = {account: shard.nodes for account, shard in shards.items()}
    chosen = choose_shard(nodes, cell.shard_size, others)
    return Place(cell, (Shard(cell=cell.name, account=view.account, nodes=chosen),))


def works_by(view: View, attachment: CellAttachment, revision: int) -> bool:
    """Whether all living nodes of the cell work by the state at `revision`."""
    status = view.cell_status(attachment.cell)
    return status is not None and status.generation >= revision


def drained_addresses(view: View, attachment: CellAttachment, interface: str) -> frozenset[str]:
    """Private ones of the interface `interface` (eni-...) by which no flow leaves any more, of those that take no new ones."""
    status = view.cell_status(attachment.cell)
    return frozenset(address for eni, address in (status.drained if status else ()) if eni == interface)


def has_let_go(view: View, interface: NetworkInterface, revision: int) -> bool:
    """Whether nobody works in its name any more who has seen the state at `revision`. A cell that left the region does not."""
    attachment = interface.cell_attachment
    known = {cell.name for cell in view.cells()}
    return attachment is None or attachment.cell not in known or works_by(view, attachment, revision)
