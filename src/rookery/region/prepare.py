"""What must lie on the machine before a region's parts can start: folders, keys, certificates, the hosts' configuration and
their rows in the store, the substrate. Every step makes what is missing and leaves the rest alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from rookery.files import private_folder, write_whole
from rookery.host.config import HostConfig
from rookery.model.codec import decode, encode
from rookery.model.keys import HOSTS, POOLS, host_key, pool_key
from rookery.model.objects import GUEST, NAMESPACE, AddressPool, Host
from rookery.region import cells, internet, namespaces, servers, substrate
from rookery.region.access import ensure_first_key
from rookery.region.identities import issue_certificates, withdraw_certificates
from rookery.region.layout import GUEST_IMAGES, host_name
from rookery.region.node_settings import node_settings
from rookery.region.settings import Settings
from rookery.store.sqlite import opened
from rookery.vm.offer import offered

BPF_FILESYSTEM = Path("/sys/fs/bpf")


def prepare(settings: Settings, tell: Callable[[str], None]) -> None:
    """Raises CannotStart."""
    for step in (
        _folders,
        _bpf_filesystem,
        issue_certificates,
        _host_files,
        internet.write_files,
        servers.write_files,
        cells.write_files,
        register,
        withdraw_certificates,
        ensure_first_key,
    ):
        step(settings)
    parts = f"{settings.hosts} hosts, {settings.edges} edges and {settings.cells_in_words}"
    tell(f"laying the substrate: {parts} in {settings.zones} zones")
    substrate.lay(settings)
    internet.lay(settings)
    servers.lay(settings)
    for address in settings.upstream_addresses:
        substrate.check_reachable(settings, address)


def host_config(settings: Settings, index: int) -> HostConfig:
    plan, name = settings.layout, host_name(index)
    return HostConfig(
        **node_settings(settings, name, settings.address_of(index)),
        guest_images=str(GUEST_IMAGES),
        services_namespace=plan.services_namespace(name),
        dns_upstreams=list(settings.asked_for_names),
    )


def _folders(settings: Settings) -> None:
    plan = settings.layout
    for folder in (plan.state, plan.run, plan.certificates, plan.logs):
        private_folder(folder)
    for node in settings.host_edge_and_node_names:
        private_folder(plan.host_run(node))
        private_folder(plan.state / node)


def _bpf_filesystem(_settings: Settings) -> None:
    """A container's /sys often comes without it."""
    if not os.path.ismount(BPF_FILESYSTEM):
        namespaces.run("mount", "-t", "bpf", "bpf", str(BPF_FILESYSTEM))


def _host_files(settings: Settings) -> None:
    for index in range(settings.hosts):
        path = settings.layout.host_run(host_name(index)) / "host.json"
        write_whole(path, msgspec.json.format(msgspec.json.encode(host_config(settings, index))))


def register(settings: Settings) -> None:
    """Hosts, edges, nodes and public pools, in the store. All but hosts go when the region has them no more."""
    kinds = (NAMESPACE, GUEST) if offered(GUEST_IMAGES).ok else (NAMESPACE,)
    hosts = [
        Host(name=name, zone=settings.zone_of(i), address=settings.address_of(i), kinds=kinds)
        for i, name in enumerate(settings.host_names)
    ]
    edges = [
        Host(name=name, zone=settings.zone_of(i), address=settings.edge_address_of(i), is_edge=True)
        for i, name in enumerate(settings.edge_names)
    ]
    pools = settings.public_pools if settings.edges else ()
    rows = {host_key(host.name): encode(host) for host in (*hosts, *edges, *cells.hosts(settings))}
    rows |= {pool_key(pool): encode(AddressPool(cidr=pool)) for pool in pools}
    asyncio.run(_make_so(settings, rows))


async def _make_so(settings: Settings, rows: dict[str, bytes]) -> None:
    async with opened(settings.layout.database) as store:
        entries = [*(await store.range(HOSTS)).entries, *(await store.range(POOLS)).entries]
        found = {entry.key: entry.value for entry in entries}
        gone = [key for key, value in found.items() if key not in rows and _may_go(key, value)]
        await store.txn([], {key: value for key, value in rows.items() if found.get(key) != value}, gone)
        await cells.register(settings, store)


def _may_go(key: str, value: bytes) -> bool:
    """Of hosts there never are fewer: instances live there."""
    if key.startswith(POOLS):
        return True
    host = decode(Host, value)
    return host.is_edge or bool(host.cell)
