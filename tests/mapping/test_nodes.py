"""Nodes of a cell as subscribers of the mapping service, over real TLS (tests/mapping/scene.py).

    store ---- service ==== host-1 (an instance of VPC 1), node-1 of cell-a, where an interface of VPC 1 and one of VPC 2 live
"""

from __future__ import annotations

from msgspec.structs import replace

from rookery.intent.host import TopsIntent
from rookery.intent.tops import tops_number
from rookery.model.codec import encode
from rookery.model.keys import cell_key, host_key, key_of, shard_key
from rookery.model.objects import Cell, CellAttachment, Host, NetworkInterface, Shard
from rookery.testing.mapping_world import MappingWorld
from rookery.testing.things import OWNER, address, launch
from tests.mapping.scene import assert_right, has_intent, settled

CELL, ACCOUNT = "cell-a", OWNER["account"]
NODES = tuple(Host(name=f"node-{n}", zone=0, address=f"100.64.240.{n}", cell=CELL) for n in (1, 2))
NUMBER = tops_number(CELL, ACCOUNT)


def at_cell(vpc: int, last: int) -> NetworkInterface:
    attached = CellAttachment(cell=CELL, of="nat-1")
    return replace(launch(vpc, 1, last, "")[1], attachment=None, cell_attachment=attached, source_dest_check=False)


def shard(*nodes: str) -> dict[str, bytes]:
    return {shard_key(CELL, ACCOUNT): encode(Shard(cell=CELL, account=ACCOUNT, nodes=nodes))}


def a_cell() -> dict[str, bytes]:
    cell = Cell(name=CELL, zones=(0,), nodes=tuple(node.name for node in NODES))
    interfaces = {key_of(one): encode(one) for one in (at_cell(1, 60), at_cell(2, 60))}
    return {cell_key(CELL): encode(cell), **shard("node-1", "node-2"), **interfaces, **rows_of(*NODES)}


def rows_of(*hosts: Host) -> dict[str, bytes]:
    return {host_key(host.name): encode(host) for host in hosts}


def test_a_node_is_told_what_its_cells_interfaces_need_and_hosts_who_serves_them(play):
    async def scene(world: MappingWorld) -> None:
        revision = await world.store.txn([], a_cell())
        host, node = world.agent("host-1"), world.agent("node-1")
        async with host.running(), node.running():
            await settled(world, host, node)
            await host.wait_generation(revision)
            assert node.addresses() == {(vpc, address(vpc, 1, n)) for vpc, n in ((1, 10), (1, 60), (2, 60))}
            assert host.addresses() == {(1, address(1, 1, n)) for n in (10, 60)}
            for agent, name in ((host, "host-1"), (node, "node-1")):
                await assert_right(world, agent, name)

            changed = await world.store.txn([], shard("node-2"))
            await host.wait_generation(changed)
            await node.wait_generation(changed)
            served = TopsIntent(number=NUMBER, addresses=("100.64.240.2",), others=("100.64.240.1",))
            assert host.intent.rules[served.key] == node.intent.rules[served.key] == served
            assert (host.snapshots, node.snapshots) == (1, 1)

            gone = await world.store.txn([], {}, [key_of(at_cell(2, 60))])
            await node.wait_generation(gone)
            assert {vni for vni, _ in node.addresses()} == {1}
            await assert_right(world, node, "node-1")

    play(scene, *launch(1, 1, 10, "host-1"))


def test_a_digest_that_is_right_disturbs_no_node(play):
    async def scene(world: MappingWorld) -> None:
        await world.store.txn([], a_cell())
        async with world.agent("node-1").running() as node:
            await node.wait_until(has_intent)
            for n in range(11, 16):
                puts = {key_of(one): encode(one) for one in launch(1, 1, n, "host-2")}
                await node.wait_generation(await world.store.txn([], puts))
            assert node.snapshots == 1

    play(scene, *launch(1, 1, 10, "host-1"), digest_seconds=0.02)


def test_a_node_that_is_taken_away_is_no_more_served(play):
    async def scene(world: MappingWorld) -> None:
        await world.store.txn([], a_cell())
        async with world.agent("node-1").running() as node, world.agent("host-1").running() as host:
            await settled(world, node, host)
            gone = await world.store.txn([], {}, [host_key("node-1")])
            await host.wait_generation(gone)
            assert host.intent.rules["tops", NUMBER, 0].addresses == ("100.64.240.2",)
            assert not world.service._index.knows_host("node-1")

    play(scene, *launch(1, 1, 10, "host-1"))
