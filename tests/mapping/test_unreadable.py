"""Rows that nobody should have written must not take the service down, nor what was right before."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rookery.mapping.index import Index
from rookery.model.codec import encode
from rookery.model.keys import key_of
from rookery.model.objects import DhcpOptions
from rookery.store.interface import Batch, Change, Entry, Range
from rookery.testing.things import OWNER, hosts, launch, rows, subnet, vpc

INSTANCE, INTERFACE = launch(1, 1, 10, "host-1")
VPC, MAIN = vpc(1)
OPTIONS = DhcpOptions(
    **OWNER, id="dopt-00000000000000001", configurations=(("netbios-node-type", ("2",)),)
)
WORLD = rows(
    *hosts(1), replace(VPC, dhcp_options_id=OPTIONS.id), OPTIONS, MAIN, subnet(1, 1), INSTANCE, INTERFACE
)


@pytest.mark.parametrize(
    "key, value",
    [
        (key_of(INTERFACE), b"no JSON"),
        (key_of(INTERFACE), b"{}"),
        (key_of(INTERFACE), b'{"id":"eni-1","subnet_id":"s","mac":"m","addresses":[]}'),
        (key_of(subnet(1, 1)), b'{"id":"subnet-1","vpc_id":"vpc-1","cidr":"10.2.300.0/24"}'),
        ("intended/1/us-east-1/vpc/vpc-nonsense", b'{"id":"vpc-nonsense","cidr_associations":[]}'),
        (key_of(VPC), b'{"id":"vpc-1","account":"1","cidr_associations":[]}'),
        (key_of(VPC), b'{"id":"vpc-1","account":"1","cidr_associations":[["a","10.2.300.0/16"]]}'),
        (key_of(INSTANCE), encode(replace(INSTANCE, zone="us-east-1"))),
        (key_of(OPTIONS), encode(replace(OPTIONS, configurations=(("netbios-node-type", ("two",)),)))),
        ("intended/1/us-east-1/spaceship/x-1", b"{}"),
        ("intended/odd", b"{}"),
        ("infrastructure/host/host-1", b"[]"),
    ],
)
def test_an_unreadable_row_leaves_what_was_there_before(key, value):
    index = Index(1500)
    index.load(Range([Entry(k, v, 1, 1.0) for k, v in WORLD.items()], 1))
    index.subscribe("host-1")
    before = index.intent("host-1")
    assert index.feed(Batch(2, [Change(key, value)])) == {}
    assert index.intent("host-1") == replace(before, generation=2)
    assert len(before.mappings) == 1
