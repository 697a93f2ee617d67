"""What one instance may have of the service, so that none has what others need."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    connections: int = 50  # of an instance at a time
    all_connections: int = 20_000  # of all instances: they are descriptors of the process
    requests: int = 500  # of an instance in a second
    patience: float = 10.0  # seconds, for a whole request to come, or for an answer to be taken


class Share:
    """Of one instance."""

    def __init__(self, shares: Shares):
        self._shares = shares
        self.connections = 0
        self.second = 0
        self._requests = 0

    def connect(self) -> bool:
        """Whether it may have another connection. True: it has, until disconnect()."""
        if self.connections >= self._most:
            return False
        self.connections += 1
        self._shares.connections += 1
        return True

    @property
    def is_over(self) -> bool:
        """It has more than it could get now, and not just because it got one: what it keeps open should end with the next
        answer."""
        return self.connections > self._most + 1

    @property
    def _most(self) -> int:
        """None may have more than are free. So when many take all they can, those who came first are over and give back to
        those who come (dynamic thresholds, Choudhury and Hahne 1998)."""
        limits = self._shares.limits
        return min(limits.connections, limits.all_connections - self._shares.connections)

    def disconnect(self) -> None:
        self.connections -= 1
        self._shares.connections -= 1

    def ask(self, now: float) -> bool:
        """Whether it may ask once more in this second (of any clock). Counted like the packets, see struct service_budget."""
        if int(now) != self.second:
            self.second, self._requests = int(now), 0
        self._requests += 1
        return self._requests <= self._shares.limits.requests


class Shares:
    """Of all. One that holds nothing is forgotten when there are many: instances come and go."""

    MANY = 1024

    def __init__(self, limits: Limits):
        self.limits = limits
        self.connections = 0
        self._shares: dict[str, Share] = {}

    def of(self, instance: str, now: float) -> Share:
        """By its id."""
        if instance not in self._shares:
            if len(self._shares) >= self.MANY:
                self._forget(int(now))
            self._shares[instance] = Share(self)
        return self._shares[instance]

    def __len__(self) -> int:
        return len(self._shares)

    def _forget(self, second: int) -> None:
        self._shares = {
            identity: share
            for identity, share in self._shares.items()
            if share.connections or share.second == second
        }
