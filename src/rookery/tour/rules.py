"""`rookery tour rules`: what people get wrong most often about the rules of a VPC, on real packets, each with its trace.

Every step says what should happen, does it, and ends the tour when something else did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rookery.region.start import bring_up
from rookery.region.status import live_generation
from rookery.tour import twins
from rookery.tour.lesson import Lesson, expect
from rookery.tour.permission import rule
from rookery.tour.scene import ADDRESS, EVERYTHING, Scene
from rookery.tour.talk import Talker, talker_in
from rookery.tour.twins import StageError
from rookery.tour.walk import TourFailed, goodbye, ping, run, say, suffix
from rookery.trace.journey import travel
from rookery.trace.packet import Probe
from rookery.trace.telling import tell

AWS_REGION = "us-east-2"
PATIENCE = 1.0  # seconds of silence
LEFT, RIGHT = "10.50.1.0/24", "10.50.2.0/24"


class Guide:
    """Does things with the scene and compares what came out with what should."""

    def __init__(self, name: str, scene: Scene):
        self.name = name
        self.scene = scene
        self.talkers: dict[str, Talker] = {}

    def talk(self, actor: str) -> Talker:
        if actor not in self.talkers:
            self.talkers[actor] = talker_in(self.name, self.scene.instances[actor])
        return self.talkers[actor]

    def serve(self, actor: str, *ports: int) -> None:
        for port in ports:
            self.talk(actor)("serve", port)

    def end(self) -> None:
        for talker in self.talkers.values():
            talker.end()

    def connects(self, one: str, other: str, port: int, expected: str, kept: str = "kept") -> None:
        seen = self.talk(one)("connect", kept, ADDRESS[other], port, PATIENCE)
        print(f"    {one} connects to {other}, tcp {port}: {seen}")
        expect(seen, expected, f"a connection from {one} to {other}")

    def keeps(self, one: str, expected: str, kept: str = "kept") -> None:
        seen = self.talk(one)("exchange", kept, PATIENCE)
        print(f"    the session of {one}: {seen}")
        expect(seen, expected, f"the session of {one}")

    def run(self, one: str, *command: str) -> None:
        if run(self.name, self.scene.instances[one], *command).returncode:
            raise TourFailed(f"{' '.join(command)} failed in {one}")

    def pings(self, one: str, other: str, expected: bool) -> None:
        seen = ping(self.name, self.scene.instances[one], ADDRESS[other])
        print(f"    {one} pings {other}: {'an answer' if seen else 'silence'}")
        expect(seen, expected, f"a ping from {one} to {other}")

    def trace(self, one: str, other: str, port: int | None = None) -> None:
        """Prints the trace's last words."""
        words = f"--tcp {port}" if port else "--icmp"
        print(f"    $ ./rookery trace{suffix(self.name)} {one} {ADDRESS[other]} {words}")
        told = travel(self.name, self.scene.instances[one], ADDRESS[other], Probe.of(port, None))
        for line in list(tell(told))[-4:]:
            print(f"      {line}")


def take(name: str, progress: Callable[[str], None]) -> None:
    """Raises TourFailed and other RegionErrors; leaves the region running."""
    say(f"A region on this machine: ./rookery up{suffix(name)}")
    bring_up(name, {}, progress)
    say("A VPC of three subnets, and a partner's VPC")
    try:
        guide = Guide(name, Scene(twins.client(name, AWS_REGION), _waiter(name)))
        _through(guide)
    except (BotoCoreError, ClientError) as refused:
        raise StageError(f"the API: {refused}") from refused
    goodbye(name, "client", AWS_REGION)


def _waiter(name: str) -> Callable[[Any], None]:
    def wait(answer: Any) -> None:
        generation = answer["ResponseMetadata"]["HTTPHeaders"].get("x-rookery-generation")
        if generation:
            twins.wait_until(lambda: live_generation(name) >= int(generation), lambda: "the hosts do not follow")

    return wait


def _through(guide: Guide) -> None:
    guide.serve("server", 22, 80)
    guide.serve("near", 80)
    try:
        for number, lesson in enumerate(LESSONS, 1):
            say(f"{number}. {lesson.title}")
            _everybody_open(guide)
            lesson.show(guide)
    finally:
        guide.end()
        _everybody_open(guide)


def _everybody_open(guide: Guide) -> None:
    scene = guide.scene
    for name in scene.instances:
        scene.wear(name, scene.open_groups["partner" if name == "partner" else "rules"])


def _silence(guide: Guide) -> None:
    scene = guide.scene
    scene.wear("server", scene.group("rules", [rule("tcp", 22)]))
    guide.connects("client", "server", 80, "silent")
    guide.trace("client", "server", 80)
    guide.connects("client", "server", 22, "open")
    guide.trace("client", "server", 22)


def _tracked(guide: Guide) -> None:
    scene = guide.scene
    only_client = rule("tcp", 22, source="10.50.1.10/32")
    group = scene.group("rules", [only_client])
    scene.wear("server", group)
    guide.connects("client", "server", 22, "open")
    scene.revoke(group, only_client)
    print("    the rule is revoked")
    guide.keeps("client", "alive")
    guide.connects("client", "server", 22, "silent", "another")
    guide.trace("client", "server", 22)


def _untracked(guide: Guide) -> None:
    scene = guide.scene
    group = scene.group("rules", [rule("tcp", 80)])
    scene.wear("server", group)
    guide.connects("client", "server", 80, "open")
    guide.trace("client", "server", 80)
    scene.revoke(group, rule("tcp", 80))
    print("    the rule is revoked")
    guide.keeps("client", "silent")


def _narrow_egress(guide: Guide) -> None:
    scene = guide.scene
    group = scene.group("rules", [rule("tcp", 80)], [rule("tcp", 1024, last=65535)])
    scene.wear("server", group)
    guide.connects("client", "server", 80, "open")
    scene.revoke(group, rule("tcp", 80))
    print("    the rule is revoked")
    guide.keeps("client", "alive")


def _both_ends(guide: Guide) -> None:
    scene = guide.scene
    scene.wear("client", scene.group("rules", [], [rule("tcp", 22)]))
    guide.connects("client", "server", 80, "silent")
    guide.trace("client", "server", 80)
    guide.connects("client", "server", 22, "open")


def _references(guide: Guide) -> None:
    scene = guide.scene
    friends = scene.group("rules", EVERYTHING)
    scene.wear("server", scene.group("rules", [rule("icmp", source=friends)]))
    scene.wear("client", friends)
    guide.pings("client", "server", True)
    guide.pings("near", "server", False)
    scene.check("box", on=False)
    _forward(guide, on=True)
    scene.route(scene.own_table("left"), RIGHT, NetworkInterfaceId=scene.interfaces["box"])
    print("    the route of the left subnet now leads through box, an appliance")
    guide.pings("client", "server", False)
    guide.trace("client", "server")
    _forward(guide, on=False)
    scene.drop_routes()
    scene.check("box", on=True)


def _forward(guide: Guide, on: bool) -> None:
    guide.run("box", "sysctl", "-qw", f"net.ipv4.ip_forward={int(on)}")


def _acl_is_stateless(guide: Guide) -> None:
    scene = guide.scene
    acl = scene.acl((100, "allow", "6", "0.0.0.0/0", False))
    scene.guard("right", acl)
    guide.connects("client", "server", 80, "silent")
    guide.trace("server", "client", 40000)
    scene.guard("right", scene.default_acl())


def _acl_inside(guide: Guide) -> None:
    scene = guide.scene
    scene.guard("left", scene.acl())
    guide.connects("client", "server", 80, "silent")
    guide.connects("client", "near", 80, "open")
    guide.trace("client", "near", 80)
    scene.guard("left", scene.default_acl())


def _black_hole(guide: Guide) -> None:
    scene = guide.scene
    spare = scene.ec2.create_network_interface(SubnetId=scene.subnets["middle"])["NetworkInterface"]
    table = scene.own_table("left")
    scene.route(table, RIGHT, NetworkInterfaceId=spare["NetworkInterfaceId"])
    print(f"    the route to {RIGHT} leads to an interface of no instance: {scene.state(table, RIGHT)}")
    guide.pings("client", "server", False)
    guide.trace("client", "server")
    scene.drop_routes()
    scene.ec2.delete_network_interface(NetworkInterfaceId=spare["NetworkInterfaceId"])


def _peering(guide: Guide) -> None:
    scene = guide.scene
    request = scene.peer(scene.vpcs["rules"], scene.vpcs["partner"])
    pcx = request["VpcPeeringConnectionId"]
    table = scene.table("rules")["RouteTableId"]
    scene.route(table, "10.51.0.0/16", VpcPeeringConnectionId=pcx)
    print(f"    a route to a peering that is {request['Status']['Code']}: {scene.state(table, '10.51.0.0/16')}")
    guide.pings("client", "partner", False)
    scene.wait(scene.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx))
    print(f"    accepted: {scene.state(table, '10.51.0.0/16')}; but the partner has no route back")
    guide.pings("client", "partner", False)
    back = scene.table("partner")["RouteTableId"]
    scene.route(back, "10.50.0.0/16", VpcPeeringConnectionId=pcx)
    guide.pings("client", "partner", True)
    guide.trace("client", "partner")
    _stale(guide, pcx)
    scene.drop_routes()


def _stale(guide: Guide, pcx: str) -> None:
    scene = guide.scene
    friends = scene.group("rules", EVERYTHING)
    scene.wear("client", friends)
    guarded = scene.group("partner", [rule("icmp", source=friends)])
    scene.wear("partner", guarded)
    guide.pings("client", "partner", True)
    scene.unpeer(pcx)
    found = scene.ec2.describe_stale_security_groups(VpcId=scene.vpcs["partner"])["StaleSecurityGroupSet"]
    print(f"    the peering is deleted; stale now: {[one['GroupId'] for one in found]}")
    if guarded not in [one["GroupId"] for one in found]:
        raise TourFailed(f"{guarded} should be stale")
    guide.pings("client", "partner", False)


def _overlap(guide: Guide) -> None:
    scene = guide.scene
    twin = scene.ec2.create_vpc(CidrBlock="10.50.128.0/17")["Vpc"]["VpcId"]
    request = scene.peer(scene.vpcs["rules"], twin)
    print(f"    the call succeeds; the connection is: {request['Status']['Code']}, {request['Status']['Message']}")
    scene.ec2.delete_vpc(VpcId=twin)
    if request["Status"]["Code"] != "failed":
        raise TourFailed("a peering of overlapping VPCs did not fail")


LESSONS = (
    Lesson("A security group drops in silence: no RST, no ICMP", _silence),
    Lesson("A tracked session outlives the rule that admitted it", _tracked),
    Lesson("An untracked one (open to everywhere, both ways) ends with it", _untracked),
    Lesson("Whether a flow is tracked depends on both directions' rules", _narrow_egress),
    Lesson("Both ends decide: what the sender may not send never leaves it", _both_ends),
    Lesson("A group as a source is its interfaces; behind an appliance it matches nothing", _references),
    Lesson("A network ACL is stateless: an answer needs an entry of its own", _acl_is_stateless),
    Lesson("Inside a subnet no network ACL and no route counts; security groups do", _acl_inside),
    Lesson("A black hole still wins: there is no falling back to a shorter prefix", _black_hole),
    Lesson("A peering needs acceptance and a route on both sides; deleted, it leaves stale rules", _peering),
    Lesson("A peering of overlapping VPCs is answered with success, and fails", _overlap),
)
