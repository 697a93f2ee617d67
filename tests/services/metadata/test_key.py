"""The key of a host's tokens."""

from __future__ import annotations

import stat

import pytest

from rookery.host.services.metadata.key import BrokenKey, kept_key


def test_it_is_made_once_and_then_read(tmp_path):
    first = kept_key(tmp_path / "host-1")
    assert len(first) == 32
    assert kept_key(tmp_path / "host-1") == first
    assert kept_key(tmp_path / "host-2") != first


def test_only_root_reads_it(tmp_path):
    kept_key(tmp_path)
    assert stat.S_IMODE((tmp_path / "metadata.key").stat().st_mode) == 0o600


def test_half_a_key_is_no_key_and_is_not_replaced_in_silence(tmp_path):
    (tmp_path / "metadata.key").write_bytes(b"half")
    with pytest.raises(BrokenKey, match="4 bytes"):
        kept_key(tmp_path)
    assert (tmp_path / "metadata.key").read_bytes() == b"half"
