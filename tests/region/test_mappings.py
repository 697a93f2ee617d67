"""A row that the kernel holds differently from what the host was told is shown as a difference."""

from __future__ import annotations

import pytest

from rookery.host.control import MappingRow
from rookery.region.mappings import difference


@pytest.mark.parametrize(
    ("intended", "kernel", "said"),
    [
        ("100.64.1.10", "100.64.1.10", ""),
        ("100.64.1.10", "", "MISSING in the kernel"),
        ("", "100.64.1.10", "only in the kernel"),
        ("100.64.1.10", "100.64.2.11", "DIFFERENT"),
    ],
)
def test_intent_and_kernel_agree_or_the_difference_is_named(intended: str, kernel: str, said: str):
    row = MappingRow(vni=1, address="10.0.0.5", intended_host=intended, kernel_host=kernel)
    assert difference(row) == said
