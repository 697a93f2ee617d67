"""The servers of the emulated internet, without anybody who serves: their namespaces and cables.

rookery-...-page 192.0.2.80 -- rookery-...-internet -- 192.0.2.53 rookery-...-names 100.64.0.53 -- substrate -- host-1
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from rookery.files import private_folder
from rookery.region import internet, namespaces, owned, servers, stop, substrate
from rookery.region.layout import NAMES_ADDRESSES, NAMES_SUBSTRATE_ADDRESS
from rookery.region.settings import Settings

pytestmark = pytest.mark.real_packets


@pytest.fixture
def settings() -> Iterator[Settings]:
    one = Settings(name=f"t{secrets.token_hex(4)}", hosts=1, zones=1, edges=1)
    for folder in (one.layout.run, one.layout.host_run("edge-1")):
        private_folder(folder)
    lay(one)
    yield one
    stop.tear_down(one.name, keep_data=False, tell=lambda _: None)
    assert owned.region_namespaces(one.layout) == []


def lay(settings: Settings) -> None:
    for part in (substrate, internet, servers):
        part.lay(settings)


def reaches(namespace: str, address: str) -> bool:
    return "1 received" in namespaces.run(*namespaces.inside(namespace, "ping", "-n", "-c1", "-W2", address))


def test_servers_reach_each_other_over_the_router_and_hosts_reach_the_one_that_knows_names(settings: Settings):
    assert all(reaches(settings.layout.page_namespace, address) for address in NAMES_ADDRESSES)
    assert reaches(settings.layout.host_namespace("host-1"), NAMES_SUBSTRATE_ADDRESS)


def test_laying_them_again_changes_nothing_and_mends_what_was_cut(settings: Settings):
    plan = settings.layout
    before = namespaces.inode(plan.page_namespace)
    namespaces.batch(plan.names_namespace, ["link delete x0", "link delete u0"])
    lay(settings)
    assert namespaces.inode(plan.page_namespace) == before
    assert reaches(plan.page_namespace, NAMES_ADDRESSES[0])
    assert reaches(plan.host_namespace("host-1"), NAMES_SUBSTRATE_ADDRESS)
    namespaces.remove(plan.internet_namespace)
    lay(settings)
    assert all(reaches(plan.page_namespace, address) for address in NAMES_ADDRESSES)
