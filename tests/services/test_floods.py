"""One instance asks more than it may; another one of the same host goes on being answered.

    host-1    flooder --- resolver --- neighbour
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rookery.dataplane.formats import ServiceLimit
from rookery.region.inside import entering

FLOOD = Path(__file__).with_name("flood.py").read_text()
SECONDS = 3


class Told(NamedTuple):
    seconds: float
    asked: int
    answered: int


def begun(region: Any, instance: str, seconds: int) -> subprocess.Popen[str]:
    enter, environment = entering(region.name, instance, ["python3", "-c", FLOOD, str(seconds)])
    return subprocess.Popen(enter, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> Told:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    seconds, asked, answered = output.split()
    return Told(float(seconds), int(asked), int(answered))


def test_a_flood_is_answered_1024_times_a_second_and_a_neighbour_whenever_it_asks(fresh_region: Callable[..., Any]):
    """T1-14."""
    region = fresh_region(1, 1)
    ec2 = region.client()
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, InstanceType="t3.small", MinCount=2, MaxCount=2)["Instances"]
    flooder, neighbour = (one["InstanceId"] for one in made)
    waiter = ec2.get_waiter("instance_running")
    waiter.wait(InstanceIds=[flooder, neighbour], WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    flooding = begun(region, flooder, SECONDS)
    assert told(begun(region, neighbour, 0)).answered == 50, "while the flood goes on"
    flood = told(flooding)
    budget = int(ServiceLimit.PACKETS)
    assert flood.asked > 3 * budget * flood.seconds
    assert budget * (flood.seconds - 1) * 0.9 <= flood.answered <= budget * (flood.seconds + 1)
