"""How rows of the kernel are told."""

from __future__ import annotations

import pytest

from rookery.host.rows import delegated_key, mapping_key
from rookery.host.tables_told import mapped_text


@pytest.mark.parametrize("address", ["10.7.1.5", "2001:db8::5"])
def test_an_address_is_told_as_it_was_given(address: str):
    assert mapped_text(mapping_key((7, address))) == address


@pytest.mark.parametrize("prefix", ["10.7.1.16/28", "2001:db8:0:0:5::/80", "fd00:1:2:3:4::/80"])
def test_a_delegated_prefix_is_told_as_it_was_given(prefix: str):
    assert mapped_text(delegated_key((7, prefix))) == prefix
