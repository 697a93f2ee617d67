"""Two hosts and their instances as network namespaces, really connected:

    instance 11 --veth-- host A --+                 +-- host B --veth-- instance 12
      10.7.1.5   (65535)          +--veth (u0)------+                   10.7.1.6
    instance 14 --veth-- host A         1700          host B --veth-- instance 13
      10.7.1.8                                                          10.7.2.7
IPv6 addresses are those of plan_ipv6.py. With services, host A also leads to a namespace of theirs, by the pair that an agent makes.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from rookery.dataplane import probe
from rookery.dataplane.formats import CounterKey, Verdict
from rookery.dataplane.host import HostDataplane
from rookery.host import services_link
from tests.dataplane import model, plan, plan_ipv6
from tests.dataplane.objects import built_objects

CLONE_NEWNET = 0x40000000
HOST_SIDE_MTU = 65535
MTU = 1500
SUBSTRATE_MTU = 1700
TRAFFIC = str(Path(__file__).with_name("traffic.py"))
# How programs are attached here. Tests of the way itself name both; what else passes by clsact is shown where there is nothing else
# (make test-kernels).
OWN_MODE = "tcx" if probe.tcx().ok else "clsact"
MODES = ("tcx", "clsact")
T = TypeVar("T")


def inside(namespace: str, work: Callable[[], T]) -> T:
    """Runs `work` in a thread of its own that lives in `namespace`; mounts stay, so pins are seen."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread below
            errors.append(error)
        finally:
            os.close(handle)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def run(*words: str, ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(words, capture_output=True, check=False, text=True)
    assert done.returncode in ok, f"{' '.join(words)}: {done.stderr}{done.stdout}"
    return done.stdout


@dataclass
class HostSpace:
    namespace: str
    pins: Path
    tables: model.Host
    devices: dict[int, int] = field(default_factory=dict)  # interface -> ifindex
    dataplane: HostDataplane | None = None

    @property
    def services(self) -> str:
        return f"{self.namespace}-services"


@dataclass
class World:
    prefix: str
    hosts: dict[str, HostSpace]

    def instance(self, number: int) -> str:
        return f"{self.prefix}-i{number}"

    def execute(self, number: int, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        return run("ip", "netns", "exec", self.instance(number), *words, ok=ok)

    def begin(self, number: int, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["ip", "netns", "exec", self.instance(number), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin_services(self, host: str, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["ip", "netns", "exec", self.hosts[host].services, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def counted(self, host: str, number: int, verdict: str) -> int:
        space = self.hosts[host]
        assert space.dataplane
        row = space.dataplane.counters().get(CounterKey(space.devices[number], Verdict[verdict]))
        return row.packets if row else 0


def ping(made: World, number: int, address: str, *options: str) -> str:
    return made.execute(number, "ping", "-n", "-c", "2", "-i", "0.05", "-W", "1", *options, address)


def exchange(
    made: World, receiver: int, sender: int, serve: tuple[str, ...], send: tuple[str, ...], *, address: str = ""
) -> tuple[str, str]:
    """(what was sent, what arrived). `address`: of the receiver; its primary IPv4 address where none is said."""
    address = address or str(plan.interface(receiver).primary)
    there = listening(made.begin(receiver, sys.executable, TRAFFIC, serve[0], address, *serve[1:]))
    sent = made.execute(sender, sys.executable, TRAFFIC, send[0], address, *send[1:])
    return sent, heard(there, within=20)


def listening(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """A serving end of TRAFFIC, as soon as it serves."""
    assert process.stdout and process.stdout.readline() == "ready\n"
    return process


def heard(process: subprocess.Popen[str], within: float = 30) -> str:
    """What it says of all that arrived, at its end."""
    arrived, complaint = process.communicate(timeout=within)
    assert process.returncode == 0, complaint
    return arrived


def _link_substrate(made: World, mtu: int) -> None:
    a, b = made.hosts["a"], made.hosts["b"]
    run("ip", "link", "add", "u0", "mtu", str(mtu), "netns", a.namespace, "type", "veth",
        "peer", "name", "u0", "mtu", str(mtu), "netns", b.namespace)  # fmt: skip
    for space in (a, b):
        assert space.tables.substrate
        run("ip", "-n", space.namespace, "address", "add", f"{space.tables.substrate.address}/16", "dev", "u0")
        run("ip", "-n", space.namespace, "link", "set", "u0", "up")
        run("ip", "netns", "exec", space.namespace, "ethtool", "-K", "u0", "tx-udp-segmentation", "off")


def _add_instance(made: World, space: HostSpace, number: int) -> None:
    me, name = plan.interface(number), made.instance(number)
    run("ip", "netns", "add", name)
    run("ip", "link", "add", f"v{number}", "mtu", str(HOST_SIDE_MTU), "netns", space.namespace, "type", "veth",
        "peer", "name", "eth0", "address", me.mac.hex(":"), "mtu", "1500", "netns", name)  # fmt: skip
    # A link-local address that is still being asked for answers nobody for a second or two.
    run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
    run("ip", "-n", space.namespace, "link", "set", f"v{number}", "up")
    run("ip", "-n", name, "address", "add", f"{me.primary}/24", "dev", "eth0")
    run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", name, "link", "set", "eth0", "up")
    run("ip", "-n", name, "route", "add", "default", "via", str(me.router))
    if number in plan_ipv6.INTERFACES:
        run("ip", "-n", name, "address", "add", f"{plan_ipv6.address(number)}/64", "dev", "eth0", "nodad")
        run("ip", "-n", name, "route", "add", "default", "via", plan_ipv6.ROUTER_LINK_LOCAL, "dev", "eth0")
    space.devices[number] = _ifindex(space, f"v{number}")


def _ifindex(space: HostSpace, device: str) -> int:
    return int(run("ip", "netns", "exec", space.namespace, "cat", f"/sys/class/net/{device}/ifindex"))


def _configure(space: HostSpace, mtu: int, substrate_mtu: int) -> None:
    space.dataplane = HostDataplane.open(space.pins, built_objects(), max_mappings=4096)
    _fill(space, space.dataplane, mtu, substrate_mtu)


def _fill(space: HostSpace, dataplane: HostDataplane, mtu: int, substrate_mtu: int) -> None:
    tables = space.tables
    assert tables.substrate
    tables.substrate = replace(tables.substrate, ifindex=_ifindex(space, "u0"), mtu=substrate_mtu)
    tables.interfaces = {device: plan.interface(number, mtu) for number, device in space.devices.items()}
    tables.local = {
        (me.vni, me.number): model.Local(
            device, me.mac, me.router_mac, me.subnet, mtu, me.source_check
        )
        for device, me in tables.interfaces.items()
    }
    plan.fill(dataplane, tables)
    with_ipv6 = {number: device for number, device in space.devices.items() if number in plan_ipv6.INTERFACES}
    plan_ipv6.fill(dataplane, with_ipv6, mtu)


def resize(made: World, mtu: int = MTU, substrate_mtu: int = SUBSTRATE_MTU) -> None:
    """What the programs take for the sizes of the interfaces and of the substrate; the devices stay as they are."""
    for space in made.hosts.values():
        assert space.dataplane
        _fill(space, space.dataplane, mtu, substrate_mtu)


def attach(space: HostSpace, mode: str | None = None) -> None:
    """Both programs on all devices, from inside the host's namespace."""
    dataplane = space.dataplane
    assert dataplane
    if mode:
        dataplane.use_attach_mode(mode)  # type: ignore[arg-type]
    swap(space, dataplane)


def lead_to_services(space: HostSpace) -> None:
    """As the agent does at its start."""
    dataplane = space.dataplane
    assert dataplane

    def work() -> None:
        row, _ = services_link.ensure(space.services)
        dataplane.attach_services(row.ifindex)
        dataplane.configure_services(row)

    inside(space.namespace, work)


def swap(space: HostSpace, dataplane: HostDataplane | None) -> None:
    """These programs on all devices, in the place of those that run there."""
    assert dataplane and space.tables.substrate
    substrate = space.tables.substrate.ifindex

    def work() -> None:
        dataplane.attach_substrate(substrate)
        for device in space.devices.values():
            dataplane.attach_instance(device)

    inside(space.namespace, work)


INSTANCES: dict[str, tuple[int, ...]] = {"a": (11, 14), "b": (12, 13)}


@contextmanager
def world(
    mtu: int = MTU,
    mode: str | None = None,
    substrate_mtu: int = SUBSTRATE_MTU,
    instances: dict[str, tuple[int, ...]] = INSTANCES,
    services: bool = False,
) -> Iterator[World]:
    """Everything attached and configured; nothing of it is left afterwards. `mode`: "tcx" asks for a kernel that has it."""
    if mode == "tcx" and not (found := probe.tcx()).ok:
        pytest.skip(found.sentence)
    prefix = f"rookery-t{secrets.token_hex(3)}"
    tables = {"a": plan.host_a(), "b": plan.host_b()}
    hosts = {
        name: HostSpace(f"{prefix}-{name}", Path("/sys/fs/bpf") / f"{prefix}-{name}", tables[name])
        for name in tables
    }
    made = World(prefix, hosts)
    try:
        for space in hosts.values():
            run("ip", "netns", "add", space.namespace)
        _link_substrate(made, substrate_mtu)
        for name, space in hosts.items():
            for number in instances[name]:
                _add_instance(made, space, number)
            _configure(space, mtu, substrate_mtu)
            attach(space, mode)
        if services:
            lead_to_services(hosts["a"])
        yield made
    finally:
        _remove(made)


def _remove(made: World) -> None:
    for space in made.hosts.values():
        if space.dataplane:
            space.dataplane.close()
        HostDataplane.remove_pins(space.pins)
    for name in run("ip", "netns", "list").split("\n"):
        if name.startswith(f"{made.prefix}-"):
            run("ip", "netns", "delete", name.split()[0])
