"""Instances in real namespaces, without the data plane: made, found again, ended, and nothing left of them.

    test's own namespace ("the host")          rookery-t...-i-...
      eni00000001 (down until it has programs) ---- eth0 10.7.1.5/24, default via 10.7.1.1
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rookery.host.instances import init, namespace, network
from rookery.host.instances.fleet import Fleet
from rookery.host.instances.machine import Machine
from rookery.host.instances.namespaced import Namespaced
from rookery.host.instances.network import NetworkError
from rookery.host.instances.record import Places
from rookery.intent.host import InstanceIntent, InterfaceIntent
from rookery.model.objects import NAMESPACE, InstanceStatus
from tests.waiting import until

pytestmark = pytest.mark.real_packets


class RecordingWiring:
    """In place of the data plane: what it was asked, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def added(self, ifindex: int, _devices: object) -> None:
        self.calls.append(("added", ifindex))

    def removing(self, ifindex: int) -> None:
        self.calls.append(("removing", ifindex))

    def removed(self, _devices: object) -> None:
        self.calls.append(("removed", 0))


class Bench:
    """A fleet on this machine, whose host is the test's own network namespace."""

    def __init__(self, folder: Path):
        self.region = f"t{secrets.token_hex(3)}"
        self.number = secrets.randbits(31)
        self.places = Places(folder / "state", folder / "run")
        self.wiring = RecordingWiring()
        self.statuses: list[InstanceStatus] = []

    def fleet(self) -> Fleet:
        machine = Machine(
            self.places, self.wiring, {NAMESPACE: Namespaced(self.region, self.places, has_services=False)}
        )
        machine.prepare()
        return Fleet(machine, self.statuses.extend)

    def intent(self, script: str = "", **changes: object) -> InstanceIntent:
        interface = InterfaceIntent(
            id=f"eni-000000000{self.number:08x}", vni=1, number=self.number, subnet=2, route_table=3,
            router="10.7.1.1", primary="10.7.1.5", addresses=("10.7.1.5", "10.7.1.6"), prefix_length=24,
            mac="02:00:00:00:00:05", router_mac="02:00:00:00:00:01", mtu=1500, source_dest_check=True,
            device_index=0,
        )  # fmt: skip
        intent = InstanceIntent(
            id=f"i-000000000{self.number:08x}", wanted="running", boot=1, hostname="ip-10-7-1-5",
            domain="ec2.internal", user_data=base64.b64encode(script.encode()).decode(),
            interfaces=(interface,),
        )  # fmt: skip
        return msgspec.structs.replace(intent, **changes)

    def marks(self) -> dict[str, list[str]]:
        """Everything of this bench on the machine."""
        return {
            "namespaces": namespace.named(f"rookery-{self.region}-"),
            "devices": [name for name in network.devices() if name == network.device_name(self.number)],
            "files": [str(p) for p in (self.places.state.parent).rglob("*") if p.is_file()],
            "processes": processes_with(str(self.places.state)),
        }


def processes_with(word: str) -> list[str]:
    """Command lines and environments that name the bench's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            content = (entry / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if word.encode() in content:
            found.append(entry.name)
    return found


def run_inside(pid: int, *command: str) -> str:
    entered = ("nsenter", f"--target={pid}", "--all", "--wd=/", *command)
    return subprocess.run(entered, check=True, capture_output=True, text=True, timeout=10).stdout


async def settle(fleet: Fleet, *intents: InstanceIntent) -> None:
    fleet.want({intent.id: intent for intent in intents})
    await fleet.look_again()
    await fleet.idle()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    try:
        yield bench
    finally:

        async def clear() -> None:
            fleet = bench.fleet()
            await settle(fleet)
            await fleet.close()

        asyncio.run(clear())
        network.unplug(network.device_name(bench.number))


def test_an_instance_has_a_machine_of_its_own(bench: Bench):
    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, bench.intent())
        await fleet.close()

    asyncio.run(live())
    assert [s.state for s in bench.statuses] == ["running"]
    pid = init.find(bench.places, bench.intent().id)
    assert run_inside(pid, "hostname") == "ip-10-7-1-5\n"
    until(lambda: run_inside(pid, "cat", "/proc/1/comm") == "tini\n", "the shell that it begins as has become tini")
    assert len(run_inside(pid, "sh", "-c", "echo /proc/[0-9]*").split()) < 8
    assert "10.7.1.5 ip-10-7-1-5.ec2.internal" in run_inside(pid, "cat", "/etc/hosts")
    assert "search ec2.internal" in run_inside(pid, "cat", "/etc/resolv.conf")
    assert run_inside(pid, "ls", "/sys/class/net").split() == ["eth0", "lo"]
    assert run_inside(pid, "ls", "/run").split() == ["instance"]
    addresses = run_inside(pid, "ip", "-brief", "address", "show", "eth0")
    assert "10.7.1.5/24" in addresses and "10.7.1.6" not in addresses and "fe80" not in addresses
    link = run_inside(pid, "ip", "link", "show", "eth0")
    assert "mtu 1500" in link and "02:00:00:00:00:05" in link
    assert "via 10.7.1.1 dev eth0" in run_inside(pid, "ip", "route", "show", "default")
    assert "host" not in run_inside(pid, "ls", "/tmp")


def test_a_device_opens_only_when_it_has_its_programs(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    flags: list[str] = []

    def added(ifindex: int, _devices: object) -> None:
        flags.append(Path(f"/sys/class/net/{network.device_name(bench.number)}/flags").read_text().strip())

    monkeypatch.setattr(bench.wiring, "added", added)
    asyncio.run(settle(bench.fleet(), bench.intent()))
    up = 0x1
    assert [int(f, 16) & up for f in flags] == [0]
    assert int(Path(f"/sys/class/net/{network.device_name(bench.number)}/flags").read_text(), 16) & up


def test_user_data_runs_once_and_not_again_after_a_reboot(bench: Bench):
    script = "#!/bin/sh\necho ran on $(hostname) >> /run/instance/proof\n"
    proof = bench.places.guest(bench.intent().id) / "proof"

    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, bench.intent(script))
        await asyncio.to_thread(until, proof.exists, "a sign of the guest", within=10.0)
        await settle(fleet, bench.intent(script, boot=2))
        await fleet.close()

    asyncio.run(live())
    assert [(s.state, s.boot) for s in bench.statuses] == [("running", 1), ("running", 2)]
    assert proof.read_text() == "ran on ip-10-7-1-5\n"


@pytest.mark.parametrize("first_line", [b"#cloud-config", b"Content-Type: multipart/mixed", b"\x1f\x8b\x08"])
def test_formats_of_cloud_init_are_refused_in_the_log_and_not_run(bench: Bench, first_line: bytes):
    given = base64.b64encode(first_line + b"\necho ran > /run/instance/proof\n").decode()
    intent = bench.intent(user_data=given)
    log = bench.places.guest(intent.id) / "user-data.log"

    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, intent)
        await asyncio.to_thread(until, lambda: log.exists() and log.read_text(), "a word of the guest", within=10.0)
        await fleet.close()

    asyncio.run(live())
    assert log.read_text().startswith("user data: only scripts are run")
    assert not (bench.places.guest(intent.id) / "proof").exists()


def test_user_data_without_an_interpreter_is_given_to_sh_and_what_it_says_is_on_the_console(bench: Bench):
    intent = bench.intent("echo said by $0\n")
    console = bench.places.folder(intent.id) / "console.log"

    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, intent)
        await asyncio.to_thread(until, lambda: "said by ./user-data" in console.read_text(), "a word of the guest", within=10.0)
        await fleet.close()

    asyncio.run(live())


def test_stop_leaves_only_what_a_start_needs_and_terminate_leaves_nothing(bench: Bench):
    before = bench.marks()

    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, bench.intent())
        await settle(fleet, bench.intent(wanted="stopped"))
        stopped = bench.marks()
        assert (stopped["namespaces"], stopped["devices"], stopped["processes"]) == ([], [], [])
        assert stopped["files"]
        await settle(fleet, bench.intent(boot=2))
        await settle(fleet, bench.intent(boot=2, wanted="terminated"))
        await fleet.close()

    asyncio.run(live())
    assert [s.state for s in bench.statuses] == ["running", "stopped", "running", "terminated"]
    assert bench.marks() == before


def test_an_interface_is_plugged_into_a_running_guest_and_one_whose_plugging_failed_is_made_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    first = bench.intent().interfaces[0]
    second = msgspec.structs.replace(
        first, id="eni-1", number=bench.number ^ 1, primary="10.8.1.5", router="10.8.1.1", mac="02:00:00:00:00:06",
        device_index=1,
    )  # fmt: skip
    both = bench.intent(interfaces=(first, second))

    def refused(*_given: object) -> None:
        raise NetworkError("not now")

    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, bench.intent())
        pid = init.find(bench.places, both.id)
        with monkeypatch.context() as broken:
            broken.setattr(network, "open_device", refused)
            fleet.want({both.id: both})
            await asyncio.to_thread(until, lambda: network.ifindex_of(network.device_name(second.number)), "what the host says of it", within=10.0)
        await settle(fleet, both)
        assert init.find(bench.places, both.id) == pid
        address = run_inside(pid, "ip", "-brief", "address", "show", "eth1")
        assert "UP" in address and "10.8.1.5/24" in address
        await settle(fleet, bench.intent(interfaces=(first, msgspec.structs.replace(second, device_index=2))))
        assert run_inside(pid, "ls", "/sys/class/net").split() == ["eth0", "eth2", "lo"]
        await settle(fleet, bench.intent())
        assert run_inside(pid, "ls", "/sys/class/net").split() == ["eth0", "lo"]
        await fleet.close()

    asyncio.run(live())
    assert [set(s.interfaces) for s in bench.statuses] == [{first.id}, {first.id, second.id}, {first.id}]


def test_an_interface_that_moved_on_is_not_touched_by_the_instance_it_left(bench: Bench):
    number = bench.number ^ 2
    moving = msgspec.structs.replace(bench.intent().interfaces[0], id="eni-2", number=number, device_index=1)
    other = bench.intent(id=f"i-000000001{bench.number:08x}", interfaces=(msgspec.structs.replace(moving, device_index=0),))
    with_it = bench.intent(interfaces=(*bench.intent().interfaces, moving))

    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, with_it)
        await settle(fleet, msgspec.structs.replace(with_it, wanted="stopped"))
        await settle(fleet, bench.intent(wanted="stopped"), other)
        plugged = network.ifindex_of(network.device_name(number))
        assert plugged
        await settle(fleet, bench.intent(wanted="running", boot=2), other)
        await settle(fleet, other)
        assert network.ifindex_of(network.device_name(number)) == plugged
        await fleet.close()

    asyncio.run(live())


def test_a_boot_waits_for_an_interface_that_another_guest_still_has(
    bench: Bench, caplog: pytest.LogCaptureFixture
):
    number = bench.number ^ 2
    moving = msgspec.structs.replace(bench.intent().interfaces[0], id="eni-2", number=number, device_index=1)
    other = bench.intent(id=f"i-000000001{bench.number:08x}", interfaces=(msgspec.structs.replace(moving, device_index=0),))
    with_it = bench.intent(interfaces=(*bench.intent().interfaces, moving))

    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, with_it)
        fleet.want({one.id: one for one in (with_it, other)})
        await asyncio.to_thread(until, lambda: "is still plugged into" in caplog.text, "what the host says of it", within=10.0)
        await settle(fleet, bench.intent(), other)
        await fleet.close()

    asyncio.run(live())
    assert [s.state for s in bench.statuses if s.id == other.id] == ["running"]


def test_processes_are_asked_before_they_are_ended(bench: Bench):
    folder = bench.places.guest(bench.intent().id)
    script = "#!/bin/sh\ntrap 'echo bye > /run/instance/last; exit' TERM\ntouch /run/instance/up\nsleep 100 & wait\n"

    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, bench.intent(script))
        await asyncio.to_thread(until, (folder / "up").exists, "a sign of the guest", within=10.0)
        await settle(fleet, bench.intent(script, wanted="stopped"))
        await fleet.close()

    asyncio.run(live())
    assert (folder / "last").read_text() == "bye\n"


def test_another_agent_finds_a_running_instance_and_leaves_it_alone(bench: Bench):
    async def first() -> None:
        fleet = bench.fleet()
        await settle(fleet, bench.intent())
        await fleet.close()

    asyncio.run(first())
    pid = init.find(bench.places, bench.intent().id)
    calls = list(bench.wiring.calls)
    asyncio.run(first())
    assert init.find(bench.places, bench.intent().id) == pid
    assert bench.wiring.calls == calls


def test_an_instance_that_ends_on_its_own_is_reported_stopped_at_once(bench: Bench):
    async def live() -> None:
        fleet = bench.fleet()
        await settle(fleet, bench.intent())
        os.kill(init.find(bench.places, bench.intent().id), signal.SIGKILL)
        await asyncio.to_thread(until, lambda: len(bench.statuses) == 2, "what the host says of it", within=10.0)
        await fleet.idle()
        await fleet.close()

    asyncio.run(live())
    assert bench.statuses[1].state == "stopped"
    marks = bench.marks()
    assert (marks["namespaces"], marks["devices"]) == ([], [])


def test_a_boot_that_cannot_be_done_is_reported_with_its_reason_and_leaves_nothing_plugged(bench: Bench):
    asyncio.run(settle(bench.fleet(), msgspec.structs.replace(bench.intent(), user_data="%%%")))
    (status,) = bench.statuses
    assert status.state == "failed" and status.message.startswith("user data is not base64")
    marks = bench.marks()
    assert (marks["namespaces"], marks["devices"], marks["processes"]) == ([], [], [])


def test_a_pid_file_of_another_process_is_not_believed(bench: Bench):
    asyncio.run(settle(bench.fleet(), bench.intent(wanted="stopped")))
    instance = bench.intent().id
    bench.places.pid_file(instance).write_text(f"{os.getpid()} 1\n")
    assert init.find(bench.places, instance) == 0
