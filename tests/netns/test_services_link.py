"""The way to the services of a host: a namespace and a veth pair that the agent makes, mends and never makes twice.

    host's namespace: svc0 --veth-- svc1: services' namespace
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from rookery.host import services_link
from rookery.host.instances import namespace
from rookery.host.services_link import ServicesLinkError
from tests.netns.two_hosts import Guest, TwoHosts, built, run
from tests.waiting import until

pytestmark = pytest.mark.real_packets
HERE = Path(__file__).parent
ADDRESSES = {f"fd00:ec2::{last}/128" for last in ("67", "123", "253", "254", "547")}


class Spaces(NamedTuple):
    host: str
    services: str

    def ensure(self) -> bool:
        """Whether anything was missing."""
        with namespace.inside(self.host):
            return services_link.ensure(self.services)[1]

    def look(self) -> dict[str, object]:
        inside = ("ip", "-n", self.services, "-6", "-oneline")
        return {
            "addresses": {line.split()[3] for line in run(*inside, "address", "show", "dev", "svc1").splitlines()},
            "ways": run(*inside, "route", "show", "fd52::/16").split()[:5],
            "neighbours": run(*inside, "neighbour", "show", "nud", "permanent").split(),
            "here": run("ip", "-n", self.host, "-6", "address", "show", "dev", "svc0"),
        }


@pytest.fixture
def spaces() -> Iterator[Spaces]:
    names = Spaces(*(f"rookery-t{secrets.token_hex(3)}-{part}" for part in ("host", "services")))
    namespace.prepare()
    namespace.create(names.host)
    try:
        yield names
    finally:
        for name in names:
            namespace.remove(name)


WHOLE = {
    "addresses": ADDRESSES,
    "ways": ["fd52::/16", "via", "fe80::1", "dev", "svc1"],
    "neighbours": ["fe80::1", "dev", "svc1", "lladdr", "02:52:00:00:00:01", "PERMANENT"],
    "here": "",
}


def test_it_is_made_once(spaces: Spaces) -> None:
    assert spaces.ensure() is True
    assert spaces.look() == WHOLE
    assert spaces.ensure() is False
    assert spaces.look() == WHOLE


def test_nobody_speaks_of_himself_there(spaces: Spaces) -> None:
    """Else each start of an agent would count reports of multicast groups as drops. They would come with the addresses."""
    spaces.ensure()
    counted = run("ip", "netns", "exec", spaces.services, "cat", "/proc/net/dev_snmp6/svc1")
    assert {line.split()[1] for line in counted.splitlines() if line.startswith("Icmp6Out")} == {"0"}


HARM = {
    "the namespace is deleted": "ip netns delete {services}",
    "the pair is deleted": "ip -n {host} link delete svc0",
    "another device has the name": "ip -n {host} link set svc0 down name old; ip -n {host} link add svc0 type veth peer name other",
    "the host's side is down": "ip -n {host} link set svc0 down",
    "the services' side is down": "ip -n {services} link set svc1 down",
    "another MAC": "ip -n {services} link set svc1 address 02:00:00:00:09:09",
    "another MTU": "ip -n {host} link set svc0 mtu 1500",
    "the services' side asks for neighbours": "ip -n {services} link set svc1 arp on",
    "an address is gone": "ip -n {services} address delete fd00:ec2::254/128 dev svc1",
    "an address too many": "ip -n {services} address add fd00:ec2::9/128 dev svc1",
    "the route is gone": "ip -n {services} -6 route delete fd52::/16",
    "the neighbour is gone": "ip -n {services} neighbour delete fe80::1 dev svc1",
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM.keys())
def test_whatever_is_missing_is_mended(spaces: Spaces, harm: str) -> None:
    spaces.ensure()
    for command in harm.format(**spaces._asdict()).split("; "):
        run(*command.split())
    assert spaces.ensure() is True
    assert spaces.look() == WHOLE
    assert spaces.ensure() is False


def test_a_name_that_is_no_namespace_is_made_one(spaces: Spaces) -> None:
    """What a crash may leave: the file without its mount."""
    (namespace.NAMED / spaces.services).touch()
    assert spaces.ensure() is True
    assert spaces.look() == WHOLE


def test_what_the_kernel_refuses_is_a_sentence(spaces: Spaces) -> None:
    with namespace.inside(spaces.host), pytest.raises(ServicesLinkError, match="the way to the services in no/such: "):
        services_link.ensure("no/such")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[TwoHosts]:
    with built(tmp_path, with_services=True) as two:
        yield two


@contextmanager
def served(hosts: TwoHosts, host: str) -> Iterator[None]:
    command = ("ip", "netns", "exec", hosts.services(host), sys.executable, str(HERE / "services_under_test.py"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout and serving.stdout.readline() == "ready\n"
            yield
        finally:
            serving.kill()


def ask(pid: int, question: str = "tcp 169.254.169.254 80 100") -> str:
    """Who asked, in the service's eyes; empty: no answer."""
    command = ("nsenter", "--net", f"--target={pid}", sys.executable, str(HERE / "ask.py"), *question.split())
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition(" ")[0]


def caller(guest: Guest) -> str:
    number = f"{guest.token:08x}"
    return f"fd52:401:{int(number[:4], 16):x}:{int(number[4:], 16):x}::a07:105"


def is_answered(guest: Guest, pid: int) -> bool:
    """As itself. Its address is given by hand, for the sockets that stand for services here give none, and the guest's DHCP client,
    which asks in vain, takes it away when it begins."""
    for command in ("address replace 10.7.1.5/24 dev eth0", "route replace default via 10.7.1.1"):
        run("nsenter", "--net", f"--target={pid}", "ip", *command.split())
    return ask(pid) == caller(guest)


def test_twins_of_one_host_ask_and_are_answered_whether_an_agent_lives_or_not(hosts: TwoHosts) -> None:
    one, twin = Guest(7, 5, "host-1"), Guest(8, 5, "host-1")
    hosts.launch(one, twin)
    pids = [(guest, hosts.pid(guest)) for guest in (one, twin)]

    def both_are_answered() -> bool:
        return all(is_answered(guest, pid) for guest, pid in pids)

    with served(hosts, "host-1"):
        until(both_are_answered, lambda: hosts.log("host-1"))
        hosts.kill_agent("host-1")
        until(both_are_answered, lambda: hosts.log("host-1"))
        hosts.start_agent("host-1")
        until(lambda: hosts.answers("host-1"), lambda: hosts.log("host-1"))
        until(both_are_answered, lambda: hosts.log("host-1"))


def test_the_agent_mends_the_way_while_it_runs(hosts: TwoHosts) -> None:
    """The services' sockets outlive the pair: they have the namespace."""
    guest = Guest(7, 5, "host-1")
    hosts.launch(guest)
    pid = hosts.pid(guest)
    with served(hosts, "host-1"):
        run("ip", "-n", hosts.netns("host-1"), "link", "delete", "svc0")
        until(lambda: is_answered(guest, pid), lambda: hosts.log("host-1"))


def test_rows_of_services_deleted_behind_its_back_are_mended(hosts: TwoHosts) -> None:
    guest = Guest(7, 5, "host-1")
    hosts.launch(guest)
    kernel = hosts.open_dataplane("host-1")
    try:
        before = dict(kernel.interface_devices.items())
        kernel.interface_devices.delete_many(before)
        kernel.service_budgets.delete_many(before)
        until(lambda: dict(kernel.interface_devices.items()) == before, lambda: hosts.log("host-1"))
        until(lambda: kernel.service_budgets.get(next(iter(before))) is not None, lambda: hosts.log("host-1"))
    finally:
        kernel.close()


def test_a_guest_that_goes_leaves_no_row_behind(hosts: TwoHosts) -> None:
    guest = Guest(7, 5, "host-1")
    hosts.launch(guest)
    kernel = hosts.open_dataplane("host-1")
    try:
        generation = hosts.service.change("host-1", instances=(guest.intent("terminated"),))
        hosts.wait_applied("host-1", generation)
        assert [dict(table.items()) for table in (kernel.interface_devices, kernel.service_budgets)] == [{}, {}]
    finally:
        kernel.close()
