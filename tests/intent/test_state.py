"""A state that follows another one is the state that would have been read whole."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rookery.intent.state import State
from rookery.model.codec import encode
from rookery.model.keys import cell_key, host_key, key_of, shard_key
from rookery.model.objects import Cell, Host, NetworkInterface, Shard, Subnet
from rookery.store.interface import Batch, Change, Entry

OWNER = {"account": "123456789012", "region": "us-east-1"}
NUMBERS = range(4)
VERSIONS = st.integers(0, 2)


def subnet(number: int, version: int) -> Subnet:
    return Subnet(id=f"subnet-{number}", vpc_id="vpc-1", cidr=f"10.0.{number}.0/24", zone="us-east-1a", tags={"v": str(version)}, **OWNER)


def interface(number: int, version: int) -> NetworkInterface:
    place = {"vpc_id": "vpc-1", "subnet_id": "subnet-1", "zone": "us-east-1a", "mac": "02:00:00:00:00:01"}
    return NetworkInterface(id=f"eni-{number:08x}", addresses=(f"10.0.1.{10 + version}",), **place, **OWNER)


ROWS: dict[str, Any] = {
    **{host_key(f"host-{n}"): lambda v, n=n: Host(name=f"host-{n}", zone=v, address="100.64.1.1") for n in NUMBERS},
    **{cell_key(f"cell-{n}"): lambda v, n=n: Cell(name=f"cell-{n}", zones=(v,), nodes=()) for n in NUMBERS},
    **{shard_key("cell-1", f"{n}"): lambda v, n=n: Shard(cell="cell-1", account=f"{n}", nodes=(f"node-{v}",)) for n in NUMBERS},
    **{key_of(subnet(n, 0)): lambda v, n=n: subnet(n, v) for n in NUMBERS},
    **{key_of(interface(n, 0)): lambda v, n=n: interface(n, v) for n in NUMBERS},
}
CHANGES = st.dictionaries(st.sampled_from(sorted(ROWS)), st.none() | VERSIONS, max_size=6)


def told(state: State) -> tuple[Any, ...]:
    """All of it."""
    resources = {one.id: (one, state.stamp(one)) for kind in (Subnet, NetworkInterface) for one in state.all(kind)}
    return state.generation, state.mtu, state.hosts, state.cells, state.shards, resources


@given(st.dictionaries(st.sampled_from(sorted(ROWS)), VERSIONS), st.lists(CHANGES, max_size=4))
def test_what_follows_is_what_would_have_been_read(first: dict[str, int], changes: list[dict[str, int | None]]):
    held = {key: Entry(key, encode(ROWS[key](version)), 1, 1.0) for key, version in first.items()}
    begun = State(held.values(), 1, 1500)
    before, batches = told(State(held.values(), 1, 1500)), []
    for revision, changed in enumerate(changes, 2):
        rows = [Change(key, None if version is None else encode(ROWS[key](version))) for key, version in changed.items()]
        batches.append(Batch(revision, rows, float(revision)))
        for row in rows:
            held.pop(row.key, None)
            if row.value is not None:
                held[row.key] = Entry(row.key, row.value, revision, float(revision))
    whole = State(held.values(), 1 + len(changes), 1500)
    assert told(begun.after(batches)) == told(whole)
    assert told(begun) == before


def test_a_change_in_a_large_state_costs_a_tenth_of_reading_it_at_most():
    many = [subnet(number, 0) for number in range(5000)]
    entries = [Entry(key_of(one), encode(one), 1, 1.0) for one in many]
    change = Batch(2, [Change(key_of(many[7]), encode(subnet(7, 1)))], 2.0)
    held = State(entries, 1, 1500)

    def seconds(work: Any) -> float:
        began = time.thread_time()
        work()
        return time.thread_time() - began

    whole = min(seconds(lambda: State(entries, 1, 1500)) for _ in range(5))
    assert min(seconds(lambda: held.after([change])) for _ in range(5)) < whole / 10
