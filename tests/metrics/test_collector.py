"""From what nodes say in the object store to what the file has, through collectors that come and go.

    node-1, node-2 --> folder --> collector --> file        attachments: 1 NAT gateway, 2 balancer (zone a), 3 endpoint (another account)
"""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from rookery.hyperplane.cell_file import encode as encode_file
from rookery.hyperplane.measured import encode as encode_measures
from rookery.hyperplane.object_store import file_key, measures_key, opened, report_key
from rookery.hyperplane.report import NodeReport
from rookery.hyperplane.report import encode as encode_report
from rookery.intent.cell import BALANCER, ENDPOINT, NAT
from rookery.metrics import catalogue
from rookery.metrics.collector import Collector
from rookery.metrics.points import place_of, statistics_of
from rookery.metrics.resources import Measured
from rookery.metrics.series import Series, SeriesAway
from rookery.model.balancers import BalancerZone, Forward, Listener, LoadBalancer, Target, TargetGroup
from rookery.model.codec import encode as encode_thing
from rookery.model.keys import cell_key, key_of, target_health_key
from rookery.model.objects import (
    Cell,
    CellAttachment,
    NatGateway,
    NetworkInterface,
    TargetHealth,
    VpcEndpoint,
    VpcEndpointService,
)
from rookery.testing.memory_store import MemoryStore
from tests.hyperplane import files
from tests.metrics import made
from tests.metrics.made import T, node

OWNER = {"account": "123456789012", "region": "us-east-1"}
CONSUMER = {"account": "210987654321", "region": "eu-west-1"}
FRONT, DOOR, OTHER_FRONT = (f"eni-{number:017x}" for number in (2, 3, 4))
GATEWAY = NatGateway(**OWNER, id="nat-1", vpc_id="vpc-1", subnet_id="subnet-1")
WEB = LoadBalancer(**OWNER, id="lb-00000000000000007", name="web", vpc_id="vpc-1", is_internal=True, zones=(BalancerZone(zone="us-east-1a", subnet_id="subnet-1", interface_id=FRONT),))  # fmt: skip
GROUP = TargetGroup(**OWNER, id="tg-00000000000000008", name="servers", vpc_id="vpc-1", protocol="TCP", port=80, target_type="ip")
LISTENER = Listener(**OWNER, id="listener-1", balancer_id=WEB.id, port=80, protocol="TCP", forwards=(Forward(GROUP.id),))
SERVICE = VpcEndpointService(**OWNER, id="vpce-svc-1", balancers=(WEB.arn,))
INTERFACE = VpcEndpoint(**CONSUMER, id="vpce-1", vpc_id="vpc-9", service_id=SERVICE.id, service_account=SERVICE.account, service_name=SERVICE.name, interfaces={"subnet-9": DOOR}, accepted=True)  # fmt: skip
ATTACHED = (
    files.attachment(1, id="eni-1", of=GATEWAY.id, kind=NAT),
    files.attachment(2, id=FRONT, of=WEB.id, kind=BALANCER),
    files.attachment(3, id=DOOR, of=INTERFACE.id, kind=ENDPOINT, account=CONSUMER["account"]),
)
ZONE, WHOLE = (("AvailabilityZone", "us-east-1a"), ("LoadBalancer", WEB.path)), (("LoadBalancer", WEB.path),)


def interface(id: str, zone: str, **owner: str) -> NetworkInterface:
    home = {"vpc_id": "vpc-9", "subnet_id": "subnet-9", "mac": "02:00:00:00:00:09", "addresses": ("10.9.1.4",)}
    return NetworkInterface(**owner, **home, id=id, zone=zone, cell_attachment=CellAttachment(cell="cell-1", of="lb-1"))


class Scene:
    def __init__(self, folder):
        self.store = MemoryStore()
        self.objects = opened(str(folder / "objects"))
        self.path = folder / "metrics.db"
        self.series = Series.open(self.path)
        self.now = float(T)
        self.ticked = 0.0
        self.collector = self.another()
        run(self.collector.tick())  # a new file takes totals as it finds them, and there are none yet

    def another(self) -> Collector:
        return Collector(self.store, self.objects, self.series, 1500, clock=lambda: self.now, ticking=lambda: self.ticked)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.ticked += seconds

    async def begin(self, attachments=ATTACHED) -> None:
        ends = (interface(FRONT, "us-east-1a", **OWNER), interface(DOOR, "us-east-1a", **CONSUMER))
        things = (GATEWAY, WEB, GROUP, LISTENER, SERVICE, INTERFACE, *ends)
        rows = {key_of(thing): encode_thing(thing) for thing in things}
        cell = Cell(name="cell-1", zones=(0,), nodes=("node-1", "node-2"))
        await self.store.txn([], rows | {cell_key("cell-1"): encode_thing(cell)})
        await self.file(attachments)

    async def file(self, attachments) -> None:
        whole = files.file(1, attachments=0, targets=0)
        targets = tuple(
            msgspec.structs.replace(files.target(n, GROUP.id), zone=None, healthy=n == 0, draining=n == 3) for n in range(4)
        )
        rows = files.place_targets(targets, ())
        intent = msgspec.structs.replace(whole.intent, attachments=attachments, targets=targets)
        await self.objects.put(file_key("cell-1"), encode_file(msgspec.structs.replace(whole, intent=intent, rows=rows)))

    async def say(self, *attachments, name="node-1", **changed) -> None:
        said = node(*attachments, name=name, **{"time": self.now, **changed})
        await self.objects.put(measures_key("cell-1", name), encode_measures(said))
        await self.live(name)

    async def live(self, *names) -> None:
        for name in names:
            await self.objects.put(report_key("cell-1", name), encode_report(NodeReport(node=name, time=self.now)))

    def value(self, measured: Measured, name: str, minute: int = T):
        place = place_of(measured.family.metrics, name)
        return statistics_of(self.series.row(measured, minute).get(place))


@pytest.fixture
def scene(tmp_path):
    found = Scene(tmp_path)
    yield found
    found.series.close()


def nat() -> Measured:
    return made.NAT


def balancer(dimensions) -> Measured:
    return Measured(OWNER["account"], OWNER["region"], catalogue.BALANCERS, dimensions)


def run(work) -> None:
    asyncio.run(work)


def test_what_nodes_counted_is_added_up_whoever_reads_it(scene):
    """The first collector dies after each look."""

    async def work():
        await scene.begin()
        for sent in (100, 250, 250, 400):
            await scene.say(made.attachment(1, tcp_outward_bytes_in=sent))
            await scene.say(made.attachment(1, tcp_outward_bytes_in=1000), name="node-2")
            await scene.another().tick()
        assert scene.value(nat(), "BytesInFromSource").sum == 1400

    run(work())


def test_whose_the_counts_are(scene):
    async def work():
        await scene.begin()
        await scene.say(
            made.attachment(1, (5, 0, 0, 0), no_port=2),
            made.attachment(2, (7, 1, 2, 0), tcp_outward_bytes_out=60, tcp_inward_bytes_in=40, resets_inward=3),
            made.attachment(3, (7, 1, 0, 0), tcp_outward_bytes_in=60, tcp_inward_bytes_out=40, flows_tcp=9),
        )
        await scene.collector.tick()
        assert scene.value(nat(), "ErrorPortAllocation").sum == 2
        assert scene.value(nat(), "ActiveConnectionCount").maximum == 5
        for dimensions in (ZONE, WHOLE):
            assert scene.value(balancer(dimensions), "ProcessedBytes").sum == 100
            assert scene.value(balancer(dimensions), "ActiveFlowCount").maximum == 10
            assert scene.value(balancer(dimensions), "TCP_Target_Reset_Count").sum == 3
        consumer = scene.series.measured(CONSUMER["account"], CONSUMER["region"])
        assert {one.namespace for one in consumer} == {catalogue.ENDPOINTS} and len(consumer) == 2
        assert [scene.value(one, "NewConnections").sum for one in consumer] == [9, 9]
        assert dict(consumer[0].dimensions)["VPC Endpoint Id"] == "vpce-1"
        provider = [one for one in scene.series.measured(**OWNER) if one.namespace == catalogue.SERVICES]
        assert [dict(one.dimensions) for one in provider] == [
            {"Az": "us-east-1a", "Load Balancer Arn": WEB.arn, "Service Id": "vpce-svc-1"},
            {"Az": "us-east-1a", "Service Id": "vpce-svc-1"},
            {"Load Balancer Arn": WEB.arn, "Service Id": "vpce-svc-1"},
            {"Service Id": "vpce-svc-1"},
            {"Service Id": "vpce-svc-1", "VPC Endpoint Id": "vpce-1"},
        ]
        assert [scene.value(one, "BytesProcessed").sum for one in provider] == [100] * 5

    run(work())


def test_minutes_in_which_nothing_happened_say_so(scene):
    async def work():
        await scene.begin()
        await scene.collector.tick()
        assert [minute for minute, _ in scene.series.minutes(nat(), T, T + 60)] == [T]
        assert scene.value(nat(), "PacketsDropCount") == (0, 0, 0, 1)

    run(work())


def test_a_node_that_is_silent_holds_nothing(scene):
    """What it held, others hold now, or nobody does."""

    async def work():
        await scene.begin()
        await scene.say(made.attachment(1, (5, 0, 0, 0)))
        await scene.say(made.attachment(1, (3, 0, 0, 0)), name="node-2")
        await scene.collector.tick()
        scene.wait(60)
        await scene.live("node-2")
        await scene.collector.tick()
        assert scene.value(nat(), "ActiveConnectionCount").maximum == 8
        assert scene.value(nat(), "ActiveConnectionCount", T + 60).maximum == 3

    run(work())


@pytest.mark.parametrize("step", [-3600, 3600], ids=["back", "forward"])
def test_a_clock_that_is_set_loses_nothing_and_counts_nothing_twice(scene, step):
    """A node dies before; what it holds is held by nobody then, whatever its last report says of the time."""

    async def work():
        await scene.begin()
        await scene.say(made.attachment(1, (5, 0, 0, 0)))
        await scene.say(made.attachment(1, (3, 0, 0, 0), dropped=2), name="node-2")
        await scene.collector.tick()
        scene.wait(60)
        scene.now += step
        minute = T + 60 + step
        for dropped in (10, 30):
            await scene.say(made.attachment(1, (3, 0, 0, 0), dropped=dropped), name="node-2")
            await scene.collector.tick()
        assert [scene.value(nat(), "PacketsDropCount", of).sum for of in (T, minute)] == [2, 28]
        assert scene.value(nat(), "ActiveConnectionCount", minute).maximum == 3
        newest = {one: content for one, content, _ in scene.series.everything(minute)}[nat()]
        assert statistics_of(newest[place_of(nat().family.metrics, "PacketsDropCount")]).sum == 28

    run(work())


def test_ten_seconds_that_come_again_are_a_peak_of_their_own(scene):
    async def work():
        await scene.begin()
        scene.wait(5)
        for sent in (1000, 3000):
            await scene.say(made.attachment(1, tcp_outward_bytes_out=sent))
            await scene.collector.tick()
            scene.wait(10)
            scene.now -= 11
        assert scene.value(nat(), "PeakBytesPerSecond").maximum == 200

    run(work())


@pytest.mark.parametrize("wrong", [-7200, 7200], ids=["behind", "ahead"])
def test_a_node_whose_clock_is_wrong_counts_when_it_says_so(scene, wrong):
    async def work():
        await scene.begin()
        for passed in (60, 5):
            await scene.collector.tick()
            scene.wait(passed)
        await scene.say(made.attachment(1, dropped=7), time=scene.now + wrong)
        await scene.collector.tick()
        assert scene.value(nat(), "PacketsDropCount", T + 60).sum == 7

    run(work())


def test_what_nobody_read_for_an_hour_is_of_the_minute_in_which_it_was_said(scene):
    async def work():
        await scene.begin()
        await scene.say(made.attachment(1, dropped=7))
        scene.wait(3600)
        await scene.another().tick()
        assert scene.value(nat(), "PacketsDropCount", T).sum == 7

    run(work())


def test_what_an_attachment_counted_last_counts_when_it_has_gone(scene):
    async def work():
        await scene.begin()
        await scene.say(made.attachment(1, dropped=1))
        await scene.collector.tick()
        await scene.file(ATTACHED[1:])
        await scene.say(made.attachment(1, dropped=5))
        await scene.collector.tick()
        assert scene.value(nat(), "PacketsDropCount").sum == 5

    run(work())


def test_targets_are_counted_as_the_checks_find_them(scene):
    """Four: healthy, failed, not checked yet, and draining."""

    async def work():
        await scene.begin()
        words = {f"{one.address}:{one.port}": ("unhealthy", "Target.FailedHealthChecks") for one in (files.target(1), files.target(3))}
        found = TargetHealth(cell="cell-1", targets={GROUP.id: words})
        await scene.store.txn([], {target_health_key("cell-1"): encode_thing(found)})
        await scene.collector.tick()
        group = f"targetgroup/servers/{GROUP.digits}"
        for dimensions in ((*WHOLE, ("TargetGroup", group)), (*ZONE, ("TargetGroup", group))):
            assert scene.value(balancer(dimensions), "HealthyHostCount").maximum == 1
            assert scene.value(balancer(dimensions), "UnHealthyHostCount").maximum == 1

    run(work())


def service_of(id: str = SERVICE.id) -> Measured:
    return Measured(OWNER["account"], OWNER["region"], catalogue.SERVICES, (("Service Id", id),))


def test_a_service_counts_the_endpoints_that_may_send_to_it(scene):
    """Of three: one is accepted by itself, one by its provider, and nobody has answered the third."""

    async def work():
        await scene.begin()
        more = [msgspec.structs.replace(INTERFACE, id=f"vpce-{n}", accepted=False, interfaces={}) for n in (2, 3)]
        service = msgspec.structs.replace(SERVICE, accepted=("vpce-2",))
        await scene.store.txn([], {key_of(one): encode_thing(one) for one in (*more, service)})
        await scene.collector.tick()
        assert scene.value(service_of(), "EndpointsCount") == (2, 2, 2, 1)
        scene.wait(60)
        rejected = msgspec.structs.replace(service, rejected=("vpce-1",))
        await scene.store.txn([], {key_of(rejected): encode_thing(rejected)})
        await scene.collector.tick()
        assert scene.value(service_of(), "EndpointsCount", T + 60).maximum == 1

    run(work())


def test_zones_are_healthy_or_not_by_what_the_name_of_a_balancer_leads_to(scene):
    """T7-22: a one for each zone that is, a zero for each that is not. Zone b has no target that passes."""

    def target(n: int, zone: str) -> Target:
        return Target(id=f"10.9.{n}.9", port=80, zone=zone)

    async def work():
        await scene.begin()
        zones = (*WEB.zones, BalancerZone(zone="us-east-1b", subnet_id="subnet-2", interface_id=OTHER_FRONT))
        group = msgspec.structs.replace(GROUP, targets=(target(1, "us-east-1a"), target(2, "us-east-1b")))
        fronts = (interface(FRONT, "us-east-1a", **OWNER), interface(OTHER_FRONT, "us-east-1b", **OWNER))
        for changed in (msgspec.structs.replace(WEB, zones=zones), group, *fronts):
            await scene.store.txn([], {key_of(changed): encode_thing(changed)})
        words = {"10.9.1.9:80": ("healthy", ""), "10.9.2.9:80": ("unhealthy", "Target.Timeout")}
        found = TargetHealth(cell="cell-1", targets={GROUP.id: words})
        await scene.store.txn([], {target_health_key("cell-1"): encode_thing(found)})
        await scene.collector.tick()
        other = (("AvailabilityZone", "us-east-1b"), ("LoadBalancer", WEB.path))
        assert [scene.value(balancer(one), "ZonalHealthStatus").maximum for one in (ZONE, other)] == [1, 0]
        assert scene.value(balancer(WHOLE), "ZonalHealthStatus") == (1, 0, 1, 2)

    run(work())


@pytest.mark.parametrize("is_running", [True, False], ids=["it runs", "another one begins"])
def test_what_was_counted_before_the_file_was_made_is_not_counted_again(scene, is_running):
    """Somebody deleted it."""

    async def work():
        await scene.begin()
        await scene.say(made.attachment(1, dropped=900))
        await scene.collector.tick()
        for file in scene.path.parent.glob("metrics.db*"):
            file.unlink()
        if not is_running:
            scene.series.close()
            scene.series = Series.open(scene.path)
            scene.collector = scene.another()
        await scene.collector.tick()
        assert scene.value(nat(), "PacketsDropCount").sum == 0
        await scene.say(made.attachment(1, dropped=905))
        await scene.say(made.attachment(1, dropped=7), name="node-2")  # which has begun since
        await scene.collector.tick()
        assert scene.value(nat(), "PacketsDropCount").sum == 12

    run(work())


def test_what_could_not_be_kept_is_kept_the_next_time(scene, monkeypatch):
    async def work():
        await scene.begin()
        await scene.say(made.attachment(1, dropped=4))
        with monkeypatch.context() as broken:
            broken.setattr(scene.series, "put", _refuse)
            await scene.collector.tick()
        assert scene.series.measured(**OWNER) == []
        await scene.collector.tick()
        assert scene.value(nat(), "PacketsDropCount").sum == 4

    run(work())


def _refuse(*_):
    raise SeriesAway("the disk is full")
