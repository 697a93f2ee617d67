"""Gateways of a running region: names, both address families, one way only, through an appliance, and round the corner.

See tests/region/gateway_stage.py; what is outside is a page (www.example.com) and a server of names behind the router.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dns.message
import pytest

from rookery.region import namespaces
from rookery.region.layout import NAMES_ADDRESSES, PAGE_ADDRESSES, PAGE_NAME
from rookery.tour.permission import rule
from tests.region import gateway_stage
from tests.region.gateway_stage import PATIENCE, SECOND, Stage, group, printed
from tests.waiting import until

pytestmark = pytest.mark.real_packets
PAGE, PAGE_IPV6 = PAGE_ADDRESSES
LISTEN = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 5000))
s.settimeout(10)
print("ready", flush=True)
data, peer = s.recvfrom(8192)
s.sendto(b"an answer", peer)
print(len(data), peer[0])
"""
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(float(sys.argv[3]))
s.sendto(bytes(int(sys.argv[2])), (sys.argv[1], 5000))
print(s.recv(100).decode())
"""
QUERY = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 53))
print(s.recv(4096).hex())
"""


@pytest.fixture(scope="module")
def stage(region: Any) -> Stage:
    return gateway_stage.built(region)


def test_a_page_outside_is_reached_by_its_name_and_sees_the_public_address(stage: Stage):
    assert stage.curl("web", "-4", f"http://{PAGE_NAME}/") == f"{PAGE} sees you as {stage.public['web']}\n"


def test_ipv6_needs_no_translation_out_or_in(stage: Stage):
    own = stage.ipv6["web"]
    assert stage.curl("web", "-6", f"http://{PAGE_NAME}/") == f"{PAGE_IPV6} sees you as {own}\n"
    assert stage.curl_from_outside(f"http://[{own}]/") == f"web sees {PAGE_IPV6}"


def resolved(said: str) -> list[str]:
    return [row.to_text() for answer in dns.message.from_wire(bytes.fromhex(said)).answer for row in answer]


def test_outside_a_public_name_leads_to_the_public_address_and_inside_to_the_private_one(stage: Stage):
    name = f"ec2-{stage.public['web'].replace('.', '-')}.compute-1.amazonaws.com"
    stage.now(stage.ec2.modify_vpc_attribute(VpcId=stage.vpc, EnableDnsHostnames={"Value": True}))
    question = dns.message.make_query(name, "A").to_wire().hex()
    for server in NAMES_ADDRESSES:
        assert resolved(stage.outside("python3", "-c", QUERY, server, question)) == [stage.public["web"]]
    assert resolved(stage.run("web", "python3", "-c", QUERY, "169.254.169.253", question)) == ["10.70.1.10"]


def test_a_secondary_address_has_a_public_one_of_its_own(stage: Stage):
    """T5-02."""
    second = stage.public["web's second"]
    assert stage.curl("web", "--interface", SECOND, f"http://{PAGE}/") == f"{PAGE} sees you as {second}\n"
    assert stage.curl_from_outside(f"http://{second}/") == f"web sees {PAGE}"


def test_what_is_asked_through_an_egress_only_gateway_is_answered_and_nothing_else_comes_in(stage: Stage):
    """T5-10. The groups admit everything."""
    own = stage.ipv6["shy"]
    assert stage.curl("shy", "-6", f"http://{PAGE_NAME}/") == f"{PAGE_IPV6} sees you as {own}\n"
    assert "1 received" in stage.run("shy", "ping", "-n", "-c1", "-W2", PAGE_IPV6)
    before = stage.dropped("drop_unasked")
    assert stage.curl_from_outside(f"http://[{own}]/", patience=PATIENCE) == ""
    assert stage.outside("ping", "-n", "-c1", "-W", str(PATIENCE), own) == ""
    assert stage.dropped("drop_unasked") >= before + 2


@contextmanager
def listening(stage: Stage, name: str) -> Iterator[subprocess.Popen[str]]:
    """To one datagram, which it answers."""
    enter, environment = gateway_stage.entering(stage.region.name, stage.instances[name], ["python3", "-c", LISTEN])
    process = subprocess.Popen(enter, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=15)
    return said


def test_a_request_arrives_where_no_route_leads_back_and_the_answer_is_lost(stage: Stage):
    """T5-03."""
    with listening(stage, "shy") as there:
        assert stage.outside("python3", "-c", ASK, stage.public["shy"], "5", str(PATIENCE)) == ""
        assert heard(there) == f"5 {PAGE}\n"


def test_a_datagram_of_4000_bytes_arrives_whole_and_is_answered(stage: Stage):
    """T5-06."""
    with listening(stage, "web") as there:
        assert stage.outside("python3", "-c", ASK, stage.public["web"], "4000", "3") == "an answer\n"
        assert heard(there) == f"4000 {PAGE}\n"


def forwarded(stage: Stage) -> int:
    """Packets that box has passed on."""
    names, values = (line.split() for line in stage.run("box", "cat", "/proc/net/snmp").splitlines()[:2])
    return int(values[names.index("ForwDatagrams")])


@pytest.fixture
def ingress_routing(stage: Stage) -> Iterator[None]:
    """The gateway's table leads what is for kept to box."""
    ec2 = stage.ec2
    table = ec2.create_route_table(VpcId=stage.vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.70.3.0/24", NetworkInterfaceId=stage.interfaces["box"])
    made = stage.now(ec2.associate_route_table(RouteTableId=table, GatewayId=stage.gateway))
    yield
    stage.now(ec2.disassociate_route_table(AssociationId=made["AssociationId"]))


@pytest.mark.usefixtures("ingress_routing")
def test_what_comes_in_passes_an_appliance_both_ways(stage: Stage):
    before = forwarded(stage)
    url = f"http://{stage.public['kept']}/"
    assert stage.curl_from_outside(url) == f"kept sees {PAGE}"
    assert forwarded(stage) >= before + 8  # three of a handshake, a request, an answer, their acknowledgements, two ends
    assert stage.curl("kept", f"http://{PAGE}/") == f"{PAGE} sees you as {stage.public['kept']}\n"
    stage.run("box", "sysctl", "-qw", "net.ipv4.ip_forward=0")
    assert stage.curl_from_outside(url, patience=PATIENCE) == ""
    stage.run("box", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    assert stage.curl_from_outside(f"http://{stage.public['web']}/") == f"web sees {PAGE}"


@contextmanager
def wearing(stage: Stage, name: str, *groups: str) -> Iterator[None]:
    interface = {"NetworkInterfaceId": stage.interfaces[name]}
    stage.now(stage.ec2.modify_network_interface_attribute(**interface, Groups=list(groups)))
    try:
        yield
    finally:
        stage.now(stage.ec2.modify_network_interface_attribute(**interface, Groups=[stage.group]))


def test_a_neighbour_asked_by_its_public_address_sees_a_public_one(stage: Stage):
    """T5-05: admitted by a rule for that address, not by one for the sender's group."""
    url = f"http://{stage.public['box']}/"
    assert stage.curl("web", url) == f"box sees {stage.public['web']}"
    assert stage.curl("web", "http://10.70.4.10/") == "box sees 10.70.1.10"
    by_group = group(stage, "friends", [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": stage.group}]}])
    with wearing(stage, "box", by_group):
        assert stage.curl("web", url, patience=PATIENCE) == ""
        assert stage.curl("web", "http://10.70.4.10/") == "box sees 10.70.1.10"
    by_address = group(stage, "known", [rule("tcp", 80, source=f"{stage.public['web']}/32")])
    with wearing(stage, "box", by_address):
        assert stage.curl("web", url) == f"box sees {stage.public['web']}"


def test_the_router_outside_is_a_hop_of_its_own_and_servers_are_behind_it(stage: Stage):
    told = stage.run("web", "sh", "-c", f"ping -n -c1 -W2 -t1 {PAGE} | grep exceeded")
    assert "From 198.51.100." in told
    assert PAGE not in namespaces.run("ip", "-netns", stage.plan.internet_namespace, "-o", "address")


def test_the_server_of_names_leads_nobody_outside_to_the_substrate(stage: Stage):
    """It has a leg in each. A host itself answers hosts."""
    router, host = stage.plan.internet_namespace, "100.64.1.10"
    assert "1 received" in printed(namespaces.inside(stage.plan.names_namespace, "ping", "-n", "-c1", "-W2", host))
    namespaces.batch(router, [f"route add {host} via {NAMES_ADDRESSES[0]}"])
    try:
        assert stage.outside("ping", "-n", "-c1", "-W", str(PATIENCE), host) == ""
    finally:
        namespaces.batch(router, [f"route delete {host} via {NAMES_ADDRESSES[0]}"])


def test_an_instance_without_a_public_address_does_not_get_out(stage: Stage):
    """T5-01: its route leads to the gateway."""
    ec2 = stage.ec2
    (address,) = ec2.describe_addresses(PublicIps=[stage.public["box"]])["Addresses"]
    stage.now(ec2.disassociate_address(AssociationId=address["AssociationId"]))
    assert stage.curl("box", f"http://{PAGE}/", patience=PATIENCE) == ""
    again = {"AllocationId": address["AllocationId"], "NetworkInterfaceId": stage.interfaces["box"]}
    stage.now(ec2.associate_address(**again))
    until(lambda: stage.curl("box", f"http://{PAGE}/") == f"{PAGE} sees you as {stage.public['box']}\n", "box is out")
