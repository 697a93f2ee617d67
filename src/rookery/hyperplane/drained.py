"""By which addresses of NAT gateways that take no new flows does none leave any more? Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rookery.hyperplane.cell_file import CellFile
from rookery.hyperplane.report import NodeReport

Address = tuple[str, str]  # eni-..., private IPv4


def drained(file: CellFile, living: Mapping[str, NodeReport]) -> tuple[Address, ...]:
    """Every node of the cell must have said so, of a file in which the address goes: who is silent may keep what nobody else does."""
    going = {(one.id, address) for one in file.intent.attachments for address in one.draining_addresses}
    empty = Counter((left.interface, left.address) for report in living.values() for left in report.leaving if not left.flows)
    nodes = {node.name for node in file.intent.nodes}
    if not nodes or not nodes <= living.keys():
        return ()
    return tuple(sorted(one for one in going if empty[one] == len(living)))
