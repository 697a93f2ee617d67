"""What becomes of NAT gateways and their addresses by themselves (VPC guide, "NAT gateway states"; AWS's are as asynchronous).

pending    -> available   when the cell works by it, and every host concerned sends to the cell
deleting   -> deleted     when the cell has let it go: its interface goes, its Elastic IPs are free
an address -> succeeded   as a gateway becomes available; -> gone, when it has drained: no flow leaves by it any more, or its time is over
deleted, failed           are described for an hour
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from msgspec.structs import replace

from rookery.api.handlers.cells import drained_addresses, has_let_go, works_by
from rookery.api.handlers.elastic_ip_associations import all_disassociated, disassociated_from
from rookery.api.operation import Outcome, View
from rookery.model.objects import NatGateway, NetworkInterface, Resource

PENDING, AVAILABLE, DELETING, DELETED, FAILED = "pending", "available", "deleting", "deleted", "failed"
ALIVE = (PENDING, AVAILABLE)  # packets may use it
COUNTED = (PENDING, AVAILABLE, DELETING)  # against the quota

ASSOCIATING, DISASSOCIATING = "associating", "disassociating"
ASSIGNING, UNASSIGNING = "assigning", "unassigning"
SUCCEEDED = "succeeded"
COMING, GOING = (ASSOCIATING, ASSIGNING), (DISASSOCIATING, UNASSIGNING)

SHOWN_SECONDS = 3600.0


class Step(NamedTuple):
    puts: tuple[Resource, ...] = ()
    deletes: tuple[Resource, ...] = ()


def gateways_proceed(view: View, now: float) -> Outcome:
    """Of the housekeeper: every step that is due."""
    steps = [step_of(view, one, now) for one in view.all(NatGateway)]
    return Outcome(
        puts=tuple(one for step in steps for one in step.puts),
        deletes=tuple(one for step in steps for one in step.deletes),
    )


def step_of(view: View, gateway: NatGateway, now: float) -> Step:
    if gateway.state in (DELETED, FAILED):
        return Step(deletes=(gateway,)) if now - gateway.ended >= SHOWN_SECONDS else Step()
    interface = view.get(NetworkInterface, gateway.interface_id)
    if gateway.state == DELETING:
        return _deleted(view, gateway, interface, now)
    if interface is None:
        return Step()
    in_effect = _is_in_effect(view, gateway, interface)
    after = _in_effect(gateway) if in_effect else gateway
    return _drained(view, after, gateway, interface, _over(view, after, interface, now, in_effect=in_effect))


def _is_in_effect(view: View, gateway: NatGateway, interface: NetworkInterface) -> bool:
    changed = view.changed_at(gateway)
    attachment = interface.cell_attachment
    return attachment is not None and works_by(view, attachment, changed) and view.live >= changed


def _in_effect(gateway: NatGateway) -> NatGateway:
    addresses = tuple(
        replace(one, status=SUCCEEDED) if one.status in COMING else one for one in gateway.addresses
    )
    return replace(gateway, state=AVAILABLE, addresses=addresses)


def _over(view: View, gateway: NatGateway, interface: NetworkInterface, now: float, *, in_effect: bool) -> set[str]:
    """Its addresses whose time is over, or which the cell, where it works by the gateway as it is, does not use any more."""
    attachment = interface.cell_attachment
    unused = drained_addresses(view, attachment, interface.id) if attachment and in_effect else frozenset[str]()
    going = [one for one in gateway.addresses if one.status in GOING]
    return {one.private_address for one in going if now >= one.drain_until or one.private_address in unused}


def _drained(
    view: View, after: NatGateway, before: NatGateway, interface: NetworkInterface, gone: Set[str]
) -> Step:
    """`after` and what is different with it, without the addresses `gone`."""
    kept = tuple(one for one in after.addresses if one.private_address not in gone)
    left = replace(after, addresses=kept)
    if not gone:
        return Step(puts=(left,) if left != before else ())
    addresses = tuple(one for one in interface.addresses if one not in gone)
    elastic_ips = disassociated_from(view, interface, gone)
    return Step(puts=(left, replace(interface, addresses=addresses), *elastic_ips))


def _deleted(view: View, gateway: NatGateway, interface: NetworkInterface | None, now: float) -> Step:
    ended = replace(gateway, state=DELETED, ended=now)
    if interface is None:
        return Step(puts=(ended,))
    if not has_let_go(view, interface, view.changed_at(gateway)):
        return Step()
    return Step(puts=(ended, *all_disassociated(view, [interface])), deletes=(interface,))
