"""A node's tables: ways and rules as the intent says (as a host has them, but for instances), and the halves of the cell's file."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import msgspec

from rookery.dataplane.formats import Gates
from rookery.host.kept_table import KeptTable
from rookery.host.rule_book import RuleBook
from rookery.host.sender_ways import SenderTables, SenderWays
from rookery.hyperplane.cell_file import CellFile, Refused
from rookery.hyperplane.halves import CellTables, Halves
from rookery.hyperplane.kept_routes import KeptRoutes
from rookery.hyperplane.measured import MeasuredRows, MeasureRows
from rookery.intent.cell import AttachmentIntent
from rookery.intent.host import HostIntent
from rookery.mapping.protocol import Delta
from rookery.model.objects import ConnectionTracking


class NodeTables(SenderTables, CellTables, Protocol):
    """The dataplane's."""

    @property
    def measures(self) -> MeasureRows: ...


class _Gated(NamedTuple):
    """An attachment to RuleBook: it is tracked as an interface is by default."""

    vni: int
    group_set: int
    acl: int
    tcp_established_seconds: int = ConnectionTracking().tcp_established
    udp_stream_seconds: int = ConnectionTracking().udp_stream
    udp_seconds: int = ConnectionTracking().udp


class NodeKernel:
    def __init__(self, tables: NodeTables, cell_number: int, has_intent: bool = True):
        """`has_intent`: a mapping service will tell it."""
        self._awaits_intent = has_intent
        self.ways = SenderWays(tables)
        self._routes = self.ways.routes = KeptRoutes(tables.routes, self._tables_asked)
        self.halves = Halves(tables, cell_number)
        self.measured = MeasuredRows(tables.measures, self.halves.rows_measured())
        self._rules = (KeptTable(tables.rule_addresses), KeptTable(tables.rule_ports), KeptTable(tables.rule_groups))
        self.book = RuleBook()
        self._switching = threading.Lock()
        self.waits = False  # the file that it took names what no intent has told yet: it is to be taken again after the next one
        self._whole = False  # until the first intent is in, nothing in the tables is known to be wrong

    @property
    def edges(self) -> tuple[str, ...]:
        """Substrate addresses of the region's edges, living or not."""
        return self.ways.edges

    def become(self, intent: HostIntent) -> None:
        """Whatever the tables hold, afterwards they hold this; but rules that an attachment still asks for stay until the next file
        is in, which names the new ones. Blocks: a million rows take seconds."""
        with self._switching:
            self.book.become(intent.rules)
            for table, wanted in zip(self._rules, self._rule_rows(), strict=True):
                table.include(wanted)
            self.ways.become(intent)
            self._whole = True

    def change(self, delta: Delta) -> None:
        """Only the rows that the delta names; rules of lists that are gone stay until the next file."""
        with self._switching:
            self.book.change(delta.put_rules, delta.delete_rules)
            for table, wanted in zip(self._rules, self._rule_rows(), strict=True):
                held = table.wanted
                table.change({key: row for key, row in wanted.items() if held.get(key) != row}, ())
            self.ways.change(delta)

    def take(self, file: CellFile, place: int) -> None:
        """The cell's file; then the rules that no attachment asks for any more go. What the file names and no intent has told yet, a route
        table or a list of rules, waits: the attachment goes by those that it had. Raises DataplaneError, Refused."""
        with self._switching:
            self._check_ways()
            self.measured.become(file)
            routed = self._as_far_as_known(file)
            self.halves.become(routed, place, self._gates, self.measured.row_of)
            self._routes.release()
            unruled = any(self._lacks_rules(one) for one in file.intent.attachments)
            self.waits = unruled or routed is not file or not self._whole
            if self._whole and not unruled:
                for table, wanted in zip(reversed(self._rules), reversed(self._rule_rows()), strict=True):
                    table.shift(wanted)

    def _as_far_as_known(self, file: CellFile) -> CellFile:
        """The file itself, or one whose attachments ask no table that is not known yet: every table has routes, its VPC's own."""
        known, held = self._routes.told, self.halves.tables_by_attachment()
        lacking = {one.key for one in file.intent.attachments if self._whole and one.route_table not in known}
        if not lacking:
            return file
        attachments = tuple(
            msgspec.structs.replace(one, route_table=held.get(one.key, one.route_table)) if one.key in lacking else one
            for one in file.intent.attachments
        )
        return msgspec.structs.replace(file, intent=msgspec.structs.replace(file.intent, attachments=attachments))

    def _lacks_rules(self, one: AttachmentIntent) -> bool:
        lists = (("acl", one.acl, 0), ("policy", one.group_set, 0))
        return self._whole and any(key[1] and not self.book.has(key) for key in lists)

    def _check_ways(self) -> None:
        """With its first file a node answers probes, and packets come. One that was born anew must know where they go before that, and
        what may pass; one whose tables outlived its agent knows. Raises Refused."""
        if self._awaits_intent and not self._whole and not self.halves.epoch:
            raise Refused("the node has not been told any ways yet: it takes its first file after its first intent")

    def _tables_asked(self) -> set[int]:
        """Route tables of attachments, by the file that the kernel has."""
        return self.halves.route_tables

    def _gates(self, one: AttachmentIntent) -> Gates:
        """An agent that has only begun knows no rules yet; those that its predecessor compiled are in the kernel. Nor does one whose file was
        faster than its intent."""
        held = self.halves.gates_of(one.key) if not self._whole or self._lacks_rules(one) else None
        return held or self.book.gates(_Gated(one.vni, one.group_set, one.acl))

    def _rule_rows(self) -> tuple[dict[Any, Any], ...]:
        """In the order of `_rules`."""
        lists = list(self.book.lists.values())
        addresses = {key: row for one in lists for key, row in one.addresses.items()}
        ports = {key: row for one in lists for key, row in one.ports.items()}
        return addresses, ports, self.book.group_rows()

    def heal(self) -> int:
        """One pass over every table; how many rows had to be mended. Blocks; safe beside `change`. The halves heal every two seconds."""
        if not self._whole:
            return 0
        tables: Iterable[KeptTable[Any, Any]] = (*self._rules, *self.ways.tables)
        return sum(table.heal() for table in tables)
