"""What a machine must offer to be a host: probes for `rookery doctor`, each a name, whether it holds, and a sentence to act
on. Nothing is changed that is not put back."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rookery.host.instances import namespace
from rookery.host.instances.namespace import NamespaceError
from rookery.host.services.kernel_clock import UNKEPT, largest_error

TOOLS = {"ip": "iproute2", "tini": "tini", "unshare": "util-linux", "nsenter": "util-linux", "setsid": "util-linux",
         "mount": "mount", "ethtool": "ethtool"}  # fmt: skip
BPF_FS = Path("/sys/fs/bpf")
LEAST_MEMORY_MIB = 512


class Probe(NamedTuple):
    name: str
    ok: bool
    sentence: str


def probe_host() -> list[Probe]:
    """All of them, also when an early one fails: a person fixes all in one go."""
    probes: list[Callable[[], Probe]] = [_root, _namespaces, _own_processes, _bpf_fs, _memory, _clock, _tun]
    return [*(probe() for probe in probes), *map(_tool, TOOLS)]


def _root() -> Probe:
    ok = os.geteuid() == 0
    return Probe("root", ok, "running as root" if ok else "run as root: namespaces and BPF programs need it")


def _namespaces() -> Probe:
    name = f"rookery-doctor-{secrets.token_hex(4)}"
    try:
        namespace.prepare()
        namespace.create(name)
        namespace.remove(name)
    except (NamespaceError, OSError) as error:
        return Probe("network namespaces", False, f"{error}: a container needs CAP_SYS_ADMIN and its own /run/netns")
    return Probe("network namespaces", True, "can be made and named")


def _own_processes() -> Probe:
    """What instances are made of, made once."""
    command = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "mount", "-t", "proc", "doctor", "/proc")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Probe("process namespaces", False, f"unshare does not run: {error}")
    if done.returncode:
        return Probe("process namespaces", False, f"{done.stderr.strip()}: the machine or container forbids them")
    return Probe("process namespaces", True, "mount, uts, ipc and pid namespaces can be made")


def _bpf_fs() -> Probe:
    mounted = any(line.split()[1:3] == [str(BPF_FS), "bpf"] for line in Path("/proc/mounts").read_text().splitlines())
    how = f"mount -t bpf bpf {BPF_FS}"
    sentence = f"mounted at {BPF_FS}" if mounted else f"not mounted: {how} (refused in many containers)"
    return Probe("bpffs", mounted, sentence)


def _memory() -> Probe:
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) // 1024
    enough = free >= LEAST_MEMORY_MIB
    advice = "" if enough else f": {LEAST_MEMORY_MIB} MiB are the least for a region of four hosts"
    return Probe("memory", enough, f"{free} MiB available{advice}")


def _clock() -> Probe:
    """Instances get the host's time, whatever it is."""
    error = largest_error()
    if error >= UNKEPT:
        return Probe("clock", True, "nobody keeps it; instances get this time all the same: apt install chrony")
    return Probe("clock", True, f"right within {error / 1000:.0f} ms, the kernel believes")


def _tun() -> Probe:
    """Not needed yet: virtual machines and edges will."""
    there = Path("/dev/net/tun").exists()
    return Probe("tun", True, "/dev/net/tun is there" if there else "no /dev/net/tun: only later features need it")


def _tool(name: str) -> Probe:
    path = shutil.which(name)
    return Probe(name, path is not None, path or f"missing: apt install {TOOLS[name]}")
