"""Instances under a host that is slow, repeats itself and is heard in any order (hypothesis).

one host, one subnet 10.0.1.0/28      reports: what the host said, in a bag; any of them may be heard next
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rookery.api.handlers.addresses import SubnetAddresses
from rookery.api.handlers.housekeeping import housekeeping
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.api.operation import ApiError
from rookery.model.objects import Host, Instance, InstanceStatus, NetworkInterface
from rookery.testing.small_view import SmallView

MAY_START = {"stopped", "running", "pending"}
MAY_STOP = {"running", "stopping", "stopped"}
MAY_REBOOT = {"running", "pending"}
MAY_END = {"pending", "running", "stopping", "stopped", "shutting-down", "terminated"}
ENDING = {"shutting-down", "terminated"}


class Lifecycle(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.view = SmallView([Host(name="host-1", zone=0, address="100.64.1.10", capacity=5)])
        self.subnet = self.view.make_subnet(self.view.make_vpc("10.0.0.0/16"), "10.0.1.0/28")
        self.reports: list[InstanceStatus] = []
        self.ended: set[str] = set()
        self.address: dict[str, str] = {}

    def described(self):
        answer = self.view.call("DescribeInstances")["Reservations"]
        return {each["InstanceId"]: each for group in answer for each in group["Instances"]}

    def states(self):
        return {name: each["State"]["Name"] for name, each in self.described().items()}

    def one(self, data):
        return data.draw(st.sampled_from([each.id for each in self.view.all(Instance)]))

    def has_instances(self):
        return bool(self.view.all(Instance))

    @rule(count=st.integers(1, 3), behavior=st.sampled_from(["stop", "terminate"]))
    def run(self, count, behavior):
        self.view.now += 1
        request = {
            "ImageId": NAMESPACE_IMAGE.id,
            "SubnetId": self.subnet.id,
            "MinCount": 1,
            "MaxCount": count,
        }
        try:
            answer = self.view.call("RunInstances", **request, InstanceInitiatedShutdownBehavior=behavior)
        except ApiError as error:
            assert error.code == "InsufficientInstanceCapacity"
            assert sum(each.wanted != "terminated" for each in self.view.all(Instance)) == 5
            return
        for each in answer["Instances"]:
            self.address[each["InstanceId"]] = each["PrivateIpAddress"]

    def attempt(self, data, operation, allowed):
        name = self.one(data)
        before = self.states()[name]
        try:
            self.view.call(operation, InstanceIds=[name])
        except ApiError as error:
            assert error.code == "IncorrectInstanceState"
            assert before not in allowed
            return ""
        assert before in allowed
        return name

    @precondition(has_instances)
    @rule(data=st.data())
    def start(self, data):
        self.attempt(data, "StartInstances", MAY_START)

    @precondition(has_instances)
    @rule(data=st.data())
    def stop(self, data):
        self.attempt(data, "StopInstances", MAY_STOP)

    @precondition(has_instances)
    @rule(data=st.data())
    def reboot(self, data):
        self.attempt(data, "RebootInstances", MAY_REBOOT)

    @precondition(has_instances)
    @rule(data=st.data())
    def terminate(self, data):
        self.ended |= {self.attempt(data, "TerminateInstances", MAY_END)} - {""}

    @precondition(has_instances)
    @rule(data=st.data())
    def the_host_reports_what_it_did(self, data):
        self.reports.append(self.done(self.view.get(Instance, self.one(data))))

    def done(self, instance):
        return InstanceStatus(id=instance.id, state=instance.wanted, boot=instance.boot, since=self.view.now)

    @precondition(has_instances)
    @rule(data=st.data(), state=st.sampled_from(["stopped", "failed"]))
    def the_host_reports_an_accident(self, data, state):
        instance = self.view.get(Instance, self.one(data))
        if instance.wanted == "running":
            self.reports.append(
                InstanceStatus(id=instance.id, state=state, boot=instance.boot, since=self.view.now)
            )

    @precondition(lambda self: self.reports)
    @rule(data=st.data())
    def any_report_is_heard(self, data):
        self.hear(data.draw(st.sampled_from(self.reports)))

    def hear(self, status):
        self.view.statuses[status.id] = status

    @rule(seconds=st.sampled_from([0, 10, 4000]))
    def the_api_keeps_house(self, seconds):
        self.view.now += seconds
        before = {each.id: each for each in self.view.all(Instance)}
        self.view.apply(housekeeping(self.view, self.view.now))
        after = {each.id for each in self.view.all(Instance)}
        for name in set(before) - after:
            assert before[name].wanted == "terminated"
            assert self.view.now - before[name].wanted_since >= 3600
        self.reports = [each for each in self.reports if each.id in after]
        self.ended |= {each.id for each in self.view.all(Instance) if each.wanted == "terminated"}

    @invariant()
    def what_was_terminated_never_comes_back(self):
        for name, state in self.states().items():
            assert (state in ENDING) == (name in self.ended)

    @invariant()
    def an_instance_keeps_its_address_until_it_is_terminated(self):
        for name, each in self.described().items():
            kept = None if name in self.ended else self.address[name]
            assert each.get("PrivateIpAddress") == kept

    @invariant()
    def interfaces_and_instances_agree(self):
        attached = {
            each.attachment.instance_id: each.id
            for each in self.view.all(NetworkInterface)
            if each.attachment
        }
        living = {each.id for each in self.view.all(Instance) if each.wanted != "terminated"}
        assert set(attached) == living
        held = self.view.held_addresses(self.subnet.id)
        assert SubnetAddresses(self.subnet, held).free == 11 - len(living)

    @invariant()
    def once_the_host_has_done_everything_every_state_is_the_wanted_one(self):
        heard = dict(self.view.statuses)
        for instance in self.view.all(Instance):
            self.hear(self.done(instance))
        assert self.states() == {each.id: each.wanted for each in self.view.all(Instance)}
        self.view.statuses = heard


Lifecycle.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLifecycle = Lifecycle.TestCase
