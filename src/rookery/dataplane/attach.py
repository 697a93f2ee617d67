"""A program on a device's ingress, and its successor in its place: by tcx where the kernel has it, else by clsact.

Both swap in one step, so no packet passes without a program. Devices are looked up in this thread's network namespace."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Literal

from rookery.dataplane import libbpf, syscall
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.pins import open_pinned

AttachMode = Literal["tcx", "clsact"]
NO_SUCH_DEVICE = 0x7FFFFFFF


def probe_mode(program_fd: int) -> AttachMode:
    """A kernel that knows tcx misses the device; one that does not refuses the kind of link."""
    try:
        os.close(syscall.tcx_link(program_fd, NO_SUCH_DEVICE))
    except OSError as error:
        return "tcx" if error.errno == errno.ENODEV else "clsact"
    raise DataplaneError(f"there is a device {NO_SUCH_DEVICE}")


class TcxAttachments:
    """Links, pinned under <pins>/links by ifindex."""

    mode: AttachMode = "tcx"

    def __init__(self, pins: Path):
        self.folder = pins / "links"

    def attach(self, program_fd: int, ifindex: int) -> None:
        """Idempotent. A link from before gets the new program in one step; a link whose device is gone is replaced."""
        link = open_pinned(self.folder / str(ifindex))
        if link is not None and self._swap(link, program_fd, ifindex):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / str(ifindex)).unlink(missing_ok=True)
        self._create(program_fd, ifindex)

    def _swap(self, link: int, program_fd: int, ifindex: int) -> bool:
        """False: the link is of no use any more, its device is gone or has another number now."""
        try:
            if syscall.tcx_link_info(link).ifindex != ifindex:
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
            link = syscall.tcx_link(program_fd, ifindex)
        except OSError as error:
            raise DataplaneError(f"cannot attach to device {ifindex}: {error.strerror}") from error
        try:
            syscall.pin(link, self.folder / str(ifindex))
        finally:
            os.close(link)

    def detach(self, ifindex: int) -> None:
        """Nothing attached: nothing to do."""
        (self.folder / str(ifindex)).unlink(missing_ok=True)

    def program(self, ifindex: int) -> int:
        """Id of the attached program; 0: none, or the device is gone."""
        link = open_pinned(self.folder / str(ifindex))
        if link is None:
            return 0
        try:
            info = syscall.tcx_link_info(link)
        finally:
            os.close(link)
        return info.program_id if info.ifindex else 0


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


def attachments(mode: AttachMode, pins: Path) -> Attachments:
    return TcxAttachments(pins) if mode == "tcx" else ClsactAttachments()
