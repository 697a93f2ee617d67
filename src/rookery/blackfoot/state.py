"""What the tasks of an edge's agent share."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from rookery.blackfoot.announcer import Announcer
from rookery.blackfoot.config import EdgeConfig
from rookery.blackfoot.kernel import EdgeKernel
from rookery.blackfoot.outage import Outage
from rookery.blackfoot.uplink import Uplink
from rookery.dataplane.edge import EdgeDataplane
from rookery.host.alarms import AlarmBook
from rookery.host.substrate import Substrate
from rookery.host.watchers import Watchers
from rookery.intent.host import HostIntent
from rookery.mapping.client import Subscription


@dataclass
class EdgeState:
    config: EdgeConfig
    substrate: Substrate
    uplink: Uplink
    dataplane: EdgeDataplane
    kernel: EdgeKernel
    announcer: Announcer
    subscription: Subscription | None  # None: no mapping service is configured
    alarms: AlarmBook
    draining: bool
    filled: bool  # the tables hold an intent: this agent's, or one from before
    outage: Outage
    leaving: bool = False  # a device is lost, and this agent about to end
    watchers: Watchers = field(default_factory=Watchers)
    intent: HostIntent | None = None  # None: no snapshot yet; nothing is changed or announced before
    generation: int = 0  # applied
    healed: int = 0
    fault: str = ""  # why the kernel does not hold the intent; empty: it does

    def connected(self) -> bool:
        return self.subscription is not None and self.subscription.connected

    def closed(self) -> bool:
        """Shall hosts look for other edges?"""
        return self.draining or not self.filled or self.outage.reason != ""

    def lost_device(self) -> str:
        """A device that was taken away, or is another one now; empty: both are there."""
        there = set(socket.if_nameindex())
        mine = ((self.substrate.ifindex, self.config.substrate_device), (self.uplink.ifindex, self.config.uplink_device))
        return next((name for number, name in mine if (number, name) not in there), "")

    def names(self) -> Mapping[int, str]:
        """ifindex -> id of an interface: an edge has no instance's."""
        return {}

    def device_name(self, ifindex: int, _names: Mapping[int, str] = {}) -> str:
        try:
            return socket.if_indextoname(ifindex)
        except OSError:
            return f"device {ifindex}"
