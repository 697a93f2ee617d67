"""Data planes with pins of their own, which go away with the test."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rookery.dataplane.host import HostDataplane
from tests.dataplane import plan
from tests.dataplane.model import Host
from tests.dataplane.objects import built_objects


@pytest.fixture
def pins() -> Iterator[Path]:
    path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    yield path
    HostDataplane.remove_pins(path)


@pytest.fixture
def open_dataplane(pins: Path) -> Iterator[Callable[[], HostDataplane]]:
    """Opens data planes over the same pins, small ones."""
    opened: list[HostDataplane] = []

    def open_one() -> HostDataplane:
        opened.append(HostDataplane.open(pins, built_objects(), max_mappings=4096))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def model_a() -> Host:
    return plan.host_a()


@pytest.fixture
def host_a(open_dataplane: Callable[[], HostDataplane], model_a: Host) -> HostDataplane:
    real = open_dataplane()
    plan.fill(real, model_a)
    return real
