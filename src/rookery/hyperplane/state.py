"""What the tasks of a node's agent share."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from rookery.dataplane.cell import CellDataplane
from rookery.host.alarms import AlarmBook
from rookery.host.following import FollowerState
from rookery.host.substrate import Substrate
from rookery.hyperplane.causes import Causes
from rookery.hyperplane.cell_file import CellFile
from rookery.hyperplane.check_ways import CheckWays
from rookery.hyperplane.config import CellNodeConfig
from rookery.hyperplane.file_loop import FileLoop
from rookery.hyperplane.kernel import NodeKernel
from rookery.hyperplane.load import LoadMeter


@dataclass
class NodeState(FollowerState):
    config: CellNodeConfig
    substrate: Substrate
    dataplane: CellDataplane
    kernel: NodeKernel
    alarms: AlarmBook
    causes: Causes
    load: LoadMeter
    ways: CheckWays | None  # of health checks to targets; None: this node makes none
    files: FileLoop | None = None  # None: only while it is assembled
    living: frozenset[str] = frozenset()  # addresses of the other nodes that answer

    @property
    def file(self) -> CellFile | None:
        """That this agent works by; None: it has read none yet."""
        return self.files.file if self.files else None

    def alarms_now(self) -> list[str]:
        """Beside forgeries: an old file, and what is missing at somebody's attachment."""
        old = self.files.alarm if self.files else ""
        return [*([old] if old else []), *(str(cause) for cause in self.causes.last if cause.is_alarm(time.time()))]

    def device_is_lost(self) -> bool:
        try:
            return socket.if_indextoname(self.substrate.ifindex) != self.config.substrate_device
        except OSError:
            return True
