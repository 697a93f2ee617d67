"""The programs of another version take the place of those that run, under load, and no packet notices.

    instance 11 (10.7.1.5) -- host a --substrate-- host b -- instance 12 (10.7.1.6)
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rookery.dataplane.host import HostDataplane
from tests.dataplane.namespaces import MODES, HostSpace, World, inside, run, swap, world

pytestmark = pytest.mark.faults

BPF = Path(__file__).resolve().parents[2] / "bpf"
LEAST_SWAPS = 20


@pytest.fixture(scope="module")
def another_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same formats and another limit: instructions differ, maps fit."""
    source = tmp_path_factory.mktemp("another") / "bpf"
    shutil.copytree(BPF, source)
    verdicts = source / "formats" / "verdict.h"
    text = verdicts.read_text()
    assert "SAMPLES = 16," in text
    verdicts.write_text(text.replace("SAMPLES = 16,", "SAMPLES = 23,"))
    run("make", "-s", "-C", str(source), f"OUT={source / 'built'}")
    return source / "built"


@pytest.fixture(params=MODES)
def two_hosts(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(mode=request.param) as made:
        yield made


def tag(program: int) -> str:
    """Of the instructions: two programs with one tag are the same program."""
    return json.loads(run("bpftool", "-j", "prog", "show", "id", str(program)))["tag"]


def attached(space: HostSpace, device: int) -> int:
    assert space.dataplane
    dataplane, found = space.dataplane, []
    inside(space.namespace, lambda: found.append(dataplane.attached_program(device)))
    return found[0]


def test_another_version_is_swapped_in_and_out_under_load(two_hosts: World, another_version: Path):
    opened: list[HostDataplane] = []
    swaps = itertools.count()
    try:
        for space in two_hosts.hosts.values():
            assert space.dataplane
            opened.append(HostDataplane.open(space.pins, another_version, 4096))
            opened[-1].use_attach_mode(space.dataplane.attach_mode)
        flood = two_hosts.begin(11, "ping", "-n", "-q", "-c", "800", "-i", "0.002", "-W", "1", "10.7.1.6")
        while flood.poll() is None:
            for space, newer in zip(two_hosts.hosts.values(), opened, strict=True):
                swap(space, space.dataplane if next(swaps) % 4 < 2 else newer)
        assert "800 received" in flood.communicate()[0]
        assert next(swaps) > LEAST_SWAPS
        for space, newer in zip(two_hosts.hosts.values(), opened, strict=True):
            check_the_new_one_runs(space, newer)
        assert " 0% packet loss" in two_hosts.execute(11, "ping", "-c1", "-W1", "10.7.1.6")
    finally:
        for newer in opened:
            newer.close()


def check_the_new_one_runs(space: HostSpace, newer: HostDataplane) -> None:
    """On every device, and it is another program than the one before, over the same tables."""
    assert space.dataplane
    swap(space, newer)
    for device in space.devices.values():
        assert attached(space, device) == newer.program_id("host_egress")
    assert tag(newer.program_id("host_egress")) != tag(space.dataplane.program_id("host_egress"))
    assert newer.counters() == space.dataplane.counters()
