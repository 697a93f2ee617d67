"""The DNS names of load balancers: the balancer's own, and one for each of its zones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rookery.model.balancers import LoadBalancer
from rookery.model.objects import DnsRecord

TTL = 60  # seconds


def balancer_name(balancer: LoadBalancer) -> str:
    """`web-50dc6c495c0c9188.elb.us-east-1.amazonaws.com`."""
    return f"{balancer.name}-{balancer.digits}.elb.{balancer.region}.amazonaws.com"


def zone_name(balancer: LoadBalancer) -> str:
    """Of the private zone that holds these names: DNS knows no upper case."""
    return balancer_name(balancer).lower()


def records_of(
    balancer: LoadBalancer, addresses: Mapping[str, str], ipv6: Mapping[str, str], answering: Iterable[str]
) -> tuple[DnsRecord, ...]:
    """`addresses`, `ipv6`: by zone. `answering`: zones that have healthy targets; none has: the name leads to all of them. A zone's own
    name always leads to its addresses."""
    zones = list(answering)
    of_ipv6 = _records("AAAA", balancer, ipv6, zones) if ipv6 else ()
    return (*_records("A", balancer, addresses, zones), *of_ipv6)


def _records(
    kind: str, balancer: LoadBalancer, addresses: Mapping[str, str], answering: Iterable[str]
) -> tuple[DnsRecord, ...]:
    healthy = set(answering) & addresses.keys() or addresses.keys()
    name = zone_name(balancer)
    whole = DnsRecord(name=name, kind=kind, values=tuple(addresses[zone] for zone in sorted(healthy)), ttl=TTL)
    zonal = (
        DnsRecord(name=f"{zone}.{name}", kind=kind, values=(address,), ttl=TTL)
        for zone, address in sorted(addresses.items())
    )
    return (whole, *zonal)
