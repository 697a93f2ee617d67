"""The index, step by step, against the whole computation over the whole state (rookery.intent.whole).

The states drawn (tests/mapping/wild.py) are wilder than the API allows. Right is what the pure function says.
"""

from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rookery.intent.digest import digest_of
from rookery.intent.state import State
from rookery.intent.whole import host_intent
from rookery.mapping.copy import IntentCopy
from rookery.mapping.index import Index
from rookery.mapping.protocol import Snapshot
from rookery.model.codec import encode
from rookery.model.keys import host_key
from rookery.store.interface import Batch, Change, Entry, Range
from tests.mapping.wild import EDGES, HOSTS, NODES, WORLD, key, things

MTU = 1500
OTHERS = (*EDGES, *NODES)  # they are what their row says; hosts may come before it


class IndexAgainstWhole(RuleBasedStateMachine):
    """Hosts 1 and 2, edges and nodes subscribe and come back now and then; each keeps a copy that it feeds with deltas only."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index(MTU)
        self.revision = 0
        self.state: dict[str, Entry] = {}
        self.copies: dict[str, IntentCopy] = {}

    @initialize(first=st.lists(things, max_size=3))
    def a_store_with_something_in_it(self, first: list) -> None:
        self._store({key(thing): encode(thing) for thing in WORLD + first})
        assert self.index.load(self._range()) == {}

    @rule(changed=st.lists(things, max_size=4))
    def things_change(self, changed: list) -> None:
        self._commit({key(thing): encode(thing) for thing in changed})

    @rule(data=st.data())
    def something_is_deleted(self, data: st.DataObject) -> None:
        if self.state:
            self._commit(dict.fromkeys(data.draw(st.lists(st.sampled_from(sorted(self.state)), max_size=3))))

    @rule(data=st.data(), changed=st.lists(things, max_size=2))
    def something_is_deleted_and_something_changes_at_once(self, data: st.DataObject, changed: list) -> None:
        if self.state:
            gone = data.draw(st.sampled_from(sorted(self.state)))
            self._commit({gone: None} | {key(thing): encode(thing) for thing in changed})

    @rule(changed=st.lists(things, max_size=4), data=st.data())
    def batches_are_missed_and_all_is_read_again(self, changed: list, data: st.DataObject) -> None:
        gone = data.draw(st.lists(st.sampled_from(sorted(self.state)), max_size=3)) if self.state else []
        self._store(dict.fromkeys(gone) | {key(thing): encode(thing) for thing in changed})
        self._tell(self.index.load(self._range()))

    @rule(name=st.sampled_from((*HOSTS[:2], *OTHERS)))
    def a_host_comes(self, name: str) -> None:
        if name in self.copies or (name in OTHERS and host_key(name) not in self.state):
            return
        self.index.subscribe(name)
        intent = self.index.intent(name)
        whole = Snapshot(
            generation=intent.generation,
            host=name,
            last=True,
            instances=list(intent.instances.values()),
            mappings=list(intent.mappings.values()),
            routes=list(intent.routes.values()),
            rules=list(intent.rules.values()),
        )
        self.copies[name] = IntentCopy()
        self.copies[name].take_part(whole)

    @rule(name=st.sampled_from((*HOSTS[:2], *OTHERS)))
    def a_host_goes(self, name: str) -> None:
        self._cut(name)

    @invariant()
    def every_host_has_what_the_whole_state_says(self) -> None:
        state = State(self.state.values(), self.revision, MTU)
        for name, copy in self.copies.items():
            right = host_intent(state, name)
            assert self.index.intent(name) == right
            assert msgspec.structs.replace(copy.intent, generation=self.revision) == right
            assert self.index.digest(name) == digest_of(right)
            assert copy.digest() == digest_of(right)

    def _cut(self, name: str) -> None:
        if self.copies.pop(name, None):
            self.index.unsubscribe(name)

    def _commit(self, changes: dict[str, bytes | None]) -> None:
        self._store(changes)
        batch = Batch(self.revision, [Change(*item) for item in sorted(changes.items())], self._time())
        self._tell(self.index.feed(batch))

    def _tell(self, changes: dict) -> None:
        for name, change in changes.items():
            intent = self.copies[name].intent
            self.copies[name].apply(change.delta(intent.generation, self.revision))

    def _store(self, changes: dict[str, bytes | None]) -> None:
        self.revision += 1
        for name, value in changes.items():
            self.state.pop(name, None)
            if value is not None:
                self.state[name] = Entry(name, value, self.revision, self._time())
        for name in OTHERS:  # one that was taken away is cut
            if host_key(name) not in self.state:
                self._cut(name)

    def _time(self) -> float:
        return 1_700_000_000.5 + self.revision

    def _range(self) -> Range:
        return Range(sorted(self.state.values()), self.revision)


IndexAgainstWhole.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestIndexAgainstWhole = IndexAgainstWhole.TestCase
