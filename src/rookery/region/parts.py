"""The programs that make up a region, and how each is started: the same programs as on machines of their own."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rookery.mapping.certificates import MAPPING, Identity, identity_of
from rookery.mapping.protocol import PORT as MAPPING_PORT
from rookery.region import namespaces
from rookery.region.layout import CHECKOUT, MAPPING_SERVICE_ADDRESS, PAGE_ADDRESSES
from rookery.region.owned import BIRD, DNSMASQ
from rookery.region.settings import Settings

CONTROLLER = "cell-controller"  # the part
METRICS = "cell-metrics"  # the part
ROUTER = "internet-router"  # the part
URGENT = -10  # niceness


@dataclass(frozen=True)
class Part:
    name: str
    program: str
    identity: tuple[str, ...]  # the rest of its command line, by which it is found again
    namespace: str  # empty: the machine's own
    log: Path
    urgent: bool = False  # others wait for it when there is not enough CPU for all

    @property
    def command(self) -> tuple[str, ...]:
        first = ("nice", "-n", str(URGENT)) if self.urgent else ()
        alone = (*first, self.program, *self.identity)
        return namespaces.inside(self.namespace, *alone) if self.namespace else alone


def parts_of(settings: Settings) -> list[Part]:
    """In the order of their start."""
    of_hosts = [part for host in settings.host_names for part in (_agent(settings, host), _services(settings, host))]
    of_edges = [part for edge in settings.edge_names for part in (_edge(settings, edge), _bird_of(settings, edge))]
    nodes = [_node(settings, node) for node in settings.node_names]
    of_cells = [_controller(settings), *nodes, _metrics(settings)] if nodes else []
    outside = [_router(settings), _page(settings), _names(settings)] if settings.edges else []
    return [_mapping_service(settings), _api(settings), *of_edges, *outside, *of_cells, *of_hosts]


def services_of(host: str) -> str:
    """Name of the part beside the host's agent."""
    return f"{host}-services"


def bird_of(edge: str) -> str:
    """Name of the part beside the edge's agent: its BGP."""
    return f"{edge}-bird"


def environment() -> dict[str, str]:
    """What a part inherits: nothing of the user's shell, least of all keys."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(CHECKOUT / "src"),
        "PYTHONUNBUFFERED": "1",
        "HOME": os.environ.get("HOME", "/root"),
        "LANG": "C.UTF-8",
    }


def _python(name: str, module: str, options: tuple[str, ...], namespace: str, log: Path) -> Part:
    return Part(name, sys.executable, ("-m", module, *options), namespace, log)


def _mapping_service(settings: Settings) -> Part:
    plan = settings.layout
    files = identity_of(plan.certificates, MAPPING)
    listen = f"{MAPPING_SERVICE_ADDRESS}:{MAPPING_PORT}"
    named = ("--name", plan.name, "--database", str(plan.database))
    options = (*named, "--listen", listen, *_credentials(files), "--mtu", str(settings.instance_mtu))
    return _python("mapping", "rookery.mapping", options, plan.control_namespace, plan.logs / "mapping.log")


def _credentials(files: Identity) -> tuple[str, ...]:
    return ("--ca", str(files.authority), "--certificate", str(files.certificate), "--key", str(files.key))


def _api(settings: Settings) -> Part:
    plan = settings.layout
    keys = ("--sealing-key", str(plan.sealing_key), "--series", str(plan.series), "--scrape-token", str(plan.scrape_token))
    named = ("--name", plan.name, "--database", str(plan.database))
    options = (*named, *keys, "--port", str(settings.port), "--mtu", str(settings.instance_mtu))
    return _python("api", "rookery.api", options, "", plan.logs / "api.log")


def _agent(settings: Settings, host: str) -> Part:
    return _of_host(settings, host, host, "rookery.host")


def _services(settings: Settings, host: str) -> Part:
    return _of_host(settings, host, services_of(host), "rookery.host.services")


def _of_host(settings: Settings, host: str, name: str, module: str) -> Part:
    plan = settings.layout
    options = ("--config", str(plan.host_run(host) / "host.json"))
    return _python(name, module, options, plan.host_namespace(host), plan.logs / f"{name}.log")


def _edge(settings: Settings, edge: str) -> Part:
    plan = settings.layout
    options = ("--config", str(plan.host_run(edge) / "edge.json"))
    return _python(edge, "rookery.blackfoot", options, plan.host_namespace(edge), plan.logs / f"{edge}.log")


def _controller(settings: Settings) -> Part:
    plan = settings.layout
    named = ("--name", plan.name, "--database", str(plan.database), "--objects", str(plan.objects))
    options = (*named, "--mtu", str(settings.instance_mtu))
    return _python(CONTROLLER, "rookery.hyperplane.controller", options, plan.control_namespace, plan.logs / f"{CONTROLLER}.log")


def _metrics(settings: Settings) -> Part:
    plan = settings.layout
    named = ("--name", plan.name, "--database", str(plan.database), "--objects", str(plan.objects))
    options = (*named, "--series", str(plan.series), "--mtu", str(settings.instance_mtu))
    return _python(METRICS, "rookery.metrics", options, plan.control_namespace, plan.logs / f"{METRICS}.log")


def _node(settings: Settings, node: str) -> Part:
    plan = settings.layout
    options = ("--config", str(plan.host_run(node) / "node.json"))
    return _python(node, "rookery.hyperplane", options, plan.host_namespace(node), plan.logs / f"{node}.log")


def _bird_of(settings: Settings, edge: str) -> Part:
    plan = settings.layout
    return _bird(settings, bird_of(edge), plan.host_namespace(edge), plan.host_run(edge))


def _router(settings: Settings) -> Part:
    plan = settings.layout
    return _bird(settings, ROUTER, plan.internet_namespace, plan.internet_run)


def _bird(settings: Settings, name: str, namespace: str, folder: Path) -> Part:
    """In the foreground; the folder has its configuration, and gets its control socket. Who waits a fifth of a second for his turn
    counts as dead at the other end of BFD."""
    files = (("-c", "bird.conf"), ("-s", "bird.ctl"), ("-P", "bird.pid"))
    options = ("-f", *(word for option, file in files for word in (option, str(folder / file))))
    return Part(name, BIRD, options, namespace, settings.layout.logs / f"{name}.log", urgent=True)


def _page(settings: Settings) -> Part:
    plan = settings.layout
    options = ("--name", plan.name, *(word for address in PAGE_ADDRESSES for word in ("--listen", address)))
    return _python("internet-page", "rookery.region.page", options, plan.page_namespace, plan.logs / "internet-page.log")


def _names(settings: Settings) -> Part:
    """In the foreground, told by its file alone."""
    plan = settings.layout
    options = ("--keep-in-foreground", f"--conf-file={plan.names_config}")
    return Part("internet-names", DNSMASQ, options, plan.names_namespace, plan.logs / "internet-names.log")
