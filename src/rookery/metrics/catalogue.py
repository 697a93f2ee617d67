"""Which metrics there are, under AWS's names, and what each is of what nodes count. Pure.

    namespace          dimensions                                             whose
    AWS/NATGateway     NatGatewayId                                           the gateway's account
    AWS/NetworkELB     LoadBalancer [AvailabilityZone]                        the balancer's
                       LoadBalancer TargetGroup [AvailabilityZone]
    AWS/PrivateLinkEndpoints  Endpoint Type, Service Name, VPC Endpoint Id, VPC Id [Subnet Id]    the consumer's
    AWS/PrivateLinkServices   Service Id [Az] [Load Balancer Arn]             the provider's
                              Service Id VPC Endpoint Id

What nobody here can count is in no list: TLS, QUIC, LCUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from rookery.dataplane.formats import FlowsHeld, Measure, MeasureProtocol, MeasureWay

Counts = Sequence[int]

TCP, UDP, OTHER = MeasureProtocol.TCP, MeasureProtocol.UDP, MeasureProtocol.OTHER
ALL = (TCP, UDP, OTHER)
OUTWARD, INWARD = MeasureWay.OUTWARD, MeasureWay.INWARD
PACKETS_IN, BYTES_IN, PACKETS_OUT, BYTES_OUT = range(4)
ZONE_HEALTH, ENDPOINTS_OF_SERVICE = "ZonalHealthStatus", "EndpointsCount"
PEAK_SECONDS = 10  # AWS: the highest average of ten seconds within the minute


class Fold(Enum):
    """What becomes of a minute's values."""

    SUM = "sum"  # one value: what was counted
    PEAK = "peak"  # one value: the highest average of PEAK_SECONDS
    LEVEL = "level"  # as many as were looked at
    OBSERVED = "observed"  # the same, of what is in no node's counts


class Metric(NamedTuple):
    """`of`: of what was counted since the last look, or (LEVEL) of what is held now; OBSERVED: nothing of it."""

    name: str
    unit: str  # as CloudWatch names units
    fold: Fold
    of: Callable[[Counts], int]


class Family(NamedTuple):
    """Metrics that have the same dimensions. New ones come last: what is stored names them by their place. `finest`: no other family of
    the namespace tells the same, divided further."""

    namespace: str
    dimensions: tuple[str, ...]  # sorted
    metrics: tuple[Metric, ...]
    finest: bool = True


def passed(counts: Counts, way: int, what: int, protocols: Sequence[int] = ALL) -> int:
    return sum(counts[Measure.PASSED + (way * MeasureProtocol.PROTOCOLS + protocol) * 4 + what] for protocol in protocols)


def _sum(name: str, unit: str, of: Callable[[Counts], int]) -> Metric:
    return Metric(name, unit, Fold.SUM, of)


def _passed(name: str, way: int, what: int) -> Metric:
    return _sum(name, "Bytes" if what in (BYTES_IN, BYTES_OUT) else "Count", lambda counts: passed(counts, way, what))


def _count(name: str, *measures: int) -> Metric:
    return _sum(name, "Count", lambda counts: sum(counts[one] for one in measures))


def _by_protocol(first: int, *protocols: int) -> tuple[int, ...]:
    return tuple(first + protocol for protocol in protocols or ALL)


def _level(name: str, *fields: str) -> Metric:
    places = [FlowsHeld._fields.index(field) for field in fields]
    return Metric(name, "Count", Fold.LEVEL, lambda held: sum(held[place] for place in places))


def _observed(name: str) -> Metric:
    return Metric(name, "Count", Fold.OBSERVED, lambda _: 0)


def _balanced(counts: Counts, packets_or_bytes: int, protocols: Sequence[int] = ALL) -> int:
    """To targets and from them: each packet once, also where it came through an endpoint."""
    return passed(counts, OUTWARD, packets_or_bytes + 2, protocols) + passed(counts, INWARD, packets_or_bytes, protocols)


def _processed(name: str, unit: str, what: int, *protocols: int) -> Metric:
    return _sum(name, unit, lambda counts: _balanced(counts, what, protocols or ALL))


def _exchanged(counts: Counts) -> int:
    """Between consumers and an endpoint."""
    return passed(counts, OUTWARD, BYTES_IN) + passed(counts, INWARD, BYTES_OUT)


NAT_GATEWAY = (
    Metric("ActiveConnectionCount", "Count", Fold.LEVEL, lambda held: held[0]),
    _passed("BytesInFromDestination", INWARD, BYTES_IN),
    _passed("BytesInFromSource", OUTWARD, BYTES_IN),
    _passed("BytesOutToDestination", OUTWARD, BYTES_OUT),
    _passed("BytesOutToSource", INWARD, BYTES_OUT),
    _count("ConnectionAttemptCount", Measure.FLOWS + TCP, Measure.REFUSED + TCP),
    _count("ConnectionEstablishedCount", Measure.ESTABLISHED),
    _count("ErrorPortAllocation", Measure.NO_PORT),
    _count("IdleTimeoutCount", Measure.IDLE),
    _count("PacketsDropCount", Measure.DROPPED),
    _passed("PacketsInFromDestination", INWARD, PACKETS_IN),
    _passed("PacketsInFromSource", OUTWARD, PACKETS_IN),
    _passed("PacketsOutToDestination", OUTWARD, PACKETS_OUT),
    _passed("PacketsOutToSource", INWARD, PACKETS_OUT),
    Metric("PeakBytesPerSecond", "None", Fold.PEAK, lambda c: passed(c, OUTWARD, BYTES_OUT) + passed(c, INWARD, BYTES_OUT)),
    Metric("PeakPacketsPerSecond", "None", Fold.PEAK, lambda c: passed(c, OUTWARD, PACKETS_OUT) + passed(c, INWARD, PACKETS_OUT)),
)

BALANCER = (
    _level("ActiveFlowCount", *FlowsHeld._fields),
    _level("ActiveFlowCount_TCP", "connections", "opening"),
    _level("ActiveFlowCount_UDP", "datagrams"),
    _count("NewFlowCount", *_by_protocol(Measure.FLOWS)),
    _count("NewFlowCount_TCP", Measure.FLOWS + TCP),
    _count("NewFlowCount_UDP", Measure.FLOWS + UDP),
    Metric("PeakBytesPerSecond", "Bytes/Second", Fold.PEAK, lambda c: _balanced(c, BYTES_IN)),
    Metric("PeakPacketsPerSecond", "Count/Second", Fold.PEAK, lambda c: _balanced(c, PACKETS_IN)),
    _count("PortAllocationErrorCount", Measure.NO_PORT),
    _processed("ProcessedBytes", "Bytes", BYTES_IN),
    _processed("ProcessedBytes_TCP", "Bytes", BYTES_IN, TCP),
    _processed("ProcessedBytes_UDP", "Bytes", BYTES_IN, UDP),
    _processed("ProcessedPackets", "Count", PACKETS_IN),
    _count("RejectedFlowCount", *_by_protocol(Measure.NO_TARGET)),
    _count("RejectedFlowCount_TCP", Measure.NO_TARGET + TCP),
    _count("SecurityGroupBlockedFlowCount_Inbound_ICMP", Measure.GROUPS_INWARD + OTHER),
    _count("SecurityGroupBlockedFlowCount_Inbound_TCP", Measure.GROUPS_INWARD + TCP),
    _count("SecurityGroupBlockedFlowCount_Inbound_UDP", Measure.GROUPS_INWARD + UDP),
    _count("SecurityGroupBlockedFlowCount_Outbound_ICMP", Measure.GROUPS_OUTWARD + OTHER),
    _count("SecurityGroupBlockedFlowCount_Outbound_TCP", Measure.GROUPS_OUTWARD + TCP),
    _count("SecurityGroupBlockedFlowCount_Outbound_UDP", Measure.GROUPS_OUTWARD + UDP),
    _count("TCP_Client_Reset_Count", Measure.RESETS_OUTWARD),
    _count("TCP_ELB_Reset_Count", Measure.RESETS_OWN),
    _count("TCP_Target_Reset_Count", Measure.RESETS_INWARD),
    _count("UnhealthyRoutingFlowCount", Measure.UNHEALTHY),
    _observed(ZONE_HEALTH),
)


class HostsFound(NamedTuple):
    """Targets of a group, as the checks find them."""

    healthy: int
    unhealthy: int


HOSTS = (
    Metric("HealthyHostCount", "Count", Fold.LEVEL, lambda hosts: hosts[0]),
    Metric("UnHealthyHostCount", "Count", Fold.LEVEL, lambda hosts: hosts[1]),
)

ENDPOINT = (
    _level("ActiveConnections", "connections", "opening"),
    _sum("BytesProcessed", "Bytes", _exchanged),
    _count("NewConnections", Measure.FLOWS + TCP),
    _count("PacketsDropped", Measure.DROPPED),
    _count("RstPacketsReceived", Measure.RESETS_INWARD),
)

SERVICE = (
    _level("ActiveConnections", "connections", "opening"),
    _sum("BytesProcessed", "Bytes", _exchanged),
    _count("NewConnections", Measure.FLOWS + TCP),
    _count("RstPacketsSent", Measure.RESETS_INWARD),
)

NATS, BALANCERS = "AWS/NATGateway", "AWS/NetworkELB"
ENDPOINTS, SERVICES = "AWS/PrivateLinkEndpoints", "AWS/PrivateLinkServices"

OF_NAT = Family(NATS, ("NatGatewayId",), NAT_GATEWAY)
OF_BALANCER = Family(BALANCERS, ("LoadBalancer",), BALANCER, finest=False)
OF_BALANCER_ZONE = Family(BALANCERS, ("AvailabilityZone", "LoadBalancer"), BALANCER)
OF_HOSTS = Family(BALANCERS, ("LoadBalancer", "TargetGroup"), HOSTS, finest=False)
OF_HOSTS_ZONE = Family(BALANCERS, ("AvailabilityZone", "LoadBalancer", "TargetGroup"), HOSTS)
OF_ENDPOINT = Family(ENDPOINTS, ("Endpoint Type", "Service Name", "VPC Endpoint Id", "VPC Id"), ENDPOINT, finest=False)
OF_ENDPOINT_SUBNET = Family(ENDPOINTS, ("Endpoint Type", "Service Name", "Subnet Id", "VPC Endpoint Id", "VPC Id"), ENDPOINT)
OF_SERVICE = Family(SERVICES, ("Service Id",), (*SERVICE, _observed(ENDPOINTS_OF_SERVICE)), finest=False)
OF_SERVICE_ZONE = Family(SERVICES, ("Az", "Service Id"), SERVICE, finest=False)
OF_SERVICE_BALANCER = Family(SERVICES, ("Load Balancer Arn", "Service Id"), SERVICE, finest=False)
OF_SERVICE_BALANCER_ZONE = Family(SERVICES, ("Az", "Load Balancer Arn", "Service Id"), SERVICE, finest=False)
OF_SERVICE_ENDPOINT = Family(SERVICES, ("Service Id", "VPC Endpoint Id"), SERVICE)

FAMILIES = {
    (family.namespace, family.dimensions): family
    for family in (
        OF_NAT,
        OF_BALANCER,
        OF_BALANCER_ZONE,
        OF_HOSTS,
        OF_HOSTS_ZONE,
        OF_ENDPOINT,
        OF_ENDPOINT_SUBNET,
        OF_SERVICE,
        OF_SERVICE_ZONE,
        OF_SERVICE_BALANCER,
        OF_SERVICE_BALANCER_ZONE,
        OF_SERVICE_ENDPOINT,
    )
}
