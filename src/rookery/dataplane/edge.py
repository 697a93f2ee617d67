"""The data plane of one edge: what the edge's agent drives (rookery.dataplane.node).

What the programs want of the edge's network namespace, for they ask its kernel for the way out, and leave it what must be cut:
    net.ipv4.conf.u0.forwarding = net.ipv6.conf.u0.forwarding = 1     from the substrate device to the uplink
    net.ipv4.conf.x0.forwarding = net.ipv6.conf.x0.forwarding = 0     nothing from outside but through the programs
    net.ipv4.conf.{all,u0}.rp_filter = 0                              what comes from u0 has addresses that lie beyond x0
and routes that lead outside (BGP, or a default route) by x0.

Both programs are built twice, of the same stages (bpf/tc/hull, bpf/xdp/hull). TC alone is for veth, where super-packets and unfinished
checksums survive it. On a network card XDP goes in front of it, which spares each packet its socket buffer, and leaves to TC as it came whatever must wait for
a neighbour's MAC or be cut. XDP sees one packet at a time with all its checksums: what sends to it over veth must not leave either to a device
(ethtool -K tx off), and the card must join no packets and take out no VLAN tags (ethtool -K u0 lro off gro-hw off rxvlan off)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from rookery.dataplane import syscall
from rookery.dataplane.attach import AttachMode, XdpAttachments, attachments, xdp_links
from rookery.dataplane.formats import (
    LAYOUTS,
    Block,
    BlockKey,
    MappingKey,
    Public,
    PublicKey,
    Translation,
    UplinkConfig,
    Verdict,
)
from rookery.dataplane.node import (
    ONLY_KEY,
    ROOM,
    XDP_BUILD,
    LoadedPrograms,
    NodeDataplane,
    WhatIf,
    check_pins,
    load,
)
from rookery.dataplane.table import Table

ProgramName = Literal["blackfoot_outward", "blackfoot_inward"]
PROGRAMS: tuple[ProgramName, ...] = get_args(ProgramName)
OBJECTS = (*PROGRAMS, *(name + XDP_BUILD for name in PROGRAMS))
MAX_PUBLIC_ADDRESSES = 1 << 20
UPLINK_LAYOUT = LAYOUTS[UplinkConfig]


class EdgeDataplane(NodeDataplane):
    """Make it with `open`."""

    def __init__(self, pins: Path, programs: LoadedPrograms):
        super().__init__(pins, programs)
        maps = programs
        self.publics = Table("publics", maps.map_fd("publics"), PublicKey, Public)
        self.translations = Table("translations", maps.map_fd("translations"), MappingKey, Translation)
        self.blocks = Table("blocks", maps.map_fd("blocks"), BlockKey, Block)
        self._uplink = maps.map_fd("uplink")
        self._xdp: XdpAttachments | None = None  # TC alone

    @classmethod
    def open(
        cls, pins: Path, objects: Path, max_mappings: int, max_public_addresses: int = MAX_PUBLIC_ADDRESSES
    ) -> EdgeDataplane:
        """Load the objects of the folder `objects` (rookery.dataplane.node.load). Both sizes count when a map is made, with room
        for twice as many rows; one that is pinned keeps its size. Raises LoadFailed, IncompatiblePins, DataplaneError."""
        sizes = {
            "mappings": ROOM * max_mappings,
            "publics": ROOM * max_public_addresses,
            "translations": ROOM * max_public_addresses,
        }
        return cls(pins, load(pins, objects, OBJECTS, sizes))

    @staticmethod
    def check_pins(pins: Path, objects: Path) -> None:
        """Would `open` take what is pinned there? Nothing is loaded or changed. Raises IncompatiblePins, LoadFailed."""
        check_pins(pins, objects / f"{PROGRAMS[0]}.bpf.o")

    def configure_uplink(self, config: UplinkConfig) -> None:
        """Where packets leave the region, and whether hosts shall go on choosing this edge. All zero: they do not, and nothing
        leaves."""
        syscall.update(self._uplink, ONLY_KEY, UPLINK_LAYOUT.pack(*config))

    @property
    def uplink(self) -> UplinkConfig:
        """All zero: there is none."""
        packed = syscall.lookup(self._uplink, ONLY_KEY, UPLINK_LAYOUT.size)
        return UplinkConfig._make(UPLINK_LAYOUT.unpack(packed))

    def attach_substrate(self, ifindex: int) -> None:
        """blackfoot_outward on the substrate device. Idempotent; swaps what is attached in one step."""
        self.reserve_counters(ifindex)
        self._attach("blackfoot_outward", ifindex)

    def attach_uplink(self, ifindex: int) -> None:
        """blackfoot_inward on the uplink. Idempotent; swaps what is attached in one step."""
        self.reserve_counters(ifindex)
        self._attach("blackfoot_inward", ifindex)

    @property
    def attach_mode(self) -> AttachMode:
        return "xdp" if self._xdp else super().attach_mode

    def use_attach_mode(self, mode: AttachMode) -> None:
        """Instead of what the kernel's features suggest, which never is "xdp": that is the operator's to say, who knows the devices. Before
        anything is attached."""
        self._xdp = XdpAttachments(self.pins, self._attachments) if mode == "xdp" else None
        if mode != "xdp":
            self._attachments = attachments(mode, self.pins)

    def _attach(self, program: str, ifindex: int) -> None:
        if self._xdp:
            self._xdp.attach(self._programs[program + XDP_BUILD], self._programs[program], ifindex)
        else:
            super()._attach(program, ifindex)
            xdp_links(self.pins).detach(ifindex)  # an earlier agent's

    def detach(self, ifindex: int) -> None:
        if self._xdp:
            self._xdp.detach(ifindex)
        super().detach(ifindex)

    def attached_program(self, ifindex: int) -> int:
        return self._xdp.program(ifindex) if self._xdp else super().attached_program(ifindex)

    def _first(self, program: str) -> str:
        """The build that meets a packet first."""
        return program + XDP_BUILD if self._xdp else program

    def program_id(self, program: str) -> int:
        return super().program_id(self._first(program))

    def what_if(self, program: str, frame: bytes, ifindex: int, trace: int) -> WhatIf:
        """As of any node. What XDP defers TC tells from the start."""
        told = super().what_if(self._first(program), frame, ifindex, trace)
        return super().what_if(program, frame, ifindex, trace) if told.verdict is Verdict.DEFERRED else told
