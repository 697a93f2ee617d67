"""What changes for one host: rows to put or to delete, by key. Later changes are laid over earlier ones, so that a burst
becomes one delta and a slow host costs no more than its rows."""

from __future__ import annotations

from rookery.intent.host import InstanceIntent, MappingIntent, RouteIntent, RuleIntent, RuleKey
from rookery.mapping.protocol import Delta


class HostChange:
    """None as a value: delete."""

    def __init__(self) -> None:
        self.instances: dict[str, InstanceIntent | None] = {}
        self.mappings: dict[tuple[int, str], MappingIntent | None] = {}
        self.routes: dict[tuple[int, str], RouteIntent | None] = {}
        self.rules: dict[RuleKey, RuleIntent | None] = {}

    def __len__(self) -> int:
        return len(self.instances) + len(self.mappings) + len(self.routes) + len(self.rules)

    def lay_over(self, later: HostChange) -> None:
        self.instances |= later.instances
        self.mappings |= later.mappings
        self.routes |= later.routes
        self.rules |= later.rules

    def delta(self, base: int, generation: int) -> Delta:
        return Delta(
            base=base,
            generation=generation,
            put_instances=_puts(self.instances),
            put_mappings=_puts(self.mappings),
            put_routes=_puts(self.routes),
            put_rules=_puts(self.rules),
            delete_instances=_deletes(self.instances),
            delete_mappings=_deletes(self.mappings),
            delete_routes=_deletes(self.routes),
            delete_rules=_deletes(self.rules),
        )


def _puts(rows: dict) -> list:
    return [row for row in rows.values() if row is not None]


def _deletes(rows: dict) -> list:
    return [key for key, row in rows.items() if row is None]
