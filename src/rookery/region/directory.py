"""Who is called what: finds instances, interfaces and addresses in a region's store, by id, Name tag or address."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from rookery.model import keys
from rookery.model.codec import decode, decode_resource
from rookery.model.objects import Host, Instance, Live, NetworkInterface, Resource, Subnet, Vpc
from rookery.region.errors import Ambiguous, NotFound, NotRunning
from rookery.region.layout import Layout
from rookery.store.sqlite import opened

R = TypeVar("R", bound=Resource)


class Directory:
    """All intended state at one revision."""

    def __init__(
        self,
        resources: Iterable[Resource],
        hosts: Iterable[Host],
        revision: int = 0,
        live: Live | None = None,
    ):
        self.resources = {resource.id: resource for resource in resources}
        self.hosts = {host.name: host for host in hosts}
        self.revision = revision
        self.live = live or Live(generation=0)

    def all(self, kind: type[R]) -> list[R]:
        return [resource for resource in self.resources.values() if isinstance(resource, kind)]

    def instance(self, word: str) -> Instance:
        """By id or Name tag. Raises NotFound, Ambiguous."""
        return _only(self._instances(word), word, "instance")

    def _instances(self, word: str) -> list[Instance]:
        called = (i for i in self.all(Instance) if word in (i.id, i.tags.get("Name")))
        return [instance for instance in called if instance.wanted != "terminated"]

    def vpc(self, word: str) -> Vpc:
        return _only([v for v in self.all(Vpc) if word in (v.id, v.tags.get("Name"))], word, "VPC")

    def host(self, name: str) -> Host:
        if name not in self.hosts:
            raise NotFound(f"there is no host {name!r}; there are: {', '.join(sorted(self.hosts))}")
        return self.hosts[name]

    def host_at(self, address: str) -> str:
        """Name of the host with this substrate address; the address itself when there is none."""
        return next((host.name for host in self.hosts.values() if host.address == address), address)

    def interface(self, interface_id: str) -> NetworkInterface:
        found = self.resources.get(interface_id)
        if not isinstance(found, NetworkInterface):
            raise NotFound(f"there is no network interface {interface_id}")
        return found

    def subnet_of(self, interface: NetworkInterface) -> Subnet:
        found = self.resources.get(interface.subnet_id)
        if not isinstance(found, Subnet):
            raise NotFound(f"the subnet {interface.subnet_id} of {interface.id} is gone")
        return found

    def address(self, word: str, vpc_id: str) -> str:
        """Of DESTINATION: an address of either family, or the primary one of an instance of this VPC. Raises NotFound."""
        try:
            return str(ipaddress.ip_address(word))
        except ValueError:
            pass
        here = self._instances(word)
        near = [instance for instance in here if instance.vpc_id == vpc_id]
        target = _only(near or here, word, "instance, and no IP address")
        return self.interface(target.interface_ids[0]).primary

    def name_of(self, thing_id: str) -> str:
        """'i-0ab (web)', or the id alone."""
        resource = self.resources.get(thing_id)
        name = resource.tags.get("Name", "") if resource else ""
        return f"{thing_id} ({name})" if name else thing_id

    def instance_of(self, interface_id: str) -> str:
        """Id of the instance that an interface is attached to; empty: of none."""
        interface = self.resources.get(interface_id)
        attached = isinstance(interface, NetworkInterface) and interface.attachment
        return attached.instance_id if attached else ""


def read(plan: Layout) -> Directory:
    """Raises NotRunning."""
    if not plan.database.exists():
        raise NotRunning(plan.name)
    return asyncio.run(_read(plan.database))


async def _read(database: Path) -> Directory:
    async with opened(database) as store:
        intended = await store.range(keys.INTENDED)
        hosts = await store.range(keys.HOSTS)
        live = await store.get(keys.LIVE)
    resources = [decode_resource(entry.key, entry.value) for entry in intended.entries]
    rows = [decode(Host, entry.value) for entry in hosts.entries]
    return Directory(resources, rows, intended.revision, decode(Live, live.value) if live else None)


def _only(found: list[R], word: str, kind: str) -> R:
    if not found:
        raise NotFound(f"{word!r} is no {kind}")
    if len(found) > 1:
        raise Ambiguous(
            f"{word!r} could be any of {', '.join(sorted(one.id for one in found))}: say which, by id"
        )
    return found[0]
