"""Which nodes of a cell the kernel is told to send to, and which it believes."""

from __future__ import annotations

from rookery.dataplane.addresses import substrate_bytes
from rookery.dataplane.formats import CellConstant, InterfaceFlag, TopSet, TopsNumber
from rookery.host import rows
from rookery.host.tops import Tops
from rookery.host.ways import Ways
from rookery.intent.host import ForwarderIntent, HostIntent, MappingIntent, TopsIntent
from rookery.mapping.protocol import Delta
from tests.host.journal import FakeMap, Journal

ONE, TWO, THREE = "100.64.240.1", "100.64.240.2", "100.64.240.3"
NUMBER = 0x01020304
SERVED = TopsIntent(number=NUMBER, addresses=(ONE, TWO), others=(THREE,))
AT_CELL = MappingIntent(
    vni=7, address="10.7.1.9", host="", interface=9, subnet=2, mac="02:00:00:00:00:09", source_dest_check=False,
    group_set=5, generation=1, issued=1, tops=NUMBER,
)  # fmt: skip
FORWARDS = ForwarderIntent(
    vni=7, interface=9, host="", subnet=2, mac="02:00:00:00:00:09", source_dest_check=False, tops=NUMBER, group_set=5
)


def row(living: tuple[str, ...], *others: str) -> TopSet:
    packed = b"".join(map(substrate_bytes, (*living, *others)))
    return TopSet(len(living), len(living) + len(others), packed.ljust(4 * CellConstant.NODES_MAX, b"\0"))


def intent(*sets: TopsIntent) -> HostIntent:
    rules = (*sets, FORWARDS) if sets else ()
    mappings = {AT_CELL.key: AT_CELL} if sets else {}
    return HostIntent(host="host-1", generation=1, mappings=mappings, rules={rule.key: rule for rule in rules})


def test_the_living_come_first_and_all_may_speak() -> None:
    assert rows.tops([SERVED], {TWO, THREE}) == {TopsNumber(NUMBER): row((TWO,), ONE, THREE)}


def test_where_nobody_lives_all_stay_but_those_that_drain() -> None:
    assert rows.tops([SERVED], {THREE}) == {TopsNumber(NUMBER): row((ONE, TWO), THREE)}


def test_a_set_larger_than_there_is_room_for_is_cut() -> None:
    many = tuple(f"100.64.240.{n}" for n in range(1, 19))
    (cut,) = rows.tops([TopsIntent(number=1, addresses=many)], set()).values()
    assert (cut.living, cut.members, len(cut.address)) == (16, 16, 64)


def test_what_lives_at_a_cell_names_the_set_in_place_of_a_host() -> None:
    number = NUMBER.to_bytes(4, "little")
    (mapping,) = rows.mappings([AT_CELL]).values()
    (forwarder,) = rows.forwarders([FORWARDS]).values()
    assert (mapping.host, mapping.flags) == (number, InterfaceFlag.AT_CELL)
    assert (forwarder.host, forwarder.flags, forwarder.group_set) == (number, InterfaceFlag.AT_CELL, 5)


def test_a_set_is_there_before_what_leads_to_it_and_goes_after_it() -> None:
    journal = Journal()
    ways = Ways(journal)
    ways.become(intent(SERVED))
    written = [entry for entry in journal.entries if entry[1] in ("tops", "forwarders", "mappings")]
    assert written == [("put", "tops"), ("put", "forwarders"), ("put", "mappings")]
    journal.entries.clear()
    ways.become(intent())
    written = [entry for entry in journal.entries if entry[1] in ("tops", "forwarders", "mappings")]
    assert written == [("delete", "forwarders"), ("delete", "mappings"), ("delete", "tops")]
    assert not any(journal.rows[name] for name in ("tops", "forwarders", "mappings"))


def test_a_delta_keeps_the_same_order() -> None:
    journal = Journal()
    ways = Ways(journal)
    ways.become(intent())
    ways.change(Delta(base=1, generation=2, put_rules=[FORWARDS, SERVED], put_mappings=[AT_CELL]))
    ways.change(Delta(base=2, generation=3, delete_rules=[SERVED.key, FORWARDS.key], delete_mappings=[AT_CELL.key]))
    written = [entry for entry in journal.entries if entry[1] in ("tops", "forwarders", "mappings")]
    assert written == [("put", "tops"), ("put", "forwarders"), ("put", "mappings"),
                       ("delete", "forwarders"), ("delete", "mappings"), ("delete", "tops")]  # fmt: skip


def test_a_node_that_dies_is_no_more_chosen_in_any_set() -> None:
    table = FakeMap("tops", [])
    tops = Tops(table)
    other = TopsIntent(number=5, addresses=(TWO,))
    tops.put([SERVED, other])
    assert tops.nodes == (ONE, TWO)
    tops.turn_to(frozenset({ONE}))
    assert table.rows == {TopsNumber(NUMBER): row((ONE,), TWO, THREE), TopsNumber(5): row((TWO,))}
    tops.turn_to(frozenset({ONE, TWO}))
    assert table.rows[TopsNumber(NUMBER)] == row((ONE, TWO), THREE)


def test_a_new_node_is_chosen_when_it_answers() -> None:
    tops = Tops(table := FakeMap("tops", []))
    tops.put([TopsIntent(number=NUMBER, addresses=(ONE,))])
    tops.turn_to(frozenset({ONE}))
    tops.put([TopsIntent(number=NUMBER, addresses=(ONE, TWO))])
    assert table.rows[TopsNumber(NUMBER)] == row((ONE,), TWO)


def test_an_agent_that_comes_back_sends_to_those_who_lived() -> None:
    table = FakeMap("tops", [])
    table.rows[TopsNumber(NUMBER)] = row((TWO,), ONE, THREE)
    tops = Tops(table)
    assert (tops.nodes, tops.living) == ((TWO,), {TWO})
    tops.include([SERVED])
    tops.become([SERVED])
    assert table.rows[TopsNumber(NUMBER)] == row((TWO,), ONE, THREE)


def test_what_somebody_else_wrote_is_mended() -> None:
    tops = Tops(table := FakeMap("tops", []))
    tops.put([SERVED])
    table.rows[TopsNumber(NUMBER)] = row((THREE,))
    table.rows[TopsNumber(77)] = row((THREE,))
    assert tops.table.heal() == 2
    assert table.rows == {TopsNumber(NUMBER): row((ONE, TWO), THREE)}
