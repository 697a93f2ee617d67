"""The region of tests/mapping/wild.py, as an index follows it for all its hosts: every change is held against the whole."""

from __future__ import annotations

from rookery.intent.host import HostIntent
from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.mapping.change import HostChange
from rookery.mapping.index import Index
from rookery.model.codec import encode
from rookery.store.interface import Batch, Change, Entry, Range
from tests.mapping.wild import HOSTS, WORLD, key

MTU = 1500


def one(identity: str):
    return next(thing for thing in WORLD if getattr(thing, "id", "") == identity)


class Region:
    """An index that all hosts follow."""

    def __init__(self) -> None:
        self.revision = 1
        self.state = {key(thing): Entry(key(thing), encode(thing), 1, 1.0) for thing in WORLD}
        self.index = Index(MTU)
        self.index.load(Range(sorted(self.state.values()), 1))
        for host in HOSTS:
            self.index.subscribe(host)

    def change(self, *things, gone: tuple = ()) -> dict[str, HostChange]:
        self.revision += 1
        changes: dict[str, bytes | None] = {key(thing): encode(thing) for thing in things}
        changes |= dict.fromkeys(map(key, gone))
        for name, value in changes.items():
            self.state.pop(name, None)
            if value is not None:
                self.state[name] = Entry(name, value, self.revision, 1.0)
        told = self.index.feed(
            Batch(self.revision, [Change(*change) for change in sorted(changes.items())], 1.0)
        )
        for host in HOSTS:
            assert self.index.intent(host) == self.right(host)
        return told

    def right(self, host: str) -> HostIntent:
        return host_intent(State(self.state.values(), self.revision, MTU), host)
