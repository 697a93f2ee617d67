"""What the agent's tasks share."""

from __future__ import annotations

from dataclasses import dataclass, field

from rookery.dataplane.host import HostDataplane
from rookery.host.alarms import AlarmBook
from rookery.host.config import HostConfig
from rookery.host.following import FollowerState
from rookery.host.instances import network
from rookery.host.instances.consoles import Consoles
from rookery.host.instances.fleet import Fleet
from rookery.host.instances.machine import Machine
from rookery.host.kernel import Kernel
from rookery.host.services_feed import ServicesFeed
from rookery.host.substrate import Substrate
from rookery.host.wiring import DataplaneWiring


@dataclass
class AgentState(FollowerState):
    config: HostConfig
    substrate: Substrate
    dataplane: HostDataplane
    kernel: Kernel
    wiring: DataplaneWiring
    machine: Machine
    fleet: Fleet
    consoles: Consoles
    alarms: AlarmBook
    services: ServicesFeed = field(default_factory=ServicesFeed)
    connections: int = 0  # tracked flows, those whose time is over with them until the sweep
    refused: list[str] = field(default_factory=list)  # rules that cannot be kept
    _named: tuple[dict[str, int], dict[int, str]] = field(default_factory=lambda: ({}, {}))

    def names(self) -> dict[int, str]:
        """ifindex -> id of the interface, of every device of an instance here. Reads the disk only when devices changed."""
        devices = network.devices()
        if self._named[0] != devices:
            numbers = {network.device_name(number): eni for eni, number in self.machine.interfaces().items()}
            named = {ifindex: numbers[name] for name, ifindex in devices.items() if name in numbers}
            self._named = (devices, named)
        return self._named[1]
