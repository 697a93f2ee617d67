"""How many rows of each kind a cell's file needs for an account, at most: whatever health checks find, whether instances run or not, and
whoever is accepted. The API counts before it stores; what a file really holds (rookery.intent.cell_whole) is never more.

An endpoint's attachment is its owner's; what it listens for, and whom that chooses, are those of the service's owner, who decides on both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, TypeVar

from rookery.intent.balanced_targets import ALL_ZONES
from rookery.intent.balancer_attributes import crosses_zones
from rookery.intent.balancing import PROTOCOLS
from rookery.intent.privatelink import exit_among
from rookery.model.balancers import REGISTERED, Listener, LoadBalancer, Target, TargetGroup
from rookery.model.objects import (
    Instance,
    NatGateway,
    NetworkInterface,
    Resource,
    VpcEndpoint,
    VpcEndpointService,
)

R = TypeVar("R", bound=Resource)
KINDS: tuple[type[Resource], ...] = (
    NetworkInterface,
    LoadBalancer,
    Listener,
    TargetGroup,
    VpcEndpoint,
    VpcEndpointService,
    Instance,
)


class Rows(NamedTuple):
    attachments: int = 0
    addresses: int = 0  # of NAT gateways
    services: int = 0
    choices: int = 0
    targets: int = 0
    groups: int = 0

    def plus(self, other: Rows) -> Rows:
        return Rows(*(mine + more for mine, more in zip(self, other, strict=True)))


class Everybodys(Protocol):
    """The things of a kind, of all accounts and AWS regions."""

    def __call__(self, kind: type[R], /) -> Iterable[R]: ...


def rows_by_account(everybodys: Everybodys, cell: str) -> dict[str, Rows]:
    found = _Region(everybodys, cell)
    counted: defaultdict[str, Rows] = defaultdict(Rows)
    for interface in found.at_cell.values():
        counted[interface.account] = counted[interface.account].plus(_of_interface(interface))
    for balancer in found.balancers:
        fronts = [found.at_cell[each] for each in balancer.interfaces.values() if each in found.at_cell]
        if fronts:
            counted[balancer.account] = counted[balancer.account].plus(_of_balancer(balancer, fronts, found))
    return dict(counted)


def _of_interface(interface: NetworkInterface) -> Rows:
    attachment = interface.cell_attachment
    is_nat = attachment is not None and attachment.of.startswith(f"{NatGateway.PREFIX}-")
    return Rows(attachments=1, addresses=len(interface.addresses) if is_nat else 0)


class _Region:
    """What is looked at more than once."""

    def __init__(self, everybodys: Everybodys, cell: str):
        self._interfaces = {one.id: one for one in everybodys(NetworkInterface)}
        self._instances = {one.id: one for one in everybodys(Instance)}
        self.at_cell = {
            key: one
            for key, one in self._interfaces.items()
            if one.cell_attachment is not None and one.cell_attachment.cell == cell
        }
        self.balancers = list(everybodys(LoadBalancer))
        self.groups = {one.id: one for one in everybodys(TargetGroup)}
        self.listeners: defaultdict[str, list[Listener]] = defaultdict(list)
        for listener in everybodys(Listener):
            self.listeners[listener.balancer_id].append(listener)
        services = {one.id: one for one in everybodys(VpcEndpointService)}
        self.ways_in = self._ways_in(everybodys(VpcEndpoint), services)

    def _ways_in(
        self, endpoints: Iterable[VpcEndpoint], services: Mapping[str, VpcEndpointService]
    ) -> dict[str, int]:
        """By a balancer's interface: through how many interfaces its services are asked for, its own included."""
        by_arn = {one.arn: one.interfaces for one in self.balancers}
        found: defaultdict[str, int] = defaultdict(lambda: 1)
        for endpoint in endpoints:
            service = services.get(endpoint.service_id)
            held = (self.at_cell.get(each) for each in endpoint.interfaces.values())
            for interface in filter(None, held) if service and not endpoint.deleted else ():
                arns = service.balancers if service else ()
                way_out = exit_among(arns, interface, lambda arn: by_arn.get(arn, {}), self.at_cell.__contains__)
                found[way_out] += bool(way_out)
        return found

    def zone_of(self, group: TargetGroup, target: Target) -> str:
        """Where it is once it runs."""
        if group.target_type == "ip":
            return target.zone
        instance = self._instances.get(target.id)
        first = self._interfaces.get(instance.interface_ids[0]) if instance and instance.interface_ids else None
        return first.zone if first else ALL_ZONES


def _of_balancer(balancer: LoadBalancer, fronts: Iterable[NetworkInterface], found: _Region) -> Rows:
    services = choices = 0
    used: set[str] = set()
    for listener in found.listeners[balancer.id]:
        used |= {forward.group_id for forward in listener.forwards}
        groups = [found.groups[one.group_id] for one in listener.forwards if one.weight and one.group_id in found.groups]
        for front in fronts:
            asked = len(PROTOCOLS[listener.protocol]) * found.ways_in[front.id]
            services += asked
            choices += asked * sum(_reached(balancer, group, front, found) for group in groups)
    groups = [found.groups[one] for one in used if one in found.groups]
    return Rows(services=services, choices=choices, targets=sum(len(one.targets) for one in groups), groups=len(groups))


def _reached(balancer: LoadBalancer, group: TargetGroup, front: NetworkInterface, found: _Region) -> int:
    registered = [one for one in group.targets if one.state == REGISTERED]
    if crosses_zones(balancer, group):
        return len(registered)
    return sum(found.zone_of(group, one) in (front.zone, ALL_ZONES) for one in registered)
