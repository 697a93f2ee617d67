"""What a cell of Hyperplane does for network load balancers: their addresses, what they listen for, and who gets the flows."""

from __future__ import annotations

import math
import string
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from msgspec.structs import replace

from rookery.intent.attachment import Place, attached_to, place_of
from rookery.intent.balanced_targets import (
    ALL_ZONES,
    HEALTHY,
    UNHEALTHY,
    Found,
    Placed,
    placed_targets,
    reached_from,
    takers,
)
from rookery.intent.balanced_targets import (
    place_of as place_of_target,
)
from rookery.intent.balancer_attributes import (
    DRAINED_ARE_CUT,
    IDLE_SECONDS,
    IPV6_BLOCKED,
    PRESERVE_CLIENT,
    PROXY_PROTOCOL,
    STICKY,
    UDP_IDLE_SECONDS,
    UNHEALTHY_ARE_CUT,
    balancer_attributes,
    group_attributes,
    is_on,
    listener_attributes,
)
from rookery.intent.cell import BALANCER, AttachmentIntent, HealthCheckIntent, ServiceIntent, TargetIntent
from rookery.intent.groups import group_set
from rookery.intent.matcher import shortest
from rookery.intent.state import State
from rookery.model.balancers import (
    DRAINED,
    IPV4,
    IPV6,
    REGISTERED,
    HealthCheck,
    Listener,
    LoadBalancer,
    Target,
    TargetGroup,
)
from rookery.model.objects import (
    Cell,
    Instance,
    NetworkInterface,
    TargetHealth,
    Vpc,
)

TCP, UDP = 6, 17
PROTOCOLS = {"TCP": (TCP,), "UDP": (UDP,), "TCP_UDP": (TCP, UDP)}

TargetKey = tuple[str, str, int]


class BalancingIntent(NamedTuple):
    """Each sorted by key."""

    attachments: tuple[AttachmentIntent, ...]
    services: tuple[ServiceIntent, ...]
    targets: tuple[TargetIntent, ...]


class _Front(NamedTuple):
    """A balancer's address at the cell."""

    balancer: LoadBalancer
    interface: NetworkInterface
    place: Place


def balancing_intent(state: State, cell: Cell, health: TargetHealth | None) -> BalancingIntent:
    """`health`: what the cell's own checks found; None: nothing yet, and targets get no flows before their first check."""
    fronts = list(_fronts(state, cell))
    served = {front.balancer.id for front in fronts}
    listeners = [one for one in state.all(Listener) if one.balancer_id in served]
    groups = _Groups(state, [health] if health else [])
    services = [
        service
        for front in fronts
        for listener in listeners
        if listener.balancer_id == front.balancer.id
        for service in _services(front, listener, groups)
    ]
    busy = {key for service in services for key, _ in service.choices}
    targets = [
        row for group_id, use in _uses(fronts, listeners).items() for row in groups.rows(group_id, use, busy)
    ]
    return BalancingIntent(
        tuple(sorted((_attachment(front) for front in fronts), key=lambda row: row.key)),
        tuple(sorted(services, key=lambda row: row.key)),
        tuple(sorted(targets, key=lambda row: row.key)),
    )


class _Use(NamedTuple):
    """Of a target group. One balancer uses it."""

    fronts: list[_Front]
    port: int  # the lowest one whose flows it may get


def _uses(fronts: Sequence[_Front], listeners: Iterable[Listener]) -> dict[str, _Use]:
    """By the group's id."""
    found: dict[str, _Use] = {}
    for listener in sorted(listeners, key=lambda one: one.port):
        of_it = [front for front in fronts if front.balancer.id == listener.balancer_id]
        for forward in listener.forwards:
            found.setdefault(forward.group_id, _Use(of_it, listener.port))
    return found


def balancer_interfaces(state: State) -> Callable[[str], Mapping[str, str]]:
    """By a balancer's ARN: name of each of its zones -> eni-...; empty: it is gone. What endpoints ask for
    (rookery.intent.privatelink)."""
    known = {balancer.arn: balancer.interfaces for balancer in state.all(LoadBalancer)}
    return lambda arn: known.get(arn, {})


def _fronts(state: State, cell: Cell) -> Iterator[_Front]:
    for interface in attached_to(state, cell):
        balancer = state.get(LoadBalancer, interface.cell_attachment.of) if interface.cell_attachment else None
        place = place_of(state, interface) if balancer else None
        if balancer and place and interface.id in balancer.interfaces.values():
            yield _Front(balancer, interface, place)


def _attachment(front: _Front) -> AttachmentIntent:
    return AttachmentIntent(
        **front.place,
        of=front.balancer.id,
        kind=BALANCER,
        group_set=group_set(front.interface.groups),
        groups_see_client=front.balancer.groups_see_consumers,
        primary_ipv6=front.interface.first_ipv6,
        shut_out=bool(front.interface.first_ipv6) and is_on(balancer_attributes(front.balancer), IPV6_BLOCKED),
    )


def zone_number(zone: str) -> int:
    """Of us-east-1a: 0."""
    return string.ascii_lowercase.index(zone[-1:])


def _services(front: _Front, listener: Listener, groups: _Groups) -> Iterator[ServiceIntent]:
    """The groups of a listener agree on what concerns the whole service: the API sees to it."""
    attributes = [groups.attributes(forward.group_id) for forward in listener.forwards]
    idle = int(listener_attributes(listener).get(IDLE_SECONDS, UDP_IDLE_SECONDS))
    choices = _choices(front, listener, groups)
    for protocol in PROTOCOLS[listener.protocol]:
        yield ServiceIntent(
            vni=front.place["vni"],
            interface=front.interface.number,
            protocol=protocol,
            port=listener.port,
            choices=choices,
            idle_seconds=idle if protocol == TCP else UDP_IDLE_SECONDS,
            preserve_client=all(is_on(each, PRESERVE_CLIENT) for each in attributes),
            sticky=any(is_on(each, STICKY) for each in attributes),
            proxy_protocol=any(is_on(each, PROXY_PROTOCOL) for each in attributes),
            to_ipv6=any(groups.address_type(forward.group_id) == IPV6 for forward in listener.forwards),
        )


def _choices(front: _Front, listener: Listener, groups: _Groups) -> tuple[tuple[TargetKey, int], ...]:
    """A group's weight is shared by its targets, however many they are; what one without targets would get goes to the others."""
    shares: list[tuple[int, Sequence[Placed], str]] = []
    for forward in listener.forwards:
        found = groups.takers(front, forward.group_id)
        if found and forward.weight:
            shares.append((forward.weight, found, forward.group_id))
    common = math.lcm(*(len(found) for _, found, _ in shares))
    weights = [weight * common // len(found) for weight, found, _ in shares]
    least = math.gcd(*weights) or 1
    return tuple(
        sorted(
            ((group_id, one.place.address, one.target.port), weight // least)
            for weight, (_, found, group_id) in zip(weights, shares, strict=True)
            for one in found
        )
    )


class _Used(NamedTuple):
    """What follows for a group's targets from what uses it."""

    busy: set[TargetKey]  # who gets new flows
    passing: set[tuple[str, int]]  # keys of whom some address of the balancer finds healthy, whatever is told of them
    check: HealthCheckIntent


_OF_NOTHING = {PRESERVE_CLIENT: "false", STICKY: "false", PROXY_PROTOCOL: "false"}


class _Groups:
    """The target groups, each looked at once."""

    def __init__(self, state: State, health: Iterable[TargetHealth]):
        self._state = state
        self._health = list(health)
        self._lookup = StateLookup(state)
        self._found: dict[str, Found] = {}
        self._attributes: dict[str, dict[str, str]] = {}
        self._placed: dict[str, list[Placed]] = {}
        self._takers: dict[tuple[str, str], list[Placed]] = {}

    def _words(self, group: TargetGroup) -> Found:
        if group.id not in self._found:
            self._found[group.id] = Found(group, self._health)
        return self._found[group.id]

    def _group(self, group_id: str) -> TargetGroup | None:
        return self._state.get(TargetGroup, group_id)

    def attributes(self, group_id: str) -> dict[str, str]:
        if group_id not in self._attributes:
            group = self._group(group_id)
            self._attributes[group_id] = group_attributes(group) if group else _OF_NOTHING
        return self._attributes[group_id]

    def _places(self, balancer: LoadBalancer, group: TargetGroup) -> list[Placed]:
        """One balancer uses it."""
        if group.id not in self._placed:
            self._placed[group.id] = placed_targets(balancer, group, self._lookup, self._words(group))
        return self._placed[group.id]

    def address_type(self, group_id: str) -> str:
        group = self._group(group_id)
        return group.address_type if group else IPV4

    def takers(self, front: _Front, group_id: str) -> list[Placed]:
        group = self._group(group_id)
        if group is None:
            return []
        asked = (front.interface.id, group_id)
        if asked not in self._takers:
            self._takers[asked] = takers(
                front.balancer, group, front.interface.zone, self._places(front.balancer, group)
            )
        return self._takers[asked]

    def rows(self, group_id: str, use: _Use, busy: set[TargetKey]) -> Iterator[TargetIntent]:
        """`busy`: who gets new flows. Two targets at one address and port (an instance and its own address) are one row."""
        group = self._group(group_id)
        vpc = self._state.vpcs.get(group.vpc_id) if group else None
        if group is None or vpc is None:
            return
        headed = is_on(self.attributes(group_id), PROXY_PROTOCOL)
        senders, passing = self._senders(group, use.fronts), self._pass(group, use.fronts)
        used = _Used(busy, passing, check_intent(group.check, use.port, headed))
        rows: dict[TargetKey, TargetIntent] = {}
        for target in sorted(group.targets, key=lambda one: one.state == REGISTERED):
            row = self._row(group, vpc, target, used)
            if row is not None:
                rows[row.key] = replace(row, checked_by=senders.get(target.key, ()))
        yield from rows.values()

    def _senders(self, group: TargetGroup, fronts: Iterable[_Front]) -> dict[tuple[str, int], tuple[int, ...]]:
        """By a registered target's key: numbers of the interfaces through which flows may reach it."""
        found: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        for front in sorted(fronts, key=lambda one: one.interface.number):
            for one in self._reached(front, group):
                found[one.target.key].append(front.interface.number)
        return {key: tuple(numbers) for key, numbers in found.items()}

    def _reached(self, front: _Front, group: TargetGroup) -> list[Placed]:
        placed = self._places(front.balancer, group)
        return reached_from(front.balancer, group, front.interface.zone, placed)

    def _pass(self, group: TargetGroup, fronts: Iterable[_Front]) -> set[tuple[str, int]]:
        """Keys of targets that some address of the balancer finds healthy."""
        found = ((front, one) for front in fronts for one in self._reached(front, group))
        return {one.target.key for front, one in found if one.states[front.interface.zone] == HEALTHY}

    def _row(self, group: TargetGroup, vpc: Vpc, target: Target, used: _Used) -> TargetIntent | None:
        place = place_of_target(group, target, self._lookup)
        if place is None:
            return None
        state = HEALTHY if target.key in used.passing else self._words(group).of(place, target.port)[0]
        return TargetIntent(
            group=group.id,
            vni=vpc.vni,
            address=place.address,
            port=target.port,
            interface=place.interface,
            zone=None if place.zone == ALL_ZONES else zone_number(place.zone),
            draining=target.state != REGISTERED,
            terminates=self._ends(group, target, state) and (group.id, place.address, target.port) not in used.busy,
            healthy=target.state == REGISTERED and state == HEALTHY,
            check=used.check,
        )

    def _ends(self, group: TargetGroup, target: Target, state: str) -> bool:
        """Whether the flows that a target has are cut. Those of UDP only when it is drained, or all of its group are."""
        attributes = self.attributes(group.id)
        if group.shut_for_good:
            return True
        if target.state == REGISTERED:
            return state == UNHEALTHY and group.protocol != "UDP" and is_on(attributes, UNHEALTHY_ARE_CUT)
        return target.state == DRAINED and is_on(attributes, DRAINED_ARE_CUT)


def check_intent(check: HealthCheck, listener: int = 0, proxy_protocol: bool = False) -> HealthCheckIntent:
    return HealthCheckIntent(
        protocol=check.protocol,
        port=check.port,
        path=check.path or "/",
        matcher=shortest(check.matcher or "200-399"),
        interval=check.interval,
        timeout=check.timeout,
        healthy=check.healthy,
        unhealthy=check.unhealthy,
        listener=listener,
        proxy_protocol=proxy_protocol,
    )


class StateLookup:
    """rookery.intent.balanced_targets.Lookup of a whole state."""

    def __init__(self, state: State):
        self._state = state

    def instance(self, instance_id: str) -> Instance | None:
        return self._state.instances.get(instance_id)

    def interface(self, interface_id: str) -> NetworkInterface | None:
        return self._state.interfaces.get(interface_id)

    def holder(self, vpc_id: str, address: str) -> NetworkInterface | None:
        return self._holders.get(vpc_id, {}).get(address)

    @cached_property
    def _holders(self) -> dict[str, dict[str, NetworkInterface]]:
        found: defaultdict[str, dict[str, NetworkInterface]] = defaultdict(dict)
        for interface in self._state.interfaces.values():
            for address in (*interface.addresses, *interface.ipv6_addresses):
                found[interface.vpc_id][address] = interface
        return found
