"""Where packets go: the tables of mappings, routes, forwarders, gateways and nodes of cells, which hosts, edges and nodes keep alike.

A route leads to a forwarder that is there before it and goes after it; so does what lives at a cell to the set of its nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from rookery.host import rows
from rookery.host.kept_table import KeptTable
from rookery.host.ports import Table
from rookery.host.tops import Tops
from rookery.intent.host import HostIntent
from rookery.mapping.protocol import Delta


class WayTables(Protocol):
    """The dataplane's."""

    @property
    def mappings(self) -> Table[Any, Any]: ...

    @property
    def delegated(self) -> Table[Any, Any]: ...

    @property
    def routes(self) -> Table[Any, Any]: ...

    @property
    def forwarders(self) -> Table[Any, Any]: ...

    @property
    def gateways(self) -> Table[Any, Any]: ...

    @property
    def tops(self) -> Table[Any, Any]: ...


class Ways:
    def __init__(self, tables: WayTables):
        self.gateways = KeptTable(tables.gateways)
        self.tops = Tops(tables.tops)
        self.forwarders = KeptTable(tables.forwarders)
        self.routes = KeptTable(tables.routes)
        self.delegated = KeptTable(tables.delegated)
        self.mappings = KeptTable(tables.mappings)

    def become(self, intent: HostIntent) -> None:
        self.gateways.become(rows.gateways(intent.rules.values()))
        self.tops.include(intent.rules.values())
        forwarders = rows.forwarders(intent.rules.values())
        self.forwarders.include(forwarders)
        self.routes.become(rows.with_roots(rows.routes(intent.routes.values())))
        self.forwarders.shift(forwarders)
        self.delegated.become(rows.delegated(intent.mappings.values()))
        self.mappings.become(rows.mappings(intent.mappings.values()))
        self.tops.become(intent.rules.values())

    def change(self, delta: Delta) -> None:
        self.gateways.change(rows.gateways(delta.put_rules), rows.gateway_keys(delta.delete_rules))
        self.tops.put(delta.put_rules)
        self.forwarders.change(rows.forwarders(delta.put_rules), ())
        put, delete = rows.routes(delta.put_routes), rows.route_keys(delta.delete_routes)
        self.routes.change(*rows.change_of_routes(put, delete, self.routes.wanted))
        self.forwarders.change({}, rows.forwarder_keys(delta.delete_rules))
        self.delegated.change(rows.delegated(delta.put_mappings), rows.delegated_keys(delta.delete_mappings))
        self.mappings.change(rows.mappings(delta.put_mappings), rows.mapping_keys(delta.delete_mappings))
        self.tops.delete(delta.delete_rules)

    @property
    def tables(self) -> Iterable[KeptTable[Any, Any]]:
        """In the order in which they are mended."""
        return (self.gateways, self.tops.table, self.forwarders, self.routes, self.delegated, self.mappings)
