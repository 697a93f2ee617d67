"""Health checks over real packets: from every node of a cell of four, in the balancer's name, to a target that answers it.

    checks' namespace chk1 -- chk0 node-0 .. node-3 -- host a -- instance 14 (10.7.1.8), the target
    240.255.255.254                                              tests/dataplane/cell_world.py
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rookery.dataplane.formats import Verdict
from rookery.hyperplane import check_link
from rookery.hyperplane.check_ways import NoWay, ports_of
from tests.dataplane import plan, plan_cell
from tests.dataplane.cell_world import CellWorld, cell_world
from tests.dataplane.namespaces import heard, inside, listening, run
from tests.waiting import until

pytestmark = pytest.mark.real_packets
PLACES = range(len(plan_cell.NODES))
WAY = (plan.VPC, plan_cell.BALANCER, "10.7.1.8")
SHOWS_ITS_CALLERS = """
import socket
with socket.create_server(("10.7.1.8", {port})) as here:
    print("ready", flush=True)
    for _ in range({callers}):
        caller, (address, port) = here.accept()
        print(address, port, flush=True)
        caller.close()
"""


SERVES_A_PAGE = """
import http.server, socketserver
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * 100000)
socketserver.ThreadingTCPServer.allow_reuse_address = True
server = socketserver.ThreadingTCPServer(("10.7.1.8", 8080), Page)  # an HTTPServer would ask the DNS for its name
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def world() -> Iterator[CellWorld]:
    with cell_world() as made:
        made.lead_to_balancer_at(*PLACES)
        yield made


def begin(world: CellWorld, *words: str) -> subprocess.Popen[str]:
    """At the target."""
    return world.around.inside.begin(14, sys.executable, *words)


def connected(world: CellWorld, place: int, port: int) -> socket.socket:
    """As the checker of the node at this place connects. Raises OSError."""
    made, address = world.nodes[place].checks.open_socket(*WAY)
    made.settimeout(3)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        raise
    return made


def dropped(world: CellWorld) -> dict[str, int]:
    rows = [(node.place, key, row) for node in world.nodes for key, row in node.real.counters().items()]
    found = {f"{place} {Verdict(key.verdict).name}": row.packets for place, key, row in rows if key.verdict >= Verdict.DROP_NOT_CONFIGURED}
    host = {f"host {Verdict(key.verdict).name}": row.packets for key, row in world.around.host.counters().items() if key.verdict >= Verdict.DROP_NOT_CONFIGURED}
    return found | host


def test_a_target_sees_the_balancers_address_and_a_port_of_the_node_that_checks(world: CellWorld) -> None:
    target = listening(begin(world, "-c", SHOWS_ITS_CALLERS.format(port=8001, callers=len(PLACES))))
    for place in PLACES:
        try:
            connected(world, place, 8001).close()
        except OSError as error:
            raise AssertionError(f"node {place}: {error}; {dropped(world)}") from error
    callers = [line.split() for line in heard(target).splitlines()]
    assert [address for address, _ in callers] == [plan_cell.BALANCER_ADDRESS] * len(PLACES)
    assert [int(port) in ports_of(place) for place, (_, port) in enumerate(callers)] == [True] * len(PLACES)


@pytest.mark.parametrize("top", PLACES)
def test_every_node_is_answered_whichever_node_the_answer_reaches_first(world: CellWorld, top: int) -> None:
    """A page of 100,000 bytes, in super-packets, over HTTP."""
    world.lead_to_balancer_at(top)
    target = listening(begin(world, "-c", SERVES_A_PAGE))
    try:
        for place in PLACES:
            asking = http.client.HTTPConnection("balancer", timeout=3)
            asking.sock = connected(world, place, 8080)
            asking.request("GET", "/health")
            answer = asking.getresponse()
            assert (answer.status, len(answer.read())) == (200, 100000), (place, dropped(world))
            asking.close()
    finally:
        target.kill()
        target.communicate()
        world.lead_to_balancer_at(*PLACES)


def test_a_target_that_refuses_is_heard_to_refuse(world: CellWorld) -> None:
    with pytest.raises(ConnectionRefusedError):
        connected(world, 1, 9).close()


CALLS_THE_CHECKS = """
import socket
for port in {ports}:
    with socket.socket() as here:
        here.bind(("{source}", 0))
        here.settimeout(0.3)
        try:
            here.connect(("10.7.9.10", port))
            print("connected")
        except OSError as refused:
            print(type(refused).__name__)
"""


@pytest.mark.parametrize(("number", "source"), [(14, "10.7.1.8"), (11, "10.7.1.5")], ids=["the target", "another"])
def test_nobody_reaches_a_node_through_its_checks(world: CellWorld, number: int, source: str) -> None:
    """Not even the target whose check goes on from that very port, with a connection of its own."""
    before = [node.counted(Verdict.DROP_NO_CHECK) for node in world.nodes]
    target = listening(begin(world, "-c", SHOWS_ITS_CALLERS.format(port=8001, callers=1)))
    with connected(world, 2, 8001) as check:
        ports = (check.getsockname()[1], ports_of(0)[0])
        said = world.around.inside.execute(number, sys.executable, "-c", CALLS_THE_CHECKS.format(ports=ports, source=source))
    assert said.split() == ["TimeoutError"] * 2
    assert sum(node.counted(Verdict.DROP_NO_CHECK) for node in world.nodes) - sum(before) >= 2
    heard(target)


def test_from_the_checks_namespace_nothing_but_checks_goes_anywhere(world: CellWorld) -> None:
    """Neither to a substrate address, nor to a target by its own name, nor to a slot by anything but a check."""
    node = world.nodes[0]
    slot = node.checks.assign(*WAY)
    there = f"{node.namespace}-checks"
    for address in ("100.64.1.10", "10.7.1.8"):
        run("ip", "netns", "exec", there, "ping", "-c1", "-W1", address, ok=(2,))  # the network is unreachable
    before = node.counted(Verdict.DROP_NOT_A_CHECK)
    run("ip", "netns", "exec", there, "ping", "-c1", "-W0.2", f"240.0.0.{slot}", ok=(0, 1))
    assert node.counted(Verdict.DROP_NOT_A_CHECK) == before + 1


def test_a_slot_that_is_freed_leads_nowhere(world: CellWorld) -> None:
    ways = world.nodes[3].checks
    made, address = ways.open_socket(*WAY)
    ways.free(*WAY)
    made.settimeout(0.3)
    with pytest.raises(TimeoutError):
        made.connect((address, 8001))
    made.close()
    assert world.nodes[3].counted(Verdict.DROP_NO_CHECK) > 0


def test_a_node_knows_for_whom_hosts_believe_it(world: CellWorld) -> None:
    assert world.nodes[0].checks.speaks_for(plan.VPC, plan_cell.BALANCER)
    assert not world.nodes[0].checks.speaks_for(plan.VPC, plan_cell.NAT)


def test_what_is_taken_away_of_the_way_is_put_back(world: CellWorld) -> None:
    """The pair, then the namespace with all that is in it; a check that begins afterwards is answered."""
    node = world.nodes[1]
    there = f"{node.namespace}-checks"
    target = listening(begin(world, "-c", SHOWS_ITS_CALLERS.format(port=8001, callers=2)))
    for taken in (("ip", "-n", node.namespace, "link", "del", "chk0"), ("ip", "netns", "delete", there)):
        run(*taken)
        assert inside(node.namespace, lambda: check_link.hold(node.real, there)) > 0
        assert inside(node.namespace, lambda: check_link.hold(node.real, there)) == 0
        until(lambda: _answers(world, node.place), lambda: str(dropped(world)))
    heard(target)


def _answers(world: CellWorld, place: int) -> bool:
    try:
        connected(world, place, 8001).close()
    except (OSError, NoWay):
        return False
    return True
