"""Real guests: a kernel of its own in an emulator, on a TAP of its host. The topology is that of two_hosts.py, whose hosts have
no services: guests boot with their address and user data.

    guest 10.7.1.5 --TAP-- host-1 ==== host-2 --veth-- namespace 10.7.1.6
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from rookery.host.instances import network
from rookery.host.instances.plan import STOPPED_ITSELF
from rookery.model.objects import GUEST
from tests.netns import two_hosts
from tests.netns.guests import BOOT, ask, build_image, needs_guests
from tests.netns.two_hosts import TwoHosts, built
from tests.waiting import until

pytestmark = [pytest.mark.real_packets, needs_guests, pytest.mark.timeout(6 * BOOT)]
USER_DATA = "mkdir /tmp/web; hostname > /tmp/web/index.html; httpd -h /tmp/web; echo served"


class Stage(NamedTuple):
    hosts: TwoHosts
    guest: two_hosts.Guest
    client: two_hosts.Guest  # a namespace at the other host


@contextmanager
def staged() -> Iterator[Stage]:
    """With a guest that has booted. In a folder with a short name: an emulator's sockets lie there (unix(7): 108 bytes)."""
    build_image()
    with built(Path(tempfile.mkdtemp(prefix="rookery-t"))) as hosts:
        guest = two_hosts.Guest(7, 5, "host-1", USER_DATA, kind=GUEST)
        client = two_hosts.Guest(7, 6, "host-2")
        hosts.launch(guest, client)
        await_pinged(hosts, client, guest)
        yield Stage(hosts, guest, client)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def await_pinged(hosts: TwoHosts, client: two_hosts.Guest, guest: two_hosts.Guest) -> None:
    until(lambda: hosts.pings(client, guest), lambda: f"a pinged guest: {console(hosts, guest)}", BOOT)


def console(hosts: TwoHosts, guest: two_hosts.Guest) -> str:
    return (hosts.folder / "state" / guest.host / "instances" / guest.id / "console.log").read_text(errors="replace")


def told(hosts: TwoHosts, guest: two_hosts.Guest, *command: str) -> str:
    code, output = ask(hosts.ask(guest.host, type="instance", id=guest.id)["commands"], *command)
    assert code == 0, output
    return output


def emulators(hosts: TwoHosts) -> list[str]:
    """Command lines of those that belong to this test."""
    listed = output_of(("ps", "-ewwo", "args")).splitlines()
    return [line for line in listed if line.startswith("qemu") and str(hosts.folder) in line]


def output_of(command: tuple[str, ...]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def change(hosts: TwoHosts, guest: two_hosts.Guest, **different: Any) -> None:
    intent = msgspec.structs.replace(guest.intent(), **different)
    hosts.wait_applied(guest.host, hosts.service.change(guest.host, instances=(intent,)))


def test_a_guest_has_a_kernel_of_its_own_and_runs_its_user_data(stage: Stage):
    hosts, guest, client = stage
    assert told(hosts, guest, "uname", "-r") not in ("", f"{os.uname().release}\n")
    assert told(hosts, guest, "hostname") == "ip-10-7-1-5\n"
    fetch = hosts.inside(client, "curl", "--silent", "--max-time", "5", f"http://{guest.address}/")
    until(lambda: output_of(fetch) == "ip-10-7-1-5\n", "user data has run", BOOT)
    until(lambda: b"served" in hosts.service.consoles.get(guest.id, b""), "user data is heard on the console")


def test_large_packets_reach_a_guest_and_come_back(stage: Stage):
    hosts, guest, client = stage
    command = hosts.inside(client, "ping", "-n", "-c", "3", "-i", "0.1", "-W", "2", "-s", "4000", guest.address)
    until(lambda: " 0% packet loss" in output_of(command), "4,000 bytes in fragments", 30)


def test_a_guest_outlives_its_agent_and_is_found_again(stage: Stage):
    hosts, guest, client = stage
    pid = hosts.pid(guest)
    hosts.kill_agent(guest.host)
    assert hosts.pings(client, guest)
    hosts.service.statuses.pop(guest.id)
    hosts.start_agent(guest.host)
    hosts.wait_state(guest, "running")
    assert hosts.pid(guest) == pid and hosts.pings(client, guest)


def test_an_interface_comes_to_a_running_guest_and_goes(stage: Stage):
    hosts, guest, _ = stage
    first = guest.intent().interfaces[0]
    second = msgspec.structs.replace(
        first, id="eni-00000000000abcdef", number=0xABCDEF, primary="10.7.1.9", addresses=("10.7.1.9",),
        mac="02:07:01:07:00:09", device_index=1, mtu=1400,
    )  # fmt: skip
    change(hosts, guest, interfaces=(first, second))
    until(lambda: set(hosts.service.statuses[guest.id].interfaces) == {first.id, second.id}, "both are plugged in")
    until(lambda: ask_link(hosts, guest) == "02:07:01:07:00:09 1400", "the guest sees its new card", BOOT)

    change(hosts, guest)
    until(lambda: hosts.service.statuses[guest.id].interfaces == (first.id,), "it is gone", 20)
    assert ask_link(hosts, guest) == ""


def ask_link(hosts: TwoHosts, guest: two_hosts.Guest) -> str:
    """MAC and MTU of the guest's eth1; empty: there is none."""
    return told(hosts, guest, "sh", "-c", "cd /sys/class/net; [ ! -d eth1 ] || echo $(cat eth1/address eth1/mtu)").strip()


def test_a_guest_ends_in_every_way_and_leaves_nothing():
    with staged() as (hosts, guest, client):
        assert len(emulators(hosts)) == 1
        change(hosts, guest, wanted="stopped")
        hosts.wait_state(guest, "stopped")
        assert "Requesting system poweroff" in console(hosts, guest), "it heard its power button"
        assert emulators(hosts) == [] and not hosts.pings(client, guest)

        guest.boot = 2
        change(hosts, guest)
        await_pinged(hosts, client, guest)
        told(hosts, guest, "sh", "-c", "(sleep 0.2; poweroff -f) > /dev/null 2>&1 &")
        hosts.wait_state(guest, "stopped")
        assert hosts.service.statuses[guest.id].message == STOPPED_ITSELF

        guest.boot = 3
        change(hosts, guest)
        hosts.wait_state(guest, "running")
        change(hosts, guest, wanted="terminated")  # one that only begins to boot has no ear for its power button
        hosts.wait_state(guest, "terminated")
        assert emulators(hosts) == []
        assert network.device_name(guest.token) not in output_of(("ip", "-netns", hosts.netns("host-1"), "link"))
        assert not list((hosts.folder / "run" / "host-1" / "instances").glob(f"{guest.id}*"))
