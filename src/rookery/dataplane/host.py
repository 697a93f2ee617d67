"""The data plane of one host: what the host's agent drives (rookery.dataplane.node)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from rookery.dataplane import syscall
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import (
    LAYOUTS,
    Allowance,
    Connection,
    ConnectionKey,
    Ifindex,
    InterfaceConfig,
    InterfaceNumber,
    LocalInterface,
    LocalInterfaceKey,
    ServiceBudget,
    ServicesConfig,
    SweepOutcome,
)
from rookery.dataplane.node import ONLY_KEY, ROOM, LoadedPrograms, check_pins, load
from rookery.dataplane.sender import SenderDataplane
from rookery.dataplane.table import Table

ProgramName = Literal["host_egress", "host_ingress", "host_services", "connection_sweep"]
PROGRAMS: tuple[ProgramName, ...] = get_args(ProgramName)
MAX_CONNECTIONS = 1 << 20
SERVICES_LAYOUT = LAYOUTS[ServicesConfig]


class HostDataplane(SenderDataplane):
    """Make it with `open`."""

    def __init__(self, pins: Path, programs: LoadedPrograms):
        super().__init__(pins, programs)
        maps = programs
        self.interfaces = Table("interfaces", maps.map_fd("interfaces"), Ifindex, InterfaceConfig)
        self.local_interfaces = Table(
            "local_interfaces", maps.map_fd("local_interfaces"), LocalInterfaceKey, LocalInterface
        )
        self.connections = Table("connections", maps.map_fd("connections"), ConnectionKey, Connection)
        self.allowances = Table("allowances", maps.map_fd("allowances"), InterfaceNumber, Allowance)
        self.service_budgets = Table(
            "service_budgets", maps.map_fd("service_budgets"), InterfaceNumber, ServiceBudget
        )
        self.interface_devices = Table(
            "interface_devices", maps.map_fd("interface_devices"), InterfaceNumber, Ifindex
        )
        self._services = maps.map_fd("services")

    @classmethod
    def open(
        cls, pins: Path, objects: Path, max_mappings: int, max_connections: int = MAX_CONNECTIONS
    ) -> HostDataplane:
        """Load all objects of the folder `objects` (rookery.dataplane.node.load).

        `max_mappings` counts when the map is made, with room for twice as many rows; one that is pinned keeps its size
        (`.mappings.max_rows`). So does `max_connections`, which is how many flows all interfaces together may track.
        Raises LoadFailed, IncompatiblePins, DataplaneError."""
        sizes = {"mappings": ROOM * max_mappings, "connections": max_connections}
        return cls(pins, load(pins, objects, PROGRAMS, sizes))

    @staticmethod
    def check_pins(pins: Path, objects: Path) -> None:
        """Would `open` take what is pinned there? Nothing is loaded or changed. Raises IncompatiblePins, LoadFailed."""
        check_pins(pins, objects / f"{PROGRAMS[0]}.bpf.o")

    def configure_services(self, config: ServicesConfig) -> None:
        """Where the host's services are. All zero: nowhere, and what instances send there is dropped."""
        syscall.update(self._services, ONLY_KEY, SERVICES_LAYOUT.pack(*config))

    @property
    def services(self) -> ServicesConfig:
        """All zero: there are none."""
        packed = syscall.lookup(self._services, ONLY_KEY, SERVICES_LAYOUT.size)
        return ServicesConfig._make(SERVICES_LAYOUT.unpack(packed))

    def attach_instance(self, ifindex: int) -> bool:
        """host_egress on the host's side of an instance's device; as hold()."""
        self.reserve_counters(ifindex)
        return self.hold("host_egress", ifindex)

    def attach_substrate(self, ifindex: int) -> bool:
        """host_ingress on the substrate device; as hold()."""
        return self.hold("host_ingress", ifindex)

    def attach_services(self, ifindex: int) -> bool:
        """host_services on the host's side of the pair that leads to the services; as hold()."""
        return self.hold("host_services", ifindex)

    def detach_instance(self, ifindex: int) -> None:
        """Nothing attached, or the device gone: nothing to do."""
        self.detach(ifindex)

    def sweep_connections(self) -> SweepOutcome:
        """Forget the flows whose time is over, and those of interfaces without an allowance. Until then they take room: run
        it every few seconds. Blocks, some ten milliseconds for a million of places. Raises DataplaneError."""
        layout = LAYOUTS[SweepOutcome]
        try:
            left = syscall.run(self._programs["connection_sweep"], bytes(layout.size))
        except OSError as error:
            raise DataplaneError(f"sweep of the tracked flows: {error.strerror}") from error
        return SweepOutcome._make(layout.unpack(left))
