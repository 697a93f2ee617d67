"""What hosts and nodes of cells have alike: both ask rules, and both send to edges (rookery.dataplane.node)."""

from __future__ import annotations

from pathlib import Path

from rookery.dataplane import syscall
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import (
    LAYOUTS,
    EdgeAddress,
    EdgeNode,
    EdgeSet,
    FragmentKey,
    FragmentPorts,
    RuleAddressKey,
    RuleBits,
    RuleGroupKey,
    RulePortKey,
    RulePorts,
)
from rookery.dataplane.node import ONLY_KEY, LoadedPrograms, NodeDataplane
from rookery.dataplane.table import Table

EDGES_LAYOUT = LAYOUTS[EdgeSet]


class SenderDataplane(NodeDataplane):
    def __init__(self, pins: Path, programs: LoadedPrograms):
        super().__init__(pins, programs)
        maps = programs
        self.rule_addresses = Table("rule_addresses", maps.map_fd("rule_addresses"), RuleAddressKey, RuleBits)
        self.rule_groups = Table("rule_groups", maps.map_fd("rule_groups"), RuleGroupKey, RuleBits)
        self.rule_ports = Table("rule_ports", maps.map_fd("rule_ports"), RulePortKey, RulePorts)
        self.fragments = Table("fragments", maps.map_fd("fragments"), FragmentKey, FragmentPorts)
        self.edge_nodes = Table("edge_nodes", maps.map_fd("edge_nodes"), EdgeAddress, EdgeNode)
        self._edges = maps.map_fd("edges")

    def choose_edges(self, living: EdgeSet) -> None:
        """To which edges flows that leave a VPC are spread from now on. Raises DataplaneError."""
        try:
            syscall.update(self._edges, ONLY_KEY, EDGES_LAYOUT.pack(*living))
        except OSError as error:
            raise DataplaneError(f"cannot write edges: {error.strerror}") from error

    @property
    def edges(self) -> EdgeSet:
        """`living` 0: nobody leads out."""
        return EdgeSet._make(EDGES_LAYOUT.unpack(syscall.lookup(self._edges, ONLY_KEY, EDGES_LAYOUT.size)))
