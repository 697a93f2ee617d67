"""Slots and sockets of health checks, without a kernel but for a port's loopback."""

from __future__ import annotations

import pytest

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import (
    CellConfig,
    CellServiceKey,
    CheckWay,
    Forwarder,
    ForwarderKey,
    InterfaceFlag,
    RowNumber,
    SubstrateConfig,
    TopSet,
    TopsNumber,
)
from rookery.hyperplane.check_ways import CheckWays, NoWay, address_of, local_address, ports_of
from tests.hyperplane.fake_tables import FakeTable

VNI, BALANCER, TARGET = 7, 61, "10.7.1.6"
NODE, OTHER = bytes([100, 64, 1, 31]), bytes([100, 64, 1, 32])


class Tables:
    class sizes:  # noqa: N801 - as the dataplane's, a field
        checks = 4

    def __init__(self, place: int = 2, epoch: int = 7) -> None:
        self.config = CellConfig(bytes(16), 0, epoch, 1, 1, place, 0, 0)
        self.substrate = SubstrateConfig(NODE, bytes(4), bytes(4), bytes(4), 2, 9000)
        self.check_slots, self.check_numbers = FakeTable(), FakeTable()
        self.cell_services, self.forwarders, self.tops = FakeTable(), FakeTable(), FakeTable()


def ports_taken(ways: CheckWays, count: int, target: str = TARGET) -> list[int]:
    slot = ways.assign(VNI, BALANCER, target)
    return [ways._next_port(VNI, BALANCER, slot) for _ in range(count)]


def test_a_slot_is_written_in_both_directions_and_stays() -> None:
    tables = Tables()
    ways = CheckWays(tables, "nowhere")
    slot = ways.assign(VNI, BALANCER, TARGET)
    way = CheckWay(VNI, BALANCER, address_bytes(TARGET))
    assert tables.check_slots.rows == {RowNumber(slot): way} and tables.check_numbers.rows == {way: RowNumber(slot)}
    ways.assign(VNI, BALANCER, "10.7.1.7")
    assert ways.assign(VNI, BALANCER, TARGET) == slot
    assert address_of(slot) == "240.0.0.1" and local_address() == "240.255.255.254"


def test_the_same_target_in_another_attachments_name_is_another_slot() -> None:
    ways = CheckWays(Tables(), "nowhere")
    assert len({ways.assign(vni, number, TARGET) for vni, number in ((7, 61), (7, 62), (8, 61))}) == 3


def test_a_slot_that_was_freed_is_the_last_to_be_taken_again() -> None:
    tables = Tables()
    ways = CheckWays(tables, "nowhere")
    first = ways.assign(VNI, BALANCER, "10.7.1.1")
    for _ in range(2):  # the second time there is nothing to do
        ways.free(VNI, BALANCER, "10.7.1.1")
    assert tables.check_slots.rows == tables.check_numbers.rows == {}
    later = [ways.assign(VNI, BALANCER, f"10.7.1.{n}") for n in range(2, 6)]
    assert later[-1] == first and len(set(later)) == 4
    with pytest.raises(NoWay, match="all 4 slots"):
        ways.assign(VNI, BALANCER, "10.7.1.9")


def test_whatever_is_not_wanted_any_more_is_freed() -> None:
    ways = CheckWays(Tables(), "nowhere")
    for address in ("10.7.1.1", "10.7.1.2", "10.7.1.3"):
        ways.assign(VNI, BALANCER, address)
    ways.keep([(VNI, BALANCER, "10.7.1.2"), (VNI, BALANCER, "10.7.1.7")])
    assert ways.ways == {(VNI, BALANCER, "10.7.1.2")}


def test_a_new_agent_forgets_what_its_predecessor_left_and_mends_what_others_do() -> None:
    tables = Tables()
    CheckWays(tables, "nowhere").assign(VNI, BALANCER, TARGET)
    ways = CheckWays(tables, "nowhere")
    assert tables.check_slots.rows == tables.check_numbers.rows == {}
    ways.assign(VNI, BALANCER, TARGET)
    tables.check_slots.rows.clear()
    tables.check_numbers.rows[CheckWay(9, 9, bytes(16))] = RowNumber(3)
    assert (ways.heal(), ways.heal()) == (2, 0)
    assert len(tables.check_slots.rows) == len(tables.check_numbers.rows) == 1


def test_a_node_takes_its_ports_in_turn_for_each_target() -> None:
    ways = CheckWays(Tables(place=2), "nowhere")
    assert ports_taken(ways, 65) == [*range(1152, 1216), 1152]
    assert ports_taken(ways, 1, "10.7.1.7") == [1152]
    assert [len(set(ports_of(place))) for place in range(16)] == [64] * 16 and ports_of(15)[-1] == 2047


def test_where_the_balancer_listens_nothing_is_checked_from() -> None:
    """In the half that is read."""
    tables = Tables(place=0)
    tables.cell_services.rows = {CellServiceKey(1, VNI, BALANCER, 6, (1025).to_bytes(2, "big")): 1, CellServiceKey(0, VNI, BALANCER, 6, (1026).to_bytes(2, "big")): 1}
    assert ports_taken(CheckWays(tables, "nowhere"), 3) == [1024, 1026, 1027]
    tables.cell_services.rows = {CellServiceKey(1, VNI, BALANCER, 6, port.to_bytes(2, "big")): 1 for port in range(1024, 1088)}
    with pytest.raises(NoWay, match="listens at all ports"):
        ports_taken(CheckWays(tables, "nowhere"), 1)


def test_without_a_file_an_address_or_a_namespace_there_is_no_way() -> None:
    with pytest.raises(NoWay, match="no place in a cell"):
        CheckWays(Tables(epoch=0), "nowhere").open_socket(VNI, BALANCER, TARGET)
    with pytest.raises(NoWay, match="rookery-no-such-namespace"):
        CheckWays(Tables(), "rookery-no-such-namespace").open_socket(VNI, BALANCER, TARGET)


@pytest.mark.parametrize(("members", "believed"), [(NODE + OTHER, True), (OTHER + OTHER, False)])
def test_a_node_speaks_for_attachments_of_the_accounts_that_it_serves(members: bytes, believed: bool) -> None:
    tables = Tables()
    tables.forwarders.rows[ForwarderKey(VNI, BALANCER)] = Forwarder((900).to_bytes(4, "little"), 9, bytes(6), InterfaceFlag.AT_CELL, 0)
    tables.tops.rows[TopsNumber(900)] = TopSet(1, 2, members.ljust(64, b"\0"))
    assert CheckWays(tables, "nowhere").speaks_for(VNI, BALANCER) is believed


def test_of_what_is_at_no_cell_no_node_speaks() -> None:
    tables = Tables()
    assert not CheckWays(tables, "nowhere").speaks_for(VNI, BALANCER)
    tables.forwarders.rows[ForwarderKey(VNI, BALANCER)] = Forwarder(NODE, 9, bytes(6), 0, 0)
    assert not CheckWays(tables, "nowhere").speaks_for(VNI, BALANCER)
