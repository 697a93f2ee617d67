"""The order in which the host's tables change: no hole in between, and nobody speaks with an address of another."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.host import rows
from rookery.host.kernel import Kernel
from rookery.intent.host import HostIntent, InstanceIntent, InterfaceIntent, MappingIntent, RouteIntent
from rookery.mapping.protocol import Delta

TABLES = ("interfaces", "local_interfaces", "mappings", "routes")


class Journal:
    """Four fake maps and the order of their writes."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        for name in TABLES:
            setattr(self, name, FakeMap(name, self.entries))

    @property
    def rows(self) -> dict[str, dict]:
        return {name: getattr(self, name).rows for name in TABLES}


class FakeMap:
    def __init__(self, name: str, entries: list[tuple[str, str]]):
        self.name, self.entries, self.rows = name, entries, {}

    def items(self):
        return list(self.rows.items())

    def get(self, key):
        return self.rows.get(key)

    def put_many(self, rows):
        self.entries.append(("put", self.name))
        self.rows.update(rows)

    def delete_many(self, keys):
        self.entries.append(("delete", self.name))
        for key in keys:
            self.rows.pop(key, None)


def an_instance(number: int, wanted: str = "running", route_table: int = 3) -> InstanceIntent:
    interface = InterfaceIntent(
        id=f"eni-{number:08x}", vni=7, number=number, subnet=2, route_table=route_table, router="10.7.1.1",
        primary=f"10.7.1.{number}", addresses=(f"10.7.1.{number}",), prefix_length=24,
        mac=f"02:00:00:00:00:{number:02x}", router_mac="02:00:00:00:00:01", mtu=1500, source_dest_check=True,
        device_index=0,
    )  # fmt: skip
    return InstanceIntent(
        id=f"i-{number:08x}", wanted=wanted, boot=1, hostname="h", domain="d", user_data="", interfaces=(interface,)
    )


def a_mapping(number: int) -> MappingIntent:
    return MappingIntent(
        vni=7, address=f"10.7.1.{number}", host="100.64.1.10", interface=number, subnet=2,
        mac=f"02:00:00:00:00:{number:02x}", source_dest_check=True, generation=number, issued=1,
    )  # fmt: skip


ROUTE = RouteIntent(table=3, destination="10.7.0.0/16", kind="local")


def an_intent(*numbers: int, wanted: str = "running") -> HostIntent:
    return HostIntent(
        host="host-1",
        generation=1,
        instances={i.id: i for i in (an_instance(n, wanted) for n in numbers)},
        mappings={m.key: m for m in map(a_mapping, numbers)},
        routes={ROUTE.key: ROUTE},
    )


def plugged(*numbers: int) -> rows.Devices:
    """Interface n of instance n has device 100 + n."""
    return {(an_instance(n).id, n): 100 + n for n in numbers}


def what_it_should_be(intent: HostIntent, devices: rows.Devices) -> dict[str, dict]:
    return {
        "interfaces": rows.interfaces(intent.instances, devices),
        "local_interfaces": rows.local_interfaces(intent.instances, devices),
        "mappings": rows.mappings(intent.mappings.values()),
        "routes": rows.routes(intent.routes.values()),
    }


NUMBERS = st.sets(st.integers(5, 9))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_whatever_the_tables_held_they_become_the_intent(before, after, wired):
    journal, devices = Journal(), plugged(*wired)
    Kernel(journal).become(an_intent(*before), devices)
    kernel = Kernel(journal)
    kernel.become(an_intent(*after), devices)
    assert journal.rows == what_it_should_be(an_intent(*after), devices)
    journal.entries.clear()
    kernel.become(an_intent(*after), devices)
    assert journal.entries == []


def test_the_right_to_speak_comes_after_the_mappings():
    journal = Journal()
    Kernel(journal).become(an_intent(5), plugged(5))
    assert journal.entries == [
        ("put", "routes"), ("put", "mappings"), ("put", "local_interfaces"), ("put", "interfaces")
    ]  # fmt: skip


def test_the_right_to_speak_goes_before_the_mappings_do():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5, 6), plugged(5, 6))
    journal.entries.clear()
    ended = an_instance(5, "terminated")
    instances = {ended.id: ended, an_instance(6).id: an_instance(6)}
    delta = Delta(base=1, generation=2, put_instances=[ended], delete_mappings=[a_mapping(5).key])
    kernel.change(delta, instances)
    assert journal.entries == [("delete", "interfaces"), ("delete", "local_interfaces"), ("delete", "mappings")]
    assert [row.interface for row in journal.rows["interfaces"].values()] == [6]


def test_an_interface_that_changes_is_replaced_and_never_away():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5), plugged(5))
    journal.entries.clear()
    moved = an_instance(5, route_table=4)
    kernel.change(Delta(base=1, generation=2, put_instances=[moved]), {moved.id: moved})
    assert journal.entries == [("put", "interfaces")]
    assert next(iter(journal.rows["interfaces"].values())).route_table == 4


def test_a_delta_of_one_mapping_writes_one_table():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5), plugged(5))
    journal.entries.clear()
    kernel.change(Delta(base=1, generation=2, put_mappings=[a_mapping(9)]), {})
    assert journal.entries == [("put", "mappings")]


def test_a_device_gets_its_rows_when_it_comes_and_loses_them_when_it_goes():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5), {})
    assert journal.rows["interfaces"] == {}
    kernel.have_devices(plugged(5))
    assert journal.rows == what_it_should_be(an_intent(5), plugged(5))
    kernel.have_devices({})
    assert journal.rows == what_it_should_be(an_intent(5), {})


def test_a_route_of_an_unknown_kind_is_refused_whole():
    journal = Journal()
    intent = msgspec.structs.replace(
        an_intent(5), routes={(3, "0.0.0.0/0"): RouteIntent(table=3, destination="0.0.0.0/0", kind="teleport")}
    )
    with pytest.raises(ValueError, match="does not know the kind 'teleport'"):
        Kernel(journal).become(intent, plugged(5))
    assert journal.rows["interfaces"] == {}


def test_an_interface_that_moved_never_speaks_through_the_device_it_left():
    journal = Journal()
    kernel = Kernel(journal)
    kernel.become(an_intent(5), plugged(5))
    heir = msgspec.structs.replace(an_instance(5), id="i-0000000a")
    kernel.become(msgspec.structs.replace(an_intent(), instances={heir.id: heir}), plugged(5))
    assert (journal.rows["interfaces"], journal.rows["local_interfaces"]) == ({}, {})
    kernel.have_devices({(heir.id, 5): 106})
    assert [row.ifindex for row in journal.rows["interfaces"]] == [106]
