"""Named network namespaces, as `ip netns` keeps them (a file in /run/netns with the namespace mounted on it), and a
thread's visit to one.

NamespaceError      a namespace cannot be made, entered or removed: the caller reports the instance as failed
 +- NotRestored     a thread could not come home: the process must not go on using that thread
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAMED = Path("/run/netns")
CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_SHARED = 0x1000, 0x4000, 0x100000
MNT_DETACH = 2
LIBC = ctypes.CDLL(None, use_errno=True)


class NamespaceError(Exception):
    """A system call on a namespace failed."""


class NotRestored(NamespaceError):
    """The thread is left in a namespace that is not its own."""


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise NamespaceError(f"{what}: {os.strerror(code)}") from OSError(code, os.strerror(code))


def _mount(source: str, target: Path, flags: int, what: str) -> None:
    _check(LIBC.mount(source.encode(), str(target).encode(), b"none", ctypes.c_ulong(flags), None), what)


def _setns(descriptor: int, what: str) -> None:
    """os.setns is Python 3.12's."""
    _check(LIBC.setns(descriptor, CLONE_NEWNET), what)


@contextmanager
def _back_home() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            _setns(home, "return to the thread's own namespace")
        except NamespaceError as error:
            raise NotRestored(str(error)) from error
        finally:
            os.close(home)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread is in the network namespace `name` until the block ends; other threads stay where they are.

    Only the network: mounts, and so the pins in /sys/fs/bpf, stay visible (`ip netns exec` would hide them)."""
    try:
        target = os.open(NAMED / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NamespaceError(f"open namespace {name}: {error.strerror}") from error
    try:
        with _back_home():
            _setns(target, f"enter namespace {name}")
            yield
    finally:
        os.close(target)


def prepare() -> None:
    """Makes /run/netns a shared mount, as `ip netns add` does: an unmount then also reaches the instances' own mount
    namespaces, which would otherwise keep dead namespaces alive."""
    NAMED.mkdir(mode=0o755, parents=True, exist_ok=True)
    if LIBC.mount(b"", str(NAMED).encode(), b"none", ctypes.c_ulong(MS_SHARED | MS_REC), None) == 0:
        return
    if ctypes.get_errno() != errno.EINVAL:  # EINVAL: not a mount point yet
        _check(-1, f"share {NAMED}")
    _mount(str(NAMED), NAMED, MS_BIND | MS_REC, f"bind {NAMED} on itself")
    _mount("", NAMED, MS_SHARED | MS_REC, f"share {NAMED}")


def create(name: str) -> None:
    """A new, empty namespace under this name. Raises NamespaceError, also when the name is taken."""
    path = NAMED / name
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
    except OSError as error:
        raise NamespaceError(f"create namespace {name}: {error.strerror}") from error
    try:
        with _back_home():
            _check(LIBC.unshare(CLONE_NEWNET), f"make namespace {name}")
            _mount("/proc/thread-self/ns/net", path, MS_BIND, f"mount namespace {name}")
    except NamespaceError:
        path.unlink()
        raise


def exists(name: str) -> bool:
    return (NAMED / name).exists()


def remove(name: str) -> None:
    """Removes the name; the namespace itself goes with its last process. Nothing to do when it is not there."""
    path = NAMED / name
    if not path.exists():
        return
    LIBC.umount2(str(path).encode(), MNT_DETACH)  # EINVAL: a crash left the file without its mount
    with suppress(FileNotFoundError):
        path.unlink()


def named(prefix: str) -> list[str]:
    """Names that start with `prefix`."""
    return sorted(p.name for p in NAMED.glob(f"{prefix}*")) if NAMED.exists() else []
