"""The data plane's part in the life of a device: rows, then programs; and off again."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import ServicesConfig
from rookery.dataplane.host import HostDataplane
from rookery.host import services_link
from rookery.host.instances import network
from rookery.host.instances.machine import Devices, WiringError
from rookery.host.kernel import Kernel
from rookery.host.services_link import ServicesLinkError

NO_SERVICES = ServicesConfig(ifindex=0, mac=bytes(6), host_mac=bytes(6))


class DataplaneWiring:
    """rookery.host.instances.machine.Wiring on the loaded programs. Its callers are in the host's namespace."""

    def __init__(self, dataplane: HostDataplane, kernel: Kernel, services: str = ""):
        """`services`: their namespace; empty: there are none."""
        self._dataplane = dataplane
        self._kernel = kernel
        self._services = services
        self._open: set[int] = set()  # devices that shall have their program
        self._lock = threading.Lock()  # a full pass must not attach what is just being removed

    def added(self, ifindex: int, devices: Devices) -> None:
        try:
            self._kernel.have_devices(devices)
            with self._lock:
                self._dataplane.attach_instance(ifindex)
                self._open.add(ifindex)
        except (DataplaneError, ValueError) as error:
            raise WiringError(str(error)) from error

    def removing(self, ifindex: int) -> None:
        try:
            with self._lock:
                self._open.discard(ifindex)
                self._dataplane.detach_instance(ifindex)
        except DataplaneError as error:
            raise WiringError(str(error)) from error

    def removed(self, devices: Devices) -> None:
        try:
            self._kernel.have_devices(devices)
            self._forget_counters_of_gone_devices()
        except DataplaneError as error:
            raise WiringError(str(error)) from error

    def _forget_counters_of_gone_devices(self) -> None:
        there = {index for index, _ in socket.if_nameindex()} | {0}
        for gone in {key.ifindex for key in self._dataplane.counters()} - there:
            self._dataplane.forget_counters(gone)

    def attach_all(self) -> None:
        """At the agent's start: what runs on devices from before is swapped for what this agent loaded, in one step
        each. Pins of devices that are gone go too. Raises DataplaneError."""
        there = {index for index, _ in socket.if_nameindex()}
        for ifindex in network.devices().values():
            self._dataplane.attach_instance(ifindex)
            self._open.add(ifindex)
        links = Path(self._dataplane.pins) / "links"
        for pin in links.iterdir() if links.is_dir() else ():
            if int(pin.name) not in there:
                self._dataplane.detach_instance(int(pin.name))
        self._wire_services()

    def _wire_services(self) -> int:
        """How much of their wire was missing, and is there now."""
        if not self._services:
            self._dataplane.configure_services(NO_SERVICES)
            return 0
        try:
            row, mended = services_link.ensure(self._services)
        except ServicesLinkError as error:
            raise DataplaneError(str(error)) from error
        lost = self._dataplane.attach_services(row.ifindex)
        self._dataplane.configure_services(row)
        return mended + lost

    def heal(self, substrate: int) -> int:
        """How many devices had lost their program, and have it again; the wire of the services, too. Raises DataplaneError."""
        return self._heal_devices(substrate) + self._wire_services()

    def _heal_devices(self, substrate: int) -> int:
        with self._lock:
            self._open &= set(network.devices().values())  # what somebody removed is the fleet's to plug in again
            lost = sum(self._dataplane.attach_instance(ifindex) for ifindex in self._open)
        return lost + self._dataplane.attach_substrate(substrate)
