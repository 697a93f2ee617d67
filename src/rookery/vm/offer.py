"""Whether this machine boots guests."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rookery.vm import qemu
from rookery.vm.image import image_in
from rookery.vm.qemu import EmulatorMissing

TUN = Path("/dev/net/tun")


class Offer(NamedTuple):
    ok: bool
    sentence: str  # to act on


def offered(images: Path) -> Offer:
    """`images`: the folder of the guests' kernel and file system."""
    try:
        path = qemu.program()
    except EmulatorMissing as error:
        return Offer(False, str(error))
    if not image_in(images).exists:
        return Offer(False, f"{images} holds no guest's kernel: run make guests")
    if not TUN.exists():
        return Offer(False, f"{TUN} is missing: the kernel's TAP devices are guests' network cards")
    return Offer(True, path)
