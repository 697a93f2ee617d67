"""Tables, counters, events, pins and swaps of one host's data plane."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rookery.dataplane import syscall
from rookery.dataplane.addresses import (
    address_bytes,
    address_text,
    mac_bytes,
    mac_text,
    substrate_bytes,
    substrate_text,
)
from rookery.dataplane.errors import DataplaneError, IncompatiblePins, LoadFailed, TableFull
from rookery.dataplane.events import Event
from rookery.dataplane.formats import BusyConstant, CounterKey, Mapping, MappingKey, Traffic, Verdict
from rookery.dataplane.generate import TARGET, generate
from rookery.dataplane.host import HostDataplane
from rookery.dataplane.probe import probe_all
from rookery.dataplane.syscall import RunContext
from rookery.dataplane.table import possible_cpus
from tests.dataplane import plan
from tests.dataplane.objects import built_objects
from tests.dataplane.packets import ROUTER, arp_from_11, frame_from_11, frame_to_11, wrapped

Open = Callable[[], HostDataplane]
REAL = RunContext(ifindex=plan.DEVICE)
SAMPLES_A_WINDOW = 16
SECONDS_A_WINDOW = 0.25


def rows(count: int, vni: int = 3) -> dict[MappingKey, Mapping]:
    place = Mapping(bytes((100, 64, 1, 9)), 1, 1, plan.mac(1), 1, 1, 0, 1, group_set=0)
    return {
        MappingKey(vni, address_bytes(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}")): place._replace(generation=i)
        for i in range(count)
    }


def test_the_generated_formats_are_those_of_the_objects() -> None:
    assert generate(built_objects() / "formats.bpf.o") == TARGET.read_text()


def test_a_what_if_leaves_no_counter_and_no_event(host_a: HostDataplane) -> None:
    before, seen = host_a.counters(), []
    stop = host_a.events(seen.append)
    for packet in (frame_from_11(), frame_from_11("10.7.1.8"), frame_from_11("10.7.1.99")):
        host_a.what_if("host_egress", bytes(packet), plan.DEVICE, 7)
    host_a.what_if("host_ingress", bytes(wrapped(frame_to_11())), plan.DEVICE, 7)
    host_a.poll_events()
    stop()
    assert host_a.counters() == before
    assert seen == []


def test_real_packets_are_counted_where_they_end(host_a: HostDataplane) -> None:
    sent, lost, near = frame_from_11(), frame_from_11("10.7.1.99"), frame_from_11("10.7.1.8")
    for packet in (sent, sent, lost, near):
        host_a.test_run("host_egress", bytes(packet), REAL)
    host_a.test_run("host_ingress", bytes(wrapped(frame_to_11())), REAL)
    here = plan.DEVICE
    assert host_a.counters() == {
        CounterKey(here, Verdict.SENT): Traffic(3, 2 * len(sent) + len(near)),
        CounterKey(here, Verdict.DROP_NO_MAPPING): Traffic(1, len(lost)),
        CounterKey(plan.LOCAL_PEER, Verdict.DELIVERED): Traffic(1, len(near)),
        CounterKey(here, Verdict.DELIVERED): Traffic(1, len(frame_to_11())),
    }
    host_a.forget_counters(here)
    assert host_a.counters().keys() == {CounterKey(plan.LOCAL_PEER, Verdict.DELIVERED)}


def test_a_device_with_rows_of_its_own_is_counted_alike(host_a: HostDataplane) -> None:
    """And goes on where it began without: both are one table to the reader."""
    here, sent, near = plan.DEVICE, frame_from_11(), frame_from_11("10.7.1.8")
    host_a.test_run("host_egress", bytes(sent), REAL)
    host_a.reserve_counters(here)
    host_a.reserve_counters(here)
    for packet in (sent, near, arp_from_11("10.7.1.6"), frame_from_11("10.7.1.99")):
        host_a.test_run("host_egress", bytes(packet), REAL)
    assert host_a.counters() == {
        CounterKey(here, Verdict.SENT): Traffic(3, 2 * len(sent) + len(near)),
        CounterKey(here, Verdict.ANSWERED): Traffic(1, len(arp_from_11("10.7.1.6"))),
        CounterKey(here, Verdict.DROP_NO_MAPPING): Traffic(1, len(frame_from_11("10.7.1.99"))),
        CounterKey(plan.LOCAL_PEER, Verdict.DELIVERED): Traffic(1, len(near)),
    }
    host_a.forget_counters(here)
    assert host_a.counters().keys() == {CounterKey(plan.LOCAL_PEER, Verdict.DELIVERED)}


def test_two_devices_that_share_a_row_are_not_mixed_up(host_a: HostDataplane) -> None:
    """Whoever comes second is counted by search, until the first is forgotten."""
    here, other = plan.DEVICE, plan.DEVICE + BusyConstant.DEVICES
    host_a.reserve_counters(other)
    host_a.reserve_counters(here)
    host_a.test_run("host_egress", bytes(frame_from_11()), REAL)
    once = {CounterKey(here, Verdict.SENT): Traffic(1, len(frame_from_11()))}
    assert host_a.counters() == once
    host_a.forget_counters(other)
    assert host_a.counters() == once
    host_a.reserve_counters(here)
    host_a.test_run("host_egress", bytes(frame_from_11()), REAL)
    assert host_a.counters() == {CounterKey(here, Verdict.SENT): Traffic(2, 2 * len(frame_from_11()))}


def test_a_flood_of_one_reason_is_sampled_and_hides_no_other(host_a: HostDataplane) -> None:
    seen: list[Event] = []
    host_a.poll_events()
    stop = host_a.events(seen.append)
    begun = time.monotonic()
    for _ in range(2000):
        host_a.test_run("host_egress", bytes(frame_from_11(src="10.7.1.8")), REAL)
    host_a.test_run("host_egress", bytes(frame_from_11("10.7.66.1", ROUTER)), REAL)
    host_a.poll_events()
    stop()
    windows = int((time.monotonic() - begun) / SECONDS_A_WINDOW)
    flood = [event for event in seen if event.verdict is Verdict.DROP_SOURCE_ADDRESS]
    assert 1 <= len(flood) <= possible_cpus() * SAMPLES_A_WINDOW * (2 + windows)
    assert [e.destination for e in seen if e.verdict is Verdict.DROP_BLACKHOLE] == ["10.7.66.1"]
    assert {event.trace for event in seen} == {0}


WAY = ("received", "source", "mapping", "neighbour", "groups", "wrapped")  # the steps of a packet within a subnet


def test_a_what_if_gets_its_steps_while_another_thread_drains_the_ring(host_a: HostDataplane) -> None:
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            host_a.poll_events(0.001)

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        for trace in range(1, 300):
            outcome = host_a.what_if("host_egress", bytes(frame_from_11()), plan.DEVICE, trace)
            assert (len(outcome.events), {event.trace for event in outcome.events}) == (len(WAY), {trace})
    finally:
        done.set()
        reader.join()


@pytest.mark.parametrize("trace", [0, 0x10000, -1])
def test_a_trace_that_is_no_number_of_16_bits_is_refused(host_a: HostDataplane, trace: int) -> None:
    with pytest.raises(ValueError, match="trace"):
        host_a.what_if("host_egress", bytes(frame_from_11()), plan.DEVICE, trace)


def test_a_what_if_from_a_device_that_is_not_there_says_so(host_a: HostDataplane) -> None:
    with pytest.raises(DataplaneError, match="No such device"):
        host_a.what_if("host_egress", bytes(frame_from_11()), 999_999, 1)


def test_loading_again_keeps_what_the_tables_hold(open_dataplane: Open, pins: Path) -> None:
    first = open_dataplane()
    plan.fill(first, plan.host_a())
    held = [dict(table.items()) for table in (first.mappings, first.routes, first.interfaces)]
    first.test_run("host_egress", bytes(frame_from_11()), REAL)
    first.close()
    HostDataplane.check_pins(pins, built_objects())
    second = open_dataplane()
    assert [dict(table.items()) for table in (second.mappings, second.routes, second.interfaces)] == held
    assert CounterKey(plan.DEVICE, Verdict.SENT) in second.counters()
    assert second.what_if("host_egress", bytes(frame_from_11()), plan.DEVICE, 1).verdict is Verdict.SENT


def test_a_pinned_map_of_another_form_is_refused_and_left_alone(open_dataplane: Open, pins: Path) -> None:
    open_dataplane().close()
    (pins / "maps" / "routes").unlink()
    strange = syscall.pinned(pins / "maps" / "substrate")
    syscall.pin(strange, pins / "maps" / "routes")
    with pytest.raises(IncompatiblePins, match="routes was made by another version"):
        open_dataplane()
    with pytest.raises(IncompatiblePins, match="routes was made by another version"):
        HostDataplane.check_pins(pins, built_objects())
    assert (pins / "maps" / "mappings").exists()


def test_a_missing_object_says_how_to_build_it(pins: Path, tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="make -C bpf"):
        HostDataplane.open(pins, tmp_path, 16)


def test_pins_outside_a_bpf_filesystem_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataplaneError, match="not in a BPF filesystem"):
        HostDataplane.open(tmp_path / "pins", built_objects(), 16)


def test_many_rows_go_in_and_come_out(host_a: HostDataplane) -> None:
    before, many = dict(host_a.mappings.items()), rows(4000)
    host_a.mappings.put_many(many)
    assert dict(host_a.mappings.items()) == before | many
    some = list(many)[::3]
    host_a.mappings.delete_many([*some, MappingKey(99, address_bytes("10.0.0.1")), *some])
    assert dict(host_a.mappings.items()) == before | {k: v for k, v in many.items() if k not in some}
    assert host_a.mappings.get(some[0]) is None


def test_a_full_table_says_so(host_a: HostDataplane) -> None:
    with pytest.raises(TableFull, match="made for 8192 rows"):
        host_a.mappings.put_many(rows(9000))


def test_a_substrate_that_can_not_be_is_refused(host_a: HostDataplane) -> None:
    config = host_a.substrate
    for wrong in (config._replace(address=bytes(4)), config._replace(mtu=70000), config._replace(ifindex=0)):
        with pytest.raises(ValueError):
            host_a.configure_substrate(wrong)
    assert host_a.substrate == config


def test_addresses_keep_their_meaning() -> None:
    assert address_text(address_bytes("10.7.1.5")) == "10.7.1.5"
    assert address_text(address_bytes("2001:db8::1")) == "2001:db8::1"
    assert substrate_text(substrate_bytes("100.64.1.10")) == "100.64.1.10"
    assert mac_text(mac_bytes("02:00:00:00:01:0b")) == "02:00:00:00:01:0b"
    for make, wrong in ((address_bytes, "10.7.1"), (substrate_bytes, "::1"), (mac_bytes, "02:00")):
        with pytest.raises(ValueError, match="is not a"):
            make(wrong)


def test_this_kernel_offers_what_is_needed() -> None:
    found = probe_all()
    assert [name for name, probe in found.items() if not probe.ok and name != "tcx"] == []
    assert all(probe.sentence for probe in found.values())
