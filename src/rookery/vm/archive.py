"""An archive that a kernel unpacks as its first root file system: "newc" cpio
(Documentation/driver-api/early-userspace/buffer-format.rst). Everything in it belongs to root."""

from __future__ import annotations

import stat
from pathlib import PurePosixPath

MAGIC = "070701"
END = "TRAILER!!!"


class Archive:
    """Paths have no leading slash. Folders above a file are made when they are needed."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._folders = {PurePosixPath(".")}

    def folder(self, path: str) -> None:
        for each in reversed((PurePosixPath(path), *PurePosixPath(path).parents)):
            if each not in self._folders:
                self._folders.add(each)
                self._add(str(each), stat.S_IFDIR | 0o755, b"")

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        self.folder(str(PurePosixPath(path).parent))
        self._add(path, stat.S_IFREG | mode, content)

    def link(self, path: str, target: str) -> None:
        self.folder(str(PurePosixPath(path).parent))
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def whole(self) -> bytes:
        return b"".join((*self._parts, self._entry(END, 0, b"", 0)))

    def _add(self, path: str, mode: int, content: bytes) -> None:
        self._parts.append(self._entry(path, mode, content, len(self._parts) + 1))

    @staticmethod
    def _entry(path: str, mode: int, content: bytes, inode: int) -> bytes:
        name = path.encode() + b"\0"
        links, owner, device, check = 1, 0, 0, 0
        numbers = (inode, mode, owner, owner, links, 0, len(content), *(device,) * 4, len(name), check)
        header = (MAGIC + "".join(f"{number:08x}" for number in numbers)).encode()
        return _padded(header + name) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)
