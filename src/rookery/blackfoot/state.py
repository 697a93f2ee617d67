"""What the tasks of an edge's agent share."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from rookery.blackfoot.announcer import Announcer
from rookery.blackfoot.config import EdgeConfig
from rookery.blackfoot.kernel import EdgeKernel
from rookery.blackfoot.outage import Outage
from rookery.blackfoot.uplink import Uplink
from rookery.dataplane.edge import EdgeDataplane
from rookery.host.alarms import AlarmBook
from rookery.host.following import FollowerState
from rookery.host.substrate import Substrate


@dataclass
class EdgeState(FollowerState):
    config: EdgeConfig
    substrate: Substrate
    uplink: Uplink
    dataplane: EdgeDataplane
    kernel: EdgeKernel
    announcer: Announcer
    alarms: AlarmBook
    draining: bool
    filled: bool  # the tables hold an intent: this agent's, or one from before
    outage: Outage
    leaving: bool = False  # a device is lost, and this agent about to end

    def closed(self) -> bool:
        """Shall hosts look for other edges?"""
        return self.draining or not self.filled or self.outage.reason != ""

    def lost_device(self) -> str:
        """A device that was taken away, or is another one now; empty: both are there."""
        there = set(socket.if_nameindex())
        mine = ((self.substrate.ifindex, self.config.substrate_device), (self.uplink.ifindex, self.config.uplink_device))
        return next((name for number, name in mine if (number, name) not in there), "")
