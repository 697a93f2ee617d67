"""The configuration file of an edge's agent: JSON, one per edge, the same on a real machine and in a namespace."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rookery.dataplane.attach import AttachMode
from rookery.dataplane.edge import MAX_PUBLIC_ADDRESSES
from rookery.dataplane.formats import EdgeConstant
from rookery.host.config import NodeConfig


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A router outside, at the other end of the uplink."""

    address: str
    asn: int


class EdgeConfig(NodeConfig, frozen=True, kw_only=True):
    uplink_device: str = "x0"
    uplink_mtu: int = int(EdgeConstant.INTERNET_MTU)
    uplink_address: str  # the edge's own
    uplink_ipv6: str  # ... of the other family: the next hop of the IPv6 blocks
    asn: int
    neighbours: list[Neighbour]
    public_pools: list[str] = []  # CIDRs of public IPv4 addresses
    attach: AttachMode | None = None  # None: tcx or clsact, whichever the kernel has; xdp: on network cards
    max_public_addresses: int = MAX_PUBLIC_ADDRESSES

    @property
    def bird_config(self) -> Path:
        return Path(self.run_directory) / "bird.conf"

    @property
    def bird_socket(self) -> Path:
        return Path(self.run_directory) / "bird.ctl"

    @property
    def draining_mark(self) -> Path:
        """There while the edge drains: it outlives agents and machines."""
        return Path(self.state_directory) / "draining"


def read_config(path: Path) -> EdgeConfig:
    """Raises msgspec.ValidationError (caught by the agent's main: a sentence and exit 2)."""
    return msgspec.json.decode(path.read_bytes(), type=EdgeConfig)
