"""The agent dies and comes back while packets run: see tests/netns/two_hosts.py for the topology."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rookery.host.instances import namespace
from tests.netns.two_hosts import ADDRESSES, Guest, TwoHosts, built
from tests.waiting import until

pytestmark = pytest.mark.faults


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[TwoHosts]:
    with built(tmp_path) as two:
        yield two


@contextmanager
def a_running_ping(hosts: TwoHosts, source: Guest, destination: Guest) -> Iterator[None]:
    """Five hundred a second; not one may be lost by the end of the block."""
    command = hosts.inside(source, "ping", "-n", "-q", "-i", "0.002", destination.address)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as ping:
        try:
            yield
        finally:
            os.killpg(ping.pid, signal.SIGINT)  # nsenter stands before it
            said = ping.communicate(timeout=10)[0]
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", said).groups())
    assert sent > 50
    assert received in (sent, sent - 1), said  # the last may be on its way when ping ends


def test_an_agent_killed_and_started_again_loses_no_packet_and_starts_nothing_twice(hosts: TwoHosts):
    a, b = Guest(7, 5, "host-1"), Guest(7, 6, "host-2")
    hosts.launch(a, b)
    pids = [hosts.pid(a), hosts.pid(b)]
    with a_running_ping(hosts, a, b):
        for host in (*ADDRESSES, *ADDRESSES):
            hosts.kill_agent(host)
            hosts.service.applied.pop(host)
            hosts.start_agent(host)
            until(lambda host=host: host in hosts.service.applied, lambda host=host: hosts.log(host))
    assert [hosts.pid(a), hosts.pid(b)] == pids
    assert hosts.ask("host-1", type="status")["healed"] == 0
    assert len(namespace.named(f"rookery-{hosts.region}-i-")) == 2


def test_an_agent_killed_in_the_middle_of_a_launch_leaves_one_instance_and_no_rest(hosts: TwoHosts):
    until(lambda: hosts.service.applied.keys() == ADDRESSES.keys(), "both agents are up")
    guests = [Guest(7, last, "host-1") for last in range(10, 22)]
    hosts.service.change(
        "host-1",
        instances=tuple(g.intent() for g in guests),
        mappings=tuple(g.mapping for g in guests),
        rules=tuple(rule for g in guests for rule in g.rules),
    )
    for reported in (1, 4, 8):
        until(lambda reported=reported: len(hosts.service.statuses) >= reported, lambda: hosts.log("host-1"))
        hosts.kill_agent("host-1")
        hosts.start_agent("host-1")
    for guest in guests:
        hosts.wait_state(guest, "running")
    assert len(namespace.named(f"rookery-{hosts.region}-i-")) == len(guests)
    inits = [hosts.pid(guest) for guest in guests]
    assert 0 not in inits and len(set(inits)) == len(guests)
    assert hosts.pings(guests[0], guests[-1])


def test_instances_that_died_or_were_unwanted_while_no_agent_looked_are_settled_at_its_return(hosts: TwoHosts):
    died, unwanted, lives = Guest(7, 5, "host-1"), Guest(7, 6, "host-1"), Guest(7, 7, "host-1")
    hosts.launch(died, unwanted, lives)
    pid = hosts.pid(died)
    hosts.kill_agent("host-1")
    os.kill(pid, 9)
    hosts.service.change("host-1", forget=(unwanted.id,), unmap=(unwanted.mapping.key,))
    hosts.start_agent("host-1")
    hosts.wait_state(died, "stopped")
    until(
        lambda: namespace.named(f"rookery-{hosts.region}-i-") == [f"rookery-{hosts.region}-{lives.id}"],
        lambda: hosts.log("host-1"),
    )


def test_a_second_agent_of_a_host_is_refused(hosts: TwoHosts):
    until(lambda: "host-1" in hosts.service.applied, "the first is up")
    first = hosts.agents["host-1"]
    hosts.start_agent("host-1")
    assert hosts.agents["host-1"].wait(10) == 2
    assert "another agent of host-1 is running" in hosts.log("host-1")
    assert first.poll() is None
    hosts.agents["host-1"] = first
