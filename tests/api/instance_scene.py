"""One account in memory with two subnets and three hosts, and what tests of instances do to it.

zone a: host-1, host-3      zone b: host-2
VPC 10.0.0.0/16: subnet a 10.0.1.0/24 (zone a), subnet b 10.0.2.0/28 (zone b)
"""

from __future__ import annotations

from types import SimpleNamespace

from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.model.objects import Host
from rookery.testing.small_view import SmallView

HOSTS = [
    Host(name="host-1", zone=0, address="100.64.1.10", capacity=10),
    Host(name="host-2", zone=1, address="100.64.2.11", capacity=30),
    Host(name="host-3", zone=0, address="100.64.1.12", capacity=10),
]


def account():
    view = SmallView(HOSTS)
    vpc = view.make_vpc("10.0.0.0/16")
    return SimpleNamespace(
        view=view,
        vpc=vpc,
        a=view.make_subnet(vpc, "10.0.1.0/24", zone="us-east-1a"),
        b=view.make_subnet(vpc, "10.0.2.0/28", zone="us-east-1b"),
    )


def wish(here, **parameters):
    """RunInstances' parameters: one in subnet a unless said otherwise."""
    usual = {"ImageId": NAMESPACE_IMAGE.id, "MinCount": 1, "MaxCount": 1}
    if not {"SubnetId", "NetworkInterfaces"} & set(parameters):
        usual["SubnetId"] = here.a.id
    return {**usual, **parameters}


def launch(here, **parameters):
    return here.view.call("RunInstances", **wish(here, **parameters))["Instances"]


def running(here, **parameters):
    instance = launch(here, **parameters)[0]
    here.view.report(instance["InstanceId"], "running")
    return instance["InstanceId"]


def refusal(here, **parameters):
    return here.view.refusal("RunInstances", **wish(here, **parameters))


def described(here, instance_id):
    return here.view.call("DescribeInstances", InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def state(here, instance_id):
    return described(here, instance_id)["State"]["Name"]


def spare_interface(here, subnet=None):
    made = here.view.call("CreateNetworkInterface", SubnetId=(subnet or here.a).id)
    return made["NetworkInterface"]["NetworkInterfaceId"]


# ------------------------------------------------------------------------------------------------------------- launch
