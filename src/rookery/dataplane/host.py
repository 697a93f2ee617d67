"""The data plane of one host: its programs loaded, its tables, its devices. What the host's agent drives.

Whoever calls attach_*, detach_* or what_if must be in the host's network namespace (its thread, by setns): devices are
named by ifindex. Tables, counters and events work from anywhere."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from rookery.dataplane import pins as pinned
from rookery.dataplane import syscall
from rookery.dataplane.addresses import substrate_text
from rookery.dataplane.attach import Attachments, AttachMode, attachments, probe_mode
from rookery.dataplane.counters import Counters
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.events import Event, EventReader
from rookery.dataplane.formats import (
    LAYOUTS,
    Allowance,
    Connection,
    ConnectionKey,
    CounterKey,
    DelegatedKey,
    Forwarder,
    ForwarderKey,
    FragmentKey,
    FragmentPorts,
    Ifindex,
    InterfaceConfig,
    InterfaceNumber,
    LocalInterface,
    LocalInterfaceKey,
    Mapping,
    MappingKey,
    Peering,
    PeeringKey,
    Route,
    RouteKey,
    RuleAddressKey,
    RuleBits,
    RuleGroupKey,
    RulePortKey,
    RulePorts,
    ServiceBudget,
    ServicesConfig,
    SubstrateConfig,
    SweepOutcome,
    Traffic,
    Verdict,
    WhatIfMark,
    WhatIfOutcome,
)
from rookery.dataplane.libbpf import BpfObject
from rookery.dataplane.table import Table

ProgramName = Literal["host_egress", "host_ingress", "host_services", "connection_sweep"]
PROGRAMS: tuple[ProgramName, ...] = ("host_egress", "host_ingress", "host_services", "connection_sweep")
MAX_TRACE = 0xFFFF
MAX_CONNECTIONS = 1 << 20
ROOM = 2  # a hash as full as it may be has long chains: docs/decisions/0008
LARGEST_SUBSTRATE_MTU = 0xFFFF
ONLY_KEY = bytes(4)  # of a table of one row
SUBSTRATE_LAYOUT = LAYOUTS[SubstrateConfig]
SERVICES_LAYOUT = LAYOUTS[ServicesConfig]


class WhatIf(NamedTuple):
    """What became of a made packet."""

    verdict: Verdict
    frame: bytes  # as it would leave: wrapped, unwrapped, answered; as given when dropped
    events: list[Event]
    target: int  # ifindex of the device it would go to; 0: none


class HostDataplane:
    """Make it with `open`. One per process and host: the ring buffer has one reader."""

    def __init__(self, pins: Path, objects: dict[ProgramName, BpfObject], programs: dict[ProgramName, int]):
        self.pins = pins
        self._objects = objects
        self._programs = programs
        maps = objects["host_egress"]
        self.interfaces = Table("interfaces", maps.map_fd("interfaces"), Ifindex, InterfaceConfig)
        self.local_interfaces = Table(
            "local_interfaces", maps.map_fd("local_interfaces"), LocalInterfaceKey, LocalInterface
        )
        self.mappings = Table("mappings", maps.map_fd("mappings"), MappingKey, Mapping)
        self.delegated = Table("delegated", maps.map_fd("delegated"), DelegatedKey, Mapping)
        self.forwarders = Table("forwarders", maps.map_fd("forwarders"), ForwarderKey, Forwarder)
        self.peerings = Table("peerings", maps.map_fd("peerings"), PeeringKey, Peering)
        self.routes = Table("routes", maps.map_fd("routes"), RouteKey, Route)
        self.rule_addresses = Table("rule_addresses", maps.map_fd("rule_addresses"), RuleAddressKey, RuleBits)
        self.rule_groups = Table("rule_groups", maps.map_fd("rule_groups"), RuleGroupKey, RuleBits)
        self.rule_ports = Table("rule_ports", maps.map_fd("rule_ports"), RulePortKey, RulePorts)
        self.connections = Table("connections", maps.map_fd("connections"), ConnectionKey, Connection)
        self.allowances = Table("allowances", maps.map_fd("allowances"), InterfaceNumber, Allowance)
        self.fragments = Table("fragments", maps.map_fd("fragments"), FragmentKey, FragmentPorts)
        self.service_budgets = Table(
            "service_budgets", maps.map_fd("service_budgets"), InterfaceNumber, ServiceBudget
        )
        self.interface_devices = Table(
            "interface_devices", maps.map_fd("interface_devices"), InterfaceNumber, Ifindex
        )
        self._counters = Counters(maps.map_fd("counters"), maps.map_fd("busy_counters"))
        self._substrate = maps.map_fd("substrate")
        self._services = maps.map_fd("services")
        self._events = EventReader(maps.map_fd("events"))
        self._attachments: Attachments = attachments(probe_mode(programs["host_egress"]), pins)

    @classmethod
    def open(
        cls, pins: Path, objects: Path, max_mappings: int, max_connections: int = MAX_CONNECTIONS
    ) -> HostDataplane:
        """Load all objects of the folder `objects` over the maps pinned under `pins`; what is missing is made and
        pinned, a BPF filesystem is mounted where there is none.

        `max_mappings` counts when the map is made, with room for twice as many rows; one that is pinned keeps its size
        (`.mappings.max_rows`). So does `max_connections`, which is how many flows all interfaces together may track.
        Nothing is attached or swapped yet. Raises LoadFailed, IncompatiblePins, DataplaneError."""
        pinned.mount_bpffs()
        if not pinned.is_bpffs(pins):
            raise DataplaneError(f"{pins} is not in a BPF filesystem ({pinned.BPFFS} is one)")
        opened: dict[ProgramName, BpfObject] = {}
        try:
            for name in PROGRAMS:
                opened[name] = BpfObject(objects / f"{name}.bpf.o")
            _resize(opened["host_egress"], max_mappings, max_connections)
            return cls(pins, opened, _load(pins, opened))
        except BaseException:
            for loaded in opened.values():
                loaded.close()
            raise

    @staticmethod
    def check_pins(pins: Path, objects: Path) -> None:
        """Would `open` take what is pinned there? Nothing is loaded or changed. Raises IncompatiblePins, LoadFailed."""
        if not (pins / "maps").is_dir():
            return
        first = BpfObject(objects / "host_egress.bpf.o")
        try:
            for fd in pinned.MapPins(pins).open(first).values():
                os.close(fd)
        finally:
            first.close()

    @staticmethod
    def remove_pins(pins: Path) -> None:
        """Forget everything of this host: tcx links are detached, tables are gone. For `down` and after
        IncompatiblePins."""
        pinned.remove(pins)

    def close(self) -> None:
        """Pinned tables and attached programs live on."""
        self._events.close()
        for loaded in self._objects.values():
            loaded.close()

    def configure_substrate(self, config: SubstrateConfig) -> None:
        """Raises ValueError for what would never carry a packet."""
        network = ipaddress.IPv4Network(f"{ipaddress.IPv4Address(config.network)}/{ipaddress.IPv4Address(config.netmask)}")
        if not any(config.address) or ipaddress.ip_address(config.address) not in network:
            raise ValueError(f"{substrate_text(config.address)!r} is no host of {network}")
        if config.ifindex <= 0 or not 0 < config.mtu <= LARGEST_SUBSTRATE_MTU:
            raise ValueError(f"substrate device {config.ifindex} with MTU {config.mtu}")
        syscall.update(self._substrate, ONLY_KEY, SUBSTRATE_LAYOUT.pack(*config))

    @property
    def substrate(self) -> SubstrateConfig:
        """All zero: not configured."""
        packed = syscall.lookup(self._substrate, ONLY_KEY, SUBSTRATE_LAYOUT.size)
        return SubstrateConfig._make(SUBSTRATE_LAYOUT.unpack(packed))

    def configure_services(self, config: ServicesConfig) -> None:
        """Where the host's services are. All zero: nowhere, and what instances send there is dropped."""
        syscall.update(self._services, ONLY_KEY, SERVICES_LAYOUT.pack(*config))

    @property
    def services(self) -> ServicesConfig:
        """All zero: there are none."""
        packed = syscall.lookup(self._services, ONLY_KEY, SERVICES_LAYOUT.size)
        return ServicesConfig._make(SERVICES_LAYOUT.unpack(packed))

    @property
    def attach_mode(self) -> AttachMode:
        return self._attachments.mode

    def use_attach_mode(self, mode: AttachMode) -> None:
        """Instead of what the kernel's features suggest. Before anything is attached."""
        self._attachments = attachments(mode, self.pins)

    def attach_instance(self, ifindex: int) -> None:
        """host_egress on the host's side of an instance's device. Idempotent; swaps what is attached in one step."""
        self.reserve_counters(ifindex)
        self._attachments.attach(self._programs["host_egress"], ifindex)

    def attach_substrate(self, ifindex: int) -> None:
        """host_ingress on the substrate device. Idempotent; swaps what is attached in one step."""
        self._attachments.attach(self._programs["host_ingress"], ifindex)

    def attach_services(self, ifindex: int) -> None:
        """host_services on the host's side of the pair that leads to the services. Idempotent; swaps what is attached in one
        step."""
        self._attachments.attach(self._programs["host_services"], ifindex)

    def detach_instance(self, ifindex: int) -> None:
        """Nothing attached, or the device gone: nothing to do."""
        self._attachments.detach(ifindex)
        self._counters.release_unused(ifindex)

    def attached_program(self, ifindex: int) -> int:
        """Id of the program that runs there; 0: none."""
        return self._attachments.program(ifindex)

    def program_id(self, program: ProgramName) -> int:
        """The kernel's id of what this process loaded."""
        return syscall.program_id(self._programs[program])

    def program_fd(self, program: ProgramName) -> int:
        """The loaded program, for measurements; valid until close()."""
        return self._programs[program]

    def what_if(self, program: ProgramName, frame: bytes, ifindex: int, trace: int) -> WhatIf:
        """Run `frame` (from its Ethernet header on) through the loaded program and the real tables; nothing is sent,
        nothing is counted. `ifindex`: the device it would come from. `trace`: 1..65535, not in use by another what-if.

        Frames: 14 bytes (an IPv4 header whole, if there is one) to about 3,500, a page less headroom: the kernel's limit.
        Blocks for microseconds; safe beside a reader of the events. Raises ValueError, DataplaneError."""
        if not 0 < trace <= MAX_TRACE:
            raise ValueError(f"trace {trace} is not in 1..{MAX_TRACE}")
        context = syscall.RunContext(mark=WhatIfMark.MARK | trace, ifindex=ifindex)
        with self._events.collect(trace) as events:
            result = self.test_run(program, frame, context)
            self._events.drain()
        verdict = Verdict(result.cb[WhatIfOutcome.VERDICT])
        return WhatIf(verdict, result.frame, events, result.cb[WhatIfOutcome.TARGET])

    def test_run(self, program: ProgramName, frame: bytes, context: syscall.RunContext) -> syscall.RunResult:
        """One BPF_PROG_TEST_RUN. Without the what-if mark it counts and samples as real traffic does."""
        try:
            return syscall.test_run(self._programs[program], frame, context)
        except OSError as error:
            raise DataplaneError(f"test run of {program}, {len(frame)} bytes: {error.strerror}") from error

    def sweep_connections(self) -> SweepOutcome:
        """Forget the flows whose time is over, and those of interfaces without an allowance. Until then they take room: run
        it every few seconds. Blocks, some ten milliseconds for a million of places. Raises DataplaneError."""
        layout = LAYOUTS[SweepOutcome]
        try:
            left = syscall.run(self._programs["connection_sweep"], bytes(layout.size))
        except OSError as error:
            raise DataplaneError(f"sweep of the tracked flows: {error.strerror}") from error
        return SweepOutcome._make(layout.unpack(left))

    def reserve_counters(self, ifindex: int) -> None:
        """Counted without a search from now on, until detach_instance() or forget_counters(). attach_instance() does it."""
        self._counters.claim(ifindex)

    def counters(self) -> dict[CounterKey, Traffic]:
        """Added up over the CPUs; rows that never counted are left out. Device 0: what found no room."""
        return self._counters.read()

    def forget_counters(self, ifindex: int) -> None:
        """Of a device that is gone."""
        self._counters.forget(ifindex)

    def events(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """`callback` gets every event that no what-if waits for, in the thread that polls. Returns what ends it."""
        return self._events.subscribe(callback)

    def poll_events(self, timeout: float = 0.0) -> int:
        """Hand out what is there, waiting up to `timeout` seconds for something."""
        return self._events.poll(timeout)

    @property
    def events_fd(self) -> int:
        """Readable when poll_events() has something to do."""
        return self._events.fd


def _resize(first: BpfObject, max_mappings: int, max_connections: int) -> None:
    first.resize("mappings", ROOM * max_mappings)
    first.resize("connections", max_connections)


def _load(pins: Path, objects: dict[ProgramName, BpfObject]) -> dict[ProgramName, int]:
    """Load all over one set of maps."""
    folder = pinned.MapPins(pins)
    first = objects["host_egress"]
    found = folder.open(first)
    try:
        first.reuse(found)
        programs: dict[ProgramName, int] = {"host_egress": first.load("host_egress")}
        shared = {name: first.map_fd(name) for name in first.maps}
        for name in PROGRAMS[1:]:
            objects[name].reuse(shared)
            programs[name] = objects[name].load(name)
        for map_name in shared.keys() - found.keys():
            folder.keep(map_name, shared[map_name])
    finally:
        for fd in found.values():
            os.close(fd)
    return programs
