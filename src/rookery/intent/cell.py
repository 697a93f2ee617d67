"""What a cell of Hyperplane must hold: plain data, the content of the cell's file. The file has a fixed number of rows of each kind
(rookery.hyperplane.cell_file); here are those in use."""

from __future__ import annotations

import msgspec

NAT, BALANCER, ENDPOINT = "nat", "balancer", "endpoint"  # AttachmentIntent.kind
PLACES_MAX = 16  # nodes of a cell


class NodeIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A node at its place in the cell."""

    place: int
    name: str
    address: str  # on the substrate
    draining: bool = False


class AttachmentIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An interface in whose name the cell works."""

    id: str  # eni-...
    of: str  # nat-..., load balancer's id, vpce-... (which targets may be told by the proxy protocol)
    kind: str  # nat, balancer, endpoint
    account: str
    vni: int
    interface: int
    zone: int
    subnet: int
    route_table: int
    acl: int
    primary: str  # private IPv4
    mac: str
    router_mac: str
    mtu: int
    group_set: int = 0  # 0: without groups
    addresses: tuple[str, ...] = ()  # NAT: private ones that new flows may leave by
    draining_addresses: tuple[str, ...] = ()  # NAT: its own still, for old flows
    private: bool = False  # NAT without public addresses
    closed: bool = False  # endpoint: not accepted
    groups_see_client: bool = True  # balancer: asked for consumers of its endpoint service, too
    primary_ipv6: str = ""  # balancer, endpoint: where it has one
    shut_out: bool = False  # nobody outside reaches that

    @property
    def key(self) -> tuple[int, int]:
        return (self.vni, self.interface)


class HealthCheckIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    protocol: str = "TCP"  # TCP, HTTP, HTTPS
    port: int = 0  # 0: the target's own
    path: str = "/"
    matcher: str = "200-399"  # as short as it can be said (rookery.intent.matcher)
    interval: int = 30  # seconds
    timeout: int = 10  # seconds
    healthy: int = 5  # in a row
    unhealthy: int = 2
    listener: int = 0  # a port that leads to the group: the Host header names it
    proxy_protocol: bool = False  # its header comes first, and speaks of no client


class TargetIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target of a target group, registered or draining. The same address and port in two groups are two targets."""

    group: str  # id of the target group
    vni: int
    address: str
    port: int
    interface: int = 0  # number; 0: none is known
    zone: int | None = None  # None: of all zones
    draining: bool = False
    terminates: bool = False  # its flows are reset
    healthy: bool = True
    checked_by: tuple[int, ...] = ()  # attachments of its VPC that may send to it: numbers of their interfaces; none: it is not checked
    check: HealthCheckIntent = HealthCheckIntent()  # the group's

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.group, self.address, self.port)

    @property
    def place(self) -> str:
        """As TargetHealth names it within its group."""
        return f"{self.address}:{self.port}"


class ServiceIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an attachment listens for, and who gets its flows. `choices`: (target's key, weight >= 1) of whoever takes new flows now:
    zones, health, weights and fail-open are in it."""

    vni: int
    interface: int
    protocol: int  # 6, 17
    port: int
    choices: tuple[tuple[tuple[str, str, int], int], ...] = ()
    idle_seconds: int = 350
    preserve_client: bool = False
    sticky: bool = False
    proxy_protocol: bool = False
    exit_vni: int = 0  # endpoint: the provider's balancer, in whose name it goes on; 0: itself
    exit_interface: int = 0
    to_ipv6: bool = False  # its targets have IPv6 addresses

    @property
    def key(self) -> tuple[int, int, int, int]:
        return (self.vni, self.interface, self.protocol, self.port)


class CellIntent(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, of the state at `generation`. Sequences are sorted by key."""

    cell: str
    generation: int
    nodes: tuple[NodeIntent, ...] = ()
    attachments: tuple[AttachmentIntent, ...] = ()
    services: tuple[ServiceIntent, ...] = ()
    targets: tuple[TargetIntent, ...] = ()
