"""What the tasks of a node's agent share."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from rookery.dataplane.cell import CellDataplane
from rookery.host.alarms import AlarmBook
from rookery.host.substrate import Substrate
from rookery.host.watchers import Watchers
from rookery.hyperplane.config import CellNodeConfig
from rookery.hyperplane.file_loop import FileLoop
from rookery.hyperplane.kernel import NodeKernel
from rookery.intent.host import HostIntent
from rookery.mapping.client import Subscription


@dataclass
class NodeState:
    config: CellNodeConfig
    substrate: Substrate
    dataplane: CellDataplane
    kernel: NodeKernel
    subscription: Subscription | None  # None: no mapping service is configured
    alarms: AlarmBook
    files: FileLoop | None = None  # None: only while it is assembled
    watchers: Watchers = field(default_factory=Watchers)
    intent: HostIntent | None = None  # None: no snapshot yet; nothing is changed before
    generation: int = 0  # applied
    healed: int = 0
    fault: str = ""  # why the kernel does not hold the intent; empty: it does
    flows: int = 0  # kept as a tracker, by the last sweep
    living: frozenset[str] = frozenset()  # addresses of the other nodes that answer

    def connected(self) -> bool:
        return self.subscription is not None and self.subscription.connected

    def device_is_lost(self) -> bool:
        return (self.substrate.ifindex, self.config.substrate_device) not in set(socket.if_nameindex())

    def names(self) -> Mapping[int, str]:
        """ifindex -> id of an interface: a node has no instance's."""
        return {}

    def device_name(self, ifindex: int, _names: Mapping[int, str] = {}) -> str:
        try:
            return socket.if_indextoname(ifindex)
        except OSError:
            return f"device {ifindex}"
