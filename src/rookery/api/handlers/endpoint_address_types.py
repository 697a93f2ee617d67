"""Which families an endpoint's interfaces and names have: what its service, its subnets and its owner say of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rookery.api.handlers.addresses import addresses_of
from rookery.api.operation import ApiError, View
from rookery.model.balancers import DUALSTACK, IPV4, IPV6
from rookery.model.objects import Subnet, VpcEndpoint, VpcEndpointService

RECORD_TYPES = (IPV4, IPV6, DUALSTACK)  # DnsRecordIpType


class AddressTypes(NamedTuple):
    interfaces: str  # VpcEndpoint.address_type
    names: str  # VpcEndpoint.dns_record_type


def address_types(
    parameters: Mapping[str, Any], service: VpcEndpointService, before: VpcEndpoint | None = None
) -> AddressTypes:
    """What a request asks for. Names lead where the interfaces are unless something else is said. Raises InvalidParameter."""
    kind = parameters.get("IpAddressType") or (before.address_type if before else IPV4)
    _check_type(kind, service)
    said = (parameters.get("DnsOptions") or {}).get("DnsRecordIpType")
    kept = before.dns_record_type if before and before.address_type == kind else kind
    records = said or kept
    if kind == IPV4 and records != IPV4:
        why = f"The DNS record IP type {records} is not compatible with the IP address type {kind}."
        raise ApiError("InvalidParameter", why)
    return AddressTypes(kind, records)


def _check_type(kind: str, service: VpcEndpointService) -> None:
    """Of IPv6 alone it can be in subnets of IPv6 alone, which no VPC here has."""
    if kind == IPV6:
        why = "The IP address type ipv6 is not compatible with the subnets of the VPC: they are not IPv6 only."
        raise ApiError("InvalidParameter", why)
    if kind not in (IPV4, DUALSTACK):
        raise ApiError("InvalidParameter", f"Invalid IP address type: '{kind[:80]}'")
    wanted = {IPV4, IPV6} if kind == DUALSTACK else {IPV4}
    if not wanted <= set(service.address_types):
        why = f"The VPC endpoint service {service.name} does not support the IP address type {kind}."
        raise ApiError("InvalidParameter", why)


def ipv6_addresses(view: View, endpoint: VpcEndpoint, home: Subnet, seed: str) -> tuple[str, ...]:
    """Of an interface that it has in the subnet. Raises InvalidParameter."""
    if endpoint.address_type != DUALSTACK:
        return ()
    if not home.ipv6_cidr_associations:
        why = f"The IP address type {DUALSTACK} is not compatible with the subnet {home.id}, which has no IPv6 CIDR block."
        raise ApiError("InvalidParameter", why)
    return tuple(addresses_of(view, home).ipv6.draw(1, seed))
