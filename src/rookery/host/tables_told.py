"""What the control socket tells of a node's tables and counters: hosts and edges tell it alike."""

from __future__ import annotations

from collections.abc import Mapping

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_text, mac_text, substrate_text
from rookery.dataplane.formats import (
    LAYOUTS,
    DelegatedKey,
    InterfaceFlag,
    MappingKey,
    RouteConstant,
    TopsNumber,
)
from rookery.dataplane.node import NodeDataplane
from rookery.host.control import MappingRow
from rookery.host.rows import VPC_BITS

Mapped = MappingKey | DelegatedKey


def held_mappings(dataplane: NodeDataplane) -> dict[Mapped, formats.Mapping]:
    """The kernel's. A dump: a second for a million."""
    return {**dict(dataplane.mappings.items()), **dict(dataplane.delegated.items())}


def mapping_rows(
    intended: Mapping[Mapped, formats.Mapping], found: Mapping[Mapped, formats.Mapping], vni: int
) -> list[MappingRow]:
    """The intent's beside the kernel's. `vni` 0: of all VPCs."""
    keys = [key for key in intended.keys() | found.keys() if vni in (0, key.vni)]
    ordered = sorted(keys, key=lambda key: (key.vni, key.address, key))
    return [_row(key, intended.get(key), found.get(key)) for key in ordered]


def _row(key: Mapped, intended: formats.Mapping | None, found: formats.Mapping | None) -> MappingRow:
    one = found or intended
    assert one is not None
    return MappingRow(
        vni=key.vni,
        address=mapped_text(key),
        intended_host=_home_text(intended) if intended else "",
        kernel_host=_home_text(found) if found else "",
        interface=one.interface,
        mac=mac_text(one.mac),
        generation=one.generation,
        issued=one.issued,
    )


def _home_text(row: formats.Mapping) -> str:
    """A substrate address; of what lives at a cell the number of its nodes' set."""
    if row.flags & InterfaceFlag.AT_CELL:
        (number,) = LAYOUTS[TopsNumber].unpack(row.host)
        return f"cell:{number:08x}"
    return substrate_text(row.host)


def mapped_text(key: Mapped) -> str:
    """An address, or a delegated prefix."""
    address = address_text(key.address)
    if isinstance(key, MappingKey):
        return address
    bits = key.prefix_length - VPC_BITS
    return f"{address}/{bits if ':' in address else bits - RouteConstant.IPV4_BITS}"


def counters_by_verdict(
    counters: Mapping[formats.CounterKey, formats.Traffic],
) -> dict[str, dict[str, int]]:
    """Added up over devices: verdict -> {"packets": ..., "bytes": ...}."""
    total: dict[str, dict[str, int]] = {}
    for key, traffic in counters.items():
        row = total.setdefault(formats.Verdict(key.verdict).name.lower(), {"packets": 0, "bytes": 0})
        row["packets"] += traffic.packets
        row["bytes"] += traffic.bytes
    return total
