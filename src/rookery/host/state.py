"""What the agent's tasks share."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from rookery.dataplane.host import HostDataplane
from rookery.host.alarms import AlarmBook
from rookery.host.config import HostConfig
from rookery.host.instances import network
from rookery.host.instances.consoles import Consoles
from rookery.host.instances.fleet import Fleet
from rookery.host.instances.machine import Machine
from rookery.host.kernel import Kernel
from rookery.host.services_feed import ServicesFeed
from rookery.host.substrate import Substrate
from rookery.host.watchers import Watchers
from rookery.host.wiring import DataplaneWiring
from rookery.intent.host import HostIntent
from rookery.mapping.client import Subscription


@dataclass
class AgentState:
    config: HostConfig
    substrate: Substrate
    dataplane: HostDataplane
    kernel: Kernel
    wiring: DataplaneWiring
    machine: Machine
    fleet: Fleet
    consoles: Consoles
    subscription: Subscription | None  # None: no mapping service is configured
    alarms: AlarmBook
    watchers: Watchers = field(default_factory=Watchers)
    services: ServicesFeed = field(default_factory=ServicesFeed)
    intent: HostIntent | None = None  # None: no snapshot yet; nothing is changed or mended before
    generation: int = 0  # applied
    healed: int = 0
    connections: int = 0  # tracked flows, those whose time is over with them until the sweep
    refused: list[str] = field(default_factory=list)  # rules that cannot be kept
    _named: tuple[dict[str, int], dict[int, str]] = field(default_factory=lambda: ({}, {}))
    fault: str = ""  # why the kernel does not hold the intent; empty: it does

    def connected(self) -> bool:
        return self.subscription is not None and self.subscription.connected

    def names(self) -> dict[int, str]:
        """ifindex -> id of the interface, of every device of an instance here. Reads the disk only when devices changed."""
        devices = network.devices()
        if self._named[0] != devices:
            numbers = {network.device_name(number): eni for eni, number in self.machine.interfaces().items()}
            named = {ifindex: numbers[name] for name, ifindex in devices.items() if name in numbers}
            self._named = (devices, named)
        return self._named[1]

    def device_name(self, ifindex: int, names: Mapping[int, str]) -> str:
        """For a person: the interface's id, the device's name, or what is known."""
        if ifindex in names:
            return names[ifindex]
        try:
            return socket.if_indextoname(ifindex)
        except OSError:
            return f"device {ifindex}"
