"""Which cells a region has, how they and their nodes are called, and what is stored of them. Nothing here touches the machine."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

import msgspec
import pytest

from rookery.model.codec import decode, encode
from rookery.model.keys import (
    CELLS,
    cell_key,
    cell_status_key,
    room_key,
    shard_key,
    target_health_key,
)
from rookery.model.objects import (
    Cell,
    CellAttachment,
    CellStatus,
    NatGateway,
    NetworkInterface,
    Shard,
    TargetHealth,
)
from rookery.region import cell_fleet, cells, departed, settings, start
from rookery.region.directory import Directory
from rookery.region.errors import Ambiguous, CannotStart, DifferentRegion, NotFound
from rookery.region.layout import SUBSTRATE, Layout
from rookery.region.settings import MOST_CELLS, MOST_NODES, CellShape, Settings, resized
from rookery.region.substrate import members
from rookery.testing.memory_store import MemoryStore

NAME_OF_A_DEVICE = 15  # characters: IFNAMSIZ without its end


def shape(**changed: Any) -> Settings:
    return Settings(name="dev", **changed)


def shapes(of: Settings) -> list[tuple[str, int]]:
    return [(one.name, one.nodes) for one in of.the_cells]


def test_every_node_of_every_cell_has_a_name_a_port_and_an_address_of_its_own():
    many = resized(shape(hosts=200, zones=6, edges=16), MOST_CELLS, MOST_NODES)
    settings.check(many)
    found = members(many)
    assert len({one.address for one in found}) == len({one.port for one in found}) == len(found) == 218 + MOST_CELLS * MOST_NODES
    assert all(ipaddress.ip_address(one.address) in SUBSTRATE and len(one.port) <= NAME_OF_A_DEVICE for one in found)
    assert len(str(Layout("a" * 16).control_socket(many.node_names[-1]))) < 108


def test_the_first_cell_is_called_as_if_there_were_no_other_and_the_octets_of_others_tell_cell_and_zone():
    two = resized(shape(), 2, 3)
    assert two.node_names == ["node-1", "node-2", "node-3", "cell-2-node-1", "cell-2-node-2", "cell-2-node-3"]
    assert [one.address for one in two.node_places[2:5]] == ["100.64.1.214", "100.64.11.212", "100.64.12.213"]
    assert [one.zone for one in two.node_places] == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("before", "count", "nodes", "after"),
    [
        ([(1, 4)], None, None, [("cell-1", 4)]),
        ([(1, 4)], 2, None, [("cell-1", 4), ("cell-2", 4)]),
        ([(1, 4)], 2, 3, [("cell-1", 3), ("cell-2", 3)]),
        ([(2, 5)], 2, None, [("cell-1", 4), ("cell-2", 5)]),
        ([(1, 4), (3, 2)], 3, None, [("cell-1", 4), ("cell-2", 4), ("cell-3", 2)]),
        ([], None, 2, [("cell-1", 2)]),
        ([], None, None, []),
        ([(1, 4), (2, 4)], 0, None, []),
        ([(1, 4), (2, 4)], None, 0, []),
    ],
)
def test_how_many_cells_there_are_to_be(before: Any, count: int | None, nodes: int | None, after: Any):
    held = shape(cells=tuple(CellShape(*one) for one in before))
    assert shapes(resized(held, count, nodes)) == after


@pytest.mark.parametrize("changed", [{"cells": 9}, {"nodes": 17}, {"cells": 2, "nodes": -1}])
def test_cells_that_make_no_region_are_refused(changed: dict[str, Any]):
    with pytest.raises(CannotStart):
        start._shape("dev", None, changed)


def test_a_cell_leaves_a_running_region_and_not_by_up():
    held = resized(shape(), 2, 3)
    with pytest.raises(DifferentRegion, match="cell remove"):
        start._shape("dev", held, {"cells": 1})
    assert start._shape("dev", held, {"cells": 0}).the_cells == ()


def test_up_finds_nothing_to_refuse_in_a_region_whose_cells_were_scaled_as_it_asks():
    scaled = resized(shape(), 2, 4).with_cells(CellShape(1, 3), CellShape(2, 3))
    start._refuse_changes(scaled, start._shape("dev", scaled, {"nodes": 3, "cells": 2}))
    with pytest.raises(DifferentRegion, match="cell-1 of 3 nodes, cell-2 of 3 nodes"):
        start._refuse_changes(scaled, start._shape("dev", scaled, {"nodes": 4}))
    with pytest.raises(DifferentRegion, match="cell add --name dev"):
        start._refuse_changes(scaled, start._shape("dev", scaled, {"cells": 3}))


def test_a_region_of_before_there_were_several_has_its_one_cell(tmp_path, monkeypatch):
    monkeypatch.setattr(Layout, "state", tmp_path)
    (tmp_path / "region.json").write_bytes(msgspec.json.encode({"name": "dev", "hosts": 2, "nodes": 3}))
    assert shapes(settings.read("dev")) == [("cell-1", 3)]
    (tmp_path / "region.json").write_bytes(msgspec.json.encode({"name": "dev", "hosts": 2, "nodes": 0}))
    assert shapes(settings.read("dev")) == []
    settings.write(resized(shape(), 3, 2))
    assert shapes(settings.read("dev")) == [("cell-1", 2), ("cell-2", 2), ("cell-3", 2)]


def test_where_there_are_several_one_has_to_be_named():
    two = resized(shape(), 2, 3)
    assert two.cell("cell-2").number == 2
    assert resized(shape(), 1, 3).cell("").name == "cell-1"
    with pytest.raises(Ambiguous, match="which cell"):
        two.cell("")
    with pytest.raises(NotFound, match="there are: cell-1, cell-2"):
        two.cell("cell-3")
    assert cells.cell_of(two, "cell-2-node-1") == "cell-2"
    with pytest.raises(NotFound, match="no node 'node-4'"):
        cells.cell_of(two, "node-4")


# What is stored


async def stored(store: MemoryStore) -> dict[str, Cell]:
    return {entry.key.removeprefix(CELLS): decode(Cell, entry.value) for entry in (await store.range(CELLS)).entries}


def test_cells_are_stored_with_their_own_nodes_and_of_one_that_is_gone_nothing_stays():
    async def work() -> None:
        store, two = MemoryStore(), resized(shape(), 2, 2)
        await cells.register(two, store)
        assert {name: one.nodes for name, one in (await stored(store)).items()} == {
            "cell-1": ("node-1", "node-2"),
            "cell-2": ("cell-2-node-1", "cell-2-node-2"),
        }
        for name in ("cell-1", "cell-2"):
            told = {
                shard_key(name, "123456789012"): encode(Shard(cell=name, account="123456789012", nodes=())),
                cell_status_key(name): encode(CellStatus(name=name, epoch=1, generation=1)),
                target_health_key(name): encode(TargetHealth(cell=name)),
                room_key(name): b"-",
            }
            await store.txn([], told)
        await cells.register(two.without_cell(2), store)
        assert list(await stored(store)) == ["cell-1"]
        everything = {entry.key for entry in (await store.range("")).entries}
        assert not [key for key in everything if "cell-2" in key]
        assert {shard_key("cell-1", "123456789012"), room_key("cell-1")} <= everything

    asyncio.run(work())


def test_what_an_operator_said_of_a_cell_outlasts_a_restart():
    """As a store of before there were several: no word of being closed."""
    async def work() -> None:
        store, one = MemoryStore(), resized(shape(), 1, 2)
        older = {"name": "cell-1", "zones": [0, 1], "nodes": ["node-1", "node-2"], "draining": ["node-2"], "shard_size": 2}
        await store.txn([], {cell_key("cell-1"): msgspec.json.encode(older)})
        await cells.register(one, store)
        held = (await stored(store))["cell-1"]
        assert (held.draining, held.closed) == (("node-2",), False)
        assert not await cells.close(store, "cell-1", True)
        await cells.register(one.with_cells(CellShape(2, 2)), store)
        assert {name: cell.closed for name, cell in (await stored(store)).items()} == {"cell-1": True, "cell-2": False}
        assert await cells.close(store, "cell-1", False)

    asyncio.run(work())


def test_what_a_cell_serves_is_named_with_its_owner(monkeypatch):
    owner = {"account": "123456789012", "region": "us-east-1"}
    home = {"vpc_id": "vpc-1", "subnet_id": "subnet-1", "zone": "us-east-1a", "mac": "02:00:00:00:00:01", "addresses": ("10.0.0.4",)}
    gateway = NatGateway(**owner, id="nat-1", vpc_id="vpc-1", subnet_id="subnet-1", connectivity="private", tags={"Name": "out"})
    fronts = [
        NetworkInterface(**owner, **home, id=f"eni-{n}", cell_attachment=CellAttachment(cell=f"cell-{n}", of=f"nat-{n}")) for n in (1, 2)
    ]
    monkeypatch.setattr(cell_fleet.directory, "read", lambda _: Directory([gateway, *fronts], []))
    found = [cell_fleet._served(shape(), name) for name in ("cell-1", "cell-2", "cell-3")]
    assert found == [["nat-1 (out) of 123456789012"], ["nat-2 of 123456789012"], []]


def test_what_is_left_of_nodes_is_told_with_what_takes_it_away(monkeypatch):
    """Hosts and edges are none, and who stays has not left."""
    there = ["node-1", "node-3", "cell-2-node-1", "host-9", "edge-9", "substrate", "i-0123456789abcdef0"]
    monkeypatch.setattr(departed, "_names", lambda _plan: there)
    left = Settings(name="nowhere", nodes=2)
    assert departed.found(left) == {"cell-1": {"node-3"}, "cell-2": {"cell-2-node-1"}}
    words = departed.in_words(left)
    assert words["cell-1"].startswith("node-3 left the region") and "cell scale 2 --cell cell-1 --name nowhere" in words["cell-1"]
    assert words["cell-2"].startswith("cell-2-node-1 left the region") and "cell remove cell-2 --name nowhere" in words["cell-2"]
