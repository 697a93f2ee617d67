"""The substrate: hosts reach each other and the control namespace, and the machine sees none of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from rookery.region import namespaces, owned, stop, substrate
from rookery.region.settings import Settings

pytestmark = pytest.mark.real_packets


@pytest.fixture
def settings() -> Iterator[Settings]:
    one = Settings(name=f"t{secrets.token_hex(4)}", hosts=2, zones=2, edges=0, nodes=0)
    yield one
    stop.tear_down(one.name, keep_data=False, tell=lambda _: None)


def ping(settings: Settings, host: str, address: str, size: int) -> str:
    command = ("ping", "-c1", "-W2", "-Mdo", f"-s{size - 28}", address)
    return namespaces.run(*namespaces.inside(settings.layout.host_namespace(host), *command))


def test_packets_as_large_as_the_substrate_allows_cross_it(settings: Settings):
    substrate.lay(settings)
    for address in ("100.64.0.2", "100.64.2.11"):
        assert "1 received" in ping(settings, "host-1", address, settings.substrate_mtu)


def test_laying_it_again_changes_nothing_and_mends_a_cable_that_was_cut(settings: Settings):
    substrate.lay(settings)
    before = namespaces.inode(settings.layout.host_namespace("host-1"))
    namespaces.run("ip", "-netns", settings.layout.substrate_namespace, "link", "delete", "host-2")
    substrate.lay(settings)
    assert namespaces.inode(settings.layout.host_namespace("host-1")) == before
    assert "1 received" in ping(settings, "host-1", "100.64.2.11", 84)


def test_packets_on_its_bridge_pass_no_hook_of_netfilter(settings: Settings):
    substrate.lay(settings)
    centre = settings.layout.substrate_namespace
    hooks = [f"net.bridge.bridge-nf-call-{tables}" for tables in ("iptables", "ip6tables", "arptables")]
    shown = namespaces.run(*namespaces.inside(centre, "sysctl", "-e", "-n", *hooks))
    assert set(shown.split()) <= {"0"}


def test_the_machines_own_namespace_sees_no_device_of_it(settings: Settings):
    before = os.listdir("/sys/class/net")
    substrate.lay(settings)
    assert os.listdir("/sys/class/net") == before


def test_tearing_it_down_leaves_no_namespace(settings: Settings):
    substrate.lay(settings)
    assert len(owned.region_namespaces(settings.layout)) == 4
    stop.tear_down(settings.name, keep_data=False, tell=lambda _: None)
    assert owned.region_namespaces(settings.layout) == []


def test_a_namespace_file_that_a_crash_left_without_its_mount_is_replaced(settings: Settings):
    substrate.lay(settings)
    broken = namespaces.NAMED / settings.layout.host_namespace("host-1")
    namespaces.run("umount", str(broken))
    assert broken.exists()
    substrate.lay(settings)
    assert "1 received" in ping(settings, "host-1", "100.64.2.11", 84)
