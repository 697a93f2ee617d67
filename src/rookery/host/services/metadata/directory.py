"""The tree of what may be asked: names lead to text, to bytes, or to more names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Directory(dict[str, "Node"]):
    """`labels`: how children are listed that are not listed by name (and a slash, when there is more in them)."""

    def __init__(
        self, children: Mapping[str, Node], labels: Mapping[str, str] | None = None, empty: bool = False
    ):
        """Unless `empty`, what is empty is not there: a guest without IPv6 has no `ipv6s`."""
        super().__init__(children if empty else {name: child for name, child in children.items() if child})
        self.labels = labels or {}

    @property
    def listing(self) -> str:
        return "\n".join(self._label(name) for name in sorted(self))

    def _label(self, name: str) -> str:
        slash = "/" if isinstance(self[name], Directory) else ""
        return self.labels.get(name) or name + slash


Node = str | bytes | Directory


def find(start: Directory, names: Iterable[str]) -> Node | None:
    """Where the path leads. None: to nothing."""
    found: Node | None = start
    for name in names:
        if not isinstance(found, Directory):
            return None
        found = found.get(name)
    return found
