"""One-to-many relations between ids, small in memory: a group of one (an instance's only interface) is just its member."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet


class Groups:
    def __init__(self) -> None:
        self._groups: dict[str, str | set[str]] = {}

    def of(self, key: str) -> Iterable[str]:
        """Do not change the groups while reading it."""
        found = self._groups.get(key, ())
        return (found,) if isinstance(found, str) else found

    def __iter__(self) -> Iterator[str]:
        """The keys of the groups that have a member. Do not change them while reading."""
        return iter(self._groups)

    def move(self, member: str, old: str | None, new: str | None) -> None:
        """From the group `old` into the group `new`; empty or None: none."""
        if old != new:
            self._leave(member, old)
            self._join(member, new)

    def move_all(self, member: str, old: AbstractSet[str], new: AbstractSet[str]) -> None:
        """Of a member of several groups."""
        for key in old - new:
            self._leave(member, key)
        for key in new - old:
            self._join(member, key)

    def _join(self, member: str, key: str | None) -> None:
        if not key:
            return
        found = self._groups.setdefault(key, member)
        if isinstance(found, set):
            found.add(member)
        elif found != member:
            self._groups[key] = {found, member}

    def _leave(self, member: str, key: str | None) -> None:
        if not key:
            return
        found = self._groups.get(key)
        if isinstance(found, set):
            found.discard(member)
            if not found:
                del self._groups[key]
        elif found == member:
            del self._groups[key]
