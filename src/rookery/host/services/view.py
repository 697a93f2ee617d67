"""All that the services of a host know: who sits behind which interface, and the names of their VPCs. Fed by the agent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rookery.intent.host import InstanceIntent, InterfaceIntent, NameIntent, RuleKey, ZoneIntent

TERMINATED = "terminated"


class Guest(NamedTuple):
    """An interface of this host that may ask."""

    instance: InstanceIntent
    interface: InterfaceIntent


class View:
    """`version` rises whenever something is taken in: what was made from an older one is stale."""

    def __init__(self) -> None:
        self.version = 0
        self._instances: dict[str, InstanceIntent] = {}
        self._guests: dict[int, Guest] = {}
        self._names: dict[RuleKey, NameIntent] = {}
        self._zones: dict[RuleKey, ZoneIntent] = {}

    def replace(self, instances: Iterable[InstanceIntent], rows: Iterable[NameIntent | ZoneIntent]) -> None:
        """By all that there is."""
        for known in (self._instances, self._guests, self._names, self._zones):
            known.clear()
        self.change(instances, (), rows, ())

    def change(
        self,
        put: Iterable[InstanceIntent],
        delete: Iterable[str],
        put_rows: Iterable[NameIntent | ZoneIntent],
        delete_rows: Iterable[RuleKey],
    ) -> None:
        """What leaves goes before what comes: an interface may move from one instance to another."""
        arrived = list(put)
        for identity in (*delete, *(instance.id for instance in arrived)):
            self._forget(identity)
        for instance in arrived:
            self._take(instance)
        for key in delete_rows:
            self._names.pop(key, None)
            self._zones.pop(key, None)
        for row in put_rows:
            if isinstance(row, NameIntent):
                self._names[row.key] = row
            else:
                self._zones[row.key] = row
        self.version += 1

    def guest(self, interface: int) -> Guest | None:
        """By the interface's number; None: not of this host, or its instance is terminated."""
        return self._guests.get(interface)

    def guests(self) -> Iterable[Guest]:
        return self._guests.values()

    def name(self, vni: int, name: str) -> NameIntent | None:
        """`name` whole, lower case, without the last dot."""
        return self._names.get(("name", vni, name))

    def names(self) -> Iterable[NameIntent]:
        """Of all VPCs."""
        return self._names.values()

    def zone(self, vni: int, name: str) -> ZoneIntent | None:
        """The most specific private zone of the VPC in which the name lies."""
        while name:
            if found := self._zones.get(("zone", vni, name)):
                return found
            name = name.partition(".")[2]
        return None

    def _take(self, instance: InstanceIntent) -> None:
        self._instances[instance.id] = instance
        if instance.wanted != TERMINATED:
            for interface in instance.interfaces:
                self._guests[interface.number] = Guest(instance, interface)

    def _forget(self, identity: str) -> None:
        gone = self._instances.pop(identity, None)
        for interface in gone.interfaces if gone else ():
            holder = self._guests.get(interface.number)
            if holder and holder.instance.id == identity:
                del self._guests[interface.number]
