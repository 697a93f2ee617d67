"""What a region needs of the machine, each with the sentence to act on; `up` and `doctor` ask the same questions."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rookery.region import owned
from rookery.region.errors import CannotStart
from rookery.region.layout import BPF_OBJECTS, CHECKOUT
from rookery.region.parts import parts_of
from rookery.region.settings import Settings

PROGRAMS = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "sysctl": "procps",
    "ethtool": "ethtool",
    "tini": "tini",
}
OBJECTS = ("host_egress.bpf.o", "host_ingress.bpf.o")
LIBRARIES = ("apsw", "botocore", "cryptography", "msgspec", "pyroute2", "starlette", "uvicorn", "websockets")
ENOUGH_DISK = 500 << 20
BPF_FILESYSTEM = Path("/sys/fs/bpf")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    what: str
    ok: bool
    found: str
    advice: str = ""  # what to do, when it is not ok
    required: bool = True  # without it no region starts


def machine() -> Iterator[Finding]:
    """What `up` checks each time: cheap."""
    root = os.geteuid() == 0
    yield Finding(what="root", ok=root, found=f"uid {os.geteuid()}", advice="run it as root, or with sudo")
    new = sys.version_info >= (3, 11)
    yield Finding(
        what="Python", ok=new, found=sys.version.split()[0], advice="Python 3.11 or newer: make setup"
    )
    yield from _programs()
    yield from _libraries()
    yield from _objects()
    yield _bpf_filesystem()
    yield _disk()


def check_machine() -> None:
    """Raises CannotStart, with everything that is missing."""
    missing = [finding for finding in machine() if finding.required and not finding.ok]
    if missing:
        lines = [f"  {finding.what}: {finding.found}. {finding.advice}" for finding in missing]
        raise CannotStart("\n".join(["this machine lacks something:", *lines, "`rookery doctor` shows all."]))


def port(number: int) -> Finding:
    """Whether 127.0.0.1:number is free."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", number))
        except OSError as taken:
            reason = f"127.0.0.1:{number} cannot be used: {taken.strerror}"
            advice = "choose another one: rookery up --port NUMBER"
            return Finding(what="port", ok=False, found=reason, advice=advice)
    return Finding(what="port", ok=True, found=f"127.0.0.1:{number} is free")


def check_port(settings: Settings) -> None:
    """Raises CannotStart. The region's own API, left by a supervisor that crashed, may have it."""
    api = next(part for part in parts_of(settings) if part.name == "api")
    finding = port(settings.port)
    if not finding.ok and not owned.find(api.identity):
        raise CannotStart(f"{finding.found}; {finding.advice}")


def _programs() -> Iterator[Finding]:
    for program, package in PROGRAMS.items():
        path = shutil.which(program) or ""
        advice = f"make setup, or: apt-get install {package}"
        yield Finding(what=program, ok=bool(path), found=path or "not installed", advice=advice)


def _libraries() -> Iterator[Finding]:
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    found = f"missing: {', '.join(missing)}" if missing else "all there"
    yield Finding(what="Python packages", ok=not missing, found=found, advice=f"make -C {CHECKOUT} setup")


def _objects() -> Iterator[Finding]:
    missing = [name for name in OBJECTS if not (BPF_OBJECTS / name).exists()]
    found = f"not built: {', '.join(missing)}" if missing else str(BPF_OBJECTS)
    yield Finding(what="BPF objects", ok=not missing, found=found, advice=f"make -C {CHECKOUT} bpf")


def _bpf_filesystem() -> Finding:
    if os.path.ismount(BPF_FILESYSTEM):
        return Finding(what="BPF filesystem", ok=True, found=str(BPF_FILESYSTEM))
    offered = "bpf" in Path("/proc/filesystems").read_text().split()
    found = "not mounted yet; `up` will" if offered and BPF_FILESYSTEM.is_dir() else "this kernel has none"
    advice = "a kernel with CONFIG_BPF_SYSCALL; in a container: give it /sys/fs/bpf"
    return Finding(what="BPF filesystem", ok=found.startswith("not mounted"), found=found, advice=advice)


def _disk() -> Finding:
    folder = next(path for path in (Path("/var/lib/rookery"), Path("/var/lib"), Path("/")) if path.exists())
    free = shutil.disk_usage(folder).free
    advice = f"make room in {folder}: {ENOUGH_DISK >> 20} MiB are asked for"
    return Finding(
        what="disk", ok=free >= ENOUGH_DISK, found=f"{free >> 20} MiB free in {folder}", advice=advice
    )
