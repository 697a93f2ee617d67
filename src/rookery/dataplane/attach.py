"""A program on a device's ingress, and its successor in its place: by tcx where the kernel has it, else by clsact; on network cards, where
the same stages are built for it, XDP in front of that.

All swap in one step, so no packet passes without a program. Devices are looked up in this thread's network namespace."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rookery.dataplane import libbpf, syscall
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.pins import open_pinned

TcMode = Literal["tcx", "clsact"]
AttachMode = Literal["tcx", "clsact", "xdp"]
NO_SUCH_DEVICE = 0x7FFFFFFF


def probe_mode(program_fd: int) -> TcMode:
    """A kernel that knows tcx misses the device; one that does not refuses the kind of link."""
    try:
        os.close(syscall.tcx_link(program_fd, NO_SUCH_DEVICE))
    except OSError as error:
        return "tcx" if error.errno == errno.ENODEV else "clsact"
    raise DataplaneError(f"there is a device {NO_SUCH_DEVICE}")


class Links:
    """Pinned under <pins>/links by ifindex."""

    def __init__(self, pins: Path, make: Callable[[int, int], int], suffix: str = ""):
        self.folder = pins / "links"
        self._make, self._suffix = make, suffix  # (program, ifindex) -> a descriptor

    def _pin(self, ifindex: int) -> Path:
        return self.folder / f"{ifindex}{self._suffix}"

    def attach(self, program_fd: int, ifindex: int) -> None:
        """Idempotent. A link from before gets the new program in one step; a link whose device is gone is replaced."""
        link = open_pinned(self._pin(ifindex))
        if link is not None and self._swap(link, program_fd, ifindex):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._pin(ifindex).unlink(missing_ok=True)
        self._create(program_fd, ifindex)

    def _swap(self, link: int, program_fd: int, ifindex: int) -> bool:
        """False: the link is of no use any more, its device is gone or has another number now."""
        try:
            if syscall.link_info(link).ifindex != ifindex:
                return False
            syscall.update_link(link, program_fd)
        except OSError as error:
            if error.errno != errno.ENOLINK:
                raise DataplaneError(f"cannot swap the program of device {ifindex}: {error.strerror}") from error
            return False
        finally:
            os.close(link)
        return True

    def _create(self, program_fd: int, ifindex: int) -> None:
        try:
            link = self._make(program_fd, ifindex)
        except OSError as error:
            raise DataplaneError(f"cannot attach to device {ifindex}: {error.strerror}") from error
        try:
            syscall.pin(link, self._pin(ifindex))
        finally:
            os.close(link)

    def detach(self, ifindex: int) -> None:
        """Nothing attached: nothing to do."""
        self._pin(ifindex).unlink(missing_ok=True)

    def program(self, ifindex: int) -> int:
        """Id of the attached program; 0: none, or the device is gone."""
        link = open_pinned(self._pin(ifindex))
        if link is None:
            return 0
        try:
            info = syscall.link_info(link)
        finally:
            os.close(link)
        return info.program_id if info.ifindex else 0


class TcxAttachments(Links):
    mode: AttachMode = "tcx"

    def __init__(self, pins: Path):
        super().__init__(pins, syscall.tcx_link)


class ClsactAttachments:
    """Filters: the kernel keeps them while the device lives."""

    mode: AttachMode = "clsact"

    def attach(self, program_fd: int, ifindex: int) -> None:
        libbpf.clsact_attach(program_fd, ifindex)

    def detach(self, ifindex: int) -> None:
        libbpf.clsact_detach(ifindex)

    def program(self, ifindex: int) -> int:
        return libbpf.clsact_program(ifindex)


Attachments = TcxAttachments | ClsactAttachments


def xdp_links(pins: Path) -> Links:
    return Links(pins, syscall.xdp_link, "-xdp")  # bpffs has no dots


class XdpAttachments:
    """Two builds of one program on each device: XDP, and TC behind it for what XDP leaves."""

    mode: AttachMode = "xdp"

    def __init__(self, pins: Path, behind: Attachments):
        self._links, self._behind = xdp_links(pins), behind

    def attach(self, program_fd: int, behind_fd: int, ifindex: int) -> None:
        """Idempotent. What XDP leaves is never met by nobody."""
        self._behind.attach(behind_fd, ifindex)
        self._links.attach(program_fd, ifindex)

    def detach(self, ifindex: int) -> None:
        self._links.detach(ifindex)
        self._behind.detach(ifindex)


def attachments(mode: AttachMode, pins: Path) -> Attachments:
    """Raises ValueError: XDP is not for every program (rookery.dataplane.two_builds)."""
    if mode == "xdp":
        raise ValueError("these programs are not built for XDP")
    return TcxAttachments(pins) if mode == "tcx" else ClsactAttachments()
