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
from rookery.mapping.certificates import HOST, identity_of
from rookery.mapping.protocol import PORT as MAPPING_PORT
from rookery.model.codec import encode
from rookery.model.keys import HOSTS, host_key
from rookery.model.objects import GUEST, NAMESPACE, Host
from rookery.region import namespaces, substrate
from rookery.region.access import ensure_first_key
from rookery.region.identities import issue_certificates
from rookery.region.layout import BPF_OBJECTS, GUEST_IMAGES, MAPPING_SERVICE_ADDRESS, SUBSTRATE, host_name
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
        _register_hosts,
        ensure_first_key,
    ):
        step(settings)
    tell(f"laying the substrate: {settings.hosts} hosts in {settings.zones} zones")
    substrate.lay(settings)
    for address in settings.upstream_addresses:
        substrate.check_reachable(settings, address)


def host_config(settings: Settings, index: int) -> HostConfig:
    plan, name = settings.layout, host_name(index)
    files = identity_of(plan.certificates, HOST, name)
    return HostConfig(
        region_name=plan.name,
        name=name,
        address=settings.address_of(index),
        network=str(SUBSTRATE),
        substrate_device=substrate.DEVICE,
        substrate_mtu=settings.substrate_mtu,
        instance_mtu=settings.instance_mtu,
        mapping_service=[f"{MAPPING_SERVICE_ADDRESS}:{MAPPING_PORT}"],
        ca_certificate=str(files.authority),
        certificate=str(files.certificate),
        private_key=str(files.key),
        pins=str(plan.pins / name),
        state_directory=str(plan.state / name),
        run_directory=str(plan.host_run(name)),
        bpf_objects=str(BPF_OBJECTS),
        guest_images=str(GUEST_IMAGES),
        services_namespace=plan.services_namespace(name),
        dns_upstreams=list(settings.dns_upstreams),
    )


def _folders(settings: Settings) -> None:
    plan = settings.layout
    for folder in (plan.state, plan.run, plan.certificates, plan.logs):
        private_folder(folder)
    for index in range(settings.hosts):
        private_folder(plan.host_run(host_name(index)))
        private_folder(plan.state / host_name(index))


def _bpf_filesystem(_settings: Settings) -> None:
    """A container's /sys often comes without it."""
    if not os.path.ismount(BPF_FILESYSTEM):
        namespaces.run("mount", "-t", "bpf", "bpf", str(BPF_FILESYSTEM))


def _host_files(settings: Settings) -> None:
    for index in range(settings.hosts):
        path = settings.layout.host_run(host_name(index)) / "host.json"
        write_whole(path, msgspec.json.format(msgspec.json.encode(host_config(settings, index))))


def _register_hosts(settings: Settings) -> None:
    kinds = (NAMESPACE, GUEST) if offered(GUEST_IMAGES).ok else (NAMESPACE,)
    rows = {
        host_key(host_name(i)): encode(
            Host(name=host_name(i), zone=settings.zone_of(i), address=settings.address_of(i), kinds=kinds)
        )
        for i in range(settings.hosts)
    }
    asyncio.run(_put_changed(settings.layout.database, rows))


async def _put_changed(database: Path, rows: dict[str, bytes]) -> None:
    async with opened(database) as store:
        found = {entry.key: entry.value for entry in (await store.range(HOSTS)).entries}
        await store.txn([], {key: value for key, value in rows.items() if found.get(key) != value})
