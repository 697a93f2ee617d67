"""From the words of a cell's file to the rows of one half of a node's tables. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes, mac_bytes, substrate_bytes
from rookery.dataplane.formats import (
    Attachment,
    AttachmentFlag,
    AttachmentKey,
    AttachmentKind,
    CellChoices,
    CellConstant,
    CellNode,
    CellNodeFlag,
    CellService,
    CellServiceKey,
    CellTarget,
    Gates,
    NatAddress,
    NatAddressKey,
    RowNumber,
    ServiceFlag,
    TargetFlag,
)
from rookery.hyperplane.cell_file import CellFile, TargetRow, row_numbers
from rookery.hyperplane.ring import seed
from rookery.intent.cell import BALANCER, ENDPOINT, NAT, AttachmentIntent, NodeIntent, ServiceIntent

KINDS = {NAT: AttachmentKind.NAT, BALANCER: AttachmentKind.BALANCER, ENDPOINT: AttachmentKind.ENDPOINT}
NO_NODE = CellNode(address=bytes(4), flags=0, seed=0)
NO_TARGET = CellTarget(address=bytes(16), vni=0, interface=0, port=bytes(2), flags=0, generation=0)
ENDPOINT_BYTES = 24  # a whole number of words
CHOICES_PADDING = bytes(formats.LAYOUTS[CellChoices].size - 2 * CellConstant.CHOICES)
NOBODY = CellConstant.NO_TARGET.to_bytes(2, "little") * CellConstant.CHOICES

TargetKey = tuple[str, str, int]


class Numbering(Protocol):
    """Which row of an array belongs to which half: the data plane says."""

    def node_row(self, half: int, place: int) -> RowNumber: ...

    def choices_row(self, half: int, number: int) -> RowNumber: ...

    def target_row(self, half: int, number: int) -> RowNumber: ...


class Half(NamedTuple):
    """All rows of one half. Of `nodes`, `choices` and `targets` every row that there is, used or not."""

    nodes: dict[RowNumber, CellNode]
    attachments: dict[AttachmentKey, Attachment]
    nat_addresses: dict[NatAddressKey, NatAddress]
    services: dict[CellServiceKey, CellService]
    choices: dict[RowNumber, CellChoices]
    targets: dict[RowNumber, CellTarget]


def half_of(  # noqa: PLR0917 - what a file becomes here depends on all of it
    file: CellFile,
    half: int,
    numbering: Numbering,
    rows: tuple[int, int],
    gates: Callable[[AttachmentIntent], Gates],
    measured: Callable[[tuple[int, int]], int] = lambda _: 0,
) -> Half:
    """`rows`: of services and of targets that a half has; `gates`: the compiled rules of an attachment; `measured`: the row in which
    is counted in its name."""
    intent, (services, targets) = file.intent, rows
    held = {node.place: node for node in intent.nodes}
    return Half(
        nodes={
            numbering.node_row(half, place): _node(held.get(place), file) for place in range(CellConstant.NODES_MAX)
        },
        attachments={AttachmentKey(half, *one.key): _attachment(one, gates(one), measured(one.key)) for one in intent.attachments},
        nat_addresses=_nat_addresses(intent.attachments, half),
        services={
            CellServiceKey(half, *one.key[:3], one.port.to_bytes(2, "big")): _service(one, number)
            for number, one in enumerate(intent.services)
        },
        choices=_choices(file, half, numbering, services),
        targets={
            numbering.target_row(half, number): _target(file.rows[number] if number < len(file.rows) else None)
            for number in range(targets)
        },
    )


def _node(node: NodeIntent | None, file: CellFile) -> CellNode:
    if node is None:
        return NO_NODE
    flags = CellNodeFlag(0)
    flags |= CellNodeFlag.CURRENT if node.place in file.current else CellNodeFlag(0)
    flags |= CellNodeFlag.PREVIOUS if node.place in file.previous else CellNodeFlag(0)
    flags |= CellNodeFlag(0) if node.draining else CellNodeFlag.DECIDES
    return CellNode(address=substrate_bytes(node.address), flags=int(flags), seed=seed(node.name))


def tenant_number(account: str) -> int:
    """32 bits, never 0: that is everybody."""
    return int.from_bytes(blake2b(account.encode(), digest_size=4).digest(), "little") or 1


def _attachment(one: AttachmentIntent, gates: Gates, measured: int) -> Attachment:
    flags = AttachmentFlag(0)
    flags |= AttachmentFlag.PRIVATE if one.private else AttachmentFlag(0)
    flags |= AttachmentFlag.CLOSED if one.closed else AttachmentFlag(0)
    flags |= AttachmentFlag.GROUPS_SEE_CLIENT if one.groups_see_client else AttachmentFlag(0)
    flags |= AttachmentFlag.SHUT_OUT if one.shut_out else AttachmentFlag(0)
    return Attachment(
        tenant=tenant_number(one.account),
        subnet=one.subnet,
        route_table=one.route_table,
        kind=int(KINDS[one.kind]),
        flags=int(flags),
        primary=address_bytes(one.primary),
        mac=mac_bytes(one.mac),
        router_mac=mac_bytes(one.router_mac),
        mtu=min(one.mtu, CellConstant.MTU),
        addresses=len(one.addresses),
        measured=measured,
        reserved=0,
        group_set=one.group_set,
        **gates._asdict(),
        endpoint=_endpoint(one),
        primary_ipv6=address_bytes(one.primary_ipv6) if one.primary_ipv6 else bytes(16),
    )


def _endpoint(one: AttachmentIntent) -> bytes:
    return one.of.encode()[: CellConstant.ENDPOINT_ID].ljust(ENDPOINT_BYTES, b"\0") if one.kind == ENDPOINT else bytes(ENDPOINT_BYTES)


def _nat_addresses(attachments: Iterable[AttachmentIntent], half: int) -> dict[NatAddressKey, NatAddress]:
    return {
        NatAddressKey(half, *one.key, place): NatAddress(address_bytes(address))
        for one in attachments
        for place, address in enumerate(one.addresses)
    }


def _service(one: ServiceIntent, number: int) -> CellService:
    flags = ServiceFlag(0)
    flags |= ServiceFlag.PRESERVE_CLIENT if one.preserve_client else ServiceFlag(0)
    flags |= ServiceFlag.STICKY if one.sticky else ServiceFlag(0)
    flags |= ServiceFlag.PROXY_PROTOCOL if one.proxy_protocol else ServiceFlag(0)
    flags |= ServiceFlag.ENDPOINT if one.exit_vni else ServiceFlag(0)
    flags |= ServiceFlag.TO_IPV6 if one.to_ipv6 else ServiceFlag(0)
    return CellService(
        number=number,
        flags=int(flags),
        idle_seconds=one.idle_seconds,
        exit_vni=one.exit_vni or one.vni,
        exit_interface=one.exit_interface or one.interface,
        padding=0,
    )


def _choices(file: CellFile, half: int, numbering: Numbering, services: int) -> dict[RowNumber, CellChoices]:
    """Services that choose alike (both protocols of a listener, zones that are crossed, a balancer and its endpoints) have one table to compute."""
    numbers, held, found = row_numbers(file), file.intent.services, {}
    made: dict[tuple[tuple[TargetKey, int], ...], CellChoices] = {}
    for number in range(services):
        choices = held[number].choices if number < len(held) else ()
        if choices not in made:
            made[choices] = CellChoices(_places(choices, numbers), CHOICES_PADDING)
        found[numbering.choices_row(half, number)] = made[choices]
    return found


def _places(choices: tuple[tuple[TargetKey, int], ...], numbers: Mapping[TargetKey, int]) -> bytes:
    """A node without services never loads numpy."""
    if not choices:
        return NOBODY
    from rookery.hyperplane.choices import seed_of, table  # noqa: PLC0415

    targets = [target for target, _ in choices]
    return table([numbers[one] for one in targets], [seed_of(one) for one in targets], [weight for _, weight in choices]).tobytes()


def _target(row: TargetRow | None) -> CellTarget:
    """A free row keeps its generation: what still names it is told that it goes no further."""
    if row is None:
        return NO_TARGET
    if row.target is None:
        return NO_TARGET._replace(generation=row.generation + 1, flags=int(TargetFlag.TERMINATES))
    one, flags = row.target, TargetFlag(0)
    flags |= TargetFlag.HEALTHY if one.healthy else TargetFlag(0)
    flags |= TargetFlag.DRAINING if one.draining else TargetFlag(0)
    flags |= TargetFlag.TERMINATES if one.terminates else TargetFlag(0)
    return CellTarget(
        address=address_bytes(one.address),
        vni=one.vni,
        interface=one.interface,
        port=one.port.to_bytes(2, "big"),
        flags=int(flags),
        generation=row.generation,
    )


def rows_of(half: Half) -> dict[str, dict[Any, Any]]:
    """By the data plane's names of the tables."""
    return {
        "cell_nodes": half.nodes,
        "attachments": half.attachments,
        "nat_addresses": half.nat_addresses,
        "cell_services": half.services,
        "cell_choices": half.choices,
        "cell_targets": half.targets,
    }
