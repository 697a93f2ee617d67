"""What a region needs of the machine, each with a sentence to act on; `up` and `doctor` ask the same questions."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rookery.dataplane.probe import probe_all
from rookery.host.doctor import probe_host
from rookery.region import owned
from rookery.region.called import COMMAND
from rookery.region.errors import CannotStart
from rookery.region.layout import BPF_OBJECTS, CHECKOUT, GUEST_IMAGES
from rookery.region.parts import parts_of
from rookery.region.settings import Settings
from rookery.vm.offer import offered
from rookery.vm.qemu import accelerator

OBJECTS = (
    "host_egress.bpf.o", "host_ingress.bpf.o", "blackfoot_outward.bpf.o", "blackfoot_inward.bpf.o",
    "blackfoot_outward.xdp.bpf.o", "blackfoot_inward.xdp.bpf.o", "hyperplane.xdp.bpf.o",
)  # fmt: skip
LIBRARIES = ("apsw", "botocore", "cryptography", "msgspec", "pyroute2", "starlette", "uvicorn", "websockets")
ENOUGH_DISK = 500 << 20
ASKED_ELSEWHERE = {
    "root",
    "bpffs",
}  # of the host's probes: by this module; by the data plane's, which mounts it
NICE_TO_HAVE = {"tcx"}  # of the data plane's: clsact does the same


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    what: str
    ok: bool
    sentence: str  # what was found; when it is not ok, also what to do
    required: bool = True  # without it no region starts


def machine() -> Iterator[Finding]:
    """All but the port. Without root only that is said: the other probes need it."""
    if os.geteuid():
        yield Finding(what="root", ok=False, sentence=f"uid {os.geteuid()}: run it as root, or with sudo")
        return
    yield Finding(what="root", ok=True, sentence="running as root")
    yield _python()
    yield _libraries()
    yield _objects()
    yield _disk()
    yield _program("BIRD", owned.BIRD, "bird2")
    yield _program("dnsmasq", owned.DNSMASQ, "dnsmasq-base")
    for probe in probe_host():
        if probe.name not in ASKED_ELSEWHERE:
            yield Finding(what=probe.name, ok=probe.ok, sentence=probe.sentence)
    for name, kernel in probe_all().items():
        yield Finding(what=name, ok=kernel.ok, sentence=kernel.sentence, required=name not in NICE_TO_HAVE)


def guests() -> Finding:
    """`doctor` alone asks: where a processor does not really run the answer takes seconds, and no region waits for it."""
    offer = offered(GUEST_IMAGES)
    sentence = f"{offer.sentence}, by {accelerator()}" if offer.ok else f"{offer.sentence} (for instances with a kernel of their own)"
    return Finding(what="guests", ok=offer.ok, sentence=sentence, required=False)


def check_machine() -> None:
    """Raises CannotStart, with everything that is missing."""
    missing = [finding for finding in machine() if finding.required and not finding.ok]
    if missing:
        lines = [f"  {finding.what}: {finding.sentence}" for finding in missing]
        raise CannotStart(
            "\n".join(["this machine lacks something:", *lines, f"`{COMMAND} doctor` shows all."])
        )


def port(number: int) -> Finding:
    """Whether 127.0.0.1:number is free."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", number))
        except OSError as taken:
            reason = f"127.0.0.1:{number} cannot be used: {taken.strerror}"
            return Finding(
                what="port", ok=False, sentence=f"{reason}; choose another one: {COMMAND} up --port NUMBER"
            )
    return Finding(what="port", ok=True, sentence=f"127.0.0.1:{number} is free")


def check_port(settings: Settings) -> None:
    """Raises CannotStart. The region's own API, left by a supervisor that crashed, may have it."""
    api = next(part for part in parts_of(settings) if part.name == "api")
    finding = port(settings.port)
    if not finding.ok and not owned.find(api.identity):
        raise CannotStart(finding.sentence)


def _python() -> Finding:
    found = sys.version.split()[0]
    new = sys.version_info >= (3, 11)
    sentence = found if new else f"{found}: 3.11 or newer is needed; remove .venv and run: make setup"
    return Finding(what="Python", ok=new, sentence=sentence)


def _libraries() -> Finding:
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    sentence = f"missing: {', '.join(missing)}; run: make -C {CHECKOUT} setup" if missing else "all there"
    return Finding(what="Python packages", ok=not missing, sentence=sentence)


def _objects() -> Finding:
    missing = [name for name in OBJECTS if not (BPF_OBJECTS / name).exists()]
    sentence = (
        f"not built: {', '.join(missing)}; run: make -C {CHECKOUT} setup" if missing else str(BPF_OBJECTS)
    )
    return Finding(what="BPF objects", ok=not missing, sentence=sentence)


def _program(name: str, path: str, package: str) -> Finding:
    there = Path(path).exists()
    return Finding(what=name, ok=there, sentence=path if there else f"missing: apt install {package}; or: make setup")


def _disk() -> Finding:
    folder = next(path for path in (Path("/var/lib/rookery"), Path("/var/lib"), Path("/")) if path.exists())
    free = shutil.disk_usage(folder).free
    enough = free >= ENOUGH_DISK
    sentence = f"{free >> 20} MiB free in {folder}" + (
        "" if enough else f": {ENOUGH_DISK >> 20} MiB are asked for"
    )
    return Finding(what="disk", ok=enough, sentence=sentence)
