"""What is kept, how long, and how much of it."""

from __future__ import annotations

import math

import dns.rcode
import dns.rdatatype
from hypothesis import given
from hypothesis import strategies as st

from rookery.host.services.dns.answer import Answer, Record
from rookery.host.services.dns.cache import Cache, Kept
from rookery.host.services.dns.forward import LONGEST_NEGATIVE, lifetime


def kept(value: str, until: float = math.inf, size: int = 1) -> Kept[str]:
    return Kept(value, 0, until, size)


def test_a_value_is_there_until_its_time():
    cache: Cache[str] = Cache(10, 10)
    cache.put("a", kept("x", until=5))
    assert cache.get("a", 4.9).value == "x"
    assert cache.get("a", 5) is None
    assert (len(cache), cache.size) == (0, 0)


def test_what_was_not_used_for_longest_goes_first():
    cache: Cache[str] = Cache(2, 10)
    cache.put("a", kept("x"))
    cache.put("b", kept("y"))
    cache.get("a", 0)
    cache.put("c", kept("z"))
    assert [cache.get(key, 0) is not None for key in "abc"] == [True, False, True]


def test_what_is_larger_than_all_of_it_is_not_kept_and_takes_no_place():
    cache: Cache[str] = Cache(10, 10)
    cache.put("a", kept("x", size=10))
    cache.put("b", kept("y", size=11))
    assert cache.get("a", 0)
    assert cache.get("b", 0) is None


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12))))
def test_neither_number_nor_bytes_are_ever_exceeded(puts):
    cache: Cache[str] = Cache(4, 20)
    for key, size in puts:
        cache.put(key, kept("x", size=size))
        held = [found for n in range(9) if (found := cache.get(n, 0))]
        assert len(cache) == len(held) <= 4
        assert cache.size == sum(found.size for found in held) <= 20


def record(kind: str, ttl: int, rdata: bytes = b"\1\2\3\4") -> Record:
    return Record(b"\1a\0", dns.rdatatype.from_text(kind), ttl, rdata)


def authority(ttl: int, minimum: int) -> Record:
    return record("SOA", ttl, b"\0\0" + bytes(16) + minimum.to_bytes(4, "big"))


def test_an_answer_lives_as_long_as_the_record_that_goes_first():
    assert (
        lifetime(Answer(0, (record("A", 300), record("A", 20)), (record("NS", 100),)), dns.rdatatype.A) == 20
    )


def test_what_does_not_exist_lives_as_its_zone_says():
    missing = dns.rcode.NXDOMAIN
    assert lifetime(Answer(missing, (), (authority(600, 30),)), dns.rdatatype.A) == 30
    assert lifetime(Answer(missing, (), (authority(20, 30),)), dns.rdatatype.A) == 20
    assert lifetime(Answer(missing, (), (authority(86_400, 86_400),)), dns.rdatatype.A) == LONGEST_NEGATIVE
    assert lifetime(Answer(missing), dns.rdatatype.A) == 0


def test_an_alias_of_a_name_without_the_record_is_negative_too():
    alias = record("CNAME", 300)
    assert lifetime(Answer(0, (alias,), (authority(600, 30),)), dns.rdatatype.A) == 30
    assert lifetime(Answer(0, (alias,)), dns.rdatatype.A) == 0
    assert lifetime(Answer(0, (alias,)), dns.rdatatype.CNAME) == 300
