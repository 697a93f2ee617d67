"""What an instance sees instead of the machine's own files: names, resolver, /proc, /tmp, /run, its user data."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from rookery.host.instances.record import Places
from rookery.intent.host import InstanceIntent

REGIONS = Path("/var/lib/rookery")  # keys of every region on the machine: nothing for a tenant's eyes
SCRIPTS = {"ask": "ask.sh", "lease": "lease.sh", "first-boot": "first-boot.sh"}  # seen inside in /run/instance


class UserDataError(Exception):
    """The user data cannot be decoded: the instance is reported as failed."""


def resolv_conf(intent: InstanceIntent) -> str:
    """Until DHCP tells more (lease.sh)."""
    return f"search {intent.domain}\n"


def hosts(intent: InstanceIntent) -> str:
    own = next((i.primary for i in intent.interfaces if i.device_index == 0), "127.0.1.1")
    return f"127.0.0.1 localhost\n{own} {intent.hostname}.{intent.domain} {intent.hostname}\n"


def _word(path: Path) -> str:
    """As fstab(5) writes a blank."""
    return str(path).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")


def fstab(folder: Path, etc: dict[str, Path], hidden: list[Path]) -> str:
    """`etc`: name of a file in `folder` -> the machine's file that it covers.

    The source is called "instance": mount --all skips what it believes to be mounted already, which /proc is.
    The order matters: what is bound may lie below what a later line hides, and boot.sh still reads the old /proc."""
    covers, links = [], []
    for name, target in etc.items():
        if target.is_relative_to("/run"):  # systemd-resolved's: the file does not exist in a fresh /run, so bind its folder
            links.append(f"{_word(folder / f'{name}.d')} {_word(target.parent)} none bind,x-mount.mkdir 0 0")
        else:
            covers.append(f"{_word(folder / name)} {_word(target)} none bind 0 0")
    lines = [
        "instance /sys sysfs nosuid,nodev,noexec 0 0",
        *covers,
        "instance /run tmpfs nosuid,nodev,mode=755 0 0",
        f"{_word(folder / 'guest')} /run/instance none bind,x-mount.mkdir 0 0",
        *links,
        *(f"instance {_word(path)} tmpfs ro,size=4k,mode=700 0 0" for path in hidden),
        "instance /tmp tmpfs nosuid,nodev,mode=1777 0 0",
        "instance /proc proc nosuid,nodev,noexec 0 0",
    ]
    return "\n".join(lines) + "\n"


def decoded(user_data: str) -> bytes:
    """`user_data` is base64. Raises UserDataError."""
    try:
        return base64.b64decode(user_data, validate=True)
    except binascii.Error as error:
        raise UserDataError(f"user data is not base64: {error}") from error


def write_files(places: Places, intent: InstanceIntent, state: Path, has_services: bool) -> None:
    """Everything boot.sh mounts or runs. `state`: the host's, hidden from the instance. `has_services`: the guest gets its
    user data from the instance metadata; else it is put where first-boot.sh looks. Raises UserDataError."""
    folder, guest = places.folder(intent.id), places.guest(intent.id)
    guest.mkdir(mode=0o755, parents=True, exist_ok=True)
    files = {"resolv.conf": resolv_conf(intent), "hosts": hosts(intent), "hostname": f"{intent.hostname}\n"}
    for name, content in files.items():
        (folder / name).write_text(content)
    etc = {name: Path("/etc", name).resolve() for name in files}
    for name, target in etc.items():
        if target.is_relative_to("/run"):
            (folder / f"{name}.d").mkdir(exist_ok=True)
            (folder / f"{name}.d" / target.name).write_text(files[name])
    # a state folder inside REGIONS is hidden with it, and would be no mount point any more
    hidden = [p for p in (REGIONS, state) if p.is_dir() and (p == REGIONS or not p.is_relative_to(REGIONS))]
    (folder / "fstab").write_text(fstab(folder, {n: t for n, t in etc.items() if t.exists()}, hidden))
    _write_scripts(guest)
    user_data = decoded(intent.user_data)
    if not has_services:
        (guest / "user-data.given").write_bytes(user_data)


def _write_scripts(guest: Path) -> None:
    """Copies: where the originals lie is perhaps hidden from the instance."""
    for name, source in SCRIPTS.items():
        copy = guest / name
        copy.write_bytes(Path(__file__).with_name(source).read_bytes())
        copy.chmod(0o755)
