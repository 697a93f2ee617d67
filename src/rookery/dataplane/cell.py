"""The data plane of one node of a cell: what the node's agent drives (rookery.dataplane.node).

Tables that come with the cell's file have two halves, and their sizes: a reader sees one half, the agent fills the other, and `switch`
exchanges them. Keys of hashes name the half; rows of arrays are found by `node_row`, `choices_row` and `target_row`.

What the program wants of the node's network namespace: net.ipv4.conf.u0.forwarding = 1, for it asks the kernel for its neighbours' MACs
(bpf_fib_lookup), which heartbeats need; nothing is forwarded by the kernel, which gets what is for the node's own address alone. And a
substrate whose packets may be CELL_OVERHEAD larger than what hosts wrap (66 bytes more than an instance's)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from rookery.dataplane import syscall
from rookery.dataplane.attach import AttachMode
from rookery.dataplane.errors import DataplaneError, IncompatiblePins
from rookery.dataplane.formats import (
    LAYOUTS,
    Allowance,
    Attachment,
    AttachmentKey,
    CachedDirective,
    CellChoices,
    CellConfig,
    CellConstant,
    CellNode,
    CellPresence,
    CellService,
    CellServiceKey,
    CellTarget,
    ChecksConfig,
    CheckWay,
    EdgeSet,
    FlowKey,
    FlowSweepOutcome,
    Leaving,
    LeavingKey,
    NatAddress,
    NatAddressKey,
    RestSearch,
    RowNumber,
    SubstrateConfig,
    TenantNumber,
    Tracker,
)
from rookery.dataplane.measures import Measures
from rookery.dataplane.node import ONLY_KEY, ROOM, XDP_BUILD, LoadedPrograms, check_pins, load
from rookery.dataplane.pins import open_pinned
from rookery.dataplane.sender import SenderDataplane
from rookery.dataplane.table import Table, possible_cpus
from rookery.dataplane.two_builds import TwoBuildsDataplane

ProgramName = Literal["hyperplane", "hyperplane_checks", "hyperplane_cut", "flow_sweep", "flow_rest", "flow_copy"]
PROGRAMS: tuple[ProgramName, ...] = get_args(ProgramName)
ON_CARDS = (f"hyperplane{XDP_BUILD}",)  # a check's way is never a card
# What stages of hosts declare and nodes never ask for.
UNUSED = ("interfaces", "local_interfaces", "connections", "allowances", "service_budgets", "interface_devices")
LOOPBACK = 1  # ifindex, in every namespace
CELL_LAYOUT = LAYOUTS[CellConfig]
CHECKS_LAYOUT = LAYOUTS[ChecksConfig]
# What a copy of a flow that rests is written into: as long as it will be (bpf/stages/resting.h), and to the kernel an IPv4 packet.
COPY_FRAME = (bytes(12) + b"\x08\x00").ljust(236, b"\0")


class CellSizes(NamedTuple):
    """Rows of one half of each table of the file, and of what a node remembers of flows."""

    attachments: int
    nat_addresses: int
    services: int
    targets: int
    flows: int = 1 << 20  # that a tracker keeps, both directions counted
    directives: int = 1 << 18  # that a top has at hand
    flows_per_tenant: int = 1 << 18
    checks: int = 1 << 14  # that a node makes: a target's from each of its balancer's attachments is one


class CellDataplane(TwoBuildsDataplane, SenderDataplane):
    """Make it with `open`."""

    def __init__(self, pins: Path, programs: LoadedPrograms, sizes: CellSizes):
        super().__init__(pins, programs)
        maps = programs
        self.sizes = sizes
        self.cell_nodes = Table("cell_nodes", maps.map_fd("cell_nodes"), RowNumber, CellNode)
        self.attachments = Table("attachments", maps.map_fd("attachments"), AttachmentKey, Attachment)
        self.nat_addresses = Table("nat_addresses", maps.map_fd("nat_addresses"), NatAddressKey, NatAddress)
        self.cell_services = Table("cell_services", maps.map_fd("cell_services"), CellServiceKey, CellService)
        self.cell_choices = Table("cell_choices", maps.map_fd("cell_choices"), RowNumber, CellChoices)
        self.cell_targets = Table("cell_targets", maps.map_fd("cell_targets"), RowNumber, CellTarget)
        self.directives = Table("directives", maps.map_fd("directives"), FlowKey, CachedDirective)
        self.trackers = Table("trackers", maps.map_fd("trackers"), FlowKey, Tracker)
        self.check_slots = Table("check_slots", maps.map_fd("check_slots"), RowNumber, CheckWay)
        self.check_numbers = Table("check_numbers", maps.map_fd("check_numbers"), CheckWay, RowNumber)
        self.tenants = Table("tenants", maps.map_fd("tenants"), TenantNumber, Allowance)
        self.measures = Measures(maps.map_fd("measures"), maps.map_fd("flows_held"))
        self._presence = Table("cell_presence", maps.map_fd("cell_presence"), RowNumber, CellPresence)
        self._leaving = Table("leaving", maps.map_fd("leaving"), LeavingKey, Leaving)
        self._cell = maps.map_fd("cell")
        self._living = maps.map_fd("cell_living")
        self._checks = maps.map_fd("checks")
        self._world = maps.map_fd("world")
        self._raise_with_tables()
        self.tenants.put_many({TenantNumber(CellConstant.EVERYBODY): Allowance(0, sizes.flows_per_tenant)})

    def _raise_with_tables(self) -> None:
        """Whatever the program asks for a packet on its way. Of a half that is not read the switch speaks."""
        asked: tuple[Table[Any, Any], ...] = (
            self.mappings, self.delegated, self.forwarders, self.peerings, self.routes, self.tops, self.gateways, self.edge_nodes,
            self.rule_addresses, self.rule_groups, self.rule_ports, self.directives,
        )  # fmt: skip
        for table in asked:
            table.after_write = self._raise_world
        hashed: tuple[Table[Any, Any], ...] = (self.attachments, self.nat_addresses, self.cell_services)
        for table in hashed:
            table.after_write = lambda keys: self._raise_for_half(key.half for key in keys)
        arrays: tuple[tuple[Table[Any, Any], int], ...] = (
            (self.cell_nodes, CellConstant.NODES_MAX), (self.cell_choices, self.sizes.services), (self.cell_targets, self.sizes.targets)
        )  # fmt: skip
        for table, rows in arrays:
            table.after_write = partial(self._raise_for_rows, rows)
        self._raise_world()

    def _raise_world(self, _keys: Iterable[object] = ()) -> None:
        """What the program has found out for a flow's packets, it asks anew."""
        number = int.from_bytes(syscall.lookup(self._world, ONLY_KEY, 8), "little")
        syscall.update(self._world, ONLY_KEY, (number + 1).to_bytes(8, "little"))

    def _raise_for_rows(self, rows_of_half: int, keys: Iterable[RowNumber]) -> None:
        self._raise_for_half(key.row // rows_of_half for key in keys)

    def _raise_for_half(self, halves: Iterable[int]) -> None:
        if self.config.half in halves:
            self._raise_world()

    @classmethod
    def open(
        cls, pins: Path, objects: Path, max_mappings: int, sizes: CellSizes, mode: AttachMode | None = None
    ) -> CellDataplane:
        """Load the objects of the folder `objects` (rookery.dataplane.node.load). `mode`: as of use_attach_mode(); the XDP build is loaded
        for "xdp" only. Sizes count when a map is made; one that is pinned
        keeps its own, and is refused where a half of it would not have as many rows as the cell's file. Raises LoadFailed, IncompatiblePins, DataplaneError."""
        halves = CellConstant.HALVES
        rows = dict.fromkeys(UNUSED, 1) | {
            "mappings": ROOM * max_mappings,
            "attachments": halves * ROOM * sizes.attachments,
            "nat_addresses": halves * ROOM * sizes.nat_addresses,
            "cell_services": halves * ROOM * sizes.services,
            "cell_choices": halves * sizes.services,
            "cell_targets": halves * sizes.targets,
            "measures": halves * sizes.attachments + 1,
            "flows_held": halves * sizes.attachments + 1,
            "trackers": sizes.flows,
            "directives": sizes.directives,
            "check_slots": ROOM * sizes.checks,
            "check_numbers": ROOM * sizes.checks,
            "shortcuts": min(possible_cpus(), CellConstant.SHORTCUT_CPUS) << CellConstant.SHORTCUT_BITS,
        }
        cls.check_halves(pins, sizes.services, sizes.targets)
        made = cls(pins, load(pins, objects, PROGRAMS + ON_CARDS * (mode == "xdp"), rows), sizes)
        if mode:
            made.use_attach_mode(mode)
        return made

    @staticmethod
    def check_pins(pins: Path, objects: Path) -> None:
        """Would `open` take what is pinned there? Nothing is loaded or changed. Raises IncompatiblePins, LoadFailed."""
        check_pins(pins, objects / f"{PROGRAMS[0]}.bpf.o")

    @staticmethod
    def check_halves(pins: Path, services: int, targets: int) -> None:
        """Would `open` take the arrays that are pinned there, in which a row's place follows from how many a half has? Raises
        IncompatiblePins, DataplaneError."""
        for name, wanted in (("cell_choices", services), ("cell_targets", targets)):
            fd = open_pinned(pins / "maps" / name)
            if fd is None:
                continue
            held = syscall.map_shape(fd).max_entries
            os.close(fd)
            if held != CellConstant.HALVES * wanted:
                why = f"{pins / 'maps' / name} was made by another version ({held} rows, not {CellConstant.HALVES * wanted})"
                raise IncompatiblePins(f"{why}: stop the node, remove {pins}, start again")

    def node_row(self, half: int, place: int) -> RowNumber:
        return RowNumber(half * CellConstant.NODES_MAX + place)

    def choices_row(self, half: int, number: int) -> RowNumber:
        """`number`: of a service (CellService.number), below `sizes.services`."""
        return RowNumber(half * self.sizes.services + number)

    def target_row(self, half: int, number: int) -> RowNumber:
        """`number`: what tables of choices name, below `sizes.targets`."""
        return RowNumber(half * self.sizes.targets + number)

    def switch(self, config: CellConfig) -> None:
        """Read `config.half` from now on. How many services and targets a half has is this data plane's to say: whatever `config` says
        of that is replaced."""
        sized = config._replace(services=self.sizes.services, targets=self.sizes.targets)
        syscall.update(self._cell, ONLY_KEY, CELL_LAYOUT.pack(*sized))
        self._raise_world()

    def choose_edges(self, living: EdgeSet) -> None:
        super().choose_edges(living)
        self._raise_world()

    def configure_substrate(self, config: SubstrateConfig) -> None:
        super().configure_substrate(config)
        self._raise_world()

    @property
    def config(self) -> CellConfig:
        """`epoch` 0: there is none, and nothing passes."""
        return CellConfig._make(CELL_LAYOUT.unpack(syscall.lookup(self._cell, ONLY_KEY, CELL_LAYOUT.size)))

    @property
    def cell_living(self) -> int:
        """Bit n: the node at place n answers probes. 0: nobody said anything, and all are taken to live."""
        return int.from_bytes(syscall.lookup(self._living, ONLY_KEY, 4), "little")

    @cell_living.setter
    def cell_living(self, places: int) -> None:
        syscall.update(self._living, ONLY_KEY, places.to_bytes(4, "little"))

    @property
    def presence(self) -> dict[int, CellPresence]:
        """By place; without those that are zero."""
        found = {place: self._presence.get(RowNumber(place)) for place in range(CellConstant.NODES_MAX)}
        return {place: row for place, row in found.items() if row and any(row)}

    def note_presence(self, rows: Mapping[int, CellPresence]) -> None:
        """Since when the nodes at these places have lived, and until when the last time, as this one saw it."""
        self._presence.put_many({RowNumber(place): row for place, row in rows.items()})

    def attach_substrate(self, ifindex: int) -> int:
        """hyperplane on the substrate device, and hyperplane_cut on the loopback of the namespace in which this runs (as hold() does); how
        many of both were not there."""
        self.reserve_counters(ifindex)
        return self.hold("hyperplane_cut", LOOPBACK) + self.hold("hyperplane", ifindex)

    def configure_checks(self, config: ChecksConfig) -> None:
        """Where the node's health checks are. All zero: nowhere, and their answers are dropped."""
        syscall.update(self._checks, ONLY_KEY, CHECKS_LAYOUT.pack(*config))

    @property
    def checks(self) -> ChecksConfig:
        return ChecksConfig._make(CHECKS_LAYOUT.unpack(syscall.lookup(self._checks, ONLY_KEY, CHECKS_LAYOUT.size)))

    def attach_checks(self, ifindex: int) -> bool:
        """hyperplane_checks on the node's end of the pair that leads to its health checks; as hold()."""
        return self.hold("hyperplane_checks", ifindex)

    def sweep_flows(self, leaving: Iterable[LeavingKey] = ()) -> tuple[FlowSweepOutcome, dict[LeavingKey, int]]:
        """Forget the flows whose time is over, and give their ports and their tenants' shares back; count the others, and how many answers
        of flows that are not over come to the addresses `leaving`. Run it every few seconds. Blocks, some ten milliseconds for a million of places.
        Raises DataplaneError."""
        layout, wanted = LAYOUTS[FlowSweepOutcome], dict.fromkeys(leaving, Leaving(0))
        self._leaving.delete_many([key for key, _ in self._leaving.items() if key not in wanted])
        self._leaving.put_many(wanted)
        try:
            left = syscall.run(self._programs["flow_sweep"], layout.pack(*FlowSweepOutcome(0, 0, 0, 0, leaving=len(wanted))))
        except OSError as error:
            raise DataplaneError(f"sweep of the flows: {error.strerror}") from error
        counted = {key: row.flows for key, row in self._leaving.items()} if wanted else {}
        return FlowSweepOutcome._make(layout.unpack(left)), counted

    def find_resting(self, slices: int, slice_: int) -> RestSearch:
        """List the flows of which no heartbeat came lately for send_copies(), of every `slices` rows the one numbered `slice_`. `left`: for
        so many the list had no room. Blocks, some ten milliseconds for a million of places. Raises DataplaneError."""
        layout = LAYOUTS[RestSearch]
        try:
            packed = syscall.run(self._programs["flow_rest"], layout.pack(slices, slice_, 0, 0))
        except OSError as error:
            raise DataplaneError(f"search for flows that rest: {error.strerror}") from error
        return RestSearch._make(layout.unpack(packed))

    def send_copies(self, flows: int) -> bytes:
        """Of the next `flows` in the list to the other nodes that are to keep them; the last frame. A few microseconds for each. The
        thread must be in the node's network namespace. Raises DataplaneError."""
        try:
            return syscall.test_run(self._programs["flow_copy"], COPY_FRAME, syscall.RunContext(), flows).frame
        except OSError as error:
            raise DataplaneError(f"copies of flows that rest: {error.strerror}") from error
