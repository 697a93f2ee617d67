"""Parts are killed; what they did goes on or comes back, and nobody else notices.

supervisor -- mapping, api, host-1, host-2            red-1 (zone a)  <-- ping -->  red-2 (zone b)
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from rookery.region import directory, owned, processes, supervisor
from rookery.region.layout import Layout
from rookery.region.status import look
from tests.faults.harm import Pinging, everything, kill, part, ping, until

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("name", ["host-1", "host-1-services", "host-2", "mapping", "api"])
def test_a_killed_part_comes_back_and_not_one_packet_is_lost_meanwhile(mended, name: str):
    pings, before = Pinging(mended), part(mended, name).restarts
    dead = kill(mended, name)
    until(lambda: part(mended, name).pid not in (0, dead.pid), f"{name} started again")
    until(lambda: look(mended.name).healthy, "all healthy")
    assert pings.lost() == 0
    assert part(mended, name).restarts == before + 1


def test_a_killed_agent_finds_its_instances_alive(mended):
    def boot_of(instance: str) -> bytes:
        return mended.rookery("exec", instance, "--", "stat", "-c", "%Y", "/proc/1").stdout

    before, restarts = boot_of("red-1"), part(mended, "host-1").restarts
    kill(mended, "host-1")
    until(lambda: part(mended, "host-1").restarts > restarts and look(mended.name).healthy, "host-1 is back")
    assert boot_of("red-1") == before != b""


def test_when_the_supervisor_is_killed_its_parts_live_and_up_takes_them_over(mended):
    before = {record.name: record.pid for record in supervisor.read_records(Layout(mended.name))}
    pings = Pinging(mended)
    kill(mended, "supervisor")
    until(lambda: supervisor.running(Layout(mended.name)) is None, "the supervisor is dead")
    status = mended.rookery("status")
    assert status.returncode == 1
    assert b"rookery up" in status.stdout
    assert mended.rookery("up").returncode == 0
    until(lambda: look(mended.name).healthy, "all healthy")
    assert {record.name: record.pid for record in supervisor.read_records(Layout(mended.name))} == before
    assert pings.lost() == 0


def test_everything_killed_at_once_comes_back_with_up(mended):
    victims = everything(mended)
    for victim in victims:
        processes.send(victim, signal.SIGKILL)
    assert processes.wait_gone(victims, 10) == []
    assert mended.rookery("up").returncode == 0
    assert ping(mended)


def test_up_refuses_the_tables_of_another_build_and_names_the_way_out(mended):
    """As after a crash and a `git pull`: instances live on, over tables that the new build would misread."""
    plan = Layout(mended.name)
    victims = everything(mended)
    instances = at_rest(plan) - set(victims)
    for victim in victims:
        processes.send(victim, signal.SIGKILL)
    assert processes.wait_gone(victims, 10) == []
    maps = plan.pins / "host-1" / "maps"
    (maps / "mappings").rename(maps / "interfaces")
    done = mended.rookery("up")
    assert done.returncode == 1
    assert f"down --keep-data --name {mended.name}, then up again" in done.stderr.decode()
    assert set(owned.region_processes(plan)) == instances  # nothing was begun, nothing was ended
    assert mended.rookery("down", "--keep-data").returncode == 0
    assert mended.rookery("up").returncode == 0
    until(lambda: ping(mended), "the instances are back")


def at_rest(plan: Layout) -> set[processes.Process]:
    """What runs, once twenty looks agree: a guest that answers pings may still be starting its programs."""
    looks: list[set[processes.Process]] = []

    def agree() -> bool:
        looks.append(set(owned.region_processes(plan)))
        return len(looks) >= 20 and all(look == looks[-1] for look in looks[-20:])

    until(agree, "the guests have booted")
    return looks[-1]


def test_what_is_written_to_the_store_while_the_mapping_service_is_dead_arrives_when_it_is_back(mended):
    kill(mended, "mapping")
    ec2 = mended.client()
    ec2.create_vpc(CidrBlock="10.8.0.0/16")
    revision = mended.asked("status")["revision"] if look(mended.name).healthy else look(mended.name).revision
    assert mended.rookery("wait", str(revision), "--timeout", "30").returncode == 0


def test_a_mapping_deleted_behind_the_agents_back_is_missed_and_mended(mended):
    row = next(row for row in mended.asked("mappings", "--host", "host-1") if row["address"] == "10.0.2.10")
    vni = directory.read(Layout(mended.name)).vpc(row["vpc"]).vni
    key = vni.to_bytes(4, sys.byteorder) + bytes(10) + b"\xff\xff" + bytes([10, 0, 2, 10])
    pin = Layout(mended.name).pins / "host-1" / "maps" / "mappings"
    delete = ["bpftool", "map", "delete", "pinned", str(pin), "key", "hex", *key.hex(" ").split()]
    before = healed(mended)
    subprocess.run(delete, check=True, capture_output=True)
    until(lambda: healed(mended) > before, "the host notices")
    assert mended.rookery("mappings").returncode == 0
    assert ping(mended)


def healed(region) -> int:
    """Rows that the agent of host-1 found wrong and put right."""
    return region.asked("status")["hosts"][0]["status"]["healed"]


def test_down_after_a_crash_of_everything_leaves_nothing(mended):
    """The last of this file: there is no region any more."""
    plan = Layout(mended.name)
    victims = everything(mended)
    for victim in victims:
        processes.send(victim, signal.SIGKILL)
    assert owned.region_processes(plan) != []  # instances live on
    (plan.run / "parts.json").unlink()
    assert mended.rookery("down").returncode == 0
    assert owned.region_processes(plan) == []
    assert owned.region_namespaces(plan) == []
    assert owned.region_folders(plan) == []
