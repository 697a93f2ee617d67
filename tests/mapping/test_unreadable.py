"""Rows that nobody should have written must not take the service down, nor what was right before."""

from __future__ import annotations

import pytest

from rookery.mapping.index import Index
from rookery.model.keys import key_of
from rookery.store.interface import Batch, Change, Entry, Range
from rookery.testing.things import hosts, launch, rows, subnet, vpc

INSTANCE, INTERFACE = launch(1, 1, 10, "host-1")
WORLD = rows(*hosts(1), *vpc(1), subnet(1, 1), INSTANCE, INTERFACE)


@pytest.mark.parametrize(
    "key, value",
    [
        (key_of(INTERFACE), b"no JSON"),
        (key_of(INTERFACE), b"{}"),
        (key_of(INTERFACE), b'{"id":"eni-1","subnet_id":"s","mac":"m","addresses":[]}'),
        (key_of(subnet(1, 1)), b'{"id":"subnet-1","vpc_id":"vpc-1","cidr":"10.2.300.0/24"}'),
        ("intended/1/us-east-1/vpc/vpc-nonsense", b'{"id":"vpc-nonsense","cidr_associations":[]}'),
        ("intended/1/us-east-1/spaceship/x-1", b"{}"),
        ("intended/odd", b"{}"),
        ("infrastructure/host/host-1", b"[]"),
    ],
)
def test_an_unreadable_row_leaves_what_was_there_before(key, value):
    index = Index(1500)
    index.load(Range([Entry(k, v, 1, 1.0) for k, v in WORLD.items()], 1))
    index.subscribe("host-1")
    before = index.intent("host-1").mappings
    assert index.feed(Batch(2, [Change(key, value)])) == {}
    assert index.intent("host-1").mappings == before
    assert len(before) == 1
