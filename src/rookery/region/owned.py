"""Everything on this machine that belongs to a region, found by its name alone: what `down` must remove, also when no
supervisor is left to ask. A process belongs to the region when it lives in one of its namespaces, or when it is one of our
programs and its command line names the region."""

from __future__ import annotations

import os
from pathlib import Path

from rookery.host.instances.namespace import named
from rookery.region import namespaces, processes
from rookery.region.layout import Layout
from rookery.region.processes import Process

PROGRAMS = {
    *("rookery.region.supervisor", "rookery.region.page", "rookery.api", "rookery.mapping"),
    *("rookery.hyperplane.controller", "rookery.metrics"),
}
OF_NODES = {"rookery.host", "rookery.host.services", "rookery.blackfoot", "rookery.hyperplane"}
BIRD, DNSMASQ = "/usr/sbin/bird", "/usr/sbin/dnsmasq"
OTHERS = {BIRD, DNSMASQ}  # programs, whose files lie in the region's folders


def region_namespaces(plan: Layout) -> list[str]:
    return named(plan.namespace_prefix)


def region_processes(plan: Layout) -> list[Process]:
    """All of them, this process left out."""
    inodes = {namespaces.inode(name) for name in region_namespaces(plan) if namespaces.is_sound(name)}
    pids = (pid for pid in processes.all_pids() if pid != os.getpid())
    found = (processes.identify(pid) for pid in pids if _belongs(pid, plan, inodes))
    return [process for process in found if process]


def find(command: tuple[str, ...]) -> Process | None:
    """A living process whose command line ends in `command` ("-m", module, arguments...)."""
    for pid in processes.all_pids():
        if processes.arguments(pid)[-len(command) :] == command:
            process = processes.identify(pid)
            if process:
                return process
    return None


def region_mounts(plan: Layout) -> list[str]:
    """Mount points below the region's folders, innermost first."""
    roots = tuple(f"{folder}/" for folder in (plan.state, plan.run))
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    return [point for point in reversed(points) if point.startswith(roots)]


def region_folders(plan: Layout) -> list[Path]:
    """Those that exist."""
    return [folder for folder in (plan.pins, plan.run, plan.state) if folder.exists()]


def _belongs(pid: int, plan: Layout, inodes: set[int]) -> bool:
    if processes.network_namespace(pid) in inodes:
        return True
    return names_region(processes.arguments(pid), plan)


def names_region(words: tuple[str, ...], plan: Layout) -> bool:
    """By its command line alone: the namespace may be gone, and there are parts that live in the machine's own."""
    if OTHERS.intersection(words):
        return any(f"{plan.run}/" in word for word in words)
    if "-m" not in words:
        return False
    module, options = words[words.index("-m") + 1 :][:1], words[words.index("-m") + 2 :]
    if OF_NODES.intersection(module):
        return any(option.startswith(f"{plan.run}/") for option in options)
    named = zip(options, options[1:], strict=False)
    return module[:1] != () and module[0] in PROGRAMS and ("--name", plan.name) in named
