"""Load balancers, their target groups and listeners, as ELBv2 has them. Plain data, as everything of rookery.model.objects.

Their ids are of this store: a word and the sixteen hex digits that end the ARN. No call of EC2 shows them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from rookery.model.objects import Resource

TRAFFIC_PORT = 0  # of a health check: the target's own
IPV4, IPV6, DUALSTACK = "ipv4", "ipv6", "dualstack"  # address_type: a balancer's is the first or the last, a target group's one of the first two


class BalancerZone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A zone in which the balancer has an address, for as long as it has the zone."""

    zone: str  # us-east-1a
    subnet_id: str
    interface_id: str
    allocation_id: str = ""  # of an Elastic IP of its owner; else a public address is the interface's own, if any
    private_address: str = ""  # where its owner chose it
    ipv6_address: str = ""  # where its owner chose it


class LoadBalancer(Resource, frozen=True, kw_only=True):
    """A network load balancer. `attributes`: what was said of them; the defaults are not stored."""

    KIND: ClassVar[str] = "load-balancer"
    PREFIX: ClassVar[str] = "lb"

    name: str
    vpc_id: str
    is_internal: bool
    zones: tuple[BalancerZone, ...]  # by name
    groups: tuple[str, ...] = ()  # sg-...; empty: born without, and for ever
    groups_see_consumers: bool = True  # EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic
    attributes: dict[str, str] = {}
    address_type: str = IPV4

    @property
    def digits(self) -> str:
        return digits_of(self.id)

    @property
    def path(self) -> str:
        """`net/web/50dc6c495c0c9188`: as descriptions of its interfaces say it, too."""
        return f"net/{self.name}/{self.digits}"

    @property
    def arn(self) -> str:
        return f"arn:aws:elasticloadbalancing:{self.region}:{self.account}:loadbalancer/{self.path}"

    @property
    def interfaces(self) -> dict[str, str]:
        """Name of each of its zones -> eni-..."""
        return {zone.zone: zone.interface_id for zone in self.zones}


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    protocol: str = "TCP"  # TCP, HTTP, HTTPS
    port: int = TRAFFIC_PORT
    path: str = ""  # of HTTP and HTTPS
    matcher: str = ""
    interval: int = 30  # seconds
    timeout: int = 10  # seconds
    healthy: int = 5  # in a row
    unhealthy: int = 2


REGISTERED, DRAINING, DRAINED = "registered", "draining", "drained"  # Target.state


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One registration. A draining target gets no new flows; a drained one is no target any more for who asks, and keeps its row
    at the cells for its old flows, until it is forgotten."""

    id: str  # i-..., or an address
    port: int
    zone: str = ""  # where it was said: us-east-1a, or "all"
    state: str = REGISTERED
    since: float = 0.0  # unix seconds

    @property
    def key(self) -> tuple[str, int]:
        return (self.id, self.port)


class TargetGroup(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "target-group"
    PREFIX: ClassVar[str] = "tg"

    name: str
    vpc_id: str
    protocol: str  # TCP, UDP, TCP_UDP
    port: int
    target_type: str  # instance, ip
    check: HealthCheck = HealthCheck()
    targets: tuple[Target, ...] = ()  # in the order of their registration
    attributes: dict[str, str] = {}
    shut: float = 0.0  # unix seconds, since when its balancer gives it no new flows, by weights of 0; 0.0: it does, or there is none
    shut_for_good: bool = False  # ... for so long that the flows which its targets still have end
    address_type: str = IPV4

    @property
    def digits(self) -> str:
        return digits_of(self.id)


class Forward(msgspec.Struct, frozen=True, omit_defaults=True):
    """To a target group, by its share of new flows."""

    group_id: str
    weight: int = 1  # 0..999


class Listener(Resource, frozen=True, kw_only=True):
    KIND: ClassVar[str] = "listener"
    PREFIX: ClassVar[str] = "listener"

    balancer_id: str
    port: int
    protocol: str  # TCP, UDP, TCP_UDP
    forwards: tuple[Forward, ...]
    attributes: dict[str, str] = {}

    @property
    def digits(self) -> str:
        return digits_of(self.id)


def digits_of(resource_id: str) -> str:
    """The sixteen that end the ARN."""
    return resource_id[-16:]


BALANCING: tuple[type[Resource], ...] = (LoadBalancer, TargetGroup, Listener)
