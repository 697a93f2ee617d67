"""Where packets go from those that let others send: hosts, and nodes in the name of attachments. Beside the ways that edges keep too, these are the
region's edges, and which VPCs admit each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from rookery.host import rows
from rookery.host.kept_table import KeptTable
from rookery.host.ports import Table
from rookery.host.ways import Ways, WayTables
from rookery.intent.host import EdgeIntent, HostIntent, RuleIntent, RuleKey
from rookery.mapping.protocol import Delta


class SenderTables(WayTables, Protocol):
    """The dataplane's; rules are there for the gates."""

    @property
    def peerings(self) -> Table[Any, Any]: ...

    @property
    def edge_nodes(self) -> Table[Any, Any]: ...

    @property
    def rule_addresses(self) -> Table[Any, Any]: ...

    @property
    def rule_groups(self) -> Table[Any, Any]: ...

    @property
    def rule_ports(self) -> Table[Any, Any]: ...


class SenderWays(Ways):
    def __init__(self, tables: SenderTables):
        super().__init__(tables)
        self.peerings = KeptTable(tables.peerings)
        self.edge_nodes = KeptTable(tables.edge_nodes)
        self._edges: dict[RuleKey, EdgeIntent] = {}

    @property
    def edges(self) -> tuple[str, ...]:
        """Substrate addresses of the region's edges, living or not."""
        return tuple(sorted(edge.address for edge in list(self._edges.values())))

    def become(self, intent: HostIntent) -> None:
        self._edges = _edges(intent.rules.values())
        self.edge_nodes.become(rows.edge_nodes(self._edges.values()))
        self.peerings.become(rows.peerings(intent.rules.values()))
        super().become(intent)

    def change(self, delta: Delta) -> None:
        kept = {key: edge for key, edge in self._edges.items() if key not in delta.delete_rules}
        self._edges = kept | _edges(delta.put_rules)
        self.edge_nodes.shift(rows.edge_nodes(self._edges.values()))
        self.peerings.change(rows.peerings(delta.put_rules), rows.peering_keys(delta.delete_rules))
        super().change(delta)

    @property
    def tables(self) -> Iterable[KeptTable[Any, Any]]:
        return (self.edge_nodes, self.peerings, *super().tables)


def _edges(rules: Iterable[RuleIntent]) -> dict[RuleKey, EdgeIntent]:
    return {rule.key: rule for rule in rules if isinstance(rule, EdgeIntent)}
