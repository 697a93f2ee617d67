"""Something is killed every moment, and no packet and no connection notices.

host-1 red-1 --ping--> red-2 host-2         killed at random: supervisor, mapping, api, host-1, host-2
host-2 red-2 --TCP --> red-1 host-1         meanwhile a client launches and terminates instances
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from rookery.region import processes
from rookery.region.layout import Layout
from rookery.region.status import look
from rookery.testing.invariants import broken
from tests.faults.harm import Flow, Pinging, everything, ping, stored, until

pytestmark = pytest.mark.faults

SECONDS = float(os.environ.get("ROOKERY_KILLING_SECONDS", "12"))
EVERY = float(os.environ.get("ROOKERY_KILLING_EVERY", "0.7"))


def test_while_parts_die_at_random_no_packet_is_lost_and_no_connection_breaks(one):
    pings, flow = Pinging(one), Flow(one, "red-2", "red-1", "10.0.1.10")
    churn, over = Churn(one), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        churning = pool.submit(churn.go_on, over)
        try:
            killed = kill_at_random(one, random.Random(4))
        finally:
            over.set()
        churning.result(60)
    until(lambda: look(one.name).healthy, lambda: str(look(one.name)), within=60)
    assert len(killed) > SECONDS / EVERY / 4
    assert pings.lost() == 0
    assert flow.blocks() > 100
    settled(one, churn)


def kill_at_random(region: Any, chance: random.Random) -> list[str]:
    """Names of what was killed. Who finds the supervisor dead, as a person would, types `rookery up`."""
    killed: list[str] = []
    began = time.monotonic()
    pause = threading.Event()
    while time.monotonic() - began < SECONDS:
        victim = chance.choice(everything(region))
        killed.append(" ".join(processes.arguments(victim.pid)))
        processes.send(victim, signal.SIGKILL)
        if "supervisor" in killed[-1]:
            processes.wait_gone([victim], 5)
            done = region.rookery("up")
            assert done.returncode == 0, done.stderr.decode()
        pause.wait(EVERY)
    return killed


class Churn:
    """Launches and terminates; what is not answered is asked again under the same token."""

    def __init__(self, region: Any):
        self._ec2 = region.client()
        red = [{"Name": "tag:Name", "Values": ["red-a", "red-b"]}]
        self._subnets = [one["SubnetId"] for one in self._ec2.describe_subnets(Filters=red)["Subnets"]]
        self._image = self._ec2.describe_images()["Images"][0]["ImageId"]
        self.living: dict[str, str] = {}  # id -> address

    def go_on(self, over: threading.Event) -> None:
        turn = 0
        while not over.wait(0.2):
            self._launch(turn)
            if len(self.living) > 3:
                self._terminate(next(iter(self.living)))
            turn += 1

    def _launch(self, turn: int) -> None:
        answer = self._insist(
            self._ec2.run_instances,
            ImageId=self._image,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=self._subnets[turn % 2],
            ClientToken=f"churn-{turn}",
        )
        made = answer["Instances"][0]
        self.living[made["InstanceId"]] = made["PrivateIpAddress"]

    def _terminate(self, instance: str) -> None:
        self._insist(self._ec2.terminate_instances, InstanceIds=[instance])
        del self.living[instance]

    @staticmethod
    def _insist(call: Any, **parameters: Any) -> Any:
        deadline, pause = time.monotonic() + 30, threading.Event()
        while True:
            try:
                return call(**parameters)
            except BotoCoreError:
                assert time.monotonic() < deadline, "the API stays away"
                pause.wait(0.05)

    def states(self) -> dict[str, str]:
        found = self._ec2.describe_instances()["Reservations"]
        return {one["InstanceId"]: one["State"]["Name"] for each in found for one in each["Instances"]}


def settled(region: Any, churn: Churn) -> None:
    """What was answered is what there is: in the store, on the hosts, in the kernels."""
    until(lambda: set(churn.states().values()) <= {"running", "terminated"}, lambda: str(churn.states()))
    states = churn.states()
    assert all(states[instance] == "running" for instance in churn.living)
    for address in churn.living.values():
        assert ping(region, "red-1", address)
    assert broken(stored(region)) == []
    assert region.rookery("mappings").returncode == 0
    running = [instance for instance, state in states.items() if state == "running"]
    until(lambda: instances_with_a_namespace(region) == sorted(running), "only what runs has a namespace")


def instances_with_a_namespace(region: Any) -> list[str]:
    start = Layout(region.name).instance_namespace("i-")
    return sorted(name.removeprefix(start[:-2]) for name in os.listdir("/run/netns") if name.startswith(start))
