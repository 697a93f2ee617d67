"""All that a cell must hold, from the whole state: its nodes, and what every kind of product adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from rookery.intent.balancing import balancer_interfaces, balancing_intent
from rookery.intent.cell import AttachmentIntent, CellIntent, NodeIntent, ServiceIntent, TargetIntent
from rookery.intent.nat import nat_attachments
from rookery.intent.privatelink import endpoint_attachments, endpoint_services
from rookery.intent.state import State
from rookery.model.objects import Cell, TargetHealth


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one product adds."""

    attachments: tuple[AttachmentIntent, ...] = ()
    services: tuple[ServiceIntent, ...] = ()
    targets: tuple[TargetIntent, ...] = ()


# What a product makes of the state for a cell. `health`: what the cell's checks found; None: nothing yet. The parts of those before it are
# there for a product that leads to another, as an endpoint does to a balancer.
Product = Callable[[State, Cell, TargetHealth | None, Sequence[Part]], Part]


def _nat(state: State, cell: Cell, _health: TargetHealth | None, _before: Sequence[Part]) -> Part:
    return Part(attachments=nat_attachments(state, cell))


def _balancers(state: State, cell: Cell, health: TargetHealth | None, _before: Sequence[Part]) -> Part:
    return Part(**balancing_intent(state, cell, health)._asdict())


def _endpoints(state: State, cell: Cell, _health: TargetHealth | None, before: Sequence[Part]) -> Part:
    listening = (service for part in before for service in part.services)
    return Part(
        attachments=endpoint_attachments(state, cell),
        services=endpoint_services(state, cell, listening, balancer_interfaces(state)),
    )


PRODUCTS: tuple[Product, ...] = (_nat, _balancers, _endpoints)


def cell_intent(
    state: State, cell: Cell, health: TargetHealth | None = None, products: Sequence[Product] = PRODUCTS
) -> CellIntent:
    parts: list[Part] = []
    for product in products:
        parts.append(product(state, cell, health, parts))
    return CellIntent(
        cell=cell.name,
        generation=state.generation,
        nodes=node_intents(state, cell),
        attachments=tuple(sorted((one for part in parts for one in part.attachments), key=lambda one: one.key)),
        services=tuple(sorted((one for part in parts for one in part.services), key=lambda one: one.key)),
        targets=tuple(sorted((one for part in parts for one in part.targets), key=lambda one: one.key)),
    )


def node_intents(state: State, cell: Cell) -> tuple[NodeIntent, ...]:
    """By place. A node whose host the region does not know is in no file."""
    return tuple(
        NodeIntent(place=place, name=name, address=state.hosts[name].address, draining=name in cell.draining)
        for place, name in enumerate(cell.nodes)
        if name in state.hosts
    )
