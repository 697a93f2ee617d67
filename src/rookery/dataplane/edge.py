"""The data plane of one edge: what the edge's agent drives (rookery.dataplane.node).

What the programs want of the edge's network namespace, for they ask its kernel for the way out, and leave it what must be cut:
    net.ipv4.conf.u0.forwarding = net.ipv6.conf.u0.forwarding = 1     from the substrate device to the uplink
    net.ipv4.conf.x0.forwarding = net.ipv6.conf.x0.forwarding = 0     nothing from outside but through the programs
    net.ipv4.conf.{all,u0}.rp_filter = 0                              what comes from u0 has addresses that lie beyond x0
and routes that lead outside (BGP, or a default route) by x0.

Both programs are built twice (rookery.dataplane.two_builds); XDP leaves to TC whatever must wait for a neighbour's MAC or be cut."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from rookery.dataplane import syscall
from rookery.dataplane.formats import (
    LAYOUTS,
    Block,
    BlockKey,
    MappingKey,
    Public,
    PublicKey,
    Translation,
    UplinkConfig,
)
from rookery.dataplane.node import (
    ONLY_KEY,
    ROOM,
    XDP_BUILD,
    LoadedPrograms,
    check_pins,
    load,
)
from rookery.dataplane.table import Table
from rookery.dataplane.two_builds import TwoBuildsDataplane

ProgramName = Literal["blackfoot_outward", "blackfoot_inward"]
PROGRAMS: tuple[ProgramName, ...] = get_args(ProgramName)
OBJECTS = (*PROGRAMS, *(name + XDP_BUILD for name in PROGRAMS))
MAX_PUBLIC_ADDRESSES = 1 << 20
UPLINK_LAYOUT = LAYOUTS[UplinkConfig]


class EdgeDataplane(TwoBuildsDataplane):
    """Make it with `open`."""

    def __init__(self, pins: Path, programs: LoadedPrograms):
        super().__init__(pins, programs)
        maps = programs
        self.publics = Table("publics", maps.map_fd("publics"), PublicKey, Public)
        self.translations = Table("translations", maps.map_fd("translations"), MappingKey, Translation)
        self.blocks = Table("blocks", maps.map_fd("blocks"), BlockKey, Block)
        self._uplink = maps.map_fd("uplink")

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

    def attach_substrate(self, ifindex: int) -> bool:
        """blackfoot_outward on the substrate device; as hold()."""
        self.reserve_counters(ifindex)
        return self.hold("blackfoot_outward", ifindex)

    def attach_uplink(self, ifindex: int) -> bool:
        """blackfoot_inward on the uplink; as hold()."""
        self.reserve_counters(ifindex)
        return self.hold("blackfoot_inward", ifindex)
