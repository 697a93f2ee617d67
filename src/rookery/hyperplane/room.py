"""Which rows of a cell stay out of its file when it has no room for all. The API refuses what would not fit (rookery.api.room), so there is
none such but of an older state, or by a mistake: then the youngest stay out, and everybody else's changes go on. Pure.

Who has a row keeps it; of the others those made first come first, then by key. A service of an attachment that stays out stays out; a target
that stays out is chosen by nobody; a service that is the last to choose gets as many of its choices as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from rookery.hyperplane.cell_file import (
    ADDRESSES,
    ATTACHMENTS,
    CHECKS,
    CHOICES,
    NODES,
    SERVICES,
    TARGETS,
    CellFile,
    attachment_fits,
    check_fits,
    service_fits,
    target_fits,
)
from rookery.intent.cell import AttachmentIntent, CellIntent, ServiceIntent, TargetIntent
from rookery.intent.state import State
from rookery.model.balancers import Listener, TargetGroup
from rookery.model.objects import NetworkInterface

T = TypeVar("T")
MOST_NAMED = 100
YOUNGEST = float("inf")  # of what the state does not know


class Fitted(NamedTuple):
    intent: CellIntent
    left_out: tuple[str, ...]  # each as an operator knows it


def fitted(intent: CellIntent, held: CellFile | None, state: State) -> Fitted:
    """`held`: the file before."""
    ages, before = _Ages(state, intent), held.intent if held else CellIntent(cell=intent.cell, generation=0)
    attachments = _attachments(intent, before, ages)
    targets = _targets(intent, before, ages)
    services, cut = _services(intent, before, ages, attachments, targets)
    nodes = [one for one in intent.nodes if one.place < NODES.rows]
    less = msgspec.structs.replace(
        intent, nodes=tuple(nodes), attachments=tuple(attachments), services=tuple(services), targets=tuple(targets)
    )
    return Fitted(less, _named([*_missing(intent, less), *cut]))


def _named(left_out: list[str]) -> tuple[str, ...]:
    more = len(left_out) - MOST_NAMED
    return (*left_out[:MOST_NAMED], f"{more} more") if more > 0 else tuple(left_out)


class _Ages:
    """When what stands behind a row was made; unix seconds."""

    def __init__(self, state: State, intent: CellIntent):
        self._listeners = {(one.balancer_id, one.port): one.created for one in state.all(Listener)}
        self._groups = {one.id: one.created for one in state.all(TargetGroup)}
        self._interfaces = {one.id: one.created for one in state.all(NetworkInterface)}
        self._attachments = {one.key: one for one in intent.attachments}

    def attachment(self, one: AttachmentIntent) -> float:
        return self._interfaces.get(one.id, YOUNGEST)

    def service(self, one: ServiceIntent) -> float:
        """An endpoint's listens since there are both."""
        own, way_out = self._attachments.get((one.vni, one.interface)), self._attachments.get(_exit(one))
        if own is None or way_out is None:
            return YOUNGEST
        return max(self.attachment(own), self._listeners.get((way_out.of, one.port), 0.0))

    def target(self, one: TargetIntent) -> float:
        return self._groups.get(one.group, YOUNGEST)


def _exit(one: ServiceIntent) -> tuple[int, int]:
    return (one.exit_vni or one.vni, one.exit_interface or one.interface)


def _ranked(rows: Iterable[T], held: Iterable[Any], age: Callable[[T], float]) -> list[T]:
    """Who has a row, then the oldest."""
    there: set[Hashable] = {one.key for one in held}
    return sorted(rows, key=lambda one: (one.key not in there, age(one), one.key))  # type: ignore[attr-defined]


def _attachments(intent: CellIntent, before: CellIntent, ages: _Ages) -> list[AttachmentIntent]:
    kept: list[AttachmentIntent] = []
    addresses = 0
    for one in _ranked(intent.attachments, before.attachments, ages.attachment):
        more = len(one.addresses) + len(one.draining_addresses)
        if len(kept) < ATTACHMENTS.rows and addresses + more <= ADDRESSES.rows and attachment_fits(one):
            kept.append(one)
            addresses += more
    return sorted(kept, key=lambda one: one.key)


def _targets(intent: CellIntent, before: CellIntent, ages: _Ages) -> list[TargetIntent]:
    kept: list[TargetIntent] = []
    groups: set[str] = set()
    for one in _ranked(intent.targets, before.targets, ages.target):
        has_group = one.group in groups or len(groups) < CHECKS.rows and check_fits(one)
        if len(kept) < TARGETS.rows and has_group and target_fits(one):
            kept.append(one)
            groups.add(one.group)
    return sorted(kept, key=lambda one: one.key)


def _services(
    intent: CellIntent,
    before: CellIntent,
    ages: _Ages,
    attachments: Iterable[AttachmentIntent],
    targets: Iterable[TargetIntent],
) -> tuple[list[ServiceIntent], list[str]]:
    """And which of them have fewer choices than they should, in words."""
    there, known = {one.key for one in attachments}, {one.key for one in targets}
    kept: list[ServiceIntent] = []
    cut: list[str] = []
    room = CHOICES.rows
    for one in _ranked(intent.services, before.services, ages.service):
        if len(kept) == SERVICES.rows or not {(one.vni, one.interface), _exit(one)} <= there or not service_fits(one):
            continue
        choices = tuple(choice for choice in one.choices if choice[0] in known)[:room]
        room -= len(choices)
        if len(choices) < len(one.choices):
            cut.append(f"{len(one.choices) - len(choices)} of {len(one.choices)} targets of {service_name(one, intent)}")
        kept.append(msgspec.structs.replace(one, choices=choices))
    return sorted(kept, key=lambda one: one.key), cut


def _missing(wanted: CellIntent, less: CellIntent) -> list[str]:
    services, attachments, targets = (
        {one.key for one in kept} for kept in (less.services, less.attachments, less.targets)
    )
    nodes = {one.name for one in less.nodes}
    return [
        *(f"the node {one.name}" for one in wanted.nodes if one.name not in nodes),
        *(f"{one.of} of {one.account} ({one.id})" for one in wanted.attachments if one.key not in attachments),
        *(f"the service {service_name(one, wanted)}" for one in wanted.services if one.key not in services),
        *(f"the target {one.place} of {one.group}" for one in wanted.targets if one.key not in targets),
    ]


def service_name(one: ServiceIntent, intent: CellIntent) -> str:
    """As an operator finds it: whose, where, and its port."""
    protocol = {6: "TCP", 17: "UDP"}.get(one.protocol, str(one.protocol))
    own = next((each for each in intent.attachments if each.key == (one.vni, one.interface)), None)
    return f"{own.of} of {own.account} ({own.id}) {protocol} {one.port}" if own else f"{one.key}"
