"""What a running cell knows, read from the kernel beside the programs that write it: where flows are kept, and who is taken to live."""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    LAYOUTS,
    Allowance,
    CachedDirective,
    CellConstant,
    DirectiveFlag,
    FlowKey,
    RowNumber,
    TenantNumber,
    TopSet,
    TopsNumber,
    Tracker,
)
from rookery.dataplane.pins import open_pinned
from rookery.dataplane.table import Table
from rookery.host.rows import living_tops
from rookery.hyperplane.cell_file import CellFile, decode
from rookery.hyperplane.object_store import file_key
from rookery.intent.tops import tops_number
from rookery.model.codec import decode as decode_thing
from rookery.model.keys import SHARDS
from rookery.model.objects import Shard
from rookery.region.layout import CELL, Layout
from rookery.store.sqlite import opened
from rookery.testing.history import TCP


def columns(kind: type) -> np.dtype[Any]:
    """Of packed rows: of what has two bytes the kernel knows only ports, in the order of the wire."""
    codes = re.findall(r"\d+s|\w", LAYOUTS[kind].format)
    kinds = {"2s": ">u2", "16s": "16u1", "B": "u1", "H": "<u2", "I": "<u4", "Q": "<u8"}
    return np.dtype([(name, kinds[code]) for name, code in zip(kind._fields, codes, strict=True)])  # type: ignore[attr-defined]


KEYS, VALUES = columns(FlowKey), columns(Tracker)


def file_of(region: str) -> CellFile:
    """The newest that there is."""
    return decode((Layout(region).objects / file_key(CELL)).read_bytes())


@contextmanager
def table(region: str, node: str, name: str, key: type, value: type) -> Iterator[Table[Any, Any] | None]:
    """None: a node that is only being born has none."""
    fd = open_pinned(pins(region, node) / "maps" / name)
    if fd is None:
        yield None
        return
    try:
        yield Table(name, fd, key, value)
    finally:
        os.close(fd)


def pins(region: str, node: str) -> Path:
    return Layout(region).pins / node


def rows(region: str, node: str, name: str, key: type, value: type) -> dict[Any, Any]:
    with table(region, node, name, key, value) as found:
        return dict(found.items()) if found else {}


def trackers(region: str, node: str) -> dict[FlowKey, Tracker]:
    return rows(region, node, "trackers", FlowKey, Tracker)


def trackers_from(region: str, node: str, address: str, ports: range) -> dict[FlowKey, Tracker]:
    """Of flows that come from these ports; no other row is decoded."""
    source = np.frombuffer(address_bytes(address), np.uint8)

    def fitting(keys: bytes, _: bytes) -> list[int]:
        found = np.frombuffer(keys, KEYS)
        port = found["source_port"]
        return [int(row) for row in np.flatnonzero((found["source"] == source).all(axis=1) & (port >= ports.start) & (port < ports.stop))]

    with table(region, node, "trackers", FlowKey, Tracker) as one:
        return dict(one.pick(fitting)) if one else {}


def live(region: str, node: str) -> int:
    """Directions of TCP connections that this node keeps, and whose end it has not heard of. No row is decoded."""
    counts: list[int] = []

    def count(keys: bytes, values: bytes) -> list[int]:
        arrives, row = np.frombuffer(keys, KEYS), np.frombuffer(values, VALUES)
        over = row["flags"] & (DirectiveFlag.CLOSING | DirectiveFlag.PROVISIONAL)
        counts.append(int(np.count_nonzero((arrives["protocol"] == TCP) & (over == 0) & (row["pending"] == 0))))
        return []

    with table(region, node, "trackers", FlowKey, Tracker) as one:
        if one:
            deque(one.pick(count), maxlen=0)
    return sum(counts)


def directives(region: str, node: str) -> dict[FlowKey, CachedDirective]:
    return rows(region, node, "directives", FlowKey, CachedDirective)


def leads_to(region: str, sender: str) -> frozenset[str]:
    """Addresses of nodes to which a host or an edge sends."""
    return living_tops(rows(region, sender, "tops", TopsNumber, TopSet).values())


def leads_for(region: str, sender: str, account: str) -> frozenset[str]:
    """The same, of an account's set alone."""
    found = rows(region, sender, "tops", TopsNumber, TopSet).get(TopsNumber(tops_number(CELL, account)))
    return living_tops([found] if found else [])


def shards(region: str) -> dict[TopsNumber, frozenset[str]]:
    """Names of the nodes that serve an account, by the number of its set."""

    async def stored() -> list[Shard]:
        async with opened(Layout(region).database) as store:
            return [decode_thing(Shard, entry.value) for entry in (await store.range(f"{SHARDS}{CELL}/")).entries]

    return {TopsNumber(tops_number(CELL, shard.account)): frozenset(shard.nodes) for shard in asyncio.run(stored())}


def living_places(region: str, node: str) -> frozenset[int]:
    """Of the cell, by what this node knows."""
    with table(region, node, "cell_living", RowNumber, RowNumber) as found:
        mask = (found.get(RowNumber(0)) or RowNumber(0)).row if found else 0
    return frozenset(place for place in range(mask.bit_length()) if mask >> place & 1)


def tenant(region: str, node: str, key: TenantNumber) -> Allowance:
    """How many flows an account has there, and may have; by the usual row where it has none yet."""
    held = rows(region, node, "tenants", TenantNumber, Allowance)
    return held.get(key) or held[TenantNumber(CellConstant.EVERYBODY)]


def put_tenant(region: str, node: str, key: TenantNumber, row: Allowance) -> None:
    with table(region, node, "tenants", TenantNumber, Allowance) as found:
        assert found
        found.put_many({key: row})


class Cell:
    """Who is who in it."""

    def __init__(self, region: str, senders: tuple[str, ...]):
        """`senders`: hosts and edges."""
        self.region, self.senders = region, senders
        self.nodes = {node.name: node for node in file_of(region).intent.nodes}

    def is_left(self, node: str) -> bool:
        """By everybody: who sends to tops, and the other nodes."""
        row = self.nodes[node]
        others = [name for name in self.nodes if name != node]
        return not any(row.address in leads_to(self.region, one) for one in self.senders) and not any(
            row.place in living_places(self.region, one) for one in others
        )

    def is_in_use(self, node: str) -> bool:
        """The other nodes see it, and who sends for an account that it serves leads there."""
        row = self.nodes[node]
        others = [name for name in self.nodes if name != node]
        if not all(row.place in living_places(self.region, one) for one in others):
            return False
        serves = {number for number, nodes in shards(self.region).items() if node in nodes}
        sets = [rows(self.region, one, "tops", TopsNumber, TopSet) for one in self.senders]
        return all(row.address in living_tops([known[number]]) for known in sets for number in serves & known.keys())
