"""The controller against a store in memory and an object store in a folder."""

from __future__ import annotations

import asyncio
import time
from hashlib import blake2b

import msgspec
import pytest

from rookery.hyperplane.cell_file import (
    ATTACHMENTS,
    HASH_BYTES,
    MAGIC,
    VERSION,
    Refused,
    check,
    decode,
    encode,
)
from rookery.hyperplane.controller import Controller
from rookery.hyperplane.health import FAILED, PASSED, TIMEOUT
from rookery.hyperplane.object_store import StoreAway, file_key, opened, report_key
from rookery.hyperplane.report import LeavingAddress, NodeReport
from rookery.hyperplane.report import encode as encode_report
from rookery.intent.cell_whole import Part
from rookery.model.codec import decode as decode_thing
from rookery.model.codec import encode as encode_thing
from rookery.model.keys import cell_key, cell_status_key, host_key, key_of, shard_key, target_health_key
from rookery.model.objects import (
    Cell,
    CellAttachment,
    CellStatus,
    Host,
    NetworkInterface,
    Shard,
    TargetHealth,
)
from rookery.testing.memory_store import MemoryStore
from tests.hyperplane.files import KEY, attachment, in_order, service, target

ACCOUNT, REGION = "123456789012", "us-east-1"
NODES = tuple(f"node-{n}" for n in range(1, 5))


def interface(number: int) -> NetworkInterface:
    return NetworkInterface(
        account=ACCOUNT,
        region=REGION,
        id=f"eni-{number:017x}",
        vpc_id="vpc-1",
        subnet_id="subnet-1",
        zone="us-east-1a",
        mac="02:00:00:00:00:01",
        addresses=(f"10.1.0.{number + 4}",),
        cell_attachment=CellAttachment(cell="cell-1", of=f"nat-{number:017x}"),
    )


def product(state, cell, _health, _parts) -> Part:
    """Each interface at the cell is a NAT gateway."""
    at_cell = [one for one in state.all(NetworkInterface) if one.cell_attachment and one.cell_attachment.cell == cell.name]
    return Part(attachments=tuple(attachment(one.number, id=one.id, of=one.id) for one in at_cell))


class Scene:
    """A region of one cell, and what its nodes would report."""

    def __init__(self, folder):
        self.store = MemoryStore()
        self.objects = opened(str(folder))
        self.now = 0.0
        self.controller = self.another()
        self.epochs: dict[str, int] = {}

    def another(self, *products) -> Controller:
        return Controller(self.store, self.objects, products=products or (product,), clock=lambda: self.now)

    async def put(self, *things) -> None:
        rows = {}
        for thing in things:
            key = cell_key(thing.name) if isinstance(thing, Cell) else host_key(thing.name) if isinstance(thing, Host) else key_of(thing)
            rows[key] = encode_thing(thing)
        await self.store.txn([], rows)

    async def begin(self, nodes=NODES, interfaces=10) -> None:
        hosts = [Host(name=name, zone=0, address=f"100.64.1.{200 + n}", cell="cell-1") for n, name in enumerate(nodes)]
        await self.put(Cell(name="cell-1", zones=(0, 1), nodes=nodes), *hosts, *map(interface, range(1, interfaces + 1)))

    async def file(self):
        packed = await self.objects.get(file_key("cell-1"))
        return decode(packed) if packed else None

    async def report(self, *names, **changed) -> None:
        """These work by the newest file."""
        file = await self.file()
        for name in names:
            said = NodeReport(node=name, epoch=file.epoch, generation=file.intent.generation, time=time.time(), living=names)
            said = msgspec.structs.replace(said, **changed)
            await self.objects.put(report_key("cell-1", name), encode_report(said))

    async def health(self) -> dict | None:
        entry = await self.store.get(target_health_key("cell-1"))
        return decode_thing(TargetHealth, entry.value).targets if entry else None

    async def ticks(self, count: int, *names) -> None:
        for _ in range(count):
            await self.controller.tick()
            await self.report(*names)

    async def status(self) -> CellStatus | None:
        entry = await self.store.get(cell_status_key("cell-1"))
        return decode_thing(CellStatus, entry.value) if entry else None


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


async def test_every_tick_writes_the_next_epoch_of_the_same_length(scene):
    await scene.begin()
    seen = []
    for _ in range(3):
        await scene.controller.tick()
        seen.append(await scene.file())
    assert [one.epoch for one in seen] == [1, 2, 3]
    assert seen[0].key == seen[2].key and len(seen[0].intent.attachments) == 10
    assert len({len(encode(one)) for one in seen}) == 1


async def test_a_controller_that_starts_again_goes_on(scene):
    await scene.begin()
    await scene.ticks(3)
    key = (await scene.file()).key
    await scene.another().tick()
    file = await scene.file()
    assert (file.epoch, file.key) == (4, key)


async def test_two_controllers_at_once_take_turns(scene):
    await scene.begin()
    other, held = scene.another(), None
    for turn in range(6):
        await (other if turn % 2 else scene.controller).tick()
        file = await scene.file()
        check(file, held)
        held = file
    await asyncio.gather(other.tick(), scene.controller.tick())
    assert (await scene.file()).epoch > held.epoch


async def test_a_controller_that_lags_leaves_the_newer_file_alone(scene):
    await scene.begin()
    await scene.controller.tick()
    old = await scene.controller._reader.read()
    await scene.put(interface(77))
    lagging = scene.another()
    lagging._reader.read = lambda: _done(old)
    lagging._reader.reached = old.generation
    await scene.controller.tick()
    before = await scene.file()
    await lagging.tick()
    assert await scene.file() == before


async def _done(value):
    return value


async def test_a_lost_file_comes_back_above_every_epoch_that_a_node_knows(scene):
    await scene.begin()
    await scene.ticks(5, *NODES)
    await scene.objects.put(file_key("cell-1"), b"damaged")
    key = scene.controller._read["cell-1"].key
    await scene.controller.tick()
    file = await scene.file()
    assert (file.epoch, file.key) == (6, key)


async def test_a_damaged_file_that_nobody_remembers_is_left_alone(scene):
    await scene.begin()
    await scene.objects.put(file_key("cell-1"), b"damaged")
    await scene.controller.tick()
    assert await scene.objects.get(file_key("cell-1")) == b"damaged"


def of_another_version(epoch, generation=1, version=VERSION - 1) -> bytes:
    """As a build before this one wrote it, and not as long."""
    head = msgspec.msgpack.encode([version, "cell-1", generation, KEY, epoch, "what only that version knows"])
    content = len(head).to_bytes(2, "big") + head + bytes(1000)
    return MAGIC + blake2b(content, digest_size=HASH_BYTES).digest() + content


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
async def test_a_file_of_another_version_is_replaced_above_its_epoch_and_all_reports(scene, version):
    await scene.begin()
    await scene.objects.put(file_key("cell-1"), of_another_version(70, version=version))
    await scene.controller.tick()
    file = await scene.file()
    assert (file.epoch, file.current, file.previous, file.ring_since) == (71, (0, 1, 2, 3), (0, 1, 2, 3), 71)
    assert len(file.intent.attachments) == 10
    await scene.report("node-1", epoch=90)
    await scene.objects.put(file_key("cell-1"), of_another_version(80, version=version))
    await scene.another().tick()
    assert (await scene.file()).epoch == 91


async def test_a_file_of_another_version_and_a_newer_state_is_left_alone(scene):
    await scene.begin()
    newer = of_another_version(70, generation=1000)
    await scene.objects.put(file_key("cell-1"), newer)
    await scene.controller.tick()
    assert await scene.objects.get(file_key("cell-1")) == newer


async def test_a_damaged_file_of_another_version_is_damaged(scene):
    await scene.begin()
    damaged = of_another_version(70)[:-1] + b"x"
    await scene.objects.put(file_key("cell-1"), damaged)
    await scene.controller.tick()
    assert await scene.objects.get(file_key("cell-1")) == damaged


async def test_what_has_no_room_stays_out_and_is_named_and_other_changes_go_on(scene):
    await scene.begin(interfaces=ATTACHMENTS.rows)
    await scene.ticks(2, *NODES)
    before = await scene.file()
    await scene.put(interface(9001), interface(9002))
    await scene.ticks(1, *NODES)
    file = await scene.file()
    assert file.epoch > before.epoch and file.intent.attachments == before.intent.attachments
    await scene.ticks(1, *NODES)
    assert len((await scene.status()).left_out) == 2
    assert interface(9001).id in (await scene.status()).left_out[0]
    check(file, before)
    await scene.store.txn([], {}, [key_of(interface(7))])
    await scene.ticks(2, *NODES)
    held = {one.id for one in (await scene.file()).intent.attachments}
    assert interface(9001).id in held and not {interface(7).id, interface(9002).id} & held
    await scene.store.txn([], {}, [key_of(interface(9002))])
    await scene.ticks(2, *NODES)
    assert (await scene.status()).left_out == ()


async def test_what_users_delete_is_meant_to_go(scene):
    await scene.begin(interfaces=2)
    await scene.ticks(1)
    held = await scene.file()
    await scene.store.txn([], {}, [key_of(interface(1)), key_of(interface(2))])
    await scene.ticks(2)
    check(await scene.file(), held)
    assert (await scene.file()).intent.attachments == ()


async def test_what_only_the_controller_has_lost_is_not_meant_to_go(scene):
    await scene.begin()
    await scene.ticks(1)
    held = await scene.file()
    await scene.put(interface(99))
    await scene.another(lambda *_: Part()).tick()
    with pytest.raises(Refused, match="attachments"):
        check(await scene.file(), held)


async def test_a_cell_is_as_far_as_its_slowest_living_node(scene):
    await scene.begin()
    await scene.ticks(2, *NODES)
    await scene.put(interface(50))
    await scene.controller.tick()
    await scene.report(*NODES)
    await scene.report("node-3", generation=1)
    await scene.controller.tick()
    assert (await scene.status()).generation == 1
    await scene.report(*NODES)
    await scene.controller.tick()
    assert (await scene.status()).generation == (await scene.file()).intent.generation
    assert set((await scene.status()).nodes) == set(NODES)


async def test_the_ring_waits_for_a_node_that_others_see_and_that_reads_nothing(scene):
    await scene.begin(NODES[:3])
    await scene.ticks(2, *NODES[:3])
    await scene.report("node-3", epoch=1, time=0.0)  # it lives: the others see it
    await scene.begin(NODES)
    for _ in range(8):
        await scene.controller.tick()
        await scene.report("node-1", "node-2", living=NODES[:3])
    file = await scene.file()
    assert (file.current, file.previous) == ((0, 1, 2, 3), (0, 1, 2))
    await scene.ticks(18, *NODES)
    file = await scene.file()
    assert file.current == file.previous == (0, 1, 2, 3)


async def test_a_node_that_drains_leaves_the_ring_and_the_shards_and_stays_in_the_file(scene):
    await scene.begin()
    for n, nodes in enumerate([("node-1", "node-2"), ("node-3", "node-4"), ("node-1", "node-3")]):
        await scene.store.txn([], {shard_key("cell-1", f"{n:012d}"): encode_thing(Shard(cell="cell-1", account=f"{n:012d}", nodes=nodes))})
    await scene.ticks(2, *NODES)
    await scene.put(Cell(name="cell-1", zones=(0, 1), nodes=NODES, draining=("node-1",)))
    await scene.ticks(20, *NODES)
    file = await scene.file()
    assert file.current == file.previous == (1, 2, 3)
    assert [node.draining for node in file.intent.nodes] == [True, False, False, False]
    shards = [decode_thing(Shard, one.value).nodes for one in (await scene.store.range("infrastructure/shard/")).entries]
    assert all(len(nodes) == 2 and "node-1" not in nodes for nodes in shards)


async def test_an_object_store_that_is_away_stops_nothing_but_the_next_file(scene, monkeypatch):
    await scene.begin()
    await scene.ticks(1)

    async def away(*_):
        raise StoreAway("gone")

    with monkeypatch.context() as patch:
        patch.setattr(scene.objects, "put", away)
        await scene.controller.tick()
    await scene.controller.tick()
    assert (await scene.file()).epoch == 2


# Targets


ONE, TWO = (msgspec.structs.replace(target(number), checked_by=(1,)) for number in (1, 2))
GROUP = ONE.group


def balancer(*targets):
    """As a product: an attachment that listens, and gets a target's flows when it is healthy."""

    def made(_state, _cell, health, _parts) -> Part:
        found = health.targets.get(GROUP, {}) if health else {}
        known = [msgspec.structs.replace(one, healthy=found.get(one.place, ("initial", ""))[0] == "healthy") for one in targets]
        listens = service(1, tuple(one for one in known if one.healthy))
        return Part(attachments=(attachment(1, kind="balancer"),), services=(listens,), targets=in_order(known))

    return made


async def balanced(scene, *targets) -> None:
    await scene.begin(interfaces=0)
    scene.controller = scene.another(balancer(*targets))
    await scene.ticks(1, *NODES)


def says(**words):
    return {"health": {GROUP: {{"one": ONE, "two": TWO}[name].place: word for name, word in words.items()}}}


async def test_a_target_gets_flows_by_the_very_file_that_its_first_pass_makes(scene):
    await balanced(scene, ONE, TWO)
    assert (await scene.file()).intent.services[0].choices == ()
    await scene.report("node-1", living=NODES, **says(one=PASSED))
    await scene.controller.tick(early=True)
    assert [key for key, _ in (await scene.file()).intent.services[0].choices] == [ONE.key]
    assert await scene.health() == {GROUP: {ONE.place: ("healthy", "")}}


async def test_the_majority_of_those_who_reported_lately_counts(scene):
    await balanced(scene, ONE)
    await scene.report(*NODES, **says(one=PASSED))
    await scene.controller.tick()
    for number, healthy in ((1, True), (2, True), (3, False)):  # two of four leave it as it was
        await scene.report(NODES[number], living=NODES, **says(one=TIMEOUT))
        await scene.controller.tick()
        assert (await scene.health() == {GROUP: {ONE.place: ("healthy", "")}}) == healthy
    assert await scene.health() == {GROUP: {ONE.place: ("unhealthy", TIMEOUT)}}
    scene.now += 60
    await scene.report("node-1", "node-4", living=NODES, **says(one=PASSED))
    await scene.controller.tick()
    assert await scene.health() == {GROUP: {ONE.place: ("healthy", "")}}


@pytest.mark.parametrize("ahead", [-3600, 3600], ids=["behind", "ahead"])
async def test_a_node_whose_time_of_day_is_wrong_has_its_word_for_as_long_as_it_reports(scene, ahead):
    await balanced(scene, ONE)
    await scene.report(*NODES, **says(one=PASSED))
    await scene.controller.tick()
    for name in NODES[1:]:
        await scene.report(name, living=NODES, time=time.time() + ahead, **says(one=TIMEOUT))
    await scene.controller.tick()
    assert await scene.health() == {GROUP: {ONE.place: ("unhealthy", TIMEOUT)}}
    scene.now += 60
    await scene.report("node-1", living=NODES, **says(one=PASSED))
    await scene.controller.tick()
    assert await scene.health() == {GROUP: {ONE.place: ("healthy", "")}}


async def test_a_node_that_is_of_the_cell_no_more_has_no_word(scene):
    await balanced(scene, ONE)
    await scene.report("node-1", living=NODES, **says(one=PASSED))
    await scene.report("node-8", "node-9", **says(one=FAILED))
    await scene.controller.tick()
    assert await scene.health() == {GROUP: {ONE.place: ("healthy", "")}}


async def test_a_node_that_sees_none_of_the_others_has_no_word(scene):
    await balanced(scene, ONE)
    await scene.report("node-1", "node-2", **says(one=PASSED))
    await scene.controller.tick()
    for name in NODES[1:]:
        await scene.report(name, **says(one=TIMEOUT))
    await scene.controller.tick()
    assert await scene.health() == {GROUP: {ONE.place: ("healthy", "")}}


async def test_what_is_known_of_targets_survives_agents_and_controllers_that_begin_anew(scene):
    await balanced(scene, ONE)
    await scene.report(*NODES, **says(one=PASSED))
    await scene.controller.tick()
    scene.controller = scene.another(balancer(ONE))
    await scene.ticks(2, *NODES)
    assert await scene.health() == {GROUP: {ONE.place: ("healthy", "")}}
    assert [key for key, _ in (await scene.file()).intent.services[0].choices] == [ONE.key]


async def test_a_target_that_went_is_forgotten_and_begins_anew(scene):
    await balanced(scene, ONE)
    await scene.report(*NODES, **says(one=PASSED))
    await scene.controller.tick()
    scene.controller = scene.another(balancer(msgspec.structs.replace(ONE, checked_by=(), draining=True)))
    await scene.controller.tick()
    assert await scene.health() == {}
    await scene.report(*NODES)
    scene.controller = scene.another(balancer(ONE))
    await scene.controller.tick()
    assert await scene.health() == {}


async def test_health_is_written_only_when_it_changed(scene):
    await balanced(scene, ONE, TWO)
    await scene.report(*NODES, **says(one=PASSED, two=FAILED))
    await scene.ticks(2)
    before = await scene.store.revision()
    await scene.report(*NODES, **says(one=PASSED, two=FAILED))
    await scene.ticks(3)
    assert await scene.store.revision() == before


# News


async def test_news_are_of_the_state_or_of_targets_and_not_what_comes_with_every_report(scene):
    await balanced(scene, ONE)
    await scene.ticks(3, *NODES)
    await scene.controller.tick()
    assert not await scene.controller._has_news("cell-1")
    await scene.report(*NODES)  # as every two seconds
    await scene.store.txn([], {"observed/host/host-1": b"{}"})
    assert not await scene.controller._has_news("cell-1")
    await scene.report("node-2", **says(one=PASSED))
    assert await scene.controller._has_news("cell-1")
    await scene.controller.tick(early=True)
    assert not await scene.controller._has_news("cell-1")
    await scene.put(interface(70))
    assert await scene.controller._has_news("cell-1")
    await scene.controller.tick(early=True)
    assert not await scene.controller._has_news("cell-1")


async def test_rings_wait_for_beats_however_many_files_come_early(scene):
    await scene.begin(NODES[:3])
    await scene.ticks(2, *NODES[:3])
    await scene.begin(NODES)
    await scene.ticks(2, *NODES)
    for _ in range(40):
        await scene.controller.tick(early=True)
        await scene.report(*NODES)
    file = await scene.file()
    assert (file.current, file.previous) == ((0, 1, 2, 3), (0, 1, 2))
    await scene.ticks(18, *NODES)
    file = await scene.file()
    assert file.current == file.previous == (0, 1, 2, 3)


async def test_an_address_is_drained_when_every_node_says_that_no_flow_leaves_by_it(scene):
    going = Part(attachments=(attachment(1, id="eni-1", draining_addresses=("10.1.0.9", "10.1.0.10")),))
    scene.controller = scene.another(lambda *_: going)
    await scene.begin(interfaces=1)
    await scene.ticks(2, *NODES)
    assert (await scene.status()).drained == ()
    busy, free, other = (LeavingAddress(interface="eni-1", address=one, flows=flows) for one, flows in (("10.1.0.9", 1), ("10.1.0.9", 0), ("10.1.0.10", 0)))
    await scene.report(*NODES[:3], leaving=(free, other))
    await scene.report(NODES[3], leaving=(busy, other), living=NODES)
    await scene.controller.tick()
    assert (await scene.status()).drained == (("eni-1", "10.1.0.10"),)
    await scene.report(*NODES, leaving=(free, other))
    await scene.controller.tick()
    assert (await scene.status()).drained == (("eni-1", "10.1.0.10"), ("eni-1", "10.1.0.9"))


async def test_as_long_as_a_node_is_silent_nothing_is_drained(scene):
    going = Part(attachments=(attachment(1, id="eni-1", draining_addresses=("10.1.0.9",)),))
    scene.controller = scene.another(lambda *_: going)
    await scene.begin(interfaces=1)
    await scene.ticks(1, *NODES)
    free = LeavingAddress(interface="eni-1", address="10.1.0.9", flows=0)
    await scene.report(*NODES[:3], leaving=(free,))
    await scene.report(NODES[3], leaving=(free,), time=time.time() - 60)
    await scene.controller.tick()
    assert (await scene.status()).drained == ()
