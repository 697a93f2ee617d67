"""The DNS names of an endpoint: one for all of its interfaces, one for each zone, and its service's private name where that is on.

AWS serves the first two to everybody; here the resolver of the endpoint's VPC answers them, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rookery.api.errors import invalid_parameter
from rookery.api.operation import ApiError, Request, View
from rookery.model.objects import (
    DnsRecord,
    NetworkInterface,
    PrivateZone,
    Vpc,
    VpcEndpoint,
    VpcEndpointService,
)

TTL_SECONDS = 60


def base_name(service: VpcEndpointService) -> str:
    return f"{service.id}.{service.region}.vpce.amazonaws.com"


def wanted_names(
    endpoint: VpcEndpoint, service: VpcEndpointService, interfaces: Iterable[NetworkInterface]
) -> dict[str, tuple[str, ...]]:
    """Name -> addresses, of both families; none without an address."""
    ordered = sorted(interfaces, key=lambda one: one.zone)
    everywhere = tuple(address for one in ordered for address in _addresses(endpoint, one))
    if not everywhere:
        return {}
    base = base_name(service)
    names = {f"{endpoint.name}.{base}": everywhere}
    names |= {f"{endpoint.name}-{one.zone}.{base}": _addresses(endpoint, one) for one in ordered}
    return {**names, service.private_dns_name: everywhere} if endpoint.private_dns else names


def _addresses(endpoint: VpcEndpoint, interface: NetworkInterface) -> tuple[str, ...]:
    """To which the endpoint's names lead."""
    ipv4 = (interface.primary,) if endpoint.dns_record_type != "ipv6" else ()
    ipv6 = interface.ipv6_addresses[:1] if endpoint.dns_record_type != "ipv4" else ()
    return (*ipv4, *ipv6)


def _records(name: str, addresses: Iterable[str]) -> tuple[DnsRecord, ...]:
    held: dict[str, list[str]] = {}
    for address in addresses:
        held.setdefault("AAAA" if ":" in address else "A", []).append(address)
    return tuple(DnsRecord(name=name, kind=kind, values=tuple(values), ttl=TTL_SECONDS) for kind, values in held.items())


def zones_for(
    request: Request, endpoint: VpcEndpoint, names: dict[str, tuple[str, ...]], before: Sequence[PrivateZone]
) -> tuple[list[PrivateZone], list[PrivateZone]]:
    """(to put, to delete): a zone for each of `names`, where `before` are the endpoint's."""
    held = {one.name: one for one in before}
    puts = [
        PrivateZone(
            account=endpoint.account,
            region=endpoint.region,
            id=held[name].id if name in held else request.ids.new(PrivateZone.PREFIX),
            created=held[name].created if name in held else request.now,
            name=name,
            vpc_ids=(endpoint.vpc_id,),
            records=_records(name, addresses),
            of=endpoint.id,
            is_public=name.startswith(endpoint.name),  # not the private one
        )
        for name, addresses in names.items()
    ]
    changed = [one for one in puts if held.get(one.name) != one]
    return changed, [one for name, one in held.items() if name not in names]


def check_private_dns(view: View, vpc: Vpc, service: VpcEndpointService, besides: str = "") -> None:
    """Whether the service's private name can be on in the VPC. `besides`: the endpoint that asks. Raises InvalidParameter."""
    if not service.private_dns_name:
        why = f"Private DNS can't be enabled because the service {service.name} does not provide a private DNS name."
        raise ApiError("InvalidParameter", why)
    if not (vpc.enable_dns_support and vpc.enable_dns_hostnames):
        why = (
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes "
            f"set to true for {vpc.id}"
        )
        raise ApiError("InvalidParameter", why)
    name = service.private_dns_name
    rivals = [one for one in view.all(PrivateZone) if one.name == name and vpc.id in one.vpc_ids]
    if any(one.of != besides for one in rivals):
        why = (
            "private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
            f"{name} in the VPC {vpc.id}"
        )
        raise ApiError("InvalidParameter", why)


def given_name(text: str) -> str:
    """Canonical. Raises InvalidParameterValue."""
    labels = text.lower().removesuffix(".").split(".")
    letters = all(one and len(one) < 64 and one.strip("abcdefghijklmnopqrstuvwxyz0123456789-") == "" for one in labels)
    if len(labels) < 2 or not letters or len(text) > 253:
        raise invalid_parameter(f"Invalid private DNS name: '{text[:80]}'")
    return ".".join(labels)
