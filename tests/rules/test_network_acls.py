"""Network ACLs on real packets (stage: conftest.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rookery.tour.permission import ANYWHERE
from tests.rules.conftest import PATIENCE

TCP, ALL_PROTOCOLS = "6", "-1"


class Acl:
    """A custom network ACL of the stage's VPC: it denies everything until it is told otherwise."""

    def __init__(self, stage):
        self.stage = stage
        self.id = stage.ec2.create_network_acl(VpcId=stage.vpc)["NetworkAcl"]["NetworkAclId"]
        self._before: dict[str, str] = {}

    def entry(self, number, action, protocol=ALL_PROTOCOLS, ports=None, *, cidr=ANYWHERE, egress=False):
        more = {"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {}
        self.stage.now(
            self.stage.ec2.create_network_acl_entry(
                NetworkAclId=self.id,
                RuleNumber=number,
                RuleAction=action,
                Protocol=protocol,
                CidrBlock=cidr,
                Egress=egress,
                **more,
            )
        )

    def without(self, number, egress=False):
        self.stage.now(
            self.stage.ec2.delete_network_acl_entry(NetworkAclId=self.id, RuleNumber=number, Egress=egress)
        )

    def guard(self, subnet: str) -> None:
        association = self._association(subnet)
        self._before.setdefault(subnet, association["NetworkAclId"])
        self._move(association, self.id)

    def leave(self) -> None:
        for subnet, acl in self._before.items():
            self._move(self._association(subnet), acl)

    def _association(self, subnet: str):
        subnet_id = self.stage.subnets[subnet]
        filters = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
        found = self.stage.ec2.describe_network_acls(Filters=filters)["NetworkAcls"][0]
        return next(one for one in found["Associations"] if one["SubnetId"] == subnet_id)

    def _move(self, association, acl: str) -> None:
        self.stage.now(
            self.stage.ec2.replace_network_acl_association(
                AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl
            )
        )


@pytest.fixture
def acl(stage) -> Iterator[Acl]:
    made = Acl(stage)
    yield made
    made.leave()


def connect(stage, port: int) -> str:
    stage.talk("server")
    return stage.talk("client")("connect", "kept", stage.address("server"), port, PATIENCE)


def test_t4_12_an_answer_needs_an_entry_of_its_own(stage, acl):
    acl.entry(100, "allow", TCP, (443, 443))
    acl.guard("right")
    before = stage.drops("drop_network_acl_egress")
    assert connect(stage, 443) == "silent"
    assert stage.drops("drop_network_acl_egress") > before
    acl.entry(100, "allow", TCP, (1024, 65535), egress=True)
    assert connect(stage, 443) == "open"
    assert connect(stage, 80) == "silent"


def test_t4_13_inside_a_subnet_no_entry_counts(stage, acl):
    acl.guard("left")
    assert stage.ping("client", stage.address("near"))
    assert not stage.ping("client", stage.address("server"))


def test_t4_14_the_lowest_number_decides(stage, acl):
    acl.entry(100, "allow")
    acl.entry(100, "allow", egress=True)
    acl.entry(90, "deny", cidr="10.30.1.0/24")
    acl.guard("right")
    assert not stage.ping("client", stage.address("server"))
    acl.without(90)
    acl.entry(110, "deny", cidr="10.30.1.0/24")
    assert stage.ping("client", stage.address("server"))


def test_t4_15_an_entry_stops_a_living_session_in_silence(stage, acl):
    acl.entry(100, "allow")
    acl.entry(100, "allow", egress=True)
    acl.guard("right")
    assert connect(stage, 22) == "open"
    acl.entry(50, "deny", TCP, (22, 22))
    assert stage.talk("client")("exchange", "kept", PATIENCE) == "silent"
    acl.without(50)
    assert stage.talk("client")("exchange", "kept", 5) == "alive"


def test_the_trace_names_the_entry(stage, acl):
    acl.entry(90, "deny", TCP, (22, 22))
    acl.entry(100, "allow")
    acl.guard("right")
    said = stage.trace(stage.instances["client"], stage.address("server"), "--tcp", "22")
    assert acl.id in said and "90" in said
