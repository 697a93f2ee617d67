"""Nodes of a cell die, come back and go astray while connections, datagrams and visits pass through them: half of them by a NAT gateway,
half by a balancer (rookery.testing.cell_load). None breaks, and the history of all packets breaks no rule (rookery.testing.history).

With ROOKERY_FAULTS=small a thousand connections, in `make faults` five thousand and 200 new ones a second, for longer.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

import msgspec
import pytest

from rookery.dataplane.formats import TenantNumber
from rookery.files import write_whole
from rookery.hyperplane.cell_file import CellFile, decode, encode
from rookery.hyperplane.object_store import file_key, report_key
from rookery.hyperplane.report import NodeReport
from rookery.hyperplane.report import decode as decode_report
from rookery.hyperplane.rows import tenant_number
from rookery.region import namespaces
from rookery.region.layout import CELL, PAGE_ADDRESSES, Layout
from rookery.region.ready import node_states
from rookery.region.status import current
from rookery.region.substrate import DEVICE
from rookery.testing import cell_flows
from rookery.testing.cell_deaths import DEATHS, revive
from rookery.testing.cell_load import CellLoad
from rookery.testing.cell_stage import BALANCER, STREAMS
from rookery.testing.ends import End, at_server
from rookery.testing.history import Knocks
from tests.faults.cell_scene import OBSERVED, SCALE, Scene, cell_scene, observed
from tests.faults.dying import BACK, begin_anew, die, progress, wait_in_use
from tests.faults.harm import frozen, kill, process_of, until
from tests.faults.size import IS_WHOLE, only_if_asked

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(3600 if IS_WHOLE else 600),
    only_if_asked,
]

SERVER = PAGE_ADDRESSES[0]
TWO_TICKS = 4.0  # seconds


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with cell_scene() as made:
        yield made
        history = made.finish_history()
        assert history.broken == [], history.told()
        assert history.begun > SCALE.held and history.crossed > 100 * history.of_the_cell
        print(f"\n{observed(history)}")


@pytest.fixture(scope="module")
def load(scene: Scene) -> Iterator[CellLoad]:
    """None of its connections may break in all these tests."""
    sizes = {"held": SCALE.held, "every": SCALE.every, "flows": SCALE.flows, "rate": SCALE.rate}
    with closing(CellLoad(scene.wren, scene.owl, **sizes)) as made:
        made.settle()
        yield made
        finish(made)


def finish(load: CellLoad) -> None:
    """Once: all that was sent has arrived, and nothing broke."""
    if load.finished:
        return
    callers, servers = load.finish()
    for end, other in ((callers, servers), (servers, callers)):
        assert end["broken"] == 0
        assert end["received"] == other["sent"] > load.held
        assert end["connections"] == other["connections"] >= 1.1 * load.held


@pytest.fixture(autouse=True)
def remembered(scene: Scene) -> Iterator[None]:
    """A test that broke a rule of histories is the one that fails. And whatever it did, all nodes are in use afterwards."""
    yield
    for node in scene.nodes:
        revive(scene.region.name, node)
    wait_in_use(scene, *scene.nodes)
    history = scene.hear()
    assert history.observed() > OBSERVED, observed(history)
    assert history.broken == [], history.told()


ONE_EACH = [("cable", "node-1"), ("program", "node-2"), ("cable", "node-3"), ("program", "node-4")]  # memory: below
EVERY_DEATH = [(how, f"node-{n + 1}") for how in DEATHS for n in range(4)] * SCALE.deaths


def test_every_node_dies_in_turn_and_no_connection_breaks(scene: Scene, load: CellLoad, record_property: Callable[..., None]):
    gaps = [die(scene, load, how, node) for how, node in (EVERY_DEATH if IS_WHOLE else ONE_EACH)]
    shown = f"p50 {1000 * statistics.median(gaps):.0f} ms, max {1000 * max(gaps):.0f} ms of {len(gaps)} deaths"
    record_property("without a way", shown)
    print(f"\nwithout a way: {shown}")
    assert not any(one["failed"] for one in load.visited().values())
    assert statistics.median(gaps) < SCALE.gap and max(gaps) < 5 * SCALE.gap, gaps
    assert max(load.broken().values()) == 0


@pytest.fixture
def another_ring(scene: Scene) -> Iterator[Callable[[str], None]]:
    """What is given drains a node."""
    drained: list[str] = []

    def drain(node: str) -> None:
        drained.append(node)
        done = scene.region.rookery("cell", "drain", node)
        assert done.returncode == 0, done.stderr.decode()

    yield drain
    for node in drained:
        assert scene.region.rookery("cell", "undrain", node).returncode == 0
    until(lambda: len(cell_flows.file_of(scene.region.name).current) == len(scene.nodes), "all are in the ring", within=BACK)


def test_nodes_come_and_go_and_no_connection_breaks(scene: Scene, load: CellLoad):
    for _ in range(SCALE.rounds):
        for node in sorted(scene.shard()):
            begin_anew(scene, load, node)
    assert max(load.broken().values()) == 0


@pytest.mark.skipif(not IS_WHOLE, reason="a ring changes for half a minute: make faults")
def test_nodes_come_and_go_while_the_ring_changes_and_no_connection_breaks(scene: Scene, load: CellLoad, another_ring: Callable[[str], None]):
    """And a shard with it."""
    for _ in range(SCALE.rounds // 4):
        leaving = min(scene.shard())
        another_ring(leaving)
        until(lambda leaving=leaving: leaving not in scene.shard(), "wren is served by others", within=BACK)
        until(lambda: len(cell_flows.file_of(scene.region.name).current) < len(scene.nodes), "it is in the ring no more", within=BACK)
        begin_anew(scene, load, next(node for node in scene.nodes if node != leaving))
        assert scene.region.rookery("cell", "undrain", leaving).returncode == 0
        until(lambda: len(cell_flows.file_of(scene.region.name).current) == len(scene.nodes), "it is again", within=BACK)
        begin_anew(scene, load, leaving)
    assert max(load.broken().values()) == 0


@contextmanager
def loses(scene: Scene, sender: str, receiver: str, percent: int) -> Iterator[None]:
    """So many of a hundred packets from one node to another, as they leave: whatever the switch is made of."""
    plan = Layout(scene.region.name)
    wire = namespaces.inside(plan.host_namespace(sender), "nft")
    chance = f"ip daddr {scene.cell.nodes[receiver].address} numgen random mod 100 < {percent} counter drop"
    chain = f'add chain netdev loss way {{ type filter hook egress device "{DEVICE}" priority 0; }}'
    namespaces.run(*wire, f"add table netdev loss; {chain}; add rule netdev loss way {chance}")
    try:
        yield
    finally:
        lost = namespaces.run(*wire, "list", "table", "netdev", "loss")
        namespaces.run(*wire, "delete", "table", "netdev", "loss")
    assert "packets 0" not in lost, "the way was never used"


def pairs(scene: Scene) -> list[tuple[str, str]]:
    """All of them have their turn: those between two tops of one account lose the most connections."""
    every = list(itertools.permutations(scene.nodes, 2))
    tops = [pair for pair in every if set(pair) <= scene.shard()]
    return every if IS_WHOLE else [tops[0], next(pair for pair in every if not set(pair) & scene.shard())]


def test_a_way_between_two_nodes_that_loses_packets_misleads_none(scene: Scene, load: CellLoad, record_property: Callable[..., None]):
    """And a SYN gets through within three tries: 99 of a hundred, or as many as chance can make of that (three deviations).

    A chain of five steps among four nodes passes a certain way once in three connections, and 0.3 of 0.3 of 0.3 are then lost three times:
    1 % of all, 0.7 on a way that no top is at, 1.5 between two tops."""
    scene.hear().knocks = Knocks()
    ways = pairs(scene)
    for sender, receiver in ways:
        progress(f"from {sender} to {receiver} 30 % are lost")
        with loses(scene, sender, receiver, 30), load.visiting(SERVER, STREAMS, 100) as visitor:
            until(lambda visitor=visitor: visitor.asked()["connections"] >= SCALE.tried / len(ways), "so many visits")
        assert load.left[-1]["broken"] == 0
        scene.hear()
    through, lost = scene.hear().knocks.within(3)
    told = f"{lost} of {through + lost} SYNs did not get through within three tries, {sum(one['failed'] for one in load.left)} visits failed"
    record_property("while a way loses 30%", told)
    print(f"\nwhile one of {len(ways)} ways loses 30%: {told}")
    expected = 0.01 * (through + lost)
    assert lost <= expected + 3 * math.sqrt(expected)
    assert max(load.broken().values()) == 0


def test_a_frozen_agent_holds_nobody_up_and_misleads_none(scene: Scene, load: CellLoad):
    """Its tables are old; and for as long as it is frozen nobody who waits for an answer waits for it."""
    load.settle()
    before = load.visited()
    with frozen(scene.region, "node-2"), load.visiting(SERVER, STREAMS, 50) as visitor:
        until(lambda: visitor.asked()["connections"] > 50 * SCALE.frozen, "visits go on", within=2 * SCALE.frozen + 10)
    assert (load.left[-1]["failed"], load.left[-1]["broken"]) == (0, 0)
    for way, one in load.visited().items():
        assert one["connections"] > before[way]["connections"] and one["failed"] == before[way]["failed"]
    assert max(load.broken().values()) == 0


@contextmanager
def store_away(scene: Scene) -> Iterator[None]:
    """Whoever reads or writes there is refused."""
    objects = Layout(scene.region.name).objects
    kept = objects.with_name("objects.kept")
    objects.rename(kept)
    objects.touch()
    try:
        yield
    finally:
        objects.unlink()
        kept.rename(objects)


def refused(scene: Scene) -> bool:
    """By its own words, every node goes on with the file that it has."""
    plan = Layout(scene.region.name)
    return all("the object store does not answer" in (plan.logs / f"{node}.log").read_text() for node in scene.nodes)


def report_of(scene: Scene, node: str) -> NodeReport:
    return decode_report((Layout(scene.region.name).objects / report_key(CELL, node)).read_bytes())


def all_use_the_newest(scene: Scene, differs: Callable[[CellFile], bool]) -> bool:
    plan = Layout(scene.region.name)
    packed = (plan.objects / file_key(CELL)).read_bytes()
    if not differs(decode(packed)):
        return False
    reports = [report_of(scene, node) for node in scene.nodes]
    return all(report.hash and decode(packed).epoch - report.epoch <= 1 and report.generation == decode(packed).intent.generation for report in reports)


def test_without_the_object_store_all_goes_on_and_with_it_all_nodes_have_what_changed_in_two_ticks(
    scene: Scene, load: CellLoad, record_property: Callable[..., None]
):
    load.settle()
    before = cell_flows.file_of(scene.region.name).intent
    with store_away(scene):
        for tenant in (scene.wren, scene.owl):
            tenant.change_every_row()
        until(lambda: refused(scene), "nodes are refused")

    def differs(file: CellFile) -> bool:
        now = file.intent
        return not any(one in before.attachments for one in now.attachments) and not any(one in before.targets for one in now.targets)

    began = time.monotonic()
    until(lambda: all_use_the_newest(scene, differs), "all nodes use what changed")
    took = time.monotonic() - began
    record_property("seconds until all had what changed", took)
    print(f"\nall nodes had what changed {took:.1f} s after the object store was back")
    assert took < TWO_TICKS + (0.5 if IS_WHOLE else 2)
    assert {way: (told["lost"], told["never"]) for way, told in load.told().items()} == {"nat": (0, 0), "balancer": (0, 0)}
    assert max(load.broken().values()) == 0


@contextmanager
def allowance(scene: Scene, flows: int) -> Iterator[Callable[[], list[int]]]:
    """So many more may owl have at each node. What is given says how many more it has."""
    account = next(one.account for one in cell_flows.file_of(scene.region.name).intent.attachments if one.of == scene.owl.nat)
    key = TenantNumber(tenant_number(account))
    before = {node: cell_flows.tenant(scene.region.name, node, key) for node in scene.nodes}
    for node, row in before.items():
        cell_flows.put_tenant(scene.region.name, node, key, row._replace(allowed=row.tracked + flows))
    yield lambda: [cell_flows.tenant(scene.region.name, node, key).tracked - row.tracked for node, row in before.items()]
    for node, row in before.items():
        held = cell_flows.tenant(scene.region.name, node, key)
        cell_flows.put_tenant(scene.region.name, node, key, held._replace(allowed=row.allowed))


def flood(scene: Scene, count: int, rate: float) -> End:
    """Of owl's balancer, by the whole internet."""
    return End("syn_flood", at_server(scene.region.name), "192.0.2.0/24", scene.owl.front_address, str(STREAMS), str(count), str(rate))


def refusals(scene: Scene) -> int:
    states = node_states(current(scene.region.name))
    return sum(one.status.counters.get("drop_flows_full", {}).get("packets", 0) for one in states if one.status)


class Round(NamedTuple):
    """What a visit of wren's waited for its connection, in seconds."""

    calm: float
    stormy: float


def visits(visitor: End, count: int) -> float:
    """So many more; what the one in the middle waited."""
    before = visitor.asked()["connections"]
    until(lambda: visitor.asked()["connections"] >= before + count, "visits", within=60)
    return visitor.asked()["waited"]


def weather(scene: Scene, visitor: End) -> Round:
    calm = visits(visitor, SCALE.visits)
    with closing(flood(scene, SCALE.flood, SCALE.flood / 2)) as attack:
        stormy = visits(visitor, SCALE.visits)
        assert attack.heard() == f"sent {SCALE.flood}"
    return Round(calm, stormy)


def test_a_flood_of_one_account_takes_no_room_of_others_and_slows_none_of_them(scene: Scene, load: CellLoad, record_property: Callable[..., None]):
    """It meets its own limit. Calm and flood take turns; wren has other nodes than owl."""
    allowed, before = SCALE.flood // 20, refusals(scene)
    assert not scene.shard() & scene.shard(scene.owl)
    with allowance(scene, allowed) as taken, load.visiting(SERVER, STREAMS, 100) as visitor:
        rounds = [weather(scene, visitor) for _ in range(SCALE.weathers)]
        until(lambda: refusals(scene) > before, "some were refused")
        assert 0 < max(taken()) <= 1.02 * allowed
    calm, stormy = ([1000 * one[n] for one in rounds] for n in (0, 1))
    told = f"{statistics.median(calm):.1f} ms ({min(calm):.1f} to {max(calm):.1f}), beside a flood {statistics.median(stormy):.1f} ({min(stormy):.1f} to {max(stormy):.1f})"
    record_property("a visit waits", told)
    print(f"\na visit waits {told}: {SCALE.flood / 2:.0f} SYNs a second of another account at its limit")
    assert (load.left[-1]["failed"], load.left[-1]["broken"]) == (0, 0)
    assert not IS_WHOLE or statistics.median(stormy) <= max(calm)
    assert max(load.broken().values()) == 0


PARTS = ("cell-controller", "cell-metrics", "node-1", "node-2", "node-3", "node-4")


def test_controller_metrics_and_all_agents_with_their_health_checks_die_at_once_and_nobody_notices(scene: Scene, load: CellLoad):
    """The programs go on by what is pinned; agents that begin anew find it."""
    load.settle()
    epoch = cell_flows.file_of(scene.region.name).epoch
    with load.visiting(SERVER, STREAMS, 50) as visitor:
        killed = [kill(scene.region, part) for part in PARTS]
        until(lambda: all(process_of(scene.region, part).pid not in {one.pid for one in killed} for part in PARTS), "all begin anew")
        until(lambda: cell_flows.file_of(scene.region.name).epoch > epoch, "there is a new file")
        until(lambda: all_use_the_newest(scene, lambda file: True), "all nodes use it")
        visits(visitor, 100)
    assert (load.left[-1]["failed"], load.left[-1]["broken"]) == (0, 0)
    assert {way: (told["lost"], told["never"]) for way, told in load.told().items()} == {"nat": (0, 0), "balancer": (0, 0)}
    assert max(load.broken().values()) == 0


def test_a_file_that_removes_too_much_is_refused_and_all_goes_on(scene: Scene, load: CellLoad):
    """Whoever writes it: the controller stands still."""
    load.settle()
    path = Layout(scene.region.name).objects / file_key(CELL)
    with frozen(scene.region, "cell-controller"):
        whole = decode(path.read_bytes())
        until(lambda: {report_of(scene, node).epoch for node in scene.nodes} == {whole.epoch}, "all nodes use it")
        without = msgspec.structs.replace(whole.intent, attachments=())
        write_whole(path, encode(msgspec.structs.replace(whole, epoch=whole.epoch + 1, intent=without)))
        with load.visiting(SERVER, STREAMS, 50) as visitor:
            wanted = f"{len(whole.intent.attachments)} of {len(whole.intent.attachments)} attachments would go"
            until(lambda: all(wanted in report_of(scene, node).refused for node in scene.nodes), "all nodes refuse it")
            visits(visitor, 100)
        assert {report_of(scene, node).epoch for node in scene.nodes} == {whole.epoch}
    until(lambda: all_use_the_newest(scene, lambda file: len(file.intent.attachments) == len(whole.intent.attachments)), "all use a whole one")
    assert (load.left[-1]["failed"], load.left[-1]["broken"]) == (0, 0)
    assert {way: (told["lost"], told["never"]) for way, told in load.told().items()} == {"nat": (0, 0), "balancer": (0, 0)}
    assert max(load.broken().values()) == 0


def test_a_node_dies_while_another_is_added_and_no_connection_breaks(scene: Scene, load: CellLoad, another_ring: Callable[[str], None]):
    coming = min(set(scene.nodes) - scene.shard())
    another_ring(coming)
    until(lambda: len(cell_flows.file_of(scene.region.name).current) < len(scene.nodes), "it is in the ring no more", within=BACK)
    assert scene.region.rookery("cell", "undrain", coming).returncode == 0
    begin_anew(scene, load, min(scene.shard()))
    until(lambda: len(cell_flows.file_of(scene.region.name).current) == len(scene.nodes), "all are in the ring", within=BACK)
    assert max(load.broken().values()) == 0


def wait_heard(scene: Scene, ports: range) -> None:
    """Of connections that there are now: visits come and go."""
    unheard = scene.unheard(ports)

    def still_unheard() -> int:
        return len(unheard & scene.unheard(ports))

    until(lambda: not still_unheard(), lambda: f"{still_unheard()} flows are not known where they should be", within=BACK)


def test_a_port_that_a_client_uses_again_leads_nobody_to_where_it_led_before_whoever_dies(scene: Scene, load: CellLoad):
    """The nodes that its packets pass through have seen other connections of it, and those that keep it may have missed their ends."""
    few = range(40_000, 40_000 + 2 * SCALE.extra)
    with scene.few_ports(few[0], few[-1]):
        for _ in range(3):
            callers = [load.call(address, SCALE.extra // 2, 0.5) for address in (SERVER, BALANCER)]
            for node in sorted(scene.shard()):
                wait_heard(scene, few)
                die(scene, load, "cable", node)
            load.left += [caller.asked("end") for caller in callers]
            assert [one["broken"] for one in load.left[-2:]] == [0, 0]
    again = [flow for flow in scene.hear().flows.values() if flow.before and flow.key.source_port in few]
    assert len(again) > SCALE.extra / 4
    assert max(load.broken().values()) == 0


def test_where_both_nodes_that_keep_a_flow_die_at_once_it_is_reset_and_others_go_on(scene: Scene, load: CellLoad):
    """Of others the primary dies, and the top that they pass through: the secondary knows them."""
    finish(load)
    load.close()
    scene.hear().forgets = True
    shard = scene.shard()
    pairs = [{one, other} for one in shard for other in set(scene.nodes) - shard]
    dead = min(tuple(sorted(pair)) for pair in pairs if pair != scene.shard(scene.owl))
    with closing(CellLoad(scene.wren, scene.owl, held=SCALE.extra, every=0.5, flows=1)) as made:
        made.settle()
        until(lambda: scene.confirmed() >= 2 * SCALE.extra, lambda: f"{scene.confirmed()} flows are confirmed")
        flows = scene.flows(dead)
        for node in dead:
            DEATHS["cable"](scene.region.name, node)
        until(lambda: max(one.asked()["quiet"] for one in made.callers.values()) < 1.5, "none hangs, for long")
        until(lambda: not scene.shard() & set(dead), "the edge has left them")
        until(lambda: max(one.asked()["quiet"] for one in made.callers.values()) < 1.5, "none hangs, for long")
        told = {way: made.callers[way].asked() for way in ("nat", "balancer")}
    doomed = {way: {flow.port for flow in flows if flow.way == way and flow.is_doomed} for way in told}
    assert any(flow.primary_dies and flow.top_dies and not flow.is_doomed for flow in flows)
    assert all(doomed.values())
    for way, one in told.items():
        assert set(one["lost"]) <= doomed[way]
        assert one["reset"] == one["broken"]
