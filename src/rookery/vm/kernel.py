"""A Debian kernel package, unpacked and never installed: its image, and its modules in the order they are loaded.

KernelMissing   there is no such package or module; the message says what to do
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class KernelMissing(Exception):
    """No kernel to boot, or it lacks a module."""


class Kernel(NamedTuple):
    folder: Path  # holds boot/ and lib/
    release: str  # 6.1.0-56-cloud-amd64

    @property
    def image(self) -> Path:
        return self.folder / "boot" / f"vmlinuz-{self.release}"

    @property
    def modules(self) -> Path:
        return self.folder / "lib" / "modules" / self.release


def newest(folder: Path) -> Kernel:
    """Of the packages unpacked in `folder`, one folder each. Raises KernelMissing."""
    found = sorted(folder.glob("*/boot/vmlinuz-*"), key=lambda image: _version(image.name))
    if not found:
        raise KernelMissing(f"no kernel in {folder}: run make guests")
    return Kernel(found[-1].parents[1], found[-1].name.removeprefix("vmlinuz-"))


def _version(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]


def modules(kernel: Kernel, wanted: tuple[str, ...]) -> list[Path]:
    """Files of these modules and of those they need, each after what it needs. Raises KernelMissing."""
    files = {_plain(path.stem): path for path in kernel.modules.rglob("*.ko")}
    inside = {_plain(Path(line).stem) for line in (kernel.modules / "modules.builtin").read_text().split()}
    ordered: dict[str, Path] = {}
    for name in wanted:
        if _plain(name) not in inside:
            _add(_plain(name), files, ordered, kernel)
    return list(ordered.values())


def _add(name: str, files: dict[str, Path], ordered: dict[str, Path], kernel: Kernel) -> None:
    if name in ordered:
        return
    if name not in files:
        raise KernelMissing(f"{kernel.release} has no module {name}")
    for needed in _needed(files[name]):
        _add(needed, files, ordered, kernel)
    ordered[name] = files[name]


def _needed(module: Path) -> Iterator[str]:
    """The package has no modules.dep: that is made when it is installed. The module itself says it."""
    for found in re.findall(rb"\0depends=([^\0]+)\0", module.read_bytes()):
        yield from map(_plain, found.decode().split(","))


def _plain(name: str) -> str:
    """A file may say cls-bpf where the module is cls_bpf."""
    return name.replace("-", "_")
