"""Which host gets a new instance: in the zone asked for, the one that holds the fewest."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from rookery.api.operation import ApiError
from rookery.model.objects import Host


def place(hosts: Iterable[Host], held: Callable[[str], int], count: int) -> list[str]:
    """Names of hosts, one for each of `count` instances; fewer when all hosts are full. Each instance goes where the
    fewest are by then, so that a launch spreads."""
    load = [(held(host.name), host.name, host.capacity) for host in hosts]
    heap = [entry for entry in load if entry[0] < entry[2]]
    heapq.heapify(heap)
    chosen: list[str] = []
    while heap and len(chosen) < count:
        instances, name, capacity = heap[0]
        chosen.append(name)
        if instances + 1 < capacity:
            heapq.heapreplace(heap, (instances + 1, name, capacity))
        else:
            heapq.heappop(heap)
    return chosen


def hosts_for(hosts: Iterable[Host], zone: str, kind: str) -> list[Host]:
    """Those in the zone that can run instances of this kind. `zone` is AWS's name of it: its last letter says which one it is
    in the region."""
    number = ord(zone[-1]) - ord("a")
    return [host for host in hosts if host.zone == number and kind in host.kinds]


def no_capacity(zone: str) -> ApiError:
    """AWS answers this one with 500, so that clients try again."""
    return ApiError(
        "InsufficientInstanceCapacity",
        f"There is not sufficient capacity for the requested instances in the Availability Zone ({zone}).",
        status=500,
    )
