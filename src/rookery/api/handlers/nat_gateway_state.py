"""What becomes of NAT gateways and their addresses by themselves (VPC guide, "NAT gateway states"; AWS's are as asynchronous).

pending    -> available   when the cell works by it, and every host concerned sends to the cell
deleting   -> deleted     when the cell has let it go: its interface goes, its Elastic IPs are free
an address -> succeeded   as a gateway becomes available; -> gone, when it has drained: no flow leaves by it any more, or its time is over
deleted, failed           are described for an hour

A regional gateway does the same in each of its zones. One that comes is served across zones until its cell works in its name; one all of whose
addresses have drained, or in which the VPC has nothing any more, is let go by its cell before its interface goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from typing import NamedTuple

from msgspec.structs import replace

from rookery.api.handlers.cells import drained_addresses, has_let_go, works_by
from rookery.api.handlers.elastic_ip_associations import all_disassociated, disassociated, disassociated_from
from rookery.api.operation import Outcome, View
from rookery.model.objects import ElasticIp, NatGateway, NatZone, NetworkInterface, Resource, RouteTable

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
    if gateway.is_regional:
        return _regional_deleted(view, gateway, now) if gateway.state == DELETING else _regional_step(view, gateway, now)
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


# ------------------------------------------------------------------------------------------------------------- regional


def _regional_step(view: View, gateway: NatGateway, now: float) -> Step:
    """One after the other: each is in effect before the next begins."""
    changed = view.changed_at(gateway)
    works = [one for one in gateway.zones if _works_in(view, one, changed)]
    serving = replace(
        gateway, zones=tuple(replace(one, serves=True) if one in works and not one.leaving else one for one in gateway.zones)
    )
    if serving != gateway:
        return Step(puts=(serving,))
    left = [one for one in gateway.zones if one.leaving and _let_go_in(view, one, changed)]
    if left:
        return _zones_gone(view, gateway, left)
    in_effect = len(works) == len(gateway.zones) and view.live >= changed
    after = _in_effect(gateway) if in_effect else gateway
    return _regional_drained(view, after, gateway, _regional_over(view, after, now, in_effect=in_effect))


def _works_in(view: View, zone: NatZone, revision: int) -> bool:
    interface = view.get(NetworkInterface, zone.interface_id)
    attachment = interface.cell_attachment if interface else None
    return attachment is not None and works_by(view, attachment, revision)


def _let_go_in(view: View, zone: NatZone, revision: int) -> bool:
    interface = view.get(NetworkInterface, zone.interface_id)
    return interface is None or has_let_go(view, interface, revision)


def _regional_over(view: View, gateway: NatGateway, now: float, *, in_effect: bool) -> set[str]:
    """As _over, in all zones but those that are left as a whole."""
    over: set[str] = set()
    for zone in gateway.zones:
        interface = view.get(NetworkInterface, zone.interface_id)
        if interface is not None and not zone.leaving:
            mine = tuple(one for one in gateway.addresses if one.zone == zone.zone)
            over |= _over(view, replace(gateway, addresses=mine), interface, now, in_effect=in_effect)
    return over


def _regional_drained(view: View, after: NatGateway, before: NatGateway, gone: Set[str]) -> Step:
    """A zone that has no other address is left: it keeps those that are over until its cell has let it go."""
    kept = [one for one in after.addresses if one.private_address not in gone]
    staying = {one.zone for one in kept}
    zones = tuple(replace(one, leaving=True) if one.zone not in staying else one for one in after.zones)
    addresses = tuple(one for one in after.addresses if one in kept or one.zone not in staying)
    left = replace(after, zones=zones, addresses=addresses)
    if left == before:
        return Step()
    puts: list[Resource] = [left]
    for zone in zones:
        interface = view.get(NetworkInterface, zone.interface_id)
        over = gone & set(interface.addresses) if interface and zone.zone in staying else set()
        if interface and over:
            puts.append(replace(interface, addresses=tuple(one for one in interface.addresses if one not in over)))
            puts += disassociated_from(view, interface, over)
    return Step(puts=tuple(puts))


def _zones_gone(view: View, gateway: NatGateway, left: Collection[NatZone]) -> Step:
    names = {one.zone for one in left}
    after = replace(
        gateway,
        zones=tuple(one for one in gateway.zones if one not in left),
        addresses=tuple(one for one in gateway.addresses if one.zone not in names),
    )
    step = _freed(view, _interfaces_in(view, left))
    return Step(puts=(after, *step.puts), deletes=step.deletes)


def _regional_deleted(view: View, gateway: NatGateway, now: float) -> Step:
    """Its route table goes with it, but not one with which its owner has associated something."""
    if not all(_let_go_in(view, one, view.changed_at(gateway)) for one in gateway.zones):
        return Step()
    table = view.get(RouteTable, gateway.route_table_id)
    step = _freed(view, _interfaces_in(view, gateway.zones))
    ended = replace(gateway, state=DELETED, ended=now, zones=(), route_table_id="")
    tables = (table,) if table and not table.associations else ()
    return Step(puts=(ended, *step.puts), deletes=(*step.deletes, *tables))


def _interfaces_in(view: View, zones: Iterable[NatZone]) -> list[NetworkInterface]:
    return [one for zone in zones if (one := view.get(NetworkInterface, zone.interface_id))]


def _freed(view: View, interfaces: Collection[NetworkInterface]) -> Step:
    """What the region allocated is released, what the owner did is free."""
    held: list[ElasticIp] = [one for each in interfaces for one in view.elastic_ips_of(each.id)]
    return Step(
        puts=tuple(disassociated(one) for one in held if not one.managed_by),
        deletes=(*interfaces, *(one for one in held if one.managed_by)),
    )
