"""Rows of flows that nodes tell, put together and named. The nodes here are scripted.

    i-web 10.0.2.10 -- nat-1 (eni-51, 10.0.1.5, 203.0.113.5) -- 192.0.2.80        net/front/1 (eni-61) -- i-db 10.0.3.7
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rookery.cli.flow import lines
from rookery.host.control import FindFlows, FlowEnd, FlowRow, FlowsReply
from rookery.model.balancers import LoadBalancer
from rookery.model.objects import (
    Attachment,
    CellAttachment,
    CidrAssociation,
    ElasticIp,
    Host,
    Instance,
    NatGateway,
    NetworkInterface,
    Subnet,
    Vpc,
)
from rookery.region.directory import Directory
from rookery.region.errors import NotFound
from rookery.region.flows import asked, ends_of, split_port, together
from tests.region.scripted_agent import scripted

OWNER = {"account": "123456789012", "region": "us-east-1"}
VPC = Vpc(id="vpc-00000000000000001", cidr_associations=(CidrAssociation("vpc-cidr-assoc-1", "10.0.0.0/16"),), **OWNER)
SUBNET = Subnet(id="subnet-1", vpc_id=VPC.id, cidr="10.0.1.0/24", zone="us-east-1a", **OWNER)


def interface(eni: str, address: str, **more: object) -> NetworkInterface:
    place = {"vpc_id": VPC.id, "subnet_id": SUBNET.id, "zone": SUBNET.zone, "mac": "02:00:00:00:00:01"}
    return NetworkInterface(id=eni, addresses=(address,), **place, **OWNER, **more)


def machine(name: str, eni: str) -> Instance:
    place = {"subnet_id": SUBNET.id, "vpc_id": VPC.id, "zone": SUBNET.zone, "host": "host-1"}
    return Instance(id=f"i-{name}", image_id="ami-1", instance_type="t3.micro", interface_ids=(eni,), tags={"Name": name}, **place, **OWNER)


def attached(name: str) -> Attachment:
    return Attachment(id=f"eni-attach-{name}", instance_id=f"i-{name}", host="host-1")


NODES = [Host(name=f"node-{n}", zone=0, address=f"100.64.1.{30 + n}", cell="cell-1") for n in (1, 2, 3)]
NAT, FRONT = 0x51, 0x61


@pytest.fixture
def known() -> Directory:
    things = [
        VPC,
        SUBNET,
        interface("eni-00000051", "10.0.1.5", cell_attachment=CellAttachment(cell="cell-1", of="nat-1")),
        interface("eni-00000061", "10.0.1.6", cell_attachment=CellAttachment(cell="cell-1", of="lb-0000000000000001")),
        interface("eni-00000010", "10.0.2.10", attachment=attached("web"), public_address="203.0.113.10"),
        interface("eni-00000007", "10.0.3.7", attachment=attached("db")),
        machine("web", "eni-00000010"),
        machine("db", "eni-00000007"),
        ElasticIp(id="eipalloc-1", address="203.0.113.5", interface_id="eni-00000051", private_address="10.0.1.5", **OWNER),
        NatGateway(id="nat-1", vpc_id=VPC.id, subnet_id=SUBNET.id, interface_id="eni-00000051", tags={"Name": "out"}, **OWNER),
        LoadBalancer(id="lb-0000000000000001", name="front", vpc_id=VPC.id, is_internal=True, zones=(), **OWNER),
    ]
    return Directory(things, NODES)


def row(**changed: object) -> FlowRow:
    """Of the flow's first packets, at its primary."""
    given = FlowRow(
        table="trackers", role="primary", state="established", outward=True, vni=VPC.vni, interface=NAT, protocol=6,
        source="10.0.2.10", source_port=40000, destination="192.0.2.80", destination_port=443,
        new_vni=VPC.vni, new_interface=NAT, new_source="10.0.1.5", new_source_port=2000,
        new_destination="192.0.2.80", new_destination_port=443, version=1002, decided_by="100.64.1.32", seen=0.5, left=349.5,
    )  # fmt: skip
    return msgspec.structs.replace(given, **changed)


def answers(**changed: object) -> FlowRow:
    """The same flow's answers."""
    turned = {
        "outward": False, "source": "192.0.2.80", "source_port": 443, "destination": "10.0.1.5", "destination_port": 2000,
        "new_source": "192.0.2.80", "new_source_port": 443, "new_destination": "10.0.2.10", "new_destination_port": 40000,
    }  # fmt: skip
    return row(**turned | changed)


def replies(**rows: list[FlowRow]) -> list[FlowsReply]:
    return [FlowsReply(node=node.replace("_", "-"), rows=held) for node, held in rows.items()]


def test_both_directions_are_one_flow_and_its_keepers_are_in_order(known: Directory):
    found = together(known, replies(node_1=[answers(), row(table="directives", role="top")], node_2=[answers(role="secondary", age=3.0), row()]))
    (flow,) = found
    assert [(one.direction, one.node, one.role) for one in flow.keepers] == [
        ("outward", "node-2", "primary"),
        ("outward", "node-1", "top"),
        ("answers", "node-1", "primary"),
        ("answers", "node-2", "secondary"),
    ]
    assert (flow.source, flow.destination, flow.attachment, flow.vpc) == ("10.0.2.10", "192.0.2.80", "nat-1 (out)", VPC.id)
    assert (flow.new_source, flow.new_source_port, flow.public_source) == ("10.0.1.5", 2000, "203.0.113.5")
    assert (flow.decided_by, flow.age) == ("node-2", 3.0)


def test_a_flow_of_which_only_the_answers_are_known_is_told_as_if_all_were(known: Directory):
    (whole,), (half,) = together(known, replies(node_1=[row(), answers()])), together(known, replies(node_1=[answers()]))
    assert msgspec.structs.replace(whole, keepers=[]) == msgspec.structs.replace(half, keepers=[])


def test_echoes_whose_identifier_changes_sides_are_one_flow(known: Directory):
    echo = {"protocol": 1, "source_port": 27, "destination_port": 0, "new_source_port": 3000, "new_destination_port": 0}
    back = {"protocol": 1, "source_port": 0, "destination_port": 3000, "new_source_port": 0, "new_destination_port": 27}
    (flow,) = together(known, replies(node_1=[row(**echo)], node_2=[answers(**back)]))
    assert (flow.source_port, flow.destination_port, flow.new_source_port) == (27, 0, 3000)


def test_of_two_decisions_the_later_is_told(known: Directory):
    other = row(version=2003, new_source_port=2999, decided_by="100.64.1.33", age=1.0)
    for order in ([row(age=9.0), other], [other, row(age=9.0)]):
        (flow,) = together(known, replies(node_1=order))
        assert (flow.new_source_port, flow.decided_by, flow.age) == (2999, "node-3", 1.0)


def test_a_flow_that_waits_for_a_decision_says_who_was_asked(known: Directory):
    nothing = dict.fromkeys(("new_vni", "new_interface", "new_source_port", "new_destination_port", "version"), 0)
    waiting = row(state="pending", new_source="", new_destination="", **nothing)
    (flow,) = together(known, replies(node_1=[waiting]))
    assert lines(flow)[1:] == ["  not decided yet; node-2 was asked"]
    (flow,) = together(known, replies(node_1=[waiting], node_3=[row()]))
    assert flow.new_source == "10.0.1.5" and "decided by node-2" in lines(flow)[-1]


def test_a_balancers_flow_names_its_target_and_says_when_that_is_gone(known: Directory):
    to_target = {"interface": FRONT, "destination": "10.0.1.6", "destination_port": 80, "new_interface": FRONT, "new_source": "10.0.2.10",
                 "new_source_port": 40000, "new_destination": "10.0.3.7", "new_destination_port": 8080, "has_target": True}  # fmt: skip
    (flow,) = together(known, replies(node_1=[row(**to_target)]))
    assert (flow.attachment, flow.target, flow.public_source) == ("net/front/0000000000000001", "i-db (db)", "")
    assert lines(flow)[0] == f"tcp 10.0.2.10:40000 -> 10.0.1.6:80 in {VPC.id}, at net/front/0000000000000001"
    assert lines(flow)[1] == "  becomes 10.0.2.10:40000 -> 10.0.3.7:8080"
    (flow,) = together(known, replies(node_1=[row(**to_target, target_gone=True)]))
    assert "its next packet ends the flow" in lines(flow)[2]
    assert flow.keepers[0].state == "target gone"


def test_a_flow_of_an_interface_that_is_gone_is_told_by_its_number(known: Directory):
    (flow,) = together(known, replies(node_1=[row(interface=0x99, vni=0xABC)]))
    assert (flow.attachment, flow.vpc) == ("0x00000099", "vni 0x000abc")


@pytest.mark.parametrize(
    ("word", "place", "port"),
    [
        ("10.0.0.5:1234", "10.0.0.5", 1234),
        ("10.0.0.5", "10.0.0.5", 0),
        ("fd00::5", "fd00::5", 0),
        ("[fd00::5]:80", "fd00::5", 80),
        ("[fd00::5]", "fd00::5", 0),
        ("web:22", "web", 22),
        ("i-web", "i-web", 0),
    ],
)
def test_an_end_is_an_address_or_an_instance_with_a_port_or_without(word: str, place: str, port: int):
    assert split_port(word) == (place, port)


@pytest.mark.parametrize("word", ["10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:http", "10.0.0.5:-1"])
def test_what_is_no_port_is_said_so(word: str):
    with pytest.raises(NotFound, match="is no port"):
        split_port(word)


def test_a_public_address_stands_for_the_private_one_that_has_it(known: Directory):
    asked = [FlowEnd(address="203.0.113.5", port=2000), FlowEnd(address="10.0.1.5", port=2000, vni=VPC.vni)]
    assert ends_of(known, "203.0.113.5:2000", "") == asked
    assert ends_of(known, "203.0.113.10", "")[1:] == [FlowEnd(address="10.0.2.10", vni=VPC.vni)]


def test_an_instance_and_a_vpc_narrow_what_is_asked_for(known: Directory):
    assert ends_of(known, "web:22", "") == [FlowEnd(address="10.0.2.10", port=22, vni=VPC.vni)]
    assert ends_of(known, "10.0.9.9", VPC.id) == [FlowEnd(address="10.0.9.9", vni=VPC.vni)]
    with pytest.raises(NotFound, match="no VPC"):
        ends_of(known, "10.0.9.9", "elsewhere")
    with pytest.raises(NotFound, match="no instance"):
        ends_of(known, "penguin", "")


def test_who_does_not_answer_is_named_and_keeps_nobody_from_being_asked(tmp_path: Path):
    here, away = tmp_path / "node-1" / "control.sock", tmp_path / "node-2" / "control.sock"
    with scripted(here, FlowsReply(node="node-1", rows=[row()])):
        replies, silent = asked({"node-1": here, "node-2": away}, FindFlows(ends=(FlowEnd(address="10.0.2.10"),)))
    assert [reply.node for reply in replies] == ["node-1"]
    assert list(silent) == ["node-2"] and "node-2 does not answer" in silent["node-2"]
