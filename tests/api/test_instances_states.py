"""From pending to terminated, pure: what a client sees of an instance's life (tests/api/instance_scene.py)."""

from __future__ import annotations

import pytest

from rookery.api.handlers.housekeeping import housekeeping
from rookery.model.objects import Instance, NetworkInterface
from tests.api.instance_scene import (
    account,
    described,
    launch,
    running,
    spare_interface,
    state,
)


@pytest.fixture
def here():
    return account()


def test_pending_until_the_host_runs_it_and_every_host_can_reach_it(here):
    here.view.live = 0
    instance = launch(here)[0]["InstanceId"]
    assert state(here, instance) == "pending"
    here.view.report(instance, "running")
    assert state(here, instance) == "pending"
    here.view.live = here.view.revision
    assert state(here, instance) == "running"


def test_a_later_change_of_tag_or_description_does_not_make_it_pending_again(here):
    instance = running(here)
    here.view.live = here.view.revision
    interface = described(here, instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    here.view.call(
        "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=interface, Description={"Value": "later"}
    )
    assert state(here, instance) == "running"


def test_stop_and_start_keep_the_address_and_go_through_all_states(here):
    instance = running(here)
    address = described(here, instance)["PrivateIpAddress"]
    answer = here.view.call("StopInstances", InstanceIds=[instance])
    assert answer["StoppingInstances"] == [
        {
            "InstanceId": instance,
            "PreviousState": {"Code": 16, "Name": "running"},
            "CurrentState": {"Code": 64, "Name": "stopping"},
        }
    ]
    assert state(here, instance) == "stopping"
    assert here.view.refusal("StartInstances", InstanceIds=[instance]) == "IncorrectInstanceState"
    here.view.report(instance, "stopped")
    stopped = described(here, instance)
    assert stopped["State"] == {"Code": 80, "Name": "stopped"}
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert stopped["StateTransitionReason"] == "User initiated (2027-01-15 08:00:00 GMT)"
    here.view.now += 60
    here.view.call("StartInstances", InstanceIds=[instance])
    assert state(here, instance) == "pending"
    here.view.report(instance, "running", boot=2)
    again = described(here, instance)
    assert (again["State"]["Name"], again["PrivateIpAddress"]) == ("running", address)
    assert again["LaunchTime"] == here.view.now
    assert "StateReason" not in again


def test_a_started_instance_is_pending_until_its_new_mappings_are_known_everywhere(here):
    instance = running(here)
    here.view.call("StopInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped")
    here.view.live = here.view.revision
    here.view.call("StartInstances", InstanceIds=[instance])
    here.view.report(instance, "running", boot=2)
    assert state(here, instance) == "pending"
    here.view.live = here.view.revision
    assert state(here, instance) == "running"


def test_a_word_about_an_earlier_boot_says_nothing_about_this_one(here):
    instance = running(here)
    here.view.call("StopInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped")
    here.view.call("StartInstances", InstanceIds=[instance])
    here.view.report(instance, "stopped", boot=1)
    assert state(here, instance) == "pending"


def test_a_reboot_is_not_seen_from_outside(here):
    instance = running(here)
    assert here.view.call("RebootInstances", InstanceIds=[instance]) == {}
    assert here.view.get(Instance, instance).boot == 2
    assert state(here, instance) == "running"
    here.view.report(instance, "running", boot=2)
    assert state(here, instance) == "running"
    here.view.call("StopInstances", InstanceIds=[instance])
    assert here.view.refusal("RebootInstances", InstanceIds=[instance]) == "IncorrectInstanceState"


def test_rebooting_what_has_not_booted_yet_changes_nothing(here):
    instance = launch(here)[0]["InstanceId"]
    here.view.call("RebootInstances", InstanceIds=[instance])
    assert here.view.get(Instance, instance).boot == 1


def test_what_could_not_be_started_is_stopped_and_says_why(here):
    instance = launch(here)[0]["InstanceId"]
    here.view.report(instance, "failed", message="no space left on device")
    failed = described(here, instance)
    assert failed["State"]["Name"] == "stopped"
    assert failed["StateReason"] == {
        "Code": "Server.InternalError",
        "Message": "Server.InternalError: no space left on device",
    }
    here.view.call("StartInstances", InstanceIds=[instance])
    assert state(here, instance) == "pending"


def test_a_request_changes_all_its_instances_or_none(here):
    first, second = running(here), launch(here)[0]["InstanceId"]
    assert here.view.refusal("StopInstances", InstanceIds=[first, second]) == "IncorrectInstanceState"
    unknown = "i-0123456789abcdef0"
    assert here.view.refusal("StopInstances", InstanceIds=[first, unknown]) == "InvalidInstanceID.NotFound"
    assert here.view.refusal("StopInstances", InstanceIds=["web"]) == "InvalidInstanceID.Malformed"
    assert state(here, first) == "running"


def test_stopping_and_starting_twice_changes_nothing(here):
    instance = running(here)
    assert here.view.call("StartInstances", InstanceIds=[instance])["StartingInstances"][0][
        "CurrentState"
    ] == {
        "Code": 16,
        "Name": "running",
    }
    here.view.call("StopInstances", InstanceIds=[instance])
    before = here.view.revision
    here.view.call("StopInstances", InstanceIds=[instance, instance])
    assert here.view.revision == before


# ----------------------------------------------------------------------------------------------------------- terminate


def test_terminating_takes_launch_interfaces_and_frees_the_others(here):
    spare = spare_interface(here)
    instance = launch(
        here,
        NetworkInterfaces=[
            {"DeviceIndex": 0, "SubnetId": here.a.id},
            {"DeviceIndex": 1, "NetworkInterfaceId": spare},
        ],
    )[0]
    launched = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    name = instance["InstanceId"]
    answer = here.view.call("TerminateInstances", InstanceIds=[name])
    assert answer["TerminatingInstances"][0]["CurrentState"] == {"Code": 32, "Name": "shutting-down"}
    assert here.view.get(NetworkInterface, launched) is None
    assert here.view.get(NetworkInterface, spare).attachment is None
    assert state(here, name) == "shutting-down"
    here.view.report(name, "terminated")
    gone = described(here, name)
    assert gone["State"] == {"Code": 48, "Name": "terminated"}
    assert gone["NetworkInterfaces"] == []
    assert not {"PrivateIpAddress", "SubnetId", "VpcId"} & set(gone)


def test_terminating_again_is_no_error(here):
    instance = running(here)
    here.view.call("TerminateInstances", InstanceIds=[instance])
    before = here.view.revision
    here.view.call("TerminateInstances", InstanceIds=[instance])
    assert here.view.revision == before
    for operation in ("StartInstances", "StopInstances", "RebootInstances"):
        assert here.view.refusal(operation, InstanceIds=[instance]) == "IncorrectInstanceState"


def test_protected_instances_are_neither_terminated_nor_stopped(here):
    instance = running(here, DisableApiTermination=True, DisableApiStop=True)
    other = running(here)
    both = [other, instance]
    assert here.view.refusal("TerminateInstances", InstanceIds=both) == "OperationNotPermitted"
    assert here.view.refusal("StopInstances", InstanceIds=both) == "OperationNotPermitted"
    for attribute in ("DisableApiTermination", "DisableApiStop"):
        here.view.call("ModifyInstanceAttribute", InstanceId=instance, **{attribute: {"Value": False}})
    here.view.call("StopInstances", InstanceIds=both)
    here.view.call("TerminateInstances", InstanceIds=both)


def test_terminated_instances_are_forgotten_an_hour_after_their_end(here):
    instance = running(here)
    here.view.call("TerminateInstances", InstanceIds=[instance])
    here.view.now += 7200
    assert housekeeping(here.view, here.view.now).deletes == ()  # its host has not said that it ended
    here.view.report(instance, "terminated")
    assert housekeeping(here.view, here.view.now + 3599).deletes == ()
    here.view.apply(housekeeping(here.view, here.view.now + 3600))
    assert here.view.refusal("DescribeInstances", InstanceIds=[instance]) == "InvalidInstanceID.NotFound"


def test_what_a_lost_host_held_is_forgotten_too(here):
    instance = running(here)
    here.view.call("TerminateInstances", InstanceIds=[instance])
    here.view.hosts().clear()
    assert [each.id for each in housekeeping(here.view, here.view.now + 3600).deletes] == [instance]


@pytest.mark.parametrize(("behavior", "end"), [("stop", "stopped"), ("terminate", "shutting-down")])
def test_a_guest_that_shuts_itself_down_ends_as_its_owner_said(here, behavior, end):
    instance = running(here, InstanceInitiatedShutdownBehavior=behavior)
    here.view.report(instance, "stopped")
    assert state(here, instance) == "stopped"
    assert described(here, instance)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    here.view.apply(housekeeping(here.view, here.view.now))
    assert state(here, instance) == end
    assert described(here, instance)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert housekeeping(here.view, here.view.now).puts == ()


# ---------------------------------------------------------------------------------------------------------- attributes
