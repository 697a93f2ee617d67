"""The shape of a region, as `up` was asked for it; kept in its state, so that it is the same after a reboot."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from rookery.dataplane.formats import CellConstant, EdgeConstant
from rookery.files import write_whole
from rookery.model import defaults
from rookery.region import layout
from rookery.region.called import COMMAND
from rookery.region.errors import BadName, CannotStart

NAME = re.compile(r"[a-z][a-z0-9]{0,15}")
MOST_HOSTS = 200
MOST_ZONES = 6
MOST_EDGES = int(EdgeConstant.EDGES_MAX)
MOST_NODES = int(CellConstant.NODES_MAX)


# RFC 1918, 6598, 3927, 1122, and multicast: of these the edges let nothing in.
NOT_PUBLIC = tuple(
    map(
        ipaddress.IPv4Network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8", "0.0.0.0/8", "224.0.0.0/3"),
    )
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    hosts: int = 4
    zones: int = 2
    port: int = defaults.API_PORT
    jumbo: bool = False
    edges: int = 2
    nodes: int = 4  # of the cell of Hyperplane that serves all zones; 0: there is no cell
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
    def node_names(self) -> list[str]:
        return [layout.node_name(index) for index in range(self.nodes)]

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

    def node_address_of(self, index: int) -> str:
        return layout.node_address(self.zone_of(index), index)


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
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except msgspec.DecodeError as broken:
        raise CannotStart(
            f"{path} is damaged ({broken}); `{COMMAND} down --name {name}` removes the region"
        ) from broken


def write(settings: Settings) -> None:
    write_whole(settings.layout.state / "region.json", msgspec.json.format(msgspec.json.encode(settings)))
