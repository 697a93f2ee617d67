"""A host's copy of its intent, kept current by the frames of the service. Pure."""

from __future__ import annotations

import msgspec

from rookery.intent.digest import MODULUS, Row, digest_of_sum, hash_of
from rookery.intent.host import HostIntent
from rookery.mapping.protocol import Delta, Digest, Snapshot


class DoesNotFit(Exception):
    """The copy and the service disagree. Caught by the subscription, which asks for a snapshot."""


class IntentCopy:
    """`intent` is None until the last part of a snapshot came. Its dictionaries are changed in place by deltas."""

    def __init__(self) -> None:
        self.intent: HostIntent | None = None
        self._coming: HostIntent | None = None
        self._sum = 0

    @property
    def awaiting(self) -> bool:
        """A snapshot, before which deltas and digests mean nothing."""
        return self.intent is None

    def forget(self) -> None:
        """The host goes on with what it was given; this copy is of no use."""
        self.intent = None

    def take_part(self, part: Snapshot) -> HostIntent | None:
        """All of it when the snapshot is complete. The copy from before stays until then."""
        if self._coming is None or self._coming.generation != part.generation:
            self._coming = HostIntent(
                host=part.host, generation=part.generation, instances={}, mappings={}, routes={}, rules={}
            )
            self._sum = 0
        self._put_all(self._coming, part.instances, part.mappings, part.routes, part.rules)
        if not part.last:
            return None
        self.intent, self._coming = self._coming, None
        return self.intent

    def apply(self, delta: Delta) -> HostIntent:
        """Raises DoesNotFit, having changed nothing, when the delta is for another generation."""
        intent = self.intent
        if intent is None or intent.generation != delta.base:
            raise DoesNotFit(f"a delta on {delta.base}, the copy is at {self._at()}")
        self._delete(intent.instances, delta.delete_instances)
        self._delete(intent.mappings, delta.delete_mappings)
        self._delete(intent.routes, delta.delete_routes)
        self._delete(intent.rules, delta.delete_rules)
        self._put_all(intent, delta.put_instances, delta.put_mappings, delta.put_routes, delta.put_rules)
        self.intent = msgspec.structs.replace(intent, generation=delta.generation)
        return self.intent

    def check(self, told: Digest) -> None:
        """Raises DoesNotFit."""
        if self.intent is None or self.intent.generation != told.generation:
            raise DoesNotFit(f"a digest of {told.generation}, the copy is at {self._at()}")
        if self.digest() != told.digest:
            raise DoesNotFit(f"the digest of {told.generation} differs")

    def digest(self) -> str:
        """That of `intent`, as it was added up row by row; empty: there is none."""
        return digest_of_sum(self.intent.host, self._sum) if self.intent else ""

    def _at(self) -> str:
        return str(self.intent.generation) if self.intent else "nothing"

    def _put_all(
        self, intent: HostIntent, instances: list, mappings: list, routes: list, rules: list
    ) -> None:
        self._put(intent.instances, instances)
        self._put(intent.mappings, mappings)
        self._put(intent.routes, routes)
        self._put(intent.rules, rules)

    def _put(self, rows: dict, new: list[Row]) -> None:
        total = self._sum
        for row in new:
            key = row.key
            old = rows.get(key)
            if old is not None:
                total -= hash_of(old)
            total += hash_of(row)
            rows[key] = row
        self._sum = total % MODULUS

    def _delete(self, rows: dict, keys: list) -> None:
        for key in keys:
            old = rows.pop(key, None)
            if old is not None:
                self._sum = (self._sum - hash_of(old)) % MODULUS
