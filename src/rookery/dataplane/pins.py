"""What outlives the agent: maps and links pinned in the BPF filesystem.

    <pins>/maps/<name>            the tables
    <pins>/links/<ifindex>        tcx links; a kernel without tcx keeps its filters itself, and there is nothing here"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from rookery.dataplane import syscall
from rookery.dataplane.errors import DataplaneError, IncompatiblePins
from rookery.dataplane.libbpf import BpfObject

BPFFS = Path("/sys/fs/bpf")
BPFFS_MAGIC = 0xCAFE4A11
UNPINNED = ("scratch", "scratch_course", "scratch_told", "scratch_told_ipv6", "scratch_crossing", "shortcuts")  # what only one run of a program reads: another version has another


def _filesystem_type(path: Path) -> int:
    block = ctypes.create_string_buffer(120)
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(path), block):
        raise DataplaneError(f"{path}: {os.strerror(ctypes.get_errno())}")
    return ctypes.c_ulong.from_buffer(block).value


def is_bpffs(path: Path) -> bool:
    """Of the nearest folder that exists."""
    while not path.exists():
        path = path.parent
    return _filesystem_type(path) == BPFFS_MAGIC


def mount_bpffs(at: Path = BPFFS) -> None:
    """Mounted already: nothing to do. Raises DataplaneError where mounting is refused."""
    if is_bpffs(at):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"bpf", os.fsencode(at), b"bpf", 0, None):
        reason = os.strerror(ctypes.get_errno())
        raise DataplaneError(f"cannot mount a BPF filesystem at {at}: {reason} (a container needs CAP_SYS_ADMIN)")


def open_pinned(path: Path) -> int | None:
    """A descriptor; None: nothing is pinned there."""
    try:
        return syscall.pinned(path)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise DataplaneError(f"{path}: {error.strerror}") from error


class MapPins:
    """The folder <pins>/maps."""

    def __init__(self, pins: Path):
        self.folder = pins / "maps"

    def open(self, wanted: BpfObject) -> dict[str, int]:
        """Descriptors of the maps of `wanted` that are pinned. Raises IncompatiblePins, and changes nothing."""
        found = {}
        for name in wanted.maps:
            if name in UNPINNED:
                continue
            fd = open_pinned(self.folder / name)
            if fd is None:
                continue
            found[name] = fd
            self._compare(name, fd, wanted)
        return found

    def _compare(self, name: str, fd: int, wanted: BpfObject) -> None:
        pinned, declared = syscall.map_shape(fd), wanted.shape(name)
        if pinned.words() == declared.words():
            return
        raise IncompatiblePins(
            f"{self.folder / name} was made by another version (type, key, value, flags {pinned.words()}; "
            f"this one has {declared.words()}): stop the host's instances, remove {self.folder.parent}, start again"
        )

    def keep(self, name: str, fd: int) -> None:
        if name in UNPINNED:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        syscall.pin(fd, self.folder / name)


def remove(pins: Path) -> None:
    """Unpin everything: links first, so that no program runs without its tables. Missing: nothing to do."""
    for folder in (pins / "links", pins / "maps"):
        if folder.is_dir():
            for pin in folder.iterdir():
                pin.unlink()
            folder.rmdir()
    if pins.is_dir():
        pins.rmdir()
