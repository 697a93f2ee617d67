"""A cell's file in a node's tables: always the half that nobody reads, always all of it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.errors import DataplaneError
from rookery.dataplane.formats import (
    AttachmentKey,
    CellServiceKey,
    Gates,
    NatAddressKey,
    RowNumber,
    ServiceFlag,
    TargetFlag,
)
from rookery.hyperplane.cell_file import place_targets
from rookery.hyperplane.halves import Halves
from tests.hyperplane.fake_tables import FakeTables, Sizes
from tests.hyperplane.files import KEY, attachment, file, in_order, target

GATES = Gates(policy=1, acl=2, tcp_established=3, udp_stream=4, udp=5, open_egress=0, open_ingress=0, padding=0)
SMALL = Sizes(services=4, targets=16)


class Scene:
    def __init__(self) -> None:
        self.tables = FakeTables(SMALL)
        self.now = 0
        self.halves = Halves(self.tables, 1, self.clock)

    def clock(self) -> int:
        self.now += 1
        return self.now

    def take(self, one) -> None:
        self.halves.become(one, 2, lambda _: GATES)

    def read(self):
        return self.tables.half(self.tables.config.half)


@pytest.fixture
def scene():
    return Scene()


def test_the_first_file_is_read_once_all_of_it_is_there(scene):
    scene.take(file(5))
    config = scene.tables.config
    assert (config.key, config.epoch, config.half, config.number, config.self) == (KEY, 5, 0, 1, 2)
    held = scene.read()
    assert {name: len(rows) for name, rows in held.items()} == {
        "cell_nodes": 16,
        "attachments": 2,
        "nat_addresses": 2,
        "cell_services": 1,
        "cell_choices": 4,
        "cell_targets": 16,
    }


def test_rows_say_what_the_file_says(scene):
    scene.take(file(5))
    held = scene.read()
    row = held["attachments"][AttachmentKey(0, 1, 2)]
    assert (row.primary, row.addresses, row.policy, row.acl) == (address_bytes("10.1.0.6"), 1, 1, 2)
    assert held["nat_addresses"][NatAddressKey(0, 1, 2, 0)].address == address_bytes("10.1.0.6")
    number = held["cell_services"][CellServiceKey(0, 1, 1, 6, (80).to_bytes(2, "big"))].number
    places = np.frombuffer(held["cell_choices"][RowNumber(number)].target, np.uint16)
    assert set(places) == {0, 1, 2}  # weights 1, 2, 3
    assert [round(6 * float((places == one).mean())) for one in (0, 1, 2)] == [1, 2, 3]


def test_files_take_turns_and_the_half_that_is_read_is_not_touched(scene):
    scene.take(file(5))
    before = scene.read()
    scene.take(file(6, attachments=3))
    assert (scene.tables.config.half, scene.tables.half(0)) == (1, before)
    scene.take(file(7, attachments=0))
    assert scene.tables.config.half == 0
    assert scene.read()["attachments"] == {}


def test_what_a_file_no_longer_has_is_gone_from_its_half(scene):
    for epoch, attachments in ((1, 3), (2, 3), (3, 1), (4, 1)):
        scene.take(file(epoch, attachments=attachments))
    assert [len(scene.tables.half(half)["attachments"]) for half in (0, 1)] == [1, 1]


def test_a_kernel_that_refuses_a_row_goes_on_with_the_half_before(scene):
    scene.take(file(5))
    before, config = scene.read(), scene.tables.config
    scene.tables.cell_targets.refuses = True
    with pytest.raises(DataplaneError):
        scene.take(file(6, attachments=9))
    assert (scene.read(), scene.tables.config) == (before, config)


def test_a_ring_is_as_old_as_its_first_file(scene):
    scene.take(file(1))
    began = scene.tables.config.ring_since
    scene.take(file(2))
    assert scene.tables.config.ring_since == began
    scene.take(file(3, current=(0, 1, 2), previous=(0, 1, 2, 3)))
    changed = scene.tables.config.ring_since
    assert changed > began
    scene.take(file(4, current=(0, 1, 2), previous=(0, 1, 2, 3)))
    scene.take(file(5, current=(0, 1, 2), previous=(0, 1, 2)))
    assert scene.tables.config.ring_since == changed


def test_an_agent_that_starts_again_goes_on_where_the_kernel_is(scene):
    scene.take(file(1))
    scene.take(file(2))
    again = Halves(scene.tables, 1, scene.clock)
    assert again.epoch == 2
    since = scene.tables.config.ring_since
    again.become(file(3), 2, lambda _: GATES)
    assert (scene.tables.config.half, scene.tables.config.ring_since) == (0, since)


def test_flows_of_a_target_that_is_gone_end(scene):
    held = in_order(target(n) for n in range(3))
    rows = place_targets(held[:1], place_targets(held, ()))
    scene.take(file(1, rows=rows, intent=msgspec.structs.replace(file().intent, targets=held[:1], services=())))
    row = scene.read()["cell_targets"][RowNumber(1)]
    assert row.flags == TargetFlag.TERMINATES
    assert row.generation != rows[1].generation


def test_a_service_without_anybody_to_choose_is_there_and_chooses_nobody(scene):
    one = msgspec.structs.replace(file().intent.services[0], choices=())
    scene.take(file(1, intent=msgspec.structs.replace(file().intent, services=(one,))))
    assert set(np.frombuffer(scene.read()["cell_choices"][RowNumber(0)].target, np.uint16)) == {0xFFFF}


def test_an_endpoint_goes_on_in_the_name_of_its_balancer(scene):
    one = msgspec.structs.replace(file().intent.services[0], exit_vni=9, exit_interface=8)
    scene.take(file(1, attachments=1, intent=msgspec.structs.replace(file().intent, services=(one,), attachments=(attachment(1),))))
    row = next(iter(scene.read()["cell_services"].values()))
    assert (row.exit_vni, row.exit_interface, row.flags) == (9, 8, 8)


def test_targets_may_be_told_through_which_endpoint_they_are_asked(scene):
    """Of other attachments there is nothing to tell."""
    service = msgspec.structs.replace(file().intent.services[0], proxy_protocol=True)
    held = (attachment(1), attachment(2, kind="endpoint", of="vpce-0123456789abcdef0"))
    scene.take(file(1, attachments=2, intent=msgspec.structs.replace(file().intent, services=(service,), attachments=held)))
    rows = scene.read()["attachments"]
    assert [rows[AttachmentKey(0, 1, n)].endpoint for n in (1, 2)] == [bytes(24), b"vpce-0123456789abcdef0\0\0"]
    assert next(iter(scene.read()["cell_services"].values())).flags == ServiceFlag.PROXY_PROTOCOL
