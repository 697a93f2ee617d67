"""The mapping service is away for long: packets go on, the API answers and says what is not yet, and its return heals all.

supervisor -- mapping (frozen, or killed and kept down), api, host-1, host-2       red-1  <-- ping, TCP -->  red-2
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rookery.region import processes
from rookery.region.status import look
from rookery.testing.invariants import broken
from tests.faults.harm import Flow, Pinging, frozen, kill, ping, stored, until

pytestmark = pytest.mark.faults


@contextmanager
def killed_and_kept_down(region: Any, name: str) -> Iterator[None]:
    """Whoever would start it again is frozen."""
    with frozen(region, "supervisor"):
        processes.wait_gone([kill(region, name)], 5)
        yield


class User:
    """What a person does meanwhile."""

    def __init__(self, region: Any):
        self._ec2 = region.client()
        self.id, self.address = "", ""

    def launch(self) -> None:
        red = [{"Name": "tag:Name", "Values": ["red-a"]}]
        subnet = self._ec2.describe_subnets(Filters=red)["Subnets"][0]["SubnetId"]
        image = self._ec2.describe_images()["Images"][0]["ImageId"]
        made = self._ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"][0]
        self.id, self.address = made["InstanceId"], made["PrivateIpAddress"]

    def state(self) -> str:
        found = self._ec2.describe_instances(InstanceIds=[self.id])["Reservations"][0]["Instances"][0]
        return found["State"]["Name"]


@pytest.mark.parametrize("away", [frozen, killed_and_kept_down])
def test_without_the_mapping_service_packets_go_on_and_its_return_brings_the_rest(mended, away):
    pings, flow, user = Pinging(mended), Flow(mended, "red-2", "red-1", "10.0.1.10"), User(mended)
    with away(mended, "mapping"):
        user.launch()
        until(lambda: trouble(mended), "status says that nobody is served")
        said = mended.rookery("wait", "--timeout", "0.5", str(look(mended.name).revision))
        assert said.returncode == 1
        assert "mapping service" in said.stderr.decode()
        assert user.state() == "pending"
        assert not ping(mended, "red-2", user.address)
    until(lambda: user.state() == "running" and ping(mended, "red-2", user.address), "the new one is there")
    until(lambda: look(mended.name).healthy, "all healthy")
    assert mended.rookery("mappings").returncode == 0
    assert (pings.lost(), flow.blocks() > 0) == (0, True)
    assert broken(stored(mended)) == []


def trouble(region: Any) -> bool:
    """Of the mapping service itself, as `status` tells it."""
    return any(part.name == "mapping" and part.problem for part in look(region.name).parts)
