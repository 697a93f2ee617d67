"""Which targets of a group get new flows, from what their health checks found: zones, fail-open, and whether a zone's name
still answers. The same for the cells, which send, and for the API, which tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from rookery.intent.balancer_attributes import (
    LEAST_FOR_NAMES,
    LEAST_FOR_ROUTING,
    are_enough,
    crosses_zones,
    group_attributes,
)
from rookery.model.balancers import IPV6, REGISTERED, LoadBalancer, Target, TargetGroup
from rookery.model.objects import Instance, NetworkInterface, TargetHealth

ALL_ZONES = "all"
HEALTHY, UNHEALTHY, INITIAL = "healthy", "unhealthy", "initial"
NOT_CHECKED = (INITIAL, "Elb.InitialHealthChecking")  # nobody has said anything yet

_WEIGHTS = (INITIAL, HEALTHY, UNHEALTHY)  # of two cells' words, the later one in here counts

Word = tuple[str, str]  # state and reason, as ELBv2 names them


def by_way(place: str, interface: int) -> str:
    """Names what the address of a balancer that this interface has finds of a target ("address:port")."""
    return f"{place}@{interface}"


class Lookup(Protocol):
    """What targets name."""

    def instance(self, instance_id: str) -> Instance | None: ...

    def interface(self, interface_id: str) -> NetworkInterface | None: ...

    def holder(self, vpc_id: str, address: str) -> NetworkInterface | None:
        """The interface of the VPC that has the address."""


class Place(NamedTuple):
    """Where a target is."""

    address: str
    interface: int  # number; 0: none is known
    zone: str  # us-east-1a, or ALL_ZONES


def place_of(group: TargetGroup, target: Target, lookup: Lookup) -> Place | None:
    """None: it is nowhere; its instance does not run, or is gone. Of an instance: the primary address of its first interface, in the
    group's family."""
    if group.target_type == "ip":
        holder = lookup.holder(group.vpc_id, target.id)
        return Place(target.id, holder.number if holder else 0, target.zone)
    instance = lookup.instance(target.id)
    if instance is None or instance.wanted != "running" or not instance.interface_ids:
        return None
    first = lookup.interface(instance.interface_ids[0])
    address = _primary_of(first, group) if first else ""
    return Place(address, first.number, first.zone) if first and address else None


def _primary_of(interface: NetworkInterface, group: TargetGroup) -> str:
    """Empty: it has none. Of IPv6 only one that stays is primary."""
    if group.address_type == IPV6:
        return interface.first_ipv6 if interface.primary_ipv6 else ""
    return interface.primary


class Found:
    """What all cells' checks found of one group's targets. A target is healthy for whom one cell found it so and none found it
    unhealthy: a cell that has not checked it yet says nothing."""

    def __init__(self, group: TargetGroup, health: Iterable[TargetHealth]):
        self._words = {one.cell: one.targets.get(group.id, {}) for one in health}

    def of(self, place: Place, port: int) -> Word:
        name = f"{place.address}:{port}"
        words = [said[name] for said in self._words.values() if name in said]
        return max(words, key=lambda word: _WEIGHTS.index(word[0]), default=NOT_CHECKED)

    def by(self, front: NetworkInterface, place: Place, port: int) -> Word:
        """As the address of the balancer that this interface has finds it: the word of its own cell, if that has one."""
        said = self._words.get(front.cell_attachment.cell if front.cell_attachment else "", {})
        name = f"{place.address}:{port}"
        return said.get(by_way(name, front.number)) or said.get(name) or self.of(place, port)


class Placed(NamedTuple):
    """A registered target that is somewhere, and how each of the balancer's addresses finds it."""

    target: Target
    place: Place
    states: Mapping[str, str]  # by the zone of the balancer's address


def placed_targets(
    balancer: LoadBalancer, group: TargetGroup, lookup: Lookup, found: Found
) -> list[Placed]:
    fronts = {zone.zone: front for zone in balancer.zones if (front := lookup.interface(zone.interface_id))}
    return [
        Placed(target, place, {zone: found.by(front, place, target.port)[0] for zone, front in fronts.items()})
        for target in group.targets
        if target.state == REGISTERED and (place := place_of(group, target, lookup))
    ]


def reached_from(
    balancer: LoadBalancer, group: TargetGroup, zone: str, placed: Iterable[Placed]
) -> list[Placed]:
    """By the balancer's address in `zone`: its own zone's targets, or those of all zones that the balancer has."""
    zones = {each.zone for each in balancer.zones} if crosses_zones(balancer, group) else {zone}
    return [one for one in placed if one.place.zone in {*zones, ALL_ZONES}]


def takers(balancer: LoadBalancer, group: TargetGroup, zone: str, placed: Iterable[Placed]) -> list[Placed]:
    """Who gets new flows that come to the balancer's address in `zone`. Too few healthy ones: all that were ever checked do."""
    reached = reached_from(balancer, group, zone, placed)
    healthy = [one for one in reached if one.states[zone] == HEALTHY]
    if healthy and are_enough(group_attributes(group), LEAST_FOR_ROUTING, len(healthy), len(reached)):
        return healthy
    return [one for one in reached if one.states[zone] != INITIAL]


def healthy_zones(balancer: LoadBalancer, groups: Iterable[tuple[TargetGroup, list[Placed]]]) -> list[str]:
    """By name: those in which every group lets the balancer's name lead to its address."""
    known = list(groups)
    return [
        zone.zone
        for zone in balancer.zones
        if all(answers_in(balancer, group, zone.zone, placed) for group, placed in known)
    ]


def answers_in(balancer: LoadBalancer, group: TargetGroup, zone: str, placed: list[Placed]) -> bool:
    """Whether the group lets the balancer's name lead to its address in `zone`. An empty group does everywhere."""
    if not placed:
        return True
    reached = reached_from(balancer, group, zone, placed)
    healthy = sum(one.states.get(zone) == HEALTHY for one in reached)
    return bool(reached) and are_enough(group_attributes(group), LEAST_FOR_NAMES, healthy, len(reached))
