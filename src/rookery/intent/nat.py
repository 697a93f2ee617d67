"""NAT gateways, as their cell must hold them."""

from __future__ import annotations

from collections.abc import Iterator

from rookery.intent.attachment import attached_to, place_of
from rookery.intent.cell import NAT, AttachmentIntent
from rookery.intent.regional import interfaces_of
from rookery.intent.state import State
from rookery.model.objects import Cell, NatGateway, NetworkInterface

ALIVE = ("pending", "available")
GOING = ("disassociating", "unassigning")


def nat_attachments(state: State, cell: Cell) -> tuple[AttachmentIntent, ...]:
    """Of all accounts, sorted by key. One that is being deleted has none: what went through it is cut."""
    return tuple(sorted(_attachments(state, cell), key=lambda one: one.key))


def _attachments(state: State, cell: Cell) -> Iterator[AttachmentIntent]:
    for interface in attached_to(state, cell):
        attachment = interface.cell_attachment
        gateway = state.get(NatGateway, attachment.of) if attachment else None
        if gateway is not None and gateway.state in ALIVE and interface.id in interfaces_of(gateway):
            yield from _attachment(state, gateway, interface)


def _attachment(state: State, gateway: NatGateway, interface: NetworkInterface) -> Iterator[AttachmentIntent]:
    place = place_of(state, interface)
    if place is None:
        return
    mine = (one for one in gateway.addresses if one.private_address in interface.addresses)
    going = tuple(one.private_address for one in mine if one.status in GOING)
    yield AttachmentIntent(
        **place,
        of=gateway.id,
        kind=NAT,
        addresses=tuple(one for one in interface.addresses if one not in going),
        draining_addresses=going,
        private=gateway.connectivity == "private",
    )
