"""The programs that make up a region, and how each is started: the same programs as on machines of their own."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rookery.mapping.certificates import MAPPING, Identity, identity_of
from rookery.mapping.protocol import PORT as MAPPING_PORT
from rookery.region import namespaces
from rookery.region.layout import CHECKOUT, MAPPING_SERVICE_ADDRESS, host_name
from rookery.region.settings import Settings


@dataclass(frozen=True)
class Part:
    name: str
    module: str
    options: tuple[str, ...]
    namespace: str  # empty: the machine's own
    log: Path

    @property
    def identity(self) -> tuple[str, ...]:
        """The end of its command line, by which it is found again."""
        return ("-m", self.module, *self.options)

    @property
    def command(self) -> tuple[str, ...]:
        python = (sys.executable, *self.identity)
        return namespaces.inside(self.namespace, *python) if self.namespace else python


def parts_of(settings: Settings) -> list[Part]:
    """In the order of their start."""
    hosts = [host_name(index) for index in range(settings.hosts)]
    of_hosts = [part for host in hosts for part in (_agent(settings, host), _services(settings, host))]
    return [_mapping_service(settings), _api(settings), *of_hosts]


def services_of(host: str) -> str:
    """Name of the part beside the host's agent."""
    return f"{host}-services"


def environment() -> dict[str, str]:
    """What a part inherits: nothing of the user's shell, least of all keys."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(CHECKOUT / "src"),
        "PYTHONUNBUFFERED": "1",
        "HOME": os.environ.get("HOME", "/root"),
        "LANG": "C.UTF-8",
    }


def _mapping_service(settings: Settings) -> Part:
    plan = settings.layout
    files = identity_of(plan.certificates, MAPPING)
    listen = f"{MAPPING_SERVICE_ADDRESS}:{MAPPING_PORT}"
    named = ("--name", plan.name, "--database", str(plan.database))
    options = (*named, "--listen", listen, *_credentials(files), "--mtu", str(settings.instance_mtu))
    return Part("mapping", "rookery.mapping", options, plan.control_namespace, plan.logs / "mapping.log")


def _credentials(files: Identity) -> tuple[str, ...]:
    return ("--ca", str(files.authority), "--certificate", str(files.certificate), "--key", str(files.key))


def _api(settings: Settings) -> Part:
    plan = settings.layout
    keys = ("--sealing-key", str(plan.sealing_key))
    named = ("--name", plan.name, "--database", str(plan.database))
    options = (*named, *keys, "--port", str(settings.port), "--mtu", str(settings.instance_mtu))
    return Part("api", "rookery.api", options, "", plan.logs / "api.log")


def _agent(settings: Settings, host: str) -> Part:
    return _of_host(settings, host, host, "rookery.host")


def _services(settings: Settings, host: str) -> Part:
    return _of_host(settings, host, services_of(host), "rookery.host.services")


def _of_host(settings: Settings, host: str, name: str, module: str) -> Part:
    plan = settings.layout
    options = ("--config", str(plan.host_run(host) / "host.json"))
    return Part(name, module, options, plan.host_namespace(host), plan.logs / f"{name}.log")
