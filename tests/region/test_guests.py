"""A guest as its user sees it: launched by the API, with its address by DHCP and its user data from the instance metadata.

    guest --TAP-- host ==== host --veth-- namespace        both in the default subnet of zone a
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from rookery.api.handlers.image_catalogue import GUEST_IMAGE, NAMESPACE_IMAGE
from tests.netns.guests import BOOT, build_image, needs_guests
from tests.waiting import until

pytestmark = [needs_guests, pytest.mark.timeout(4 * BOOT)]
USER_DATA = "#!/bin/sh\necho hello from $(hostname) > /tmp/index.html\nhttpd -h /tmp\necho it is served\n"


class Pair:
    def __init__(self, region):
        self.region, self.ec2 = region, region.client()
        zone = {"AvailabilityZone": "us-east-1a"}
        usual = {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro", "Placement": zone}
        self.guest = self._launch(ImageId=GUEST_IMAGE.id, UserData=USER_DATA, **usual)
        self.client = self._launch(ImageId=NAMESPACE_IMAGE.id, **usual)
        self.address = self.described()["PrivateIpAddress"]

    def _launch(self, **parameters) -> str:
        return self.ec2.run_instances(**parameters)["Instances"][0]["InstanceId"]

    def described(self) -> dict:
        return self.ec2.describe_instances(InstanceIds=[self.guest])["Reservations"][0]["Instances"][0]

    def inside(self, instance: str, *command: str) -> str:
        done: subprocess.CompletedProcess[bytes] = self.region.rookery("exec", instance, "--", *command, timeout=90)
        return done.stdout.decode()

    def await_state(self, state: str) -> None:
        until(lambda: self.described()["State"]["Name"] == state, state, BOOT)


@pytest.fixture(scope="module")
def pair(region) -> Iterator[Pair]:
    build_image()
    made = Pair(region)
    yield made
    made.ec2.terminate_instances(InstanceIds=[made.guest, made.client])
    made.await_state("terminated")


def test_a_guest_gets_its_address_by_dhcp_and_serves_what_its_user_data_says(pair: Pair):
    pair.await_state("running")
    page = lambda: pair.inside(pair.client, "curl", "-s", "-m", "5", f"http://{pair.address}/")  # noqa: E731
    until(lambda: page().startswith("hello from ip-172-31-"), "the guest's page", BOOT)
    assert f" {pair.address}/20 " in pair.inside(pair.guest, "ip", "address", "show", "dev", "eth0")


def test_exec_passes_output_and_exit_code_of_a_guest(pair: Pair):
    done = pair.region.rookery("exec", pair.guest, "--", "sh", "-c", "echo out; echo error >&2; exit 7", timeout=90)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\nerror\n", b"")


def test_what_a_guest_says_on_its_console_can_be_read(pair: Pair):
    said = lambda: pair.ec2.get_console_output(InstanceId=pair.guest).get("Output", "")  # noqa: E731
    until(lambda: "it is served" in said(), "the user data's words", BOOT)


def test_an_interface_that_is_attached_asks_for_its_address(pair: Pair):
    subnet = pair.described()["SubnetId"]
    interface = pair.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    attachment = pair.ec2.attach_network_interface(
        NetworkInterfaceId=interface["NetworkInterfaceId"], InstanceId=pair.guest, DeviceIndex=1
    )["AttachmentId"]
    there = f" {interface['PrivateIpAddress']}/20 "
    until(lambda: there in pair.inside(pair.guest, "ip", "address"), "the second address in the guest", BOOT)
    pair.ec2.detach_network_interface(AttachmentId=attachment)
    named = {"NetworkInterfaceIds": [interface["NetworkInterfaceId"]]}
    until(lambda: pair.ec2.describe_network_interfaces(**named)["NetworkInterfaces"][0]["Status"] == "available", "detached", 30)
    assert "eth1" not in pair.inside(pair.guest, "ip", "link")
    pair.ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])


def test_a_guest_that_was_stopped_starts_with_the_same_address(pair: Pair):
    pair.ec2.stop_instances(InstanceIds=[pair.guest])
    pair.await_state("stopped")
    pair.ec2.start_instances(InstanceIds=[pair.guest])
    ping = ("ping", "-n", "-c", "1", "-W", "1", pair.address)
    until(lambda: " 0% packet loss" in pair.inside(pair.client, *ping), "a pinged guest", BOOT)
