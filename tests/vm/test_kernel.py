"""A kernel package in a folder: which one, and its modules in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from rookery.vm.kernel import Kernel, KernelMissing, modules, newest

RELEASE = "6.1.0-9-cloud-amd64"


def package(folder: Path, release: str = RELEASE, **needs: str) -> Kernel:
    """`needs`: name of a module's file -> what its module information says."""
    kernel = Kernel(folder / f"linux-image-{release}", release)
    (kernel.folder / "boot").mkdir(parents=True)
    kernel.image.write_bytes(b"kernel")
    kernel.modules.mkdir(parents=True)
    (kernel.modules / "modules.builtin").write_text("kernel/fs/ext4.ko\n")
    for name, needed in needs.items():
        (kernel.modules / f"{name}.ko").write_bytes(f"\0license=GPL\0depends={needed}\0name={name}\0".encode())
    return kernel


def test_the_newest_of_several_is_taken_by_number_and_not_by_letter(tmp_path: Path):
    package(tmp_path, "6.1.0-9-cloud-amd64")
    newer = package(tmp_path, "6.1.0-56-cloud-amd64")
    assert newest(tmp_path) == newer


def test_without_a_kernel_one_is_told_what_to_do(tmp_path: Path):
    with pytest.raises(KernelMissing, match="make guests"):
        newest(tmp_path)


def test_every_module_comes_after_those_it_needs_and_only_once(tmp_path: Path):
    kernel = package(tmp_path, virtio_net="net_failover,virtio", net_failover="failover", failover="", virtio="")
    found = [path.stem for path in modules(kernel, ("virtio_net", "virtio"))]
    assert found == ["failover", "net_failover", "virtio", "virtio_net"]


def test_what_is_built_in_needs_no_file_and_what_is_nowhere_is_an_error(tmp_path: Path):
    kernel = package(tmp_path, veth="")
    assert [path.stem for path in modules(kernel, ("ext4", "veth"))] == ["veth"]
    with pytest.raises(KernelMissing, match="no module tcx"):
        modules(kernel, ("tcx",))
