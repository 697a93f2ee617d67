"""The shape of a region, as `up` was asked for it; kept in its state, so that it is the same after a reboot."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

import msgspec

from rookery.dataplane.formats import CellConstant, EdgeConstant
from rookery.files import write_whole
from rookery.model import defaults
from rookery.region import layout
from rookery.region.called import COMMAND
from rookery.region.errors import Ambiguous, BadName, CannotStart, NotFound

NAME = re.compile(r"[a-z][a-z0-9]{0,15}")
MOST_HOSTS = 200
MOST_ZONES = 6
MOST_EDGES = int(EdgeConstant.EDGES_MAX)
MOST_NODES = int(CellConstant.NODES_MAX)
MOST_CELLS = 8


# RFC 1918, 6598, 3927, 1122, and multicast: of these the edges let nothing in.
NOT_PUBLIC = tuple(
    map(
        ipaddress.IPv4Network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8", "0.0.0.0/8", "224.0.0.0/3"),
    )
)


class CellShape(msgspec.Struct, frozen=True):
    number: int  # from 1; of a cell that left, the next that comes takes it
    nodes: int

    @property
    def name(self) -> str:
        return layout.cell_name(self.number)

    @property
    def node_names(self) -> list[str]:
        return [layout.node_name(index, self.number) for index in range(self.nodes)]


class NodePlace(NamedTuple):
    """Of a node of a cell."""

    name: str
    cell: str  # name
    zone: int
    address: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    hosts: int = 4
    zones: int = 2
    port: int = defaults.API_PORT
    jumbo: bool = False
    edges: int = 2
    nodes: int = 4  # of a cell of Hyperplane when it comes; 0: there is no cell
    cells: tuple[CellShape, ...] | None = None  # by number; None: one, as regions had before there were several
    public_pools: tuple[str, ...] = (layout.DEFAULT_POOL,)  # of public IPv4 addresses; the edges announce them
    dns_upstreams: tuple[str, ...] | None = None  # resolvers for public names, asked from the hosts' namespaces; (): nobody is asked

    @property
    def layout(self) -> layout.Layout:
        return layout.Layout(self.name)

    @property
    def asked_for_names(self) -> tuple[str, ...]:
        """Where nothing was said: the server of the emulated internet, if there is one."""
        if self.dns_upstreams is None:
            return (layout.NAMES_SUBSTRATE_ADDRESS,) if self.edges else ()
        return self.dns_upstreams

    @property
    def upstream_addresses(self) -> list[str]:
        """Of asked_for_names, without their ports. Raises CannotStart: one is no address."""
        return [_upstream_address(text) for text in self.asked_for_names]

    @property
    def substrate_mtu(self) -> int:
        return defaults.JUMBO_SUBSTRATE_MTU if self.jumbo else defaults.SUBSTRATE_MTU

    @property
    def instance_mtu(self) -> int:
        return defaults.JUMBO_INSTANCE_MTU if self.jumbo else defaults.INSTANCE_MTU

    @property
    def host_names(self) -> list[str]:
        return [layout.host_name(index) for index in range(self.hosts)]

    @property
    def edge_names(self) -> list[str]:
        return [layout.edge_name(index) for index in range(self.edges)]

    @property
    def the_cells(self) -> tuple[CellShape, ...]:
        if self.cells is None:
            return (CellShape(1, self.nodes),) if self.nodes else ()
        return self.cells

    @property
    def node_places(self) -> list[NodePlace]:
        """Of all cells. A cell's nodes take turns, as hosts do."""
        return [
            NodePlace(name, cell.name, self.zone_of(i), layout.node_address(self.zone_of(i), i, cell.number))
            for cell in self.the_cells
            for i, name in enumerate(cell.node_names)
        ]

    @property
    def node_names(self) -> list[str]:
        return [node.name for node in self.node_places]

    @property
    def cells_in_words(self) -> str:
        return ", ".join(f"{one.name} of {one.nodes} {'nodes' if one.nodes > 1 else 'node'}" for one in self.the_cells) or "no cell"

    def cell(self, name: str) -> CellShape:
        """Raises NotFound. Empty: the only one there is; raises Ambiguous."""
        found = [one for one in self.the_cells if name in ("", one.name)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(one.name for one in self.the_cells)
        if found:
            raise Ambiguous(f"which cell? There are {names}")
        raise NotFound(f"there is no cell {name}; there are: {names}" if names else "the region has no cell")

    def with_cells(self, *cells: CellShape) -> Settings:
        """The same region; these of its cells, by number, are so from now on, others as they are."""
        by_number = {one.number: one for one in (*self.the_cells, *cells)}
        return msgspec.structs.replace(self, cells=tuple(by_number[number] for number in sorted(by_number)))

    def without_cell(self, number: int) -> Settings:
        return msgspec.structs.replace(self, cells=tuple(one for one in self.the_cells if one.number != number))

    @property
    def next_cell(self) -> CellShape:
        """That would come next: the first number that is free."""
        taken = {one.number for one in self.the_cells}
        return CellShape(min(set(range(1, len(taken) + 2)) - taken), self.nodes)

    @property
    def host_edge_and_node_names(self) -> list[str]:
        return [*self.host_names, *self.edge_names, *self.node_names]

    def zone_of(self, index: int) -> int:
        """Hosts take turns, so that every zone has one as long as there are enough."""
        return index % self.zones

    def address_of(self, index: int) -> str:
        return layout.host_address(self.zone_of(index), index)

    def edge_address_of(self, index: int) -> str:
        return layout.edge_address(self.zone_of(index), index)



def resized(settings: Settings, cells: int | None, nodes: int | None) -> Settings:
    """So many cells, of so many nodes each; None: as it is. There never are fewer, but for none at all: cells leave a running region."""
    if cells == 0 or nodes == 0:
        return msgspec.structs.replace(settings, nodes=settings.nodes if nodes is None else nodes, cells=())
    held = settings.the_cells
    if nodes is not None:
        held = tuple(CellShape(one.number, nodes) for one in held)
    grown = msgspec.structs.replace(settings, nodes=settings.nodes if nodes is None else nodes, cells=held)
    while len(grown.the_cells) < (cells or (nodes is not None)):
        grown = grown.with_cells(grown.next_cell)
    return grown


def check_name(name: str) -> str:
    """The name itself. No hyphen: 'rookery-dev-' must not be the beginning of another region's things."""
    if not NAME.fullmatch(name):
        raise BadName(f"{name!r} cannot name a region: a lower-case letter, then up to 15 letters and digits")
    return name


def check(settings: Settings) -> None:
    """Raises CannotStart on numbers that make no region."""
    if not 1 <= settings.hosts <= MOST_HOSTS:
        raise CannotStart(f"{settings.hosts} hosts: a region has 1 to {MOST_HOSTS}")
    if not 1 <= settings.zones <= min(MOST_ZONES, settings.hosts):
        raise CannotStart(
            f"{settings.zones} zones: 1 to {MOST_ZONES}, and each needs a host (there are {settings.hosts})"
        )
    if not 1 <= settings.port <= 65535:
        raise CannotStart(f"port {settings.port}: 1 to 65535")
    if not 0 <= settings.edges <= MOST_EDGES:
        raise CannotStart(f"{settings.edges} edges: a region has 0 to {MOST_EDGES}")
    if not 0 <= settings.nodes <= MOST_NODES:
        raise CannotStart(f"{settings.nodes} nodes: a cell has 1 to {MOST_NODES}; 0: there is none")
    if len(settings.the_cells) > MOST_CELLS:
        raise CannotStart(f"{len(settings.the_cells)} cells: a region has 0 to {MOST_CELLS}")
    for cell in settings.the_cells:
        if not 1 <= cell.nodes <= MOST_NODES:
            raise CannotStart(f"{cell.name} with {cell.nodes} nodes: a cell has 1 to {MOST_NODES}")
    for pool in settings.public_pools:
        _check_pool(pool)
    _ = settings.upstream_addresses


def _check_pool(text: str) -> None:
    """Public IPv4 addresses that nobody else in the region has. Raises CannotStart."""
    try:
        pool = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise CannotStart(f"public pool {text}: {error}") from error
    taken = [str(block) for block in (layout.SUBSTRATE, layout.UPLINKS, layout.SERVERS, *NOT_PUBLIC) if pool.overlaps(block)]
    if taken:
        raise CannotStart(f"public pool {text}: it overlaps {', '.join(taken)}")


def _upstream_address(text: str) -> str:
    from rookery.host.services.dns.upstream import upstream  # noqa: PLC0415 - a DNS library, which few starts need

    try:
        return upstream(text).address
    except ValueError as error:
        raise CannotStart(f"DNS upstream {text}: {error}") from error


def read(name: str) -> Settings | None:
    """None: the region has no state on this machine."""
    path = layout.Layout(name).state / "region.json"
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Settings)
    except msgspec.DecodeError as broken:
        raise CannotStart(
            f"{path} is damaged ({broken}); `{COMMAND} down --name {name}` removes the region"
        ) from broken
    return msgspec.structs.replace(found, cells=found.the_cells)


def write(settings: Settings) -> None:
    write_whole(settings.layout.state / "region.json", msgspec.json.format(msgspec.json.encode(settings)))
