"""How far the hosts are: which changes each has been told of and has not yet applied. Pure.

A change is live when every host that it concerns has applied it. A host that is gone for LOST_SECONDS no longer holds
anything back: it would hold back the whole region. What it misses it gets as a snapshot when it returns.
"""

from __future__ import annotations

from collections import deque

LOST_SECONDS = 15.0


class Progress:
    """Of one host. Revisions are those of changes that concern it."""

    def __init__(self, now: float, behind_since: int | None = None):
        """Of a host that has not come yet and is awaited. `now`: monotonic seconds."""
        self.applied = 0
        self.connected = False
        self._awaited_until = now + LOST_SECONDS
        self._unsent: int | None = behind_since  # the first revision that it was not yet told of
        self._sent: deque[tuple[int, int]] = deque()  # (first revision, generation) of what it was told

    def changed(self, revision: int) -> None:
        if self._unsent is None:
            self._unsent = revision

    def told(self, generation: int) -> None:
        """A delta or a snapshot with everything up to `generation` is on its way."""
        if self._unsent is not None:
            self._sent.append((self._unsent, generation))
            self._unsent = None

    def apply(self, generation: int) -> None:
        self.applied = generation
        while self._sent and self._sent[0][1] <= generation:
            self._sent.popleft()

    def came(self) -> None:
        """It starts from a snapshot: what it was told over another connection may be lost."""
        self._unsent = self.behind_since()
        self._sent.clear()
        self.connected = True

    def went(self, now: float) -> None:
        self.connected = False
        self._awaited_until = now + LOST_SECONDS

    def lost(self, now: float) -> bool:
        return not self.connected and now >= self._awaited_until

    def behind_since(self) -> int | None:
        """The first revision that concerns it and is not applied; None: it has everything."""
        return self._sent[0][0] if self._sent else self._unsent


def live_generation(hosts: dict[str, Progress], newest: int, now: float) -> int:
    """`newest`: the last revision of intended state that was looked at."""
    behind = (host.behind_since() for host in hosts.values() if not host.lost(now))
    return min((revision - 1 for revision in behind if revision is not None), default=newest)
