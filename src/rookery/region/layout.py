"""Where a region's parts lie on one machine: names, addresses, paths. Pure; nothing here touches the machine.

Everything a region makes carries its name, so that several run side by side and `down` finds what a crash left.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
BPF_OBJECTS = CHECKOUT / "build" / "bpf"
GUEST_IMAGES = CHECKOUT / "build" / "guests"
SUBSTRATE = ipaddress.ip_network("100.64.0.0/16")  # RFC 6598; only inside the region's own namespaces
MAPPING_SERVICE_ADDRESS = "100.64.0.2"
DEFAULT_POOL = "203.0.113.0/24"  # RFC 5737, as all that follows of IPv4: no network has them
UPLINKS = ipaddress.ip_network("198.51.100.0/24")  # point to point, between edges and the router outside
UPLINKS_IPV6 = ipaddress.ip_network("2001:db8:fe::/48")  # RFC 3849
SERVERS = ipaddress.ip_network("192.0.2.0/24")  # outside, each on a link of its own with the router
ROUTER_ADDRESS = "192.0.2.1"
PAGE_ADDRESSES = ("192.0.2.80", "2001:db8:ff::80")
NAMES_ADDRESSES = ("192.0.2.53", "2001:db8:fd::53")  # of the server that knows public names
NAMES_SUBSTRATE_ADDRESS = "100.64.0.53"  # the same, where the hosts' services ask it
PAGE_NAME = "www.example.com"  # RFC 2606
OLD_PAGE_NAME = "old.example.com"  # the same page, by its IPv4 address alone
EDGE_ASN, OUTSIDE_ASN = 64512, 64496  # RFC 6996: private; RFC 5398: of documentation
CELL = "cell-1"  # the first; every cell serves all zones
DEFAULT_ACCOUNT = "123456789012"
DEFAULT_AWS_REGION = "us-east-1"


@dataclass(frozen=True)
class Layout:
    """Of the region `name`."""

    name: str

    @property
    def state(self) -> Path:
        return Path("/var/lib/rookery") / self.name

    @property
    def run(self) -> Path:
        return Path("/run/rookery") / self.name

    @property
    def pins(self) -> Path:
        return Path("/sys/fs/bpf/rookery") / self.name

    @property
    def database(self) -> Path:
        return self.state / "store.db"

    @property
    def sealing_key(self) -> Path:
        return self.state / "sealing.key"

    @property
    def certificates(self) -> Path:
        return self.state / "certificates"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def supervisor_pid(self) -> Path:
        return self.run / "supervisor.pid"

    @property
    def namespace_prefix(self) -> str:
        """Of all the region's, those of instances too (rookery.host.instances.machine)."""
        return f"rookery-{self.name}-"

    @property
    def substrate_namespace(self) -> str:
        return f"{self.namespace_prefix}substrate"

    @property
    def control_namespace(self) -> str:
        """Of the mapping service."""
        return f"{self.namespace_prefix}control"

    @property
    def internet_namespace(self) -> str:
        """Of the emulated internet's router."""
        return f"{self.namespace_prefix}internet"

    @property
    def page_namespace(self) -> str:
        """Of a server outside."""
        return f"{self.namespace_prefix}page"

    @property
    def names_namespace(self) -> str:
        """Of the server outside that knows public names."""
        return f"{self.namespace_prefix}names"

    @property
    def internet_run(self) -> Path:
        return self.run / "internet"

    @property
    def names_config(self) -> Path:
        return self.internet_run / "names.conf"

    @property
    def objects(self) -> Path:
        """The object store: files of cells, and reports of their nodes."""
        return self.state / "objects"

    @property
    def series(self) -> Path:
        """The file of metrics."""
        return self.state / "metrics.db"

    @property
    def scrape_token(self) -> Path:
        """What Prometheus shows."""
        return self.state / "scrape.token"

    def host_namespace(self, host: str) -> str:
        return f"{self.namespace_prefix}{host}"

    def services_namespace(self, host: str) -> str:
        """In which the host's services listen; its agent makes it."""
        return f"{self.host_namespace(host)}-services"

    def checks_namespace(self, node: str) -> str:
        """Of the health checks of a cell's node, whose agent makes it."""
        return f"{self.host_namespace(node)}-checks"

    def instance_namespace(self, instance_id: str) -> str:
        return f"{self.namespace_prefix}{instance_id}"

    def host_run(self, host: str) -> Path:
        return self.run / host

    def control_socket(self, host: str) -> Path:
        return self.host_run(host) / "control.sock"


def host_name(index: int) -> str:
    """`index` from 0."""
    return f"host-{index + 1}"


def host_address(zone: int, index: int) -> str:
    """100.64.<zone + 1>.<host>: the third octet tells a reader of a capture the zone."""
    return f"100.64.{zone + 1}.{index + 10}"


def edge_name(index: int) -> str:
    """`index` from 0."""
    return f"edge-{index + 1}"


def edge_address(zone: int, index: int) -> str:
    """Above the hosts of a zone."""
    return f"100.64.{zone + 1}.{index + 230}"


def cell_name(number: int) -> str:
    """`number` from 1."""
    return f"cell-{number}"


def node_name(index: int, cell: int = 1) -> str:
    """`index` from 0, `cell` from 1. Nodes of the first cell are called as if there were no other."""
    return f"node-{index + 1}" if cell == 1 else f"{cell_name(cell)}-node-{index + 1}"


def node_address(zone: int, index: int, cell: int = 1) -> str:
    """Of the first cell between the hosts and the edges of a zone. Of others the third octet tells cell and zone: 100.64.21.212 is the third
    cell's first node, in the first zone."""
    return f"100.64.{10 * (cell - 1) + zone + 1}.{index + 212}"


def uplink_addresses(index: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """(IPv4, IPv6) of the router's end of an edge's uplink, and of the edge's."""
    ipv4 = UPLINKS[2 * index], UPLINKS[2 * index + 1]  # a /31 (RFC 3021)
    link = UPLINKS_IPV6[(index + 1) << 64]  # a /64
    return (str(ipv4[0]), str(link + 1)), (str(ipv4[1]), str(link + 2))
