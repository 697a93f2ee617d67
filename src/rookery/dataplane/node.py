"""What the data planes of hosts and of edges have in common: programs loaded over one set of pinned maps, tables, counters, events.

Whoever calls attach_*, detach_* or what_if must be in the node's network namespace (its thread, by setns): devices are
named by ifindex. Tables, counters and events work from anywhere."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from rookery.dataplane import formats, syscall
from rookery.dataplane import pins as pinned
from rookery.dataplane.addresses import substrate_text
from rookery.dataplane.attach import Attachments, AttachMode, attachments, probe_mode
from rookery.dataplane.counters import Counters
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.events import Event, EventReader
from rookery.dataplane.formats import (
    LAYOUTS,
    CounterKey,
    DelegatedKey,
    Forwarder,
    ForwarderKey,
    Gateway,
    MappingKey,
    Peering,
    PeeringKey,
    Route,
    RouteKey,
    SubstrateConfig,
    TopSet,
    TopsNumber,
    Traffic,
    Verdict,
    VpcNumber,
    WhatIfMark,
    WhatIfOutcome,
)
from rookery.dataplane.libbpf import BpfObject
from rookery.dataplane.table import Table

MAX_TRACE = 0xFFFF
ROOM = 2  # a hash as full as it may be has long chains: docs/decisions/0008
LARGEST_SUBSTRATE_MTU = 0xFFFF
XDP_BUILD = ".xdp"  # ends the name of an object that is built for XDP
ONLY_KEY = bytes(4)  # of a table of one row
SUBSTRATE_LAYOUT = LAYOUTS[SubstrateConfig]


class WhatIf(NamedTuple):
    """What became of a made packet."""

    verdict: Verdict
    frame: bytes  # as it would leave: wrapped, unwrapped, answered; as given when dropped
    events: list[Event]
    target: int  # ifindex of the device it would go to; 0: none


class LoadedPrograms:
    """Objects of one node, loaded over one set of maps: those of the first object, which declares all."""

    def __init__(self, pins: Path, objects: Mapping[str, BpfObject]):
        """Raises LoadFailed, IncompatiblePins."""
        self.objects = objects
        self.first = next(iter(objects))
        self.descriptors = _load(pins, objects, self.first)

    def map_fd(self, name: str) -> int:
        return self.objects[self.first].map_fd(name)

    def close(self) -> None:
        for loaded in self.objects.values():
            loaded.close()


def load(pins: Path, folder: Path, programs: Iterable[str], sizes: Mapping[str, int]) -> LoadedPrograms:
    """Load all these objects of `folder` over the maps pinned under `pins`; what is missing is made and pinned, a BPF filesystem is
    mounted where there is none. `sizes`: of maps; one that is pinned keeps its own. Nothing is attached or swapped yet.
    Raises LoadFailed, IncompatiblePins, DataplaneError."""
    pinned.mount_bpffs()
    if not pinned.is_bpffs(pins):
        raise DataplaneError(f"{pins} is not in a BPF filesystem ({pinned.BPFFS} is one)")
    opened: dict[str, BpfObject] = {}
    try:
        for name in programs:
            opened[name] = BpfObject(folder / f"{name}.bpf.o")
        for name, rows in sizes.items():
            opened[next(iter(opened))].resize(name, rows)
        return LoadedPrograms(pins, opened)
    except BaseException:
        for loaded in opened.values():
            loaded.close()
        raise


def function_of(name: str) -> str:
    """All builds of an object have the same program: "blackfoot_inward" of "blackfoot_inward.xdp"."""
    return name.partition(".")[0]


def check_pins(pins: Path, first: Path) -> None:
    """Would `load` take what is pinned there? Nothing is loaded or changed. Raises IncompatiblePins, LoadFailed."""
    if not (pins / "maps").is_dir():
        return
    declared = BpfObject(first)
    try:
        for fd in pinned.MapPins(pins).open(declared).values():
            os.close(fd)
    finally:
        declared.close()


class NodeDataplane:
    """One per process and node: the ring buffer has one reader."""

    def __init__(self, pins: Path, programs: LoadedPrograms):
        self.pins = pins
        self._loaded = programs
        self._programs = programs.descriptors
        maps = programs
        self.mappings = Table("mappings", maps.map_fd("mappings"), MappingKey, formats.Mapping)
        self.delegated = Table("delegated", maps.map_fd("delegated"), DelegatedKey, formats.Mapping)
        self.forwarders = Table("forwarders", maps.map_fd("forwarders"), ForwarderKey, Forwarder)
        self.peerings = Table("peerings", maps.map_fd("peerings"), PeeringKey, Peering)
        self.routes = Table("routes", maps.map_fd("routes"), RouteKey, Route)
        self.tops = Table("tops", maps.map_fd("tops"), TopsNumber, TopSet)
        self.gateways = Table("gateways", maps.map_fd("gateways"), VpcNumber, Gateway)
        self._counters = Counters(maps.map_fd("counters"), maps.map_fd("busy_counters"))
        self._substrate = maps.map_fd("substrate")
        self._events = EventReader(maps.map_fd("events"))
        self._attachments: Attachments = attachments(probe_mode(self._programs[programs.first]), pins)

    @staticmethod
    def remove_pins(pins: Path) -> None:
        """Forget everything of this node: tcx links are detached, tables are gone. For `down` and after
        IncompatiblePins."""
        pinned.remove(pins)

    def close(self) -> None:
        """Pinned tables and attached programs live on."""
        self._events.close()
        self._loaded.close()

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

    @property
    def attach_mode(self) -> AttachMode:
        return self._attachments.mode

    def use_attach_mode(self, mode: AttachMode) -> None:
        """Instead of what the kernel's features suggest. Before anything is attached."""
        self._attachments = attachments(mode, self.pins)

    def hold(self, program: str, ifindex: int) -> bool:
        """The device has its program. True: it had not, and what else was attached is swapped in one step. What is as it should be is left
        alone. Raises DataplaneError."""
        if self.runs(program, ifindex):
            return False
        self._attach(program, ifindex)
        return True

    def runs(self, program: str, ifindex: int) -> bool:
        """This process's program, and not one of an earlier process, is attached there in all the builds that should be, and in no other."""
        return self.attached_program(ifindex) == self.program_id(program)

    def _attach(self, program: str, ifindex: int) -> None:
        self._attachments.attach(self._programs[program], ifindex)

    def detach(self, ifindex: int) -> None:
        """Nothing attached, or the device gone: nothing to do."""
        self._attachments.detach(ifindex)
        self._counters.release_unused(ifindex)

    def attached_program(self, ifindex: int) -> int:
        """Id of TC's program there; 0: none."""
        return self._attachments.program(ifindex)

    def program_id(self, program: str) -> int:
        """The kernel's id of what this process loaded."""
        return syscall.program_id(self._programs[program])

    def program_fd(self, program: str) -> int:
        """The loaded program, for measurements; valid until close()."""
        return self._programs[program]

    def what_if(self, program: str, frame: bytes, ifindex: int, trace: int) -> WhatIf:
        """Run `frame` (from its Ethernet header on) through the loaded program and the real tables; nothing is sent,
        nothing is counted. `ifindex`: the device it would come from. `trace`: 1..65535, not in use by another what-if.

        Frames: 14 bytes (an IPv4 header whole, if there is one) to about 3,500, a page less headroom: the kernel's limit.
        Blocks for microseconds; safe beside a reader of the events. Raises ValueError, DataplaneError."""
        if not 0 < trace <= MAX_TRACE:
            raise ValueError(f"trace {trace} is not in 1..{MAX_TRACE}")
        context = syscall.RunContext(mark=WhatIfMark.MARK | trace, ifindex=ifindex, xdp=program.endswith(XDP_BUILD))
        with self._events.collect(trace) as events:
            result = self.test_run(program, frame, context)
            self._events.drain()
        verdict = Verdict(result.cb[WhatIfOutcome.VERDICT])
        return WhatIf(verdict, result.frame, events, result.cb[WhatIfOutcome.TARGET])

    def test_run(self, program: str, frame: bytes, context: syscall.RunContext) -> syscall.RunResult:
        """One BPF_PROG_TEST_RUN. Without the what-if mark it counts and samples as real traffic does."""
        try:
            return syscall.test_run(self._programs[program], frame, context)
        except OSError as error:
            raise DataplaneError(f"test run of {program}, {len(frame)} bytes: {error.strerror}") from error

    def reserve_counters(self, ifindex: int) -> None:
        """Counted without a search from now on, until detach_instance() or forget_counters(). attach_instance() does it."""
        self._counters.claim(ifindex)

    def counters(self) -> dict[CounterKey, Traffic]:
        """Added up over the CPUs; rows that never counted are left out. Device 0: what found no room."""
        return self._counters.read()

    def counters_of(self, ifindex: int) -> dict[CounterKey, Traffic]:
        """Those of `counters` that are of this device; quick."""
        return self._counters.read_of(ifindex)

    def drops(self) -> dict[CounterKey, Traffic]:
        """Those of `counters` that are of drops; quick."""
        return {key: traffic for key, traffic in self._counters.rare().items() if key.verdict >= Verdict.DROP_NOT_CONFIGURED}

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


def _load(pins: Path, objects: Mapping[str, BpfObject], first_name: str) -> dict[str, int]:
    """Load all over one set of maps."""
    folder = pinned.MapPins(pins)
    first = objects[first_name]
    found = folder.open(first)
    try:
        first.reuse(found)
        programs = {first_name: first.load(function_of(first_name))}
        shared = {name: first.map_fd(name) for name in first.maps}
        for name in objects:
            if name != first_name:
                objects[name].reuse(shared)
                programs[name] = objects[name].load(function_of(name))
        for map_name in shared.keys() - found.keys():
            folder.keep(map_name, shared[map_name])
    finally:
        for fd in found.values():
            os.close(fd)
    return programs
