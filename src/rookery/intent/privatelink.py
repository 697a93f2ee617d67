"""Interface endpoints, as their cell must hold them: each listens for what a balancer of its service listens for in the same zone, and
sends on in that balancer's name. The balancer lives in the endpoint's own cell: no other knows both. Pure; what a balancer does is
rookery.intent.balancing's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from rookery.intent.attachment import attached_to, place_of
from rookery.intent.cell import ENDPOINT, AttachmentIntent, ServiceIntent
from rookery.intent.groups import group_set
from rookery.intent.state import State
from rookery.model.objects import (
    Cell,
    NetworkInterface,
    Subnet,
    Vpc,
    VpcEndpoint,
    VpcEndpointService,
)

# By a balancer's ARN: name of each of its zones -> eni-...; empty: it is gone.
BalancerInterfaces = Callable[[str], Mapping[str, str]]


class Held(NamedTuple):
    endpoint: VpcEndpoint
    service: VpcEndpointService | None  # None: its account was reset
    interface: NetworkInterface

    @property
    def is_open(self) -> bool:
        return is_admitted(self.endpoint, self.service)


def is_admitted(endpoint: VpcEndpoint, service: VpcEndpointService | None) -> bool:
    """Whether packets pass: its service's word."""
    if service is None or endpoint.id in service.rejected:
        return False
    return endpoint.accepted or endpoint.id in service.accepted


def endpoint_attachments(state: State, cell: Cell) -> tuple[AttachmentIntent, ...]:
    """Of all accounts, sorted by key; also of endpoints that nobody has accepted: their packets are dropped."""
    return tuple(sorted(_attachments(state, cell), key=lambda one: one.key))


def _attachments(state: State, cell: Cell) -> Iterator[AttachmentIntent]:
    for held in _held(state, cell):
        place = place_of(state, held.interface)
        if place is not None:
            yield AttachmentIntent(
                **place,
                of=held.endpoint.id,
                kind=ENDPOINT,
                group_set=group_set(held.interface.groups),
                closed=not held.is_open,
                primary_ipv6=held.interface.first_ipv6,
                shut_out=bool(held.interface.first_ipv6),
            )


def _held(state: State, cell: Cell) -> Iterator[Held]:
    for interface in attached_to(state, cell):
        attachment = interface.cell_attachment
        endpoint = state.get(VpcEndpoint, attachment.of) if attachment else None
        if endpoint and not endpoint.deleted and interface.id in endpoint.interfaces.values():
            yield Held(endpoint, state.get(VpcEndpointService, endpoint.service_id), interface)


def endpoint_services(
    state: State, cell: Cell, balancing: Iterable[ServiceIntent], interfaces_of: BalancerInterfaces
) -> tuple[ServiceIntent, ...]:
    """Sorted by key. `balancing`: of the cell's balancers."""
    by_balancer: dict[tuple[int, int], list[ServiceIntent]] = {}
    for one in balancing:
        by_balancer.setdefault((one.vni, one.interface), []).append(one)
    found = [
        listened
        for held in _held(state, cell)
        if held.is_open
        for listened in _listened(state, held, by_balancer, interfaces_of)
    ]
    return tuple(sorted(found, key=lambda one: one.key))


def _listened(
    state: State,
    held: Held,
    by_balancer: Mapping[tuple[int, int], list[ServiceIntent]],
    interfaces_of: BalancerInterfaces,
) -> Iterator[ServiceIntent]:
    """The target never sees the consumer's address: it may be one of its own VPC's."""
    vni = _vni_of(state, held.interface)
    exit_interface = _exit_of(state, held, interfaces_of)
    exit_vni = _vni_of(state, exit_interface) if exit_interface else 0
    if not vni or not exit_vni or exit_interface is None:
        return
    for one in by_balancer.get((exit_vni, exit_interface.number), ()):
        yield replace(
            one,
            vni=vni,
            interface=held.interface.number,
            preserve_client=False,
            exit_vni=exit_vni,
            exit_interface=exit_interface.number,
        )


def _exit_of(state: State, held: Held, interfaces_of: BalancerInterfaces) -> NetworkInterface | None:
    """That of one of the service's balancers in the zone, always the same one."""
    arns = held.service.balancers if held.service else ()
    found = exit_among(arns, held.interface, interfaces_of, lambda other: share_cell(held.interface, state.get(NetworkInterface, other)))
    return state.get(NetworkInterface, found) if found else None


def share_cell(one: NetworkInterface, other: NetworkInterface | None) -> bool:
    """Whether one cell works for both."""
    mine, others = one.cell_attachment, other.cell_attachment if other else None
    return mine is not None and others is not None and mine.cell == others.cell


def exit_among(
    arns: Iterable[str], interface: NetworkInterface, interfaces_of: BalancerInterfaces, is_near: Callable[[str], bool]
) -> str:
    """Id of a balancer's interface, for an endpoint's; empty: none of the balancers is in its zone and its cell (`is_near`)."""
    zones = (interfaces_of(arn) for arn in sorted(arns))
    found = [one[interface.zone] for one in zones if interface.zone in one and is_near(one[interface.zone])]
    return found[interface.number % len(found)] if found else ""


def _vni_of(state: State, interface: NetworkInterface) -> int:
    """0: its VPC is gone."""
    subnet = state.get(Subnet, interface.subnet_id)
    vpc = state.get(Vpc, subnet.vpc_id) if subnet else None
    return vpc.vni if vpc else 0
