"""Interfaces that come to and go from running instances, with real packets (the stage: see conftest.py)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from rookery.region.inside import entering
from tests.moves.conftest import Stage
from tests.waiting import until

ADDRESS = "10.20.2.50"


@pytest.fixture
def spare(stage: Stage) -> Iterator[dict]:
    """An interface of subnet `data`, gone with the test."""
    made = stage.make_interface("data", PrivateIpAddress=ADDRESS)
    yield made
    stage.unplug(made["NetworkInterfaceId"])
    stage.ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])


def refusal(call, **parameters) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


def links(stage: Stage, name: str) -> dict[str, dict]:
    return {each["ifname"]: each for each in json.loads(stage.said(name, "ip", "-json", "address"))}


def pinged(stage: Stage, name: str, address: str) -> bool:
    return stage.run(name, "ping", "-c1", "-W1", address).returncode == 0


def test_a_second_interface_appears_in_the_running_guest_and_carries_packets_while_it_is_plugged_in(
    stage, spare
):
    eni = spare["NetworkInterfaceId"]
    routes = stage.said("a", "ip", "route")
    assert not stage.mapped(ADDRESS)
    stage.plug(eni, "a")
    link = links(stage, "a")["eth1"]
    assert (link["address"], link["mtu"], link["operstate"]) == (spare["MacAddress"], 1500, "UP")
    assert [(one["local"], one["prefixlen"]) for one in link["addr_info"]] == [(ADDRESS, 24)]
    more = set(stage.said("a", "ip", "route").splitlines()) - set(routes.splitlines())
    assert [route.split()[:3] for route in more] == [["10.20.2.0/24", "dev", "eth1"]]
    assert stage.mapped(ADDRESS)
    assert pinged(stage, "data", ADDRESS)
    assert pinged(stage, "far", "10.20.1.5"), "the first interface keeps the default route"
    held = stage.instance("a")["NetworkInterfaces"]
    assert [(i["NetworkInterfaceId"], i["Attachment"]["Status"]) for i in held][1:] == [(eni, "attached")]
    stage.unplug(eni)
    assert links(stage, "a").keys() == {"lo", "eth0"}
    assert not stage.mapped(ADDRESS)
    assert not pinged(stage, "data", ADDRESS)
    assert stage.said("a", "ip", "route") == routes
    assert len(stage.instance("a")["NetworkInterfaces"]) == 1


def test_what_does_not_fit_is_refused_and_nothing_moves(stage, spare):
    ec2, eni, instance = stage.ec2, spare["NetworkInterfaceId"], stage.instances["a"]
    attach = {"NetworkInterfaceId": eni, "InstanceId": instance, "DeviceIndex": 1}
    first = stage.instance("a")["NetworkInterfaces"][0]["Attachment"]["AttachmentId"]
    assert refusal(ec2.detach_network_interface, AttachmentId=first) == "OperationNotPermitted"
    across = {**attach, "InstanceId": stage.instances["far"]}
    assert refusal(ec2.attach_network_interface, **across) == "InvalidParameterCombination"
    assert refusal(ec2.attach_network_interface, **{**attach, "DeviceIndex": 0}) == "InvalidParameterValue"
    stage.plug(eni, "a")
    assert refusal(ec2.attach_network_interface, **attach) == "InvalidNetworkInterface.InUse"
    assert refusal(ec2.delete_network_interface, NetworkInterfaceId=eni) == "InvalidParameterValue"
    more = stage.make_interface("data")["NetworkInterfaceId"]
    third = {**attach, "NetworkInterfaceId": more, "DeviceIndex": 2}
    assert refusal(ec2.attach_network_interface, **third) == "AttachmentLimitExceeded"
    ec2.delete_network_interface(NetworkInterfaceId=more)
    assert links(stage, "a").keys() == {"lo", "eth0", "eth1"}


def test_an_interface_moves_between_instances_under_a_ping_with_its_mac_and_its_address(stage, spare):
    eni = spare["NetworkInterfaceId"]
    stage.plug(eni, "a")
    enter, environment = entering(
        stage.region.name, stage.instances["data"], ["ping", "-i0.005", "-n", ADDRESS]
    )
    with subprocess.Popen(enter, env=environment, stdout=subprocess.PIPE, text=True) as ping:
        try:
            until(lambda: "bytes from" in ping.stdout.readline(), "answers from a")
            stage.unplug(eni)
            assert "eth1" not in links(stage, "a"), "what is gone receives nothing"
            stage.plug(eni, "b")
            assert links(stage, "b")["eth1"]["address"] == spare["MacAddress"]
            before = received(stage, "b")
            until(lambda: received(stage, "b") > before, "pings arrive at b")
            assert pinged(stage, "data", ADDRESS)
        finally:
            ping.kill()


def received(stage: Stage, name: str) -> int:
    return int(stage.said(name, "cat", "/sys/class/net/eth1/statistics/rx_packets"))


def test_a_source_that_no_interface_has_never_arrives_not_even_from_a_plugged_one(stage, spare):
    stage.plug(spare["NetworkInterfaceId"], "a")
    stage.said("a", "ip", "address", "add", "1.2.3.4/32", "dev", "lo")
    before = stage.drops("drop_source_address")
    assert stage.run("a", "ping", "-c1", "-W1", "-I", "1.2.3.4", "10.20.2.5").returncode
    assert stage.drops("drop_source_address") > before
    stage.said("a", "ip", "address", "del", "1.2.3.4/32", "dev", "lo")


def test_termination_frees_a_hot_plugged_interface_and_takes_the_first_one_along(stage, spare):
    eni = spare["NetworkInterfaceId"]
    stage.launch("short", "front", "10.20.1.210")
    stage.wait_until_running()
    stage.plug(eni, "short")
    first = stage.first_interface("short")
    stage.ec2.terminate_instances(InstanceIds=[stage.instances.pop("short")])
    assert stage.interface(eni)["Status"] == "available"
    missing = refusal(stage.ec2.describe_network_interfaces, NetworkInterfaceIds=[first])
    assert missing == "InvalidNetworkInterfaceID.NotFound"
