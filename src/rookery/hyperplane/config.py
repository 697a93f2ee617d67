"""The configuration file of a node's agent: JSON, one per node, the same on a real machine and in a namespace."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rookery.dataplane.attach import AttachMode
from rookery.host.config import NodeConfig


class CellNodeConfig(NodeConfig, frozen=True, kw_only=True):
    cell: str  # its name
    cell_number: int = 1  # what packets between nodes call it
    objects: str  # where its file lies: a folder, or s3://bucket/prefix
    object_options: dict[str, str] = {}  # of S3, as obstore names them
    max_mappings: int = 1 << 18
    checks_namespace: str = ""  # of health checks' sockets, in /run/netns; the agent makes it. Empty: this node makes none
    flows: int = 1 << 20  # that it keeps as a tracker, both directions counted
    directives: int = 1 << 18  # that it has at hand as a top
    flows_per_tenant: int = 1 << 18
    attach: AttachMode | None = None  # None: tcx or clsact, whichever the kernel has; xdp: on a network card


def read_config(path: Path) -> CellNodeConfig:
    """Raises msgspec.ValidationError (caught by the agent's main: a sentence and exit 2)."""
    return msgspec.json.decode(path.read_bytes(), type=CellNodeConfig)
