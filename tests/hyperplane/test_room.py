"""A cell has room for so many rows of each kind: what comes too late stays out, and nobody else notices."""

from __future__ import annotations

import msgspec

from rookery.hyperplane.cell_file import (
    ADDRESSES,
    ATTACHMENTS,
    CHECKS,
    CHOICES,
    SERVICES,
    TARGETS,
    encode,
    place_targets,
)
from rookery.hyperplane.room import MOST_NAMED, fitted
from rookery.intent.cell import CellIntent, HealthCheckIntent
from rookery.intent.state import State
from rookery.model.codec import encode as encode_thing
from rookery.model.keys import key_of
from rookery.model.objects import CellAttachment, NetworkInterface
from rookery.store.interface import Entry
from tests.hyperplane.files import attachment, file, in_order, service, target

NOBODY_KNOWS = State((), 7, 1500)


def interface(number: int, created: float) -> NetworkInterface:
    return NetworkInterface(
        account="123456789012",
        region="us-east-1",
        id=f"eni-{number:017x}",
        created=created,
        vpc_id="vpc-1",
        subnet_id="subnet-1",
        zone="us-east-1a",
        mac="02:00:00:00:00:01",
        addresses=("10.1.0.4",),
        cell_attachment=CellAttachment(cell="cell-1", of=f"nat-{number:017x}"),
    )


def state_of(*interfaces: NetworkInterface) -> State:
    return State([Entry(key_of(one), encode_thing(one), 7, 0.0) for one in interfaces], 7, 1500)


def intent(attachments=(), services=(), targets=()) -> CellIntent:
    return CellIntent(cell="cell-1", generation=7, attachments=tuple(attachments), services=tuple(services), targets=in_order(targets))


def written(made: CellIntent) -> None:
    """It has room."""
    encode(file(intent=made, rows=place_targets(made.targets, ())))


def test_the_youngest_attachment_stays_out():
    attachments = [attachment(n) for n in range(1, ATTACHMENTS.rows + 2)]
    state = state_of(*(interface(n, created=5.0 if n == 7 else 1.0) for n in range(1, ATTACHMENTS.rows + 2)))
    less, left_out = fitted(intent(attachments), None, state)
    assert [one.interface for one in attachments if one not in less.attachments] == [7]
    assert left_out == (f"nat-{7:017x} of 123456789012 (eni-{7:017x})",)
    written(less)


def test_who_has_a_row_keeps_it_however_young():
    attachments = [attachment(n) for n in range(1, ATTACHMENTS.rows + 2)]
    state = state_of(*(interface(n, created=1.0 if n < 3 else 5.0) for n in range(1, ATTACHMENTS.rows + 2)))
    before = file(intent=intent(attachments[1:]))
    less, _ = fitted(intent(attachments), before, state)
    assert less.attachments == tuple(attachments[1:])


def test_addresses_are_of_whoever_came_first():
    greedy = [attachment(n, addresses=tuple(f"10.{n}.{k >> 8}.{k & 255}" for k in range(ADDRESSES.rows // 2))) for n in (1, 2, 3)]
    less, left_out = fitted(intent([*greedy, attachment(4, addresses=())]), None, NOBODY_KNOWS)
    assert [one.interface for one in less.attachments] == [1, 2, 4]
    assert len(left_out) == 1
    written(less)


def test_services_beyond_the_last_row_stay_out_and_are_named():
    services = [service(1, (), port) for port in range(1, SERVICES.rows + 3)]
    less, left_out = fitted(intent([attachment(1)], services), None, NOBODY_KNOWS)
    assert less.services == tuple(services[:-2])
    assert left_out[0] == f"the service nat-{1:017x} of 123456789012 (eni-{1:017x}) TCP {SERVICES.rows + 1}"
    written(less)


def test_a_service_stays_out_with_its_attachment_and_with_the_one_behind_its_endpoint():
    too_long = attachment(2, of="x" * ATTACHMENTS.bytes)
    through = msgspec.structs.replace(service(1, (), 81), exit_vni=1, exit_interface=2)
    less, left_out = fitted(intent([attachment(1), too_long], [service(1, ()), through, service(2, ())]), None, NOBODY_KNOWS)
    assert less.services == (service(1, ()),)
    assert len(left_out) == 3
    written(less)


def test_nobody_chooses_a_target_that_stays_out():
    targets = [target(n, "tg-1") for n in range(TARGETS.rows)]
    late = target(1, "tg-2")
    held = file(intent=intent(targets=targets))
    less, left_out = fitted(intent([attachment(1)], [service(1, (targets[0], late))], [*targets, late]), held, NOBODY_KNOWS)
    assert less.targets == in_order(targets)
    assert [key for key, _ in less.services[0].choices] == [targets[0].key]
    assert left_out[0] == f"the target {late.place} of tg-2" and left_out[1].startswith("1 of 2 targets of nat-")
    written(less)


def test_a_group_too_many_and_a_check_too_long_stay_out_with_their_targets():
    targets = [target(1, f"tg-{n:04}") for n in range(CHECKS.rows + 1)]
    wordy = msgspec.structs.replace(target(1, "tg-0000x"), check=HealthCheckIntent(path="x" * CHECKS.bytes))
    less, left_out = fitted(intent(targets=[*targets, wordy]), None, NOBODY_KNOWS)
    assert less.targets == tuple(targets[:-1])
    assert len(left_out) == 2
    written(less)


def test_the_youngest_services_have_fewer_choices_where_all_would_be_too_many():
    targets = [target(n) for n in range(1000)]
    count = CHOICES.rows // len(targets) + 1
    less, left_out = fitted(
        intent([attachment(1)], [service(1, tuple(targets), port) for port in range(1, count + 2)], targets), None, NOBODY_KNOWS
    )
    assert [len(one.choices) for one in less.services] == [1000] * (count - 1) + [CHOICES.rows % 1000, 0]
    assert len(left_out) == 2
    written(less)


def test_what_has_room_is_left_as_it_is():
    targets = [target(n) for n in range(9)]
    whole = intent([attachment(1)], [service(1, tuple(targets))], targets)
    assert fitted(whole, None, NOBODY_KNOWS) == (whole, ())


def test_the_names_of_thousands_are_not_all_told():
    many = [attachment(n) for n in range(1, ATTACHMENTS.rows + MOST_NAMED + 12)]
    _, left_out = fitted(intent(many), None, NOBODY_KNOWS)
    assert (len(left_out), left_out[-1]) == (MOST_NAMED + 1, "11 more")
