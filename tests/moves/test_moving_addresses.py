"""A secondary address moves between running instances under a stream of packets (the stage: see conftest.py)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import groupby
from statistics import median

import pytest
from botocore.exceptions import ClientError

from tests.moves.conftest import Stage
from tests.waiting import until

ADDRESS, PORT = "10.20.1.50", "7000"
INTERVAL = 0.002
MOVES = 20
USUAL_GAP = 0.100  # seconds; what a busy machine adds to one of twenty is no matter of ours


@pytest.fixture
def address(stage: Stage) -> Iterator[str]:
    """Both guests have configured it; the API has given it to nobody yet."""
    for name in ("a", "b"):
        stage.said(name, "ip", "address", "add", f"{ADDRESS}/32", "dev", "eth0")
    yield ADDRESS
    for name in ("a", "b"):
        stage.said(name, "ip", "address", "del", f"{ADDRESS}/32", "dev", "eth0")
        held = stage.interface(stage.first_interface(name))["PrivateIpAddresses"]
        if any(one["PrivateIpAddress"] == ADDRESS for one in held):
            stage.ec2.unassign_private_ip_addresses(
                NetworkInterfaceId=stage.first_interface(name), PrivateIpAddresses=[ADDRESS]
            )


def move(stage: Stage, address: str, eni: str) -> float:
    """Until every host concerned has applied it; when that was."""
    answer = stage.ec2.assign_private_ip_addresses(
        NetworkInterfaceId=eni, PrivateIpAddresses=[address], AllowReassignment=True
    )
    generation = int(answer["ResponseMetadata"]["HTTPHeaders"]["x-rookery-generation"])
    until(lambda: stage.live() >= generation, "live")
    return time.monotonic()


def lost_runs(asked: list) -> list[float]:
    """Of each run of unanswered packets: seconds from the answered one before it to the answered one after it."""
    runs, at = [], 0
    for answered, group in groupby(asked, key=lambda one: one[1] is not None):
        size = len(list(group))
        if not answered and at and at + size < len(asked):
            runs.append(asked[at + size][0] - asked[at - 1][0])
        at += size
    return runs


def neighbour(stage: Stage, name: str) -> str:
    """The MAC that the guest remembers for the address."""
    found = re.search(r"lladdr (\S+)", stage.said(name, "ip", "neighbour", "show", ADDRESS))
    return found.group(1) if found else ""


@pytest.mark.parametrize("peer", ["near", "far"])
def test_an_address_that_moves_is_away_once_and_usually_for_less_than_a_tenth_of_a_second(stage, address, peer):
    homes = {name: stage.first_interface(name) for name in ("a", "b")}
    move(stage, address, homes["a"])
    done: list[tuple[str, float, float]] = []  # (old home, live there, next call)
    with (
        stage.inside("a", "answer", "a", address, PORT) as at_a,
        stage.inside("b", "answer", "b", address, PORT) as at_b,
        stage.inside(peer, "ask", address, PORT, str(INTERVAL)) as asking,
    ):
        for number in range(MOVES):
            old, new = ("a", "b") if number % 2 == 0 else ("b", "a")
            live = move(stage, address, homes[new])
            pause(0.1)
            done.append((old, live, time.monotonic()))
        asked, received = asking.end(), {"a": at_a.end(), "b": at_b.end()}
    gaps = lost_runs(asked)
    print(f"{MOVES} moves as {peer} sees them; gaps in ms:", [round(1000 * gap, 1) for gap in sorted(gaps)])
    assert {who for _, who in asked if who} == {"a", "b"}
    assert len(gaps) <= MOVES, "one gap a move"
    assert not gaps or median(gaps) <= USUAL_GAP
    for old, live, later in done:
        assert not [when for when in received[old] if live < when < later], f"{old} received after the move"


def pause(seconds: float) -> None:
    """The time in which the stream must flow undisturbed: this is a measurement, not a wait."""
    time.sleep(seconds)


def test_a_neighbour_that_remembers_the_old_mac_reaches_the_new_place(stage, address):
    homes = {name: stage.first_interface(name) for name in ("a", "b")}
    macs = {name: stage.interface(eni)["MacAddress"] for name, eni in homes.items()}
    move(stage, address, homes["a"])
    assert stage.run("near", "ping", "-c1", "-W1", address).returncode == 0
    stage.said(
        "near", "ip", "neighbour", "replace", address, "lladdr", macs["a"], "dev", "eth0", "nud", "permanent"
    )
    try:
        with stage.inside("b", "answer", "b", address, PORT) as at_b:
            move(stage, address, homes["b"])
            with stage.inside("near", "ask", address, PORT, "0.01") as asking:
                pause(0.1)
                answers = {who for _, who in asking.end()}
            at_b.end()
        assert answers == {"b"}
        assert neighbour(stage, "near") == macs["a"], "no ARP taught it anything"
    finally:
        stage.said("near", "ip", "neighbour", "del", address, "dev", "eth0")


def test_without_allow_reassignment_nothing_moves(stage, address):
    homes = {name: stage.first_interface(name) for name in ("a", "b")}
    move(stage, address, homes["a"])
    with pytest.raises(ClientError) as caught:
        stage.ec2.assign_private_ip_addresses(NetworkInterfaceId=homes["b"], PrivateIpAddresses=[address])
    assert caught.value.response["Error"]["Code"] == "Resource.AlreadyAssigned"
    with (
        stage.inside("a", "answer", "a", address, PORT),
        stage.inside("far", "ask", address, PORT, "0.01") as asking,
    ):
        pause(0.1)
        assert {who for _, who in asking.end()} == {"a"}
