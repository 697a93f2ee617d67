"""From RegisterTargets to the first connection at the target, and from DeregisterTargets to the last new one.

    python -m bench.target_changes [--changes 20] [--json]

    client -- balancer's address at a cell of four nodes -- one (stays), two (comes and goes)

A client begins a connection every ten milliseconds. The clock starts before the request is sent, at any moment of the cell's tick of two seconds.
"first": until the first connection at `two` begins; "last": until the last one that reaches it begins. Its health check (TCP, every ten
seconds) has to pass in between. "failed": connections that nobody answered, of all.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.connections import PORT
from bench.region import admit_everybody, client_of, ec2_client, make_places, namespace_of, running_region

CHECKOUT = Path(__file__).resolve().parents[1]
PATIENCE = 30.0  # seconds
QUIET = 3.0  # seconds without a connection at `two`: it gets none any more
CHECK = {"HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2}


class Answer(NamedTuple):
    who: str
    at: float  # when its connection began, monotonic


class Client:
    """Asks from its start to its end."""

    def __init__(self, process: subprocess.Popen[str]):
        self.answers: list[Answer] = []
        self._process = process
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            who, at = line.split()
            self.answers.append(Answer(who, float(at)))

    def of(self, who: str, since: float) -> list[Answer]:
        return [one for one in list(self.answers) if one.who == who and one.at >= since]


@contextmanager
def started(namespace: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = ("ip", "netns", "exec", namespace, sys.executable, "-m", "bench.connections", *words)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(true: Callable[[], Any], what: str) -> Any:
    """What `true` returns. Raises RuntimeError."""
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.002)
    return found


class Scene:
    """A client, two targets, a balancer with one address, all in one zone."""

    def __init__(self) -> None:
        ec2 = ec2_client()
        self.elb = client_of("elbv2")
        place = make_places(ec2)[0]
        image = ec2.describe_images()["Images"][0]["ImageId"]
        made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=3, MaxCount=3, SubnetId=place)["Instances"]
        ids = [one["InstanceId"] for one in made]
        ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        self.client, self.one, self.two = made
        admit_everybody(ec2, self.client)  # all wear the VPC's default group
        asked = {"Name": "web", "Type": "network", "Scheme": "internal", "Subnets": [place]}
        balancer = self.elb.create_load_balancer(**asked)["LoadBalancers"][0]["LoadBalancerArn"]
        wanted = {"Name": "web", "Protocol": "TCP", "Port": PORT, "VpcId": made[0]["VpcId"], "TargetType": "instance", **CHECK}
        self.group = self.elb.create_target_group(**wanted)["TargetGroups"][0]["TargetGroupArn"]
        action = {"Type": "forward", "TargetGroupArn": self.group}
        self.elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=PORT, DefaultActions=[action])
        described = [{"Name": "description", "Values": ["ELB net/web/*"]}]
        (front,) = ec2.describe_network_interfaces(Filters=described)["NetworkInterfaces"]
        self.address = front["PrivateIpAddress"]

    def register(self, instance: dict[str, Any]) -> None:
        self.elb.register_targets(TargetGroupArn=self.group, Targets=[{"Id": instance["InstanceId"]}])

    def deregister(self, instance: dict[str, Any]) -> None:
        self.elb.deregister_targets(TargetGroupArn=self.group, Targets=[{"Id": instance["InstanceId"]}])


def change(scene: Scene, client: Client) -> dict[str, float]:
    """`two` comes and goes; in seconds."""
    time.sleep(random.uniform(0, 2))
    began = time.monotonic()
    scene.register(scene.two)
    first = wait_for(lambda: client.of("two", began), "a connection at the new target")[0]
    time.sleep(random.uniform(1, 3))
    left = time.monotonic()
    scene.deregister(scene.two)

    def is_over() -> bool:
        latest = client.of("two", left)
        return time.monotonic() - max(latest[-1].at if latest else 0.0, left) > QUIET

    wait_for(is_over, "no new connection at the old target")
    last = [one.at for one in client.of("two", left)]
    return {"first": first.at - began, "last": (max(last) - left) if last else 0.0}


def measure(changes: int) -> dict[str, Any]:
    scene = Scene()
    with ExitStack() as kept:
        for name, instance in (("one", scene.one), ("two", scene.two)):
            server = kept.enter_context(started(namespace_of(instance), "serve", name))
            assert server.stdout and server.stdout.readline() == "ready\n"
        scene.register(scene.one)
        seconds = str(PATIENCE + changes * 20)
        client = Client(kept.enter_context(started(namespace_of(scene.client), "ask", scene.address, seconds)))
        since = wait_for(lambda: client.of("one", 0.0), "a connection at the target that stays")[0].at
        rows = [change(scene, client) for _ in range(changes)]
        answers = [one for one in list(client.answers) if one.at > since]
    failed = sum(one.who == "-" for one in answers)
    return {"changes": rows, "summary": summary(rows), "connections": len(answers), "failed": failed}


def summary(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    names = {"first": "registered: first connection, s", "last": "deregistered: last new connection, s"}
    found = {}
    for key, words in names.items():
        values = [row[key] for row in rows]
        found[words] = {"changes": len(values), "p50": round(statistics.median(values), 2), "max": round(max(values), 2)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with running_region(hosts=2):
        found = measure(options.changes)
    print(json.dumps(found) if options.json else json.dumps({**found, "changes": len(found["changes"])}, indent=1))


if __name__ == "__main__":
    main()
