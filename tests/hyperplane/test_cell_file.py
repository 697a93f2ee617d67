"""The file of a cell: whole or refused, and always as long."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.hyperplane.cell_file import (
    ATTACHMENTS,
    CHECKS,
    FILE_BYTES,
    NODES,
    TARGETS,
    Damaged,
    Refused,
    TooLarge,
    check,
    decode,
    encode,
    hash_of,
    place_targets,
)
from rookery.intent.cell import CellIntent, HealthCheckIntent
from tests.hyperplane.files import FILES, attachment, file, in_order, node, service, target


@settings(max_examples=40, deadline=None)
@given(FILES)
def test_what_is_written_is_read_and_is_always_as_long(made):
    packed = encode(made)
    assert decode(packed) == made
    assert len(packed) == FILE_BYTES


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, FILE_BYTES - 1), bit=st.integers(0, 7))
def test_one_wrong_bit_is_noticed(at, bit):
    packed = bytearray(encode(file()))
    packed[at] ^= 1 << bit
    with pytest.raises(Damaged):
        decode(bytes(packed))


@pytest.mark.parametrize("cut", [0, 1, 100, FILE_BYTES - 1])
def test_half_a_file_is_none(cut):
    with pytest.raises(Damaged):
        decode(encode(file())[:cut])


def test_the_fullest_file_has_room():
    """Rows as long as they get: names of accounts, long ids, checks with long paths."""
    attachments = tuple(attachment(n, of="loadbalancer-" + "f" * 17, group_set=2**64 - 1) for n in range(ATTACHMENTS.rows))
    check = HealthCheckIntent(
        protocol="HTTPS",
        path="/" + "x" * 1023,
        matcher=",".join(map(str, range(200, 600, 2))),
        port=65_535,
        listener=65_535,
        interval=300,
        timeout=120,
        healthy=10,
        unhealthy=10,
    )
    wordy = {"zone": 5, "terminates": True, "draining": True, "healthy": False, "checked_by": (2**32 - 1,) * 6, "check": check}
    targets = in_order(
        msgspec.structs.replace(
            target(n, f"tg-{n % CHECKS.rows:016x}"), vni=2**24 - 1, interface=2**32 - 1, address=f"255.255.255.{n % 200}", port=40_000 + n, **wordy
        )
        for n in range(TARGETS.rows)
    )
    intent = CellIntent(
        cell="cell-1",
        generation=2**62,
        nodes=tuple(map(node, range(NODES.rows))),
        attachments=attachments,
        services=(service(1, targets),),
        targets=targets,
    )
    full = file(intent=intent, rows=place_targets(targets, ()), epoch=2**32 - 1, current=tuple(range(16)), previous=tuple(range(16)))
    assert decode(encode(full)) == full


def test_more_than_there_is_room_for_is_an_error_and_not_a_longer_file():
    with pytest.raises(TooLarge, match="room for 512"):
        encode(file(attachments=ATTACHMENTS.rows + 1))


def test_a_choice_of_somebody_who_is_no_target_makes_no_file():
    with pytest.raises(TooLarge, match="no row"):
        encode(file(rows=()))


@given(st.lists(st.sets(st.integers(0, 12)), max_size=8))
def test_a_target_keeps_its_row_and_a_row_tells_whose_it_was(history):
    rows, whose = (), {}
    for there in history:
        rows = place_targets([target(n) for n in there], rows)
        assert {row.target.key for row in rows if row.target} == {target(n).key for n in there}
        for number, row in enumerate(rows):
            if row.target:
                assert whose.setdefault((number, row.generation), row.target.key) == row.target.key


def test_a_target_that_stays_does_not_move_when_others_go():
    before = place_targets([target(n) for n in range(5)], ())
    after = place_targets([target(4), target(9)], before)
    assert after[4] == before[4]
    assert after[0] == (before[0].generation + 1, target(9))


def test_the_first_file_is_taken():
    check(file(), None)


@pytest.mark.parametrize(("epoch", "follows"), [(4, False), (5, False), (6, True), (60, True)])
def test_epochs_only_rise(epoch, follows):
    if follows:
        check(file(epoch), file(5))
        return
    with pytest.raises(Refused, match="epoch"):
        check(file(epoch), file(5))


def test_the_file_of_another_cell_is_refused():
    other = msgspec.structs.replace(file().intent, cell="cell-2")
    with pytest.raises(Refused, match="cell-2"):
        check(file(2, intent=other), file(1))


@pytest.mark.parametrize("what", ["attachments", "targets"])
@pytest.mark.parametrize(("left", "taken"), [(0, False), (4, False), (5, True), (10, True)])
def test_more_than_half_of_a_kind_goes_only_if_that_is_meant(what, left, taken):
    held, new = file(1, **{what: 10}), file(2, **{what: left})
    if not taken:
        with pytest.raises(Refused, match="this is meant"):
            check(new, held)
    check(new if taken else msgspec.structs.replace(new, removal_epoch=2), held)


def test_a_node_that_missed_the_file_of_a_removal_takes_the_next():
    check(file(9, attachments=1, removal_epoch=6), file(5, attachments=10))
    with pytest.raises(Refused):
        check(file(9, attachments=1, removal_epoch=4), file(5, attachments=10))


def test_two_files_that_differ_have_hashes_that_differ():
    assert len({hash_of(encode(file(epoch))) for epoch in range(1, 6)}) == 5
