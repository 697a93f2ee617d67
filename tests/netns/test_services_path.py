"""Real packets from guests to the services of their host and back. Sockets of ours stand for the services.

    instance 11 (VPC 7) 10.7.1.5 --veth-- host A --veth-- services' namespace
    instance 21 (VPC 8) 10.7.1.5 --veth--/  svc0   svc1   fd00:ec2::254 and the others
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dataplane.namespaces import World, world

HERE = Path(__file__).parent
MODES = ("tcx", "clsact")


@pytest.fixture(scope="module", params=MODES)
def guests(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(mode=request.param, instances={"a": (11, 21, 14), "b": ()}, services=True) as made:
        serving = made.begin_services("a", sys.executable, str(HERE / "services_under_test.py"))
        try:
            assert serving.stdout and serving.stdout.readline() == "ready\n"
            yield made
        finally:
            serving.kill()
            serving.communicate()


def ask(made: World, number: int, question: str) -> str:
    """`question`: protocol, address, port, bytes, and the guest's port if it has to be a certain one."""
    return made.execute(number, sys.executable, str(HERE / "ask.py"), *question.split()).strip()


TWINS = {11: "fd52:401:0:b::a07:105", 21: "fd52:401:0:15::a07:105"}  # both are 10.7.1.5
QUESTIONS = {  # of instance 11: (who asks, in the service's eyes; at which service; from where the answer comes)
    "tcp 169.254.169.254 80 100": ("fd52:401:0:b::a07:105", "254", "169.254.169.254"),
    "tcp fd00:ec2::254 80 100": ("fd52:601:0:b::5", "254", "fd00:ec2::254"),
    "udp 169.254.169.253 53 100": ("fd52:401:0:b::a07:105", "253", "169.254.169.253"),
    "tcp 169.254.169.253 53 100": ("fd52:401:0:b::a07:105", "253", "169.254.169.253"),
    "udp 10.7.0.2 53 100": ("fd52:402:0:b::a07:105", "253", "10.7.0.2"),
    "tcp 10.7.0.2 53 100": ("fd52:402:0:b::a07:105", "253", "10.7.0.2"),
    "udp fd00:ec2::253 53 101": ("fd52:601:0:b::5", "253", "fd00:ec2::253"),
    "udp 169.254.169.123 123 48": ("fd52:401:0:b::a07:105", "123", "169.254.169.123"),
    "udp fd00:ec2::123 123 48": ("fd52:601:0:b::5", "123", "fd00:ec2::123"),
    "udp 10.7.1.1 67 300 68": ("fd52:403:0:b::a07:105", "67", "10.7.1.1"),
    "udp 255.255.255.255 67 300 68": ("fd52:404:0:b::a07:105", "67", "10.7.1.1"),
    "udp ff02::1:2%eth0 547 100 546": ("fd52:701:0:b:0:ff:fe00:10b", "547", "fe80:ec2::1"),
}


@pytest.mark.parametrize("number", TWINS)
def test_twins_with_one_address_are_told_apart(guests: World, number: int) -> None:
    told = ask(guests, number, "tcp 169.254.169.254 80 100")
    assert told.startswith(f"{TWINS[number]} ")
    assert told.endswith("at fd00:ec2::254 from 169.254.169.254 ttl 0 whole")


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_service_is_reached_and_answers_from_where_it_was_asked(guests: World, question: str) -> None:
    who, where, source = QUESTIONS[question]
    asker, _port, _at, at, _from, came_from, *_ttl, whole = ask(guests, 11, question).split()
    assert (asker, at, came_from, whole) == (who, f"fd00:ec2::{where}", source, "whole")
