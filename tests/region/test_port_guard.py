"""A captured host has root on its own machine and may write any address into its packets. The substrate's port does not care.

    host-1 100.64.1.10  ---[port host-1]---  bridge  ---[port host-2]---  100.64.2.11 host-2, who claims to be host-1
                                                |
                                             control 100.64.0.2, who listens
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from rookery.host.instances.namespace import inside
from rookery.region import namespaces, port_guard, stop, substrate
from rookery.region.settings import Settings

pytestmark = pytest.mark.real_packets

CONTROL = "100.64.0.2"
HOST_1 = "100.64.1.10"


@pytest.fixture
def settings() -> Iterator[Settings]:
    one = Settings(name=f"t{secrets.token_hex(4)}", hosts=2, zones=2, edges=0, nodes=0)
    substrate.lay(one)
    yield one
    stop.tear_down(one.name, keep_data=False, tell=lambda _: None)


def at(settings: Settings, host: str, *command: str) -> str:
    return namespaces.run(*namespaces.inside(settings.layout.host_namespace(host), *command))


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    with inside(settings.layout.control_namespace):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver:
        receiver.bind((CONTROL, 7000))
        receiver.settimeout(5)
        yield receiver


def overtakes(settings: Settings, host: str, source: str) -> bool:
    """A datagram from `source`, whether it is the host's own or not, and one of another host behind it: is the first one's there first? Where
    it never comes the other is."""
    with listening(settings) as receiver:
        send(settings, host, source, b"claimed")
        send(settings, "host-1", HOST_1, b"honest")
        return receiver.recv(100) == b"claimed"


def arrives(settings: Settings, host: str, source: str) -> bool:
    """Sooner or later: neighbours may have to be asked for first, and a busy machine may lose one."""
    with listening(settings) as receiver:
        receiver.settimeout(0.5)
        for _ in range(10):
            send(settings, host, source, b"claimed")
            with suppress(TimeoutError):
                return receiver.recv(100) == b"claimed"
    return False


def send(settings: Settings, host: str, source: str, words: bytes) -> None:
    with inside(settings.layout.host_namespace(host)):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT (ip(7)): any source
        sender.bind((source, 0))
        sender.sendto(words, (CONTROL, 7000))


def refused_by(settings: Settings, act: Callable[[], object]) -> int:
    before = port_guard.refused(settings.layout, "host-2")
    act()
    return port_guard.refused(settings.layout, "host-2") - before


def test_a_host_speaks_with_its_own_address(settings):
    assert arrives(settings, "host-2", "100.64.2.11")
    assert port_guard.refused(settings.layout, "host-2") == 0


def test_a_host_that_bears_the_address_of_another_is_not_let_in_and_counted(settings):
    at(settings, "host-2", "ping", "-c1", "-W2", CONTROL)  # its neighbour entry: what follows is IP, not ARP
    assert refused_by(settings, lambda: overtakes(settings, "host-2", HOST_1)) == 1
    assert not overtakes(settings, "host-2", HOST_1)


def test_a_host_can_not_take_over_the_mac_of_another(settings):
    taken = port_guard.read(settings.layout, "host-1").mac.hex(":")
    at(settings, "host-2", "ip", "link", "set", "u0", "address", taken)
    assert refused_by(settings, lambda: send(settings, "host-2", "100.64.2.11", b"x")) > 0


def test_a_host_can_not_claim_an_address_by_arp(settings):
    def claim() -> None:
        at(settings, "host-2", "ip", "address", "add", f"{HOST_1}/32", "dev", "u0")
        at(settings, "host-2", "arping", "-c1", "-U", "-I", "u0", HOST_1)

    assert refused_by(settings, claim) == 1


def test_laying_the_substrate_again_keeps_the_guard_and_a_new_cable_gets_a_new_one(settings):
    first = port_guard.read(settings.layout, "host-2")
    substrate.lay(settings)
    assert port_guard.read(settings.layout, "host-2") == first
    namespaces.run("ip", "-netns", settings.layout.substrate_namespace, "link", "delete", "host-2")
    substrate.lay(settings)
    assert port_guard.read(settings.layout, "host-2").ifindex != first.ifindex
    assert arrives(settings, "host-2", "100.64.2.11")
