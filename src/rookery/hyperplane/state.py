"""What the tasks of a node's agent share."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from rookery.dataplane.cell import CellDataplane
from rookery.host.alarms import AlarmBook
from rookery.host.following import FollowerState
from rookery.host.substrate import Substrate
from rookery.hyperplane.check_ways import CheckWays
from rookery.hyperplane.config import CellNodeConfig
from rookery.hyperplane.file_loop import FileLoop
from rookery.hyperplane.kernel import NodeKernel


@dataclass
class NodeState(FollowerState):
    config: CellNodeConfig
    substrate: Substrate
    dataplane: CellDataplane
    kernel: NodeKernel
    alarms: AlarmBook
    ways: CheckWays | None  # of health checks to targets; None: this node makes none
    files: FileLoop | None = None  # None: only while it is assembled
    flows: int = 0  # kept as a tracker, by the last sweep
    living: frozenset[str] = frozenset()  # addresses of the other nodes that answer

    def device_is_lost(self) -> bool:
        return (self.substrate.ifindex, self.config.substrate_device) not in set(socket.if_nameindex())
