"""Real frames from member to member: past the bridge wherever they may.

    host-1 100.64.1.10  ---[port host-1]---  bridge  ---[port host-2]---  100.64.2.11 host-2
                                 `---------------------------------------------^

A frame that the bridge sent on is counted at its receiver's port; one that went straight to the receiver is not.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from rookery.dataplane import syscall
from rookery.dataplane.syscall import Buffer
from rookery.host.instances.namespace import inside
from rookery.region import namespaces, port_guard, port_table, stop, substrate
from rookery.region.settings import Settings
from tests.waiting import until

pytestmark = pytest.mark.real_packets

HOST_2, PORT = "100.64.2.11", 7000
DROPS_ALL = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)  # return 0: XDP_ABORTED
PROGRAM_LOAD, PROGRAM_XDP = 5, 6
MANY_BYTES = 4 << 20


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    one = Settings(name=f"t{secrets.token_hex(4)}", hosts=2, zones=2, edges=0, nodes=0)
    substrate.lay(one)
    yield one
    stop.tear_down(one.name, keep_data=False, tell=lambda _: None)


@contextmanager
def receiving(settings: Settings) -> Iterator[socket.socket]:
    with inside(settings.layout.host_namespace("host-2")):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver:
        receiver.bind((HOST_2, PORT))
        receiver.setblocking(False)
        yield receiver


def told(receiver: socket.socket) -> set[bytes]:
    words = set()
    while True:
        try:
            words.add(receiver.recv(100))
        except BlockingIOError:
            return words


def by_the_bridge(settings: Settings) -> int:
    """Frames for host-2, ARP's questions left out: they are for all."""
    shown = namespaces.run("ip", "-json", "-s", "-netns", settings.layout.substrate_namespace, "link", "show", "host-2")
    return int(json.loads(shown)[0]["stats64"]["tx"]["packets"])


def knows_neighbour(settings: Settings) -> None:
    """So that what follows is IP alone."""
    namespaces.run(*namespaces.inside(settings.layout.host_namespace("host-1"), "ping", "-c1", "-W2", HOST_2))


def send(settings: Settings, words: bytes) -> None:
    with inside(settings.layout.host_namespace("host-1")):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.sendto(words, (HOST_2, PORT))


def bridged(settings: Settings) -> bool:
    """A datagram arrives; whether it took the bridge."""
    knows_neighbour(settings)
    before = by_the_bridge(settings)
    with receiving(settings) as receiver:
        send(settings, b"a word")
        until(lambda: told(receiver), "it arrives", within=5)
    return by_the_bridge(settings) > before


def port_of(settings: Settings) -> int:
    with port_table.opened(settings.layout) as table:
        return table.port_of(HOST_2)


def test_a_datagram_passes_by_the_bridge_and_arp_asks_by_it(settings: Settings):
    here = settings.layout.host_namespace("host-1")
    namespaces.run("ip", "-netns", here, "neigh", "flush", "all")
    before = by_the_bridge(settings)
    namespaces.run(*namespaces.inside(here, "ping", "-c1", "-W2", HOST_2))
    assert by_the_bridge(settings) > before
    assert not bridged(settings)


def test_a_member_that_is_plugged_anew_is_reached_straight_again_and_by_the_bridge_until_then(settings: Settings):
    first = port_of(settings)
    namespaces.run("ip", "-netns", settings.layout.substrate_namespace, "link", "delete", "host-2")
    assert (first != 0, port_of(settings)) == (True, 0)
    substrate.lay(settings)
    assert port_of(settings) not in (0, first)
    assert not bridged(settings)


def test_a_member_whose_cable_is_cut_gets_nothing(settings: Settings):
    knows_neighbour(settings)
    there = settings.layout.host_namespace("host-2")
    with receiving(settings) as receiver:
        namespaces.run("ip", "-netns", there, "link", "set", "u0", "down")
        send(settings, b"lost")
        namespaces.run("ip", "-netns", there, "link", "set", "u0", "up")
        until(lambda: send(settings, b"found") or b"found" in (words := told(receiver)) and words, "it is back", within=5)
        assert b"lost" not in told(receiver)


@contextmanager
def xdp_that_drops_all(settings: Settings) -> Iterator[None]:
    code, terms = Buffer(DROPS_ALL), Buffer(b"GPL\0")
    asked = struct.pack("=IIQQ", PROGRAM_XDP, len(DROPS_ALL) // 8, code.address, terms.address)
    program = syscall.call(PROGRAM_LOAD, bytearray(asked.ljust(syscall.ATTRIBUTE_BYTES, b"\0")))
    with inside(settings.layout.host_namespace("host-2")):
        link = syscall.xdp_link(program, socket.if_nametoindex("u0"))
    os.close(program)
    try:
        yield
    finally:
        os.close(link)


def test_what_is_for_a_member_that_runs_xdp_meets_its_program(settings: Settings):
    """And it goes past the bridge again when that is gone, and the substrate is laid again."""
    knows_neighbour(settings)
    with xdp_that_drops_all(settings):
        substrate.lay(settings)
        assert port_of(settings) == 0
        before = by_the_bridge(settings)
        with receiving(settings) as receiver:
            send(settings, b"a word")
            until(lambda: by_the_bridge(settings) > before, "the bridge has sent it on", within=5)
            assert told(receiver) == set()
    assert bridged(settings)
    substrate.lay(settings)
    assert not bridged(settings)


def test_what_is_left_to_the_bridge_is_not_told_to_everybody(settings: Settings):
    """It never hears from who is reached straight, and would send to all ports what is for a MAC that it does not know."""
    rows = json.loads(namespaces.run("bridge", "-json", "-netns", settings.layout.substrate_namespace, "fdb", "show"))
    fixed = {row["mac"]: row["ifname"] for row in rows if row.get("state") == "static"}
    assert fixed[port_table.mac_of(HOST_2)] == "host-2"


def test_super_packets_arrive_whole_and_with_their_data(settings: Settings):
    """Larger than the substrate carries: cut by nobody, and each byte as it was sent."""
    sent = os.urandom(MANY_BYTES)
    with inside(settings.layout.host_namespace("host-2")):
        listener = socket.create_server((HOST_2, PORT))
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))  # ETH_P_ALL
        wire.bind(("u0", 0))
    with inside(settings.layout.host_namespace("host-1")):
        sender = socket.create_connection((HOST_2, PORT), timeout=10)
    with listener, wire, sender, ThreadPoolExecutor() as beside:
        largest = beside.submit(_larger_than, wire, settings.substrate_mtu)
        receiver, _ = listener.accept()
        with receiver:
            beside.submit(lambda: (sender.sendall(sent), sender.shutdown(socket.SHUT_WR)))
            received = b"".join(iter(lambda: receiver.recv(1 << 20), b""))
    assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()
    assert largest.result()


def _larger_than(wire: socket.socket, mtu: int) -> bool:
    wire.settimeout(10)
    while len(wire.recv(1 << 17)) <= mtu + 14:
        pass
    return True


def test_a_lie_that_would_go_straight_is_refused(settings: Settings):
    here = settings.layout.host_namespace("host-1")
    knows_neighbour(settings)
    before = port_guard.refused(settings.layout, "host-1")
    with receiving(settings) as receiver:
        with inside(here):
            liar = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with liar:
            liar.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT (ip(7)): any source
            liar.bind(("100.64.0.2", 0))
            liar.sendto(b"a lie", (HOST_2, PORT))
        send(settings, b"the truth")
        assert until(lambda: told(receiver), "the truth arrives", within=5) == {b"the truth"}
    assert port_guard.refused(settings.layout, "host-1") == before + 1


def test_no_pin_is_left_of_a_port_that_nobody_hangs_on(settings: Settings):
    folder = settings.layout.pins / "substrate"
    assert {pin.name for pin in Path(folder).iterdir()} == {port_table.MAP, *(one.port for one in substrate.members(settings))}
