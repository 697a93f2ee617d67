"""A node's tables have as many rows as the cell's file; those that another build pinned may have others."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from rookery.dataplane.cell import CellDataplane, CellSizes
from rookery.dataplane.errors import IncompatiblePins
from tests.dataplane.objects import built_objects

SIZES = CellSizes(attachments=4, nat_addresses=4, services=4, targets=4, flows=64, directives=64, checks=4)


@pytest.fixture
def pins():
    path = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    yield path
    CellDataplane.remove_pins(path)


def test_tables_of_the_same_size_are_taken_again(pins):
    CellDataplane.open(pins, built_objects(), 64, SIZES).close()
    CellDataplane.open(pins, built_objects(), 64, SIZES).close()


@pytest.mark.parametrize("table", ["services", "targets"])
def test_tables_whose_halves_would_lie_elsewhere_are_refused_and_say_what_to_do(pins, table):
    CellDataplane.open(pins, built_objects(), 64, SIZES).close()
    with pytest.raises(IncompatiblePins, match=f"remove {pins}"):
        CellDataplane.open(pins, built_objects(), 64, SIZES._replace(**{table: 8}))
