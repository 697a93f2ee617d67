"""What a guest boots: Debian's cloud kernel, and a file system of busybox, a few modules and the scripts in guest/.

`python -m rookery.vm.image KERNELS INTO` builds both files. `make guests` runs it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from rookery.vm.archive import Archive
from rookery.vm.kernel import Kernel, KernelMissing, modules, newest

SCRIPTS = Path(__file__).with_name("guest")
TABLE = "inittab"
BUSYBOX = "busybox"
MODULES = (
    *("virtio_pci", "virtio_net", "virtio_console"),
    *("button", "evdev"),  # the power button, and somebody who hears it
)


class Image(NamedTuple):
    """Files of one folder."""

    kernel: Path
    initramfs: Path

    @property
    def exists(self) -> bool:
        return self.kernel.exists() and self.initramfs.exists()


def image_in(folder: Path) -> Image:
    return Image(folder / "kernel", folder / "initramfs")


def build(kernel: Kernel, into: Path) -> None:
    """Raises KernelMissing."""
    into.mkdir(parents=True, exist_ok=True)
    image = image_in(into)
    for file, content in ((image.initramfs, initramfs(kernel)), (image.kernel, kernel.image.read_bytes())):
        fresh = file.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.rename(file)  # a guest may be about to boot


def initramfs(kernel: Kernel) -> bytes:
    """Raises KernelMissing."""
    busybox = shutil.which(BUSYBOX)
    if busybox is None:
        raise KernelMissing(f"{BUSYBOX} is missing: run make guests")
    archive, files = Archive(), modules(kernel, MODULES)
    for folder in ("dev", "proc", "sys", "tmp", "run", "root"):
        archive.folder(folder)
    archive.file("bin/busybox", Path(busybox).read_bytes(), 0o755)
    for name in ("bin/sh", "init"):
        archive.link(name, "/bin/busybox")
    for script in sorted(SCRIPTS.iterdir()):
        if script.name != TABLE:
            archive.file(f"etc/guest/{script.name}", script.read_bytes(), 0o755)
    archive.file(f"etc/{TABLE}", (SCRIPTS / TABLE).read_bytes())
    for module in files:
        archive.file(f"lib/{module.name}", module.read_bytes())
    archive.file("etc/guest/modules", "".join(f"/lib/{module.name}\n" for module in files).encode())
    return archive.whole()


def main() -> int:
    kernels, into = map(Path, sys.argv[1:])
    try:
        build(newest(kernels), into)
    except KernelMissing as error:
        print(f"rookery: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
