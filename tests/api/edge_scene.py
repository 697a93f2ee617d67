"""What tests of gateways and public addresses stand on: VPCs that lead out, and a pool of public addresses.

internet -- igw -- VPC 10.0.0.0/16 (subnet a 10.0.1.0/24, zone a)      pool 198.18.0.0/24
"""

from __future__ import annotations

from rookery.api.state import public_address_of
from rookery.model.objects import AddressPool, ElasticIp, NetworkInterface
from tests.api.instance_scene import account

POOL = "198.18.0.0/24"


def without_internet_gateway(ec2, vpc_id):
    """Detaches and deletes that of the VPC, as its deletion needs it."""
    mine = [{"Name": "attachment.vpc-id", "Values": [vpc_id]}]
    for one in ec2.describe_internet_gateways(Filters=mine)["InternetGateways"]:
        ec2.detach_internet_gateway(InternetGatewayId=one["InternetGatewayId"], VpcId=vpc_id)
        ec2.delete_internet_gateway(InternetGatewayId=one["InternetGatewayId"])


def public_account(pool=POOL):
    """instance_scene.account() with a pool, an internet gateway and its default route."""
    here = account()
    here.view.pools = [AddressPool(cidr=pool)] if pool else []
    here.gateway = new_gateway(here, here.vpc.id)
    return here


def new_gateway(here, vpc_id=""):
    gateway = here.view.call("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
    if vpc_id:
        here.view.call("AttachInternetGateway", InternetGatewayId=gateway, VpcId=vpc_id)
    return gateway


def allocate(here, **parameters):
    """The stored Elastic IP."""
    made = here.view.call("AllocateAddress", Domain="vpc", **parameters)
    return here.view.get(ElasticIp, made["AllocationId"])


def associate(here, elastic_ip, **target):
    return here.view.call("AssociateAddress", AllocationId=elastic_ip.id, **target)["AssociationId"]


def now(here, one):
    """As it is stored now."""
    return here.view.get(type(one), one.id)


def interface_of(here, instance_id):
    """At device index 0."""
    return next(
        one
        for one in here.view.all(NetworkInterface)
        if one.attachment and one.attachment.instance_id == instance_id and not one.attachment.device_index
    )


def held(here):
    """Every public address that somebody has."""
    things = (*here.view.all(ElasticIp), *here.view.all(NetworkInterface))
    return sorted(address for one in things if (address := public_address_of(one)))
