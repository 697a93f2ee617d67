"""Real packets between a private instance and the internet, through a NAT gateway at a cell of four nodes.

    instance 11 (10.7.1.5) -- host a -- node-0 .. node-3 -- edge-1, edge-2 -- router -- server 192.0.2.80
                                                                   tests/dataplane/cell_world.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from rookery.dataplane.addresses import address_text
from rookery.dataplane.cell import LOOPBACK
from rookery.dataplane.formats import DirectiveFlag, FlowKey, Verdict
from tests.dataplane import model_cell, namespaces, plan_cell
from tests.dataplane.cell_world import NAT_PUBLIC, CellWorld, cell_world
from tests.dataplane.edge_world import traffic
from tests.dataplane.namespaces import heard, inside, listening, ping, run
from tests.dataplane.plan_edge import SERVER
from tests.dataplane.traffic import data, told
from tests.faults.size import SIZE
from tests.waiting import until

pytestmark = pytest.mark.real_packets
TRAFFIC = Path(namespaces.TRAFFIC)


@pytest.fixture(scope="module", params=("tcx", "xdp") if SIZE else ("tcx",))
def world(request: pytest.FixtureRequest) -> Iterator[CellWorld]:
    with cell_world(request.param) as made:
        yield made


def dropped(world: CellWorld) -> dict[str, int]:
    rows = [(node.place, key, row) for node in world.nodes for key, row in node.real.counters().items()]
    return {f"{place} {Verdict(key.verdict).name}": row.packets for place, key, row in rows if key.verdict >= Verdict.DROP_NOT_CONFIGURED}


def keepers(key: FlowKey) -> list[int]:
    handed_out = address_text(key.destination) == plan_cell.NAT_ADDRESS
    return model_cell.keepers(plan_cell.SECRET, key, range(4), handed_out)


KINDS = [  # what is sent, and how it is listened for; the address comes second
    (("tcp", "3000000"), ("serve-tcp",)),
    (("udp", "64", "20"), ("serve-udp", "20")),
    (("udp", "1400", "20"), ("serve-udp", "20")),
    (("udp", "4000", "20"), ("serve-udp", "20")),
    (("greeted-gso", "14000", "1400"), ("serve-greeted", "10")),
]
IDS = ["TCP", "UDP 64", "UDP 1400", "UDP 4000, in fragments", "UDP cut by the kernel"]


@pytest.mark.parametrize("top", (0, 3))
@pytest.mark.parametrize(("send", "serve"), KINDS, ids=IDS)
def test_what_leaves_arrives_whole(world: CellWorld, send: tuple[str, ...], serve: tuple[str, ...], top: int) -> None:
    world.lead_to(top)
    server = listening(world.around.begin_outside(*traffic(serve[0], SERVER, *serve[1:])))
    sent = world.around.inside.execute(11, *traffic(send[0], SERVER, *send[1:]))
    assert heard(server) == sent, dropped(world)


THROUGH_NAT64 = [kind for kind in KINDS if kind[0] != ("udp", "4000", "20")]


@pytest.mark.parametrize(("send", "serve"), [*THROUGH_NAT64, (("udp", "4000", "5"), ("serve-udp", "5"))], ids=[*(IDS[:3]), IDS[4], IDS[3]])
def test_what_leaves_as_ipv6_arrives_as_ipv4(world: CellWorld, send: tuple[str, ...], serve: tuple[str, ...]) -> None:
    """T6-18. Super-packets are cut by the node's kernel, and their checksums are right."""
    world.lead_to(0)
    server = listening(world.around.begin_outside(*traffic(serve[0], SERVER, *serve[1:])))
    sent = world.around.inside.execute(11, *traffic(send[0], f"64:ff9b::{SERVER}", *send[1:]))
    assert heard(server) == sent, dropped(world)


def test_the_program_that_lets_in_what_was_cut_is_missed_and_attached_again(world: CellWorld) -> None:
    node = world.nodes[0]
    hold = partial(node.real.attach_substrate, node.substrate)
    assert inside(node.namespace, hold) == 0
    inside(node.namespace, partial(node.real.detach, LOOPBACK))
    assert inside(node.namespace, hold) == 1
    assert inside(node.namespace, partial(node.real.runs, "hyperplane_cut", LOOPBACK))
    assert inside(node.namespace, hold) == 0


def test_what_is_fetched_through_nat64_arrives_whole_while_tops_change(world: CellWorld) -> None:
    world.lead_to(0)
    server = listening(world.around.begin_outside(*traffic("offer", SERVER, "4000000")))
    client = world.around.inside.begin(11, *traffic("fetch", f"64:ff9b::{SERVER}", "100"))
    assert client.stdout
    for place in (1, 2, 0):
        assert client.stdout.readline() == "another part\n", dropped(world)
        world.lead_to(place)
    arrived, complaint = client.communicate(timeout=30)
    assert client.returncode == 0, complaint
    assert arrived.splitlines()[-1] == told(data(4000000))
    heard(server)
    assert any(node.counted(Verdict.DEFERRED) for node in world.nodes)  # to be cut: what they sent were super-packets


def test_an_ipv6_echo_is_answered_by_a_server_of_ipv4(world: CellWorld) -> None:
    world.lead_to(1)
    assert " 0% packet loss" in ping(world.around.inside, 11, f"64:ff9b::{SERVER}")
    assert " 0% packet loss" in ping(world.around.inside, 11, f"64:ff9b::{SERVER}", "-s", "1400")


def test_what_is_fetched_arrives_whole_while_tops_change(world: CellWorld) -> None:
    """Each top that is new to the flow asks once; nothing of it ends."""
    server = listening(world.around.begin_outside(*traffic("offer", SERVER, "4000000")))
    client = world.around.inside.begin(11, *traffic("fetch", SERVER, "100"))
    assert client.stdout
    for place in (1, 2, 3, 0, 2):
        assert client.stdout.readline() == "another part\n", dropped(world)
        world.lead_to(place)
    arrived, complaint = client.communicate(timeout=30)
    assert client.returncode == 0, complaint
    assert arrived.splitlines()[-1] == told(data(4000000))
    heard(server)


def test_the_server_sees_the_gateways_public_address(world: CellWorld) -> None:
    """T6-01."""
    command = f"import socket; s=socket.create_server(('{SERVER}', 7100)); print('ready', flush=True); print(*s.accept()[1])"
    server = listening(world.around.begin_outside(sys.executable, "-c", command))
    world.around.inside.execute(11, sys.executable, "-c", f"import socket; socket.create_connection(('{SERVER}', 7100), 5)")
    address, port = heard(server).split()
    assert address == NAT_PUBLIC and int(port) >= 1024


def test_echoes_are_answered(world: CellWorld) -> None:
    assert " 0% packet loss" in ping(world.around.inside, 11, SERVER)
    assert " 0% packet loss" in ping(world.around.inside, 11, SERVER, "-s", "1400")


def test_a_refusal_of_the_server_reaches_the_client(world: CellWorld) -> None:
    """An ICMP error, with what it is about."""
    assert world.around.inside.execute(11, *traffic("refused", SERVER)) == "refused\n"


def test_the_gateway_is_the_first_hop(world: CellWorld) -> None:
    """T6-13."""
    shown = world.around.inside.execute(11, "ping", "-n", "-c", "1", "-W", "2", "-t", "1", SERVER, ok=(0, 1))
    assert re.search(rf"From {re.escape(plan_cell.NAT_ADDRESS)}.*Time to live exceeded", shown), (shown, dropped(world))


def test_heartbeats_tell_all_that_keep_a_flow_that_it_lives(world: CellWorld) -> None:
    """After its handshake, on at most four nodes: primary and secondary of both directions."""
    world.forget()
    server = listening(world.around.begin_outside(*traffic("offer", SERVER, "2000000")))
    client = world.around.inside.begin(11, *traffic("fetch", SERVER, "100"))
    assert client.stdout and client.stdout.readline()

    def confirmed() -> bool:
        kept = world.trackers()
        rows = [kept[place].get(key) for key in {key for rows in kept.values() for key in rows} for place in keepers(key)]
        return len(rows) >= 4 and all(row and not row.flags & DirectiveFlag.PROVISIONAL and not row.pending for row in rows)

    until(confirmed, lambda: str(world.trackers()))
    assert sum(node.counted(Verdict.KEPT) for node in world.nodes) > 0
    heard(client)
    heard(server)


def test_a_node_that_lost_its_memory_is_told_of_a_flow_that_rests(world: CellWorld) -> None:
    """Nobody sends a packet of it meanwhile. As the nodes' agents have it done."""
    world.forget()
    world.around.inside.execute(11, *traffic("udp", SERVER, "64", "1"))
    world.around.inside.execute(11, *traffic("udp", SERVER, "64", "1"))
    kept = {place: {key for key, row in rows.items() if not row.pending} for place, rows in world.trackers().items()}
    keys = {key for rows in kept.values() for key in rows}
    loser = next(place for place in kept if any(place == keepers(key)[0] for key in keys))
    world.nodes[loser].real.trackers.delete_many(list(world.trackers()[loser]))

    def told() -> bool:
        for node in world.nodes:
            found = node.real.find_resting(1, 0).found
            if found:
                inside(node.namespace, partial(node.real.send_copies, found))
        held = world.trackers()
        return all(key in held[place] for key in keys for place in keepers(key)[:2])

    until(told, lambda: f"{world.trackers()} {dropped(world)}")


ENDS = """
import socket
with socket.create_connection(("{server}", 7100), 5) as here:
    here.recv(1)
    print("ready", flush=True)
    input()
    here.settimeout(5)
    try:
        here.send(b"still there?")
        here.recv(1)
    except ConnectionResetError:
        print("reset")
"""


def test_after_its_end_a_connection_is_reset(world: CellWorld) -> None:
    """T6-05: by the kernel of the client, which believes the segment."""
    command = f"import socket; s=socket.create_server(('{SERVER}', 7100)); print('ready', flush=True); c=s.accept()[0]; c.send(b'!'); print(c.recv(9))"
    server = listening(world.around.begin_outside(sys.executable, "-c", command))
    client = listening(world.around.inside.begin(11, sys.executable, "-c", ENDS.format(server=SERVER)))
    world.forget()
    arrived, complaint = client.communicate("\n", timeout=20)
    assert arrived == "reset\n", (complaint, dropped(world))
    assert server.poll() is None
    server.kill()
    server.communicate()


@pytest.mark.parametrize("place", (0, 2))
def test_what_goes_to_a_balancer_arrives_whole_at_its_target(world: CellWorld, place: int) -> None:
    """Both on one host; the client is hidden. 8080 becomes the target's 7000."""
    world.lead_to_balancer(place)
    world.put_target("10.7.1.8", 7000)
    target = listening(world.around.inside.begin(14, *traffic("serve-tcp", "10.7.1.8")))
    client = "import socket, sys; sys.path.insert(0, {path!r}); from traffic import data, told\n" \
             "with socket.create_connection(({address!r}, 8080), 5) as c: c.sendall(data(3000000))\nprint(told(data(3000000)))"  # fmt: skip
    sent = world.around.inside.execute(11, sys.executable, "-c", client.format(path=str(TRAFFIC.parent), address=plan_cell.BALANCER_ADDRESS))
    assert heard(target) == sent, dropped(world)


def test_clsact_does_as_well() -> None:
    with cell_world("clsact") as made:
        server = listening(made.around.begin_outside(*traffic("serve-tcp", SERVER)))
        sent = made.around.inside.execute(11, *traffic("tcp", SERVER, "3000000"))
        assert heard(server) == sent, dropped(made)


@pytest.mark.parametrize("victim", (0, 3))
def test_a_node_that_is_no_more_breaks_no_connection(world: CellWorld, victim: int) -> None:
    """Neither as top nor as tracker: whoever is next knows."""
    world.lead_to(victim)
    server = listening(world.around.begin_outside(*traffic("offer", SERVER, "4000000")))
    client = world.around.inside.begin(11, *traffic("fetch", SERVER, "100"))
    assert client.stdout and client.stdout.readline() == "another part\n"
    try:
        world.nodes[victim].kill()
        world.living(*(place for place in range(4) if place != victim))
        world.lead_to((victim + 1) % 4)
        arrived, complaint = client.communicate(timeout=30)
        assert client.returncode == 0, (complaint, dropped(world))
        assert arrived.splitlines()[-1] == told(data(4000000))
        heard(server)
    finally:
        run("ip", "-n", world.nodes[victim].namespace, "link", "set", "u0", "up")
        world.living(0, 1, 2, 3)
