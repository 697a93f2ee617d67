"""The ways of health checks from this node to targets: a slot for each, and sockets whose packets go there in a balancer's name.

A socket connects to the address that names the slot; the node's program puts the balancer's address and the target's in the place of both,
and back (docs/decisions/0022). What the tables hold is this node's own affair: a new agent begins with none.

NoWay    a check cannot be made now: the checker says so of that check, and tries again with the next
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterable
from itertools import count
from typing import Any, Protocol

from rookery.dataplane.addresses import address_bytes, address_text
from rookery.dataplane.formats import (
    LAYOUTS,
    AttachmentKey,
    CellConfig,
    CellConstant,
    CellServiceKey,
    CheckWay,
    Forwarder,
    ForwarderKey,
    InterfaceFlag,
    RowNumber,
    SubstrateConfig,
    TopSet,
    TopsNumber,
)
from rookery.host.instances.namespace import NamespaceError, inside
from rookery.host.kept_table import KeptTable
from rookery.host.ports import Table

Way = tuple[int, int, str]  # VNI and number of the balancer's attachment, address of the target
SUBSTRATE_BYTES = 4


class NoWay(Exception):
    """Root and only kind."""


class Sizes(Protocol):
    @property
    def checks(self) -> int: ...


class CheckTables(Protocol):
    """The dataplane's (rookery.dataplane.cell.CellDataplane)."""

    @property
    def sizes(self) -> Sizes: ...

    @property
    def config(self) -> CellConfig: ...

    @property
    def substrate(self) -> SubstrateConfig: ...

    @property
    def check_slots(self) -> Table[RowNumber, CheckWay]: ...

    @property
    def check_numbers(self) -> Table[CheckWay, RowNumber]: ...

    @property
    def cell_services(self) -> Table[CellServiceKey, Any]: ...

    @property
    def forwarders(self) -> Table[ForwarderKey, Forwarder]: ...

    @property
    def tops(self) -> Table[TopsNumber, TopSet]: ...


def address_of(slot: int) -> str:
    """Where a socket connects to reach the target of this slot; the port stays as it is."""
    return str(ipaddress.IPv4Address((CellConstant.CHECK_NETWORK << 24) + slot))


def local_address() -> str:
    """Of every node: where its sockets are bound. Balancers put their own in its place."""
    return address_of(CellConstant.CHECK_SELF)


def ports_of(place: int) -> range:
    """Of a balancer's address, those that the node at this place checks from."""
    first = CellConstant.CHECK_PORT_FIRST + place * CellConstant.CHECK_PORTS
    return range(first, first + CellConstant.CHECK_PORTS)


class CheckWays:
    """Nobody else writes these tables. For one thread, but for heal()."""

    def __init__(self, tables: CheckTables, namespace: str):
        """Forgets what a predecessor left. `namespace`: in /run/netns, where checks' sockets live (rookery.hyperplane.check_link).
        Raises DataplaneError."""
        self._tables, self._namespace = tables, namespace
        self._slots: KeptTable[RowNumber, CheckWay] = KeptTable(tables.check_slots)
        self._numbers: KeptTable[CheckWay, RowNumber] = KeptTable(tables.check_numbers)
        self._slots.become({})
        self._numbers.become({})
        self._turns: dict[RowNumber, count[int]] = {}
        self._last = 0

    # Slots

    def assign(self, vni: int, interface: int, address: str) -> int:
        """The slot of this way, which keeps it until it is freed. Raises NoWay, DataplaneError."""
        way = _way(vni, interface, address)
        number = self._numbers.wanted.get(way)
        if number is None:
            number = self._free_number()
            self._slots.change({number: way}, ())
            self._numbers.change({way: number}, ())
            self._turns[number] = count()
        return number.row

    def free(self, vni: int, interface: int, address: str) -> None:
        """Its checks end without an answer. None there: nothing to do. Raises DataplaneError."""
        way = _way(vni, interface, address)
        number = self._numbers.wanted.get(way)
        if number is not None:
            self._turns.pop(number, None)
            self._slots.change({}, [number])
            self._numbers.change({}, [way])

    def keep(self, wanted: Collection[Way]) -> None:
        """Frees all others. Raises DataplaneError."""
        for way in self.ways - set(wanted):
            self.free(*way)

    @property
    def ways(self) -> set[Way]:
        """Those that have a slot."""
        return {(way.vni, way.interface, address_text(way.address)) for way in self._numbers.wanted}

    def _free_number(self) -> RowNumber:
        """The one that has been free for longest, nearly: a late answer is nobody's. Raises NoWay."""
        room = self._tables.sizes.checks
        for step in range(room):
            number = RowNumber((self._last + step) % room + 1)
            if number not in self._slots.wanted:
                self._last = number.row
                return number
        raise NoWay(f"all {room} slots of checks are taken")

    # Sockets

    def open_socket(self, vni: int, interface: int, address: str) -> tuple[socket.socket, str]:
        """A TCP socket, non-blocking, bound and not connected, and the address to which it must connect, with the port that is to
        be checked. It takes a slot if there is none yet. Raises NoWay, DataplaneError."""
        slot = self.assign(vni, interface, address)
        port = self._next_port(vni, interface, slot)
        try:
            with inside(self._namespace):
                made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except (NamespaceError, OSError) as error:
            raise NoWay(f"no socket in {self._namespace}: {error}") from error
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port serves many targets
            made.bind((local_address(), port))
        except OSError as error:
            made.close()
            raise NoWay(f"no socket at {local_address()}:{port}: {error.strerror}") from error
        return made, address_of(slot)

    def _next_port(self, vni: int, interface: int, slot: int) -> int:
        """In turn, so that a target is asked from the same port as rarely as can be. A balancer's listener goes first. Raises NoWay."""
        config = self._tables.config
        if not config.epoch:
            raise NoWay("this node has no place in a cell yet")
        ports, turns = ports_of(config.self), self._turns[RowNumber(slot)]
        for _ in ports:
            port = ports[next(turns) % len(ports)]
            if not self._is_listened_for(config, vni, interface, port):
                return port
        raise NoWay("the balancer listens at all ports that this node may check from")

    def _is_listened_for(self, config: CellConfig, vni: int, interface: int, port: int) -> bool:
        key = AttachmentKey(config.half, vni, interface)
        return self._tables.cell_services.get(CellServiceKey(*key, socket.IPPROTO_TCP, port.to_bytes(2, "big"))) is not None

    def speaks_for(self, vni: int, interface: int) -> bool:
        """Do hosts believe this node when it speaks for the attachment? They believe the nodes of its cell: others cannot check its
        targets. Raises DataplaneError."""
        attachment = self._tables.forwarders.get(ForwarderKey(vni, interface))
        if attachment is None or not attachment.flags & InterfaceFlag.AT_CELL:
            return False
        served = self._tables.tops.get(TopsNumber(*LAYOUTS[TopsNumber].unpack(attachment.host)))
        return served is not None and self._tables.substrate.address in _members(served)

    def heal(self) -> int:
        """How many rows had to be mended. Blocks; safe beside the others. Raises DataplaneError."""
        return self._slots.heal() + self._numbers.heal()


def _way(vni: int, interface: int, address: str) -> CheckWay:
    return CheckWay(vni, interface, address_bytes(address))


def _members(served: TopSet) -> Iterable[bytes]:
    packed = served.address
    return [packed[at * SUBSTRATE_BYTES : (at + 1) * SUBSTRATE_BYTES] for at in range(served.members)]
