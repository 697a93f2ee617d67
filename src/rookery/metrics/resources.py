"""Whose metrics an attachment's counts are: the account, the AWS region, and the dimensions. Pure."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from rookery.intent.balanced_targets import UNHEALTHY, Found, healthy_zones, placed_targets
from rookery.intent.balancing import StateLookup
from rookery.intent.cell import BALANCER, ENDPOINT, NAT, AttachmentIntent, CellIntent
from rookery.intent.privatelink import exit_among, is_admitted, share_cell
from rookery.intent.state import State
from rookery.metrics import catalogue
from rookery.metrics.catalogue import Family, HostsFound
from rookery.model.balancers import Listener, LoadBalancer, TargetGroup
from rookery.model.objects import NatGateway, NetworkInterface, TargetHealth, VpcEndpoint, VpcEndpointService


class Measured(NamedTuple):
    """What has metrics of its own."""

    account: str
    region: str  # AWS's
    namespace: str
    dimensions: tuple[tuple[str, str], ...]  # by name

    @property
    def family(self) -> Family:
        return catalogue.FAMILIES[self.namespace, tuple(name for name, _ in self.dimensions)]


def measured_by(state: State, one: AttachmentIntent) -> tuple[Measured, ...]:
    """Each of those that an attachment counts for; none: the state does not know (any more) whose it is."""
    return tuple(_OF_KIND[one.kind](state, one))


def _named(account: str, region: str, family: Family, *values: str) -> Measured:
    return Measured(account, region, family.namespace, tuple(zip(family.dimensions, values, strict=True)))


def _nat(state: State, one: AttachmentIntent) -> Iterator[Measured]:
    gateway = state.get(NatGateway, one.of)
    if gateway:
        yield _named(gateway.account, gateway.region, catalogue.OF_NAT, gateway.id)


def _balancer(state: State, one: AttachmentIntent) -> Iterator[Measured]:
    balancer = state.get(LoadBalancer, one.of)
    if balancer is None:
        return
    home = (balancer.account, balancer.region)
    yield _named(*home, catalogue.OF_BALANCER, balancer.path)
    for zone, interface in balancer.interfaces.items():
        if interface == one.id:
            yield _named(*home, catalogue.OF_BALANCER_ZONE, zone, balancer.path)


def _endpoint(state: State, one: AttachmentIntent) -> Iterator[Measured]:
    endpoint = state.get(VpcEndpoint, one.of)
    if endpoint is None:
        return
    home, name, vpc = (endpoint.account, endpoint.region), endpoint.service_name, endpoint.vpc_id
    yield _named(*home, catalogue.OF_ENDPOINT, "Interface", name, endpoint.id, vpc)
    for subnet, interface in endpoint.interfaces.items():
        if interface == one.id:
            yield _named(*home, catalogue.OF_ENDPOINT_SUBNET, "Interface", name, subnet, endpoint.id, vpc)
    service = state.get(VpcEndpointService, endpoint.service_id)
    if service is None:
        return
    home, zone = (service.account, service.region), service.region + string.ascii_lowercase[one.zone]
    yield _named(*home, catalogue.OF_SERVICE, service.id)
    yield _named(*home, catalogue.OF_SERVICE_ZONE, zone, service.id)
    yield _named(*home, catalogue.OF_SERVICE_ENDPOINT, service.id, endpoint.id)
    for balancer in _balancer_behind(state, one, service):
        yield _named(*home, catalogue.OF_SERVICE_BALANCER, balancer.arn, service.id)
        yield _named(*home, catalogue.OF_SERVICE_BALANCER_ZONE, zone, balancer.arn, service.id)


def _balancer_behind(state: State, one: AttachmentIntent, service: VpcEndpointService) -> Iterator[LoadBalancer]:
    """That to which flows of this interface of an endpoint go; none: the service has none in its zone."""
    interface = state.get(NetworkInterface, one.id)
    balancers = {found.arn: found for found in state.all(LoadBalancer) if found.arn in service.balancers}
    if interface is None:
        return
    leads_to = exit_among(
        balancers,
        interface,
        lambda arn: balancers[arn].interfaces,
        lambda other: share_cell(interface, state.get(NetworkInterface, other)),
    )
    yield from (found for found in balancers.values() if leads_to in found.interfaces.values())


_OF_KIND = {NAT: _nat, BALANCER: _balancer, ENDPOINT: _endpoint}


def hosts_found(state: State, intent: CellIntent, health: TargetHealth | None) -> Mapping[Measured, HostsFound]:
    """Healthy and unhealthy targets of every target group that a balancer at this cell leads to, also by zone."""
    found: dict[Measured, HostsFound] = {}
    for balancer in _balancers_at(state, intent):
        for group in _groups_of(state, balancer):
            for measured, zone in _places(balancer, group):
                found[measured] = _hosts_of(intent, health, group, zone)
    return found


def zones_found(state: State, intents: Iterable[CellIntent], health: Iterable[TargetHealth]) -> Iterator[tuple[Measured, int]]:
    """Of every balancer at these cells and zone of it: 1: the balancer's name leads there; 0: it does not, unless no zone is better. As
    AWS tells it: of the balancer as a whole once for each zone. `health`: of all cells."""
    words, lookup = list(health), StateLookup(state)
    for balancer in {one.id: one for intent in intents for one in _balancers_at(state, intent)}.values():
        groups = [(group, placed_targets(balancer, group, lookup, Found(group, words))) for group in _groups_of(state, balancer)]
        healthy = healthy_zones(balancer, groups)
        for zone in balancer.interfaces:
            home, value = (balancer.account, balancer.region), int(zone in healthy)
            yield _named(*home, catalogue.OF_BALANCER, balancer.path), value
            yield _named(*home, catalogue.OF_BALANCER_ZONE, zone, balancer.path), value


def endpoints_found(state: State) -> Iterator[tuple[Measured, int]]:
    """How many endpoints each service has that may send to it."""
    found = Counter(
        one.service_id
        for one in state.all(VpcEndpoint)
        if not one.deleted and is_admitted(one, state.get(VpcEndpointService, one.service_id))
    )
    for service in state.all(VpcEndpointService):
        yield _named(service.account, service.region, catalogue.OF_SERVICE, service.id), found[service.id]


def _balancers_at(state: State, intent: CellIntent) -> list[LoadBalancer]:
    found = (state.get(LoadBalancer, of) for of in sorted({one.of for one in intent.attachments if one.kind == BALANCER}))
    return [balancer for balancer in found if balancer]


def _groups_of(state: State, balancer: LoadBalancer) -> list[TargetGroup]:
    ids = {to.group_id for one in state.all(Listener) if one.balancer_id == balancer.id for to in one.forwards}
    return [group for group_id in sorted(ids) if (group := state.get(TargetGroup, group_id))]


def _places(balancer: LoadBalancer, group: TargetGroup) -> Iterator[tuple[Measured, str]]:
    """And the zone; empty: all of them."""
    home, group_path = (balancer.account, balancer.region), f"targetgroup/{group.name}/{group.digits}"
    yield _named(*home, catalogue.OF_HOSTS, balancer.path, group_path), ""
    for zone in balancer.interfaces:
        yield _named(*home, catalogue.OF_HOSTS_ZONE, zone, balancer.path, group_path), zone


def _hosts_of(intent: CellIntent, health: TargetHealth | None, group: TargetGroup, zone: str) -> HostsFound:
    """Targets of all zones count in each. A target that has not been checked yet is neither; one that some of the balancer's addresses
    find unhealthy is told so."""
    words = health.targets.get(group.id, {}) if health else {}
    there = [one for one in intent.targets if one.group == group.id and not one.draining and _is_in(one.zone, zone)]
    bad = [one for one in there if words.get(one.place, ("", ""))[0] == UNHEALTHY]
    return HostsFound(sum(one.healthy and one not in bad for one in there), len(bad))


def _is_in(number: int | None, zone: str) -> bool:
    return number is None or not zone or string.ascii_lowercase[number] == zone[-1:]
