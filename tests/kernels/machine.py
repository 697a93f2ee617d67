"""A machine with another kernel and this machine's files, in an emulator: boots, runs one command in the checkout, ends.

It sees every file here, through virtiofs, and writes into its own memory. Nothing is installed, nothing is left.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rookery.vm import qemu
from rookery.vm.archive import Archive
from rookery.vm.kernel import Kernel, modules

CHECKOUT = Path(__file__).resolve().parents[2]
INIT = Path(__file__).with_name("init.sh")
SHARE = Path("/usr/lib/qemu/virtiofsd")  # of Debian's qemu-system-common
BUSYBOX = "busybox"
MEMORY = "3G"
LINES = ("console", "output", "code")  # what comes out of each serial line
MODULES = (
    *("virtio_pci", "virtiofs", "overlay"),  # to come up
    *("veth", "bridge", "sch_ingress", "cls_bpf"),  # what a host needs
    *("vxlan",),  # what a tenant may use
)


class Ended(NamedTuple):
    code: int | None  # None: the machine ended without one
    output: str
    console: str  # what its kernel said


def run(kernel: Kernel, command: tuple[str, ...], seconds: float) -> Ended:
    """`command`'s end; it runs in the checkout, as root. Raises AssertionError when the time is up."""
    with tempfile.TemporaryDirectory(prefix="rookery-t") as name:
        folder = Path(name)
        (folder / "initramfs").write_bytes(_initramfs(kernel, command))
        with _share(folder):
            _emulate(kernel, folder, seconds)
        code = _said(folder / "code").strip()
        return Ended(int(code) if code else None, _said(folder / "output"), _said(folder / "console"))


def _said(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""


def _initramfs(kernel: Kernel, command: tuple[str, ...]) -> bytes:
    busybox = shutil.which(BUSYBOX)
    assert busybox, f"{BUSYBOX} is missing: run make guests"
    files = modules(kernel, MODULES)
    archive = Archive()
    archive.file("init", INIT.read_bytes(), 0o755)
    archive.file("bin/busybox", Path(busybox).read_bytes(), 0o755)
    for file in files:
        archive.file(f"lib/{file.name}", file.read_bytes())
    archive.file("modules", "".join(f"/lib/{file.name}\n" for file in files).encode())
    archive.file("command", _script(command).encode())
    return archive.whole()


def _script(command: tuple[str, ...]) -> str:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return f"export PATH={path} HOME=/root TERM=dumb\ncd {shlex.quote(str(CHECKOUT))}\nexec {shlex.join(command)}\n"


@contextmanager
def _share(folder: Path) -> Iterator[None]:
    """The machine's file system, on a socket in `folder`."""
    socket = folder / "files"
    command = (SHARE, f"--socket-path={socket}", "-o", "source=/,cache=always,sandbox=chroot")
    with (folder / "share.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as daemon:
        try:
            while not socket.exists():
                assert daemon.poll() is None, _said(folder / "share.log")
                time.sleep(0.01)
            yield
        finally:
            daemon.kill()


def _emulate(kernel: Kernel, folder: Path, seconds: float) -> None:
    lines = [word for name in LINES for word in ("-serial", f"file:{folder / name}")]
    memory = ("-m", MEMORY, "-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on", "-numa", "node,memdev=memory")
    files = ("-chardev", f"socket,id=files,path={folder / 'files'}", "-device", "vhost-user-fs-pci,chardev=files,tag=machine")
    boot = ("-kernel", str(kernel.image), "-initrd", str(folder / "initramfs"), "-append", f"{qemu.KERNEL_WORDS} loglevel=4")
    processor = qemu.processor(qemu.accelerator())
    command = (qemu.program(), *qemu.MACHINE, "-no-reboot", *processor, "-smp", "2", *memory, *files, *lines, *boot)
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, text=True, check=False)
    except subprocess.TimeoutExpired:
        raise AssertionError(
            f"not done within {seconds} s: {_said(folder / 'output')}\n{_said(folder / 'console')}"
        ) from None
    assert done.returncode == 0, done.stderr
