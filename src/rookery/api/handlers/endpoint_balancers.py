"""The network load balancers behind endpoint services, as far as services need to know them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Protocol

from rookery.api.operation import ApiError, View
from rookery.intent.privatelink import share_cell
from rookery.model.balancers import LoadBalancer
from rookery.model.objects import NetworkInterface, VpcEndpointService

_ARN = re.compile(r"arn:aws:elasticloadbalancing:[a-z0-9-]+:\d{12}:loadbalancer/net/[^/]+/[0-9a-f]{16}\Z")


class Balancer(Protocol):
    @property
    def arn(self) -> str: ...

    @property
    def id(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def vpc_id(self) -> str: ...

    @property
    def address_type(self) -> str:
        """ipv4, dualstack"""

    @property
    def interfaces(self) -> Mapping[str, str]:
        """Name of each of its zones -> eni-..."""


def balancer_by_arn(view: View, account: str, arn: str) -> Balancer | None:
    """Of the account, in the view's AWS region."""
    found = view.balancer_of(account, f"{LoadBalancer.PREFIX}-{arn.rpartition('/')[2]}")
    return found if found and found.arn == arn else None


def balancers_of(view: View, service: VpcEndpointService) -> list[Balancer]:
    """Those that are there."""
    found = (balancer_by_arn(view, service.account, arn) for arn in service.balancers)
    return [one for one in found if one is not None]


def zones_of(view: View, service: VpcEndpointService) -> list[str]:
    """In which endpoints can be: sorted names."""
    return sorted({zone for one in balancers_of(view, service) for zone in one.interfaces})


def cells_of(view: View, service: VpcEndpointService, zone: str) -> set[str]:
    """Names of those in which the service's balancers of the zone live: an endpoint sends on in the name of one of them, and only a cell
    that has both can do that."""
    fronts = {one.interfaces[zone] for one in balancers_of(view, service) if zone in one.interfaces}
    held = (one for one in view.everybodys(NetworkInterface) if one.id in fronts)
    return {one.cell_attachment.cell for one in held if one.cell_attachment}


def stranded_by(view: View, balancer: Balancer, given_up: Collection[str]) -> list[str]:
    """Ids of endpoints that some balancer of their service serves in their zone and their cell, and none would, had this one no more the
    zones `given_up`: they would lead nowhere. Of all accounts, sorted."""
    services = [one for one in view.all(VpcEndpointService) if balancer.arn in one.balancers]
    if not services or not given_up:
        return []
    held = {one.id: one for one in view.everybodys(NetworkInterface)}
    return sorted({
        endpoint.id
        for service in services
        for endpoint in view.endpoints_of(service.id)
        if not endpoint.deleted and endpoint.id not in service.rejected
        for eni in endpoint.interfaces.values()
        if (mine := held.get(eni)) and mine.zone in given_up
        if (near := _near(view, service, mine, held)) and near <= {balancer.arn}
    })


def _near(view: View, service: VpcEndpointService, mine: NetworkInterface, held: Mapping[str, NetworkInterface]) -> set[str]:
    """ARNs of the service's balancers in this endpoint's zone and cell."""
    found = ((one.arn, one.interfaces.get(mine.zone, "")) for one in balancers_of(view, service))
    return {arn for arn, front in found if share_cell(mine, held.get(front))}


def find_balancer(view: View, arn: str) -> Balancer:
    """Of the view's account. Raises InvalidNetworkLoadBalancerArn.Malformed, InvalidNetworkLoadBalancerArn.NotFound."""
    if not _ARN.match(arn):
        raise ApiError("InvalidNetworkLoadBalancerArn.Malformed", f"Invalid ARN: {arn[:200]}")
    found = balancer_by_arn(view, view.account, arn)
    if found is None:
        why = f"The network load balancer '{arn}' does not exist"
        raise ApiError("InvalidNetworkLoadBalancerArn.NotFound", why)
    return found
