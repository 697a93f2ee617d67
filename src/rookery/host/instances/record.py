"""What a host remembers of an instance on disk, so that instances outlive the agent: one folder each.

<state directory>/instances/<id>/   instance.json  fstab  console.log  guest/ (seen inside as /run/instance)
<run directory>/instances/<id>.pid  machine's pid and start time of the init; gone after a restart of the machine
<run directory>/instances/<id>.lock held by the unshare process above the init for as long as it lives
Of an instance in an emulator the init is the emulator. Its sockets:
<run directory>/instances/<id>.control    its own (QMP)
<run directory>/instances/<id>.commands   for commands inside
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rookery.model.objects import NAMESPACE

FILE = "instance.json"
_ID = re.compile(r"i-[0-9a-f]{8,17}")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    boot: int
    kind: str = NAMESPACE
    since: float  # unix seconds: of the boot, or of its end
    stopped: bool = False  # this boot was ended, or its end was noticed
    failure: str = ""  # why this boot could not be done
    interfaces: dict[str, int] = {}  # eni id -> number, of all that may have a device
    indexes: dict[str, int] = {}  # eni id -> device index, of those whose plugging was finished
    ipv6: frozenset[tuple[str, str]] = frozenset()  # (eni id, address) that the guest was given


@dataclass(frozen=True)
class Places:
    """Where the files of one host's instances lie."""

    state: Path
    run: Path

    def folder(self, instance: str) -> Path:
        """Refuses what is no instance id: it becomes a path, and the path is removed as root."""
        if not _ID.fullmatch(instance):
            raise ValueError(f"not an instance id: {instance!r}")
        return self.state / "instances" / instance

    def guest(self, instance: str) -> Path:
        return self.folder(instance) / "guest"

    def pid_file(self, instance: str) -> Path:
        return self.run / "instances" / f"{instance}.pid"

    def lock_file(self, instance: str) -> Path:
        return self.run / "instances" / f"{instance}.lock"

    def control(self, instance: str) -> Path:
        return self.run / "instances" / f"{instance}.control"

    def commands(self, instance: str) -> Path:
        return self.run / "instances" / f"{instance}.commands"

    def prepare(self) -> None:
        for parent in (self.state, self.run):
            (parent / "instances").mkdir(mode=0o700, parents=True, exist_ok=True)

    def known(self) -> list[str]:
        """Instances that have a folder here."""
        return sorted(p.name for p in (self.state / "instances").iterdir() if _ID.fullmatch(p.name))


def console_file(places: Places, instance: str) -> Path:
    """What its console says: whoever writes there appends."""
    return places.folder(instance) / "console.log"


def read(places: Places, instance: str) -> Record | None:
    """None: unknown here, or the agent or the machine died before the file was whole: then there is nothing to clear."""
    try:
        return msgspec.json.decode((places.folder(instance) / FILE).read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def written(places: Places, instance: str) -> int:
    """Nanoseconds; 0: never."""
    try:
        return (places.folder(instance) / FILE).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def write(places: Places, instance: str, record: Record) -> None:
    """Whole or not at all, whenever the agent dies."""
    folder = places.folder(instance)
    folder.mkdir(mode=0o700, exist_ok=True)
    fresh = folder / f"{FILE}.new"
    fresh.write_bytes(msgspec.json.encode(record))
    fresh.rename(folder / FILE)


def forget(places: Places, instance: str) -> None:
    for file in (places.pid_file, places.lock_file, places.control, places.commands):
        file(instance).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        shutil.rmtree(places.folder(instance))


def take_lock(places: Places, instance: str) -> int | None:
    """A descriptor that holds the lock, to hand to the init's parent; None: an init of the instance lives."""
    descriptor = os.open(places.lock_file(instance), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
