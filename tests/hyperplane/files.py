"""Files of cells, made up by hypothesis."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from hypothesis import strategies as st

from rookery.hyperplane.cell_file import KEY_BYTES, CellFile, place_targets
from rookery.intent.cell import AttachmentIntent, CellIntent, NodeIntent, ServiceIntent, TargetIntent

KEY = bytes(range(KEY_BYTES))


def node(place: int) -> NodeIntent:
    return NodeIntent(place=place, name=f"node-{place + 1}", address=f"100.64.1.{200 + place}")


def attachment(number: int, **changed: object) -> AttachmentIntent:
    """10.<vpc>.<subnet>.<interface>: the VPC of all is 1."""
    base = AttachmentIntent(
        id=f"eni-{number:017x}",
        of=f"nat-{number:017x}",
        kind="nat",
        account="123456789012",
        vni=1,
        interface=number,
        zone=0,
        subnet=1,
        route_table=1,
        acl=1,
        primary=f"10.1.{number // 250}.{number % 250 + 4}",
        mac="02:00:00:00:00:01",
        router_mac="02:00:00:00:00:02",
        mtu=1500,
        addresses=(f"10.1.{number // 250}.{number % 250 + 4}",),
    )
    return msgspec.structs.replace(base, **changed)


def target(number: int, group: str = "targetgroup-1") -> TargetIntent:
    return TargetIntent(group=group, vni=1, address=f"10.1.{8 + number // 250}.{number % 250 + 4}", port=8080, interface=1000 + number)


def service(interface: int, targets: tuple[TargetIntent, ...], port: int = 80) -> ServiceIntent:
    return ServiceIntent(
        vni=1, interface=interface, protocol=6, port=port, choices=tuple((one.key, 1 + n) for n, one in enumerate(targets))
    )


def in_order(targets: Iterable[TargetIntent]) -> tuple[TargetIntent, ...]:
    return tuple(sorted(targets, key=lambda one: one.key))


def file(epoch: int = 1, attachments: int = 2, targets: int = 3, **changed: object) -> CellFile:
    held = in_order(target(n) for n in range(targets))
    intent = CellIntent(
        cell="cell-1",
        generation=7,
        nodes=tuple(map(node, range(4))),
        attachments=tuple(attachment(n) for n in range(1, attachments + 1)),
        services=(service(1, held),) if held else (),
        targets=held,
    )
    return msgspec.structs.replace(
        CellFile(intent=intent, rows=place_targets(held, ()), key=KEY, epoch=epoch, current=(0, 1, 2, 3), previous=(0, 1, 2, 3)), **changed
    )


FILES = st.builds(
    lambda epoch, attachments, targets, removal: file(epoch, attachments, targets, removal_epoch=removal),
    st.integers(1, 2**32 - 1),
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(0, 2**32 - 1),
)
