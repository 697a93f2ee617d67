"""The CBOR of Smithy's RPC: RFC 8949's own examples, and bytes that are none."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.api.operation import ApiError
from rookery.api.wire.cbor import dumps, loads

EXAMPLES = {  # RFC 8949, appendix A
    "00": 0,
    "17": 23,
    "1818": 24,
    "1903e8": 1000,
    "1b000000e8d4a51000": 1_000_000_000_000,
    "20": -1,
    "3903e7": -1000,
    "f93c00": 1.0,
    "fa47c35000": 100_000.0,
    "fb3ff199999999999a": 1.1,
    "f4": False,
    "f5": True,
    "f6": None,
    "4401020304": b"\x01\x02\x03\x04",
    "6449455446": "IETF",
    "62c3bc": "ü",
    "83010203": [1, 2, 3],
    "9f018202039f0405ffff": [1, [2, 3], [4, 5]],
    "a26161016162820203": {"a": 1, "b": [2, 3]},
    "bf61610161629f0203ffff": {"a": 1, "b": [2, 3]},
    "7f657374726561646d696e67ff": "streaming",
    "5f42010243030405ff": b"\x01\x02\x03\x04\x05",
    "c11a514b67b0": datetime.datetime(2013, 3, 21, 20, 4, tzinfo=datetime.UTC),
}
ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


@pytest.mark.parametrize("packed", EXAMPLES)
def test_the_examples_of_the_standard(packed):
    assert loads(bytes.fromhex(packed)) == EXAMPLES[packed]


@given(ITEMS)
def test_what_is_written_is_read_back(value):
    assert loads(dumps(value)) == value


def test_a_time_is_written_with_its_tag():
    when = datetime.datetime(2026, 11, 27, 12, 0, 0, 500_000, tzinfo=datetime.UTC)
    assert loads(dumps([when])) == [when]


BROKEN = ["", "18", "61", "62c3", "ff", "81", "8101ff", "a1", "a10101", "a2616101616102", "c001", "c482001bffffffffffffffff", "d818410a", "f7", "c1fb7ff0000000000000", "1c", "f8ff", "9f01", "7f01ff", "0000", "5f6161ff", "a161ff", "81" * 200 + "00"]  # fmt: skip


@pytest.mark.parametrize("packed", BROKEN)
def test_what_is_no_sound_item_is_refused(packed):
    with pytest.raises(ApiError) as refused:
        loads(bytes.fromhex(packed))
    assert refused.value.code == "SerializationException"


@given(st.binary(max_size=60))
def test_whatever_comes_is_read_or_refused(packed):
    try:
        loads(packed)
    except ApiError as refused:
        assert refused.code == "SerializationException"
