"""Writes formats.py from the BTF of build/bpf/formats.bpf.o: `python -m rookery.dataplane.generate [--check]`.

A struct becomes a NamedTuple and a row of LAYOUTS, its struct.Struct; a struct in a struct becomes fields of the outer one.
Numbers in host byte order become int; whatever is in network order (__be16, __be32, addresses, MACs) becomes bytes, so that
nobody adds to it by mistake, and so do arrays."""

from __future__ import annotations

import argparse
import ctypes
import os
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from rookery.dataplane.errors import LoadFailed
from rookery.dataplane.libbpf import library

CHECKOUT = Path(__file__).resolve().parents[3]
OBJECT = CHECKOUT / "build" / "bpf" / "formats.bpf.o"
TARGET = Path(__file__).with_name("formats.py")
KIND_INT, KIND_ARRAY, KIND_STRUCT, KIND_ENUM, KIND_TYPEDEF = 1, 3, 4, 6, 8
ROOT = "formats"
INT_LETTERS = {1: "B", 2: "H", 4: "I", 8: "Q"}
OPAQUE_STRUCTS = ("address", "rule_bits")
HEADER = '''"""Generated from bpf/formats by `python -m rookery.dataplane.generate`. Do not edit.

`bytes` are in network order: see rookery.dataplane.addresses."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from struct import Struct
from typing import Any, NamedTuple


class Ifindex(NamedTuple):
    """Key of `interfaces`, the host's side of an instance's device: a bare number in C, hence no struct in BTF. And what
    `interface_devices` says."""

    ifindex: int


class InterfaceNumber(NamedTuple):
    """Key of `allowances`, `service_budgets` and `interface_devices`: a bare number in C too."""

    interface: int


class VpcNumber(NamedTuple):
    """Key of `gateways`: a bare number in C too."""

    vni: int


class EdgeAddress(NamedTuple):
    """Key of `edge_nodes`: a bare substrate address in C."""

    address: bytes


class TopsNumber(NamedTuple):
    """Key of `tops`: a bare number in C too, in the place of a host's address in the row of what lives at a cell."""

    number: int


class RowNumber(NamedTuple):
    """Key of `cell_nodes`, `cell_choices` and `cell_targets`: a row of an array. And what `check_slots` and `check_numbers` call a slot."""

    row: int


class TenantNumber(NamedTuple):
    """Key of `tenants`: a bare number in C too."""

    tenant: int
'''
BARE_KEYS = {
    "Ifindex": "=I",
    "InterfaceNumber": "=I",
    "VpcNumber": "=I",
    "EdgeAddress": "=4s",
    "TopsNumber": "=I",
    "RowNumber": "=I",
    "TenantNumber": "=I",
}


class Type(NamedTuple):
    """One BTF type (kernel documentation: bpf/btf)."""

    name: str
    kind: int
    rows: int  # members, enumerators
    size_or_type: int
    body: int  # address of what follows the header


class Member(NamedTuple):
    name: str
    type: int
    offset: int  # bytes


class Btf:
    """The types of an object file."""

    def __init__(self, path: Path):
        self.handle = library().btf__parse(os.fsencode(path), None)
        if not self.handle:
            raise LoadFailed(f"no BTF in {path} (make -C bpf builds it)")

    def type(self, number: int) -> Type:
        where = library().btf__type_by_id(self.handle, number)
        name, info, size = struct.unpack("=III", ctypes.string_at(where, 12))
        return Type(self.name(name), info >> 24 & 0x1F, info & 0xFFFF, size, where + 12)

    def name(self, offset: int) -> str:
        return library().btf__name_by_offset(self.handle, offset).decode()

    def named(self, name: str, kind: int) -> Type:
        for number in range(1, library().btf__type_cnt(self.handle)):
            found = self.type(number)
            if (found.name, found.kind) == (name, kind):
                return found
        raise LoadFailed(f"BTF has no {name}")

    def members(self, of: Type) -> list[Member]:
        rows = struct.iter_unpack("=III", ctypes.string_at(of.body, 12 * of.rows))
        return [Member(self.name(name), kind, bits // 8) for name, kind, bits in rows]

    def fields(self, of: Type, base: int = 0) -> list[Member]:
        """Members, and in place of a struct its own."""
        found: list[Member] = []
        for member in self.members(of):
            inner = self.type(member.type)
            if inner.kind == KIND_STRUCT and inner.name not in OPAQUE_STRUCTS:
                found += self.fields(inner, base + member.offset)
            else:
                found.append(member._replace(offset=base + member.offset))
        return found

    def enumerators(self, of: Type) -> list[tuple[str, int]]:
        rows = struct.iter_unpack("=II", ctypes.string_at(of.body, 8 * of.rows))
        return [(self.name(name), value) for name, value in rows]

    def element(self, array: Type) -> tuple[int, int]:
        """Type and number of an array's elements."""
        kind, _index, length = struct.unpack("=III", ctypes.string_at(array.body, 12))
        return kind, length

    def layout(self, number: int, big_endian: bool = False) -> str:
        """The struct format of one field."""
        found = self.type(number)
        if found.kind == KIND_TYPEDEF:
            return self.layout(found.size_or_type, big_endian or found.name.startswith("__be"))
        if found.kind == KIND_ARRAY:
            return f"{self._array_bytes(found)}s"
        if found.kind == KIND_STRUCT and found.name in OPAQUE_STRUCTS:
            return f"{found.size_or_type}s"
        if found.kind == KIND_INT:
            return f"{found.size_or_type}s" if big_endian else INT_LETTERS[found.size_or_type]
        raise LoadFailed(f"{found.name}: a kind that formats do not use")

    def _array_bytes(self, array: Type) -> int:
        kind, length = self.element(array)
        return length * struct.calcsize("=" + self.layout(kind))


def class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def layout_of(btf: Btf, found: Type) -> str:
    """The struct format of all of it. Raises LoadFailed when there is padding that nobody named."""
    layout = "="
    for member in btf.fields(found):
        if struct.calcsize(layout) != member.offset:
            raise LoadFailed(f"hidden padding before {found.name}.{member.name}")
        layout += btf.layout(member.type)
    if struct.calcsize(layout) != found.size_or_type:
        raise LoadFailed(f"hidden padding at the end of {found.name}")
    return layout


def struct_source(btf: Btf, found: Type) -> str:
    kinds = {member.name: btf.layout(member.type) for member in btf.fields(found)}
    lines = (f"    {name}: {'bytes' if layout.endswith('s') else 'int'}" for name, layout in kinds.items())
    return "\n".join([f"class {class_name(found.name)}(NamedTuple):", *lines]) + "\n"


def layouts_source(layouts: dict[str, str]) -> str:
    rows = (f'    {name}: Struct("{layout}"),' for name, layout in layouts.items())
    return "\n".join(["LAYOUTS: dict[type[tuple[Any, ...]], Struct] = {", *rows, "}"]) + "\n"


def enum_source(btf: Btf, found: Type) -> str:
    """What all members share with the enum's name ("STEP_", "WHAT_IF_") is left out."""
    members = btf.enumerators(found)
    prefix = os.path.commonprefix([found.name.upper() + "_", *(name for name, _value in members)])
    prefix = prefix[: prefix.rfind("_") + 1]
    names = [(name.removeprefix(prefix), value) for name, value in members]
    base = "IntFlag" if found.name.endswith("_flag") else "IntEnum"
    lines = "\n".join(f"    {name} = {value}" for name, value in names)
    return f"class {class_name(found.name)}({base}):\n{lines}\n"


def generate(path: Path = OBJECT) -> str:
    """The text of formats.py."""
    btf = Btf(path)
    found = [btf.type(member.type) for member in btf.members(btf.named(ROOT, KIND_STRUCT))]
    structs = [one for one in found if one.kind == KIND_STRUCT]
    layouts = BARE_KEYS | {class_name(one.name): layout_of(btf, one) for one in structs}
    return "\n\n".join(
        [
            HEADER,
            *(struct_source(btf, one) for one in structs),
            layouts_source(layouts),
            *(enum_source(btf, one) for one in found if one.kind == KIND_ENUM),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when formats.py is old")
    text = generate()
    if parser.parse_args().check:
        return 0 if TARGET.read_text() == text else 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
