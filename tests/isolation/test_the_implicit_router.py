"""What a guest sees of its VPC: the behaviour of the implicit router, packet by packet (red and blue: see conftest.py)."""

from __future__ import annotations

import re

import pytest

ROUTER = "10.0.1.1"
FREE = "10.0.1.77"


def arp_answer(stage, name: str, address: str, *options: str) -> str:
    """The MAC that answers, lower case; empty: silence."""
    said = stage.run(name, "arping", "-c1", "-w2", *options, "-I", "eth0", address).stdout.decode()
    found = re.search(r"\[([0-9A-Fa-f:]{17})\]", said)
    return found.group(1).lower() if found else ""


def pinged(stage, name: str, address: str, *options: str) -> bool:
    return stage.run(name, "ping", "-c1", "-W1", *options, address).returncode == 0


def test_arp_for_the_router_is_answered_with_the_routers_mac(stage):
    mac = arp_answer(stage, "red-a1", ROUTER)
    assert mac and mac not in {stage.mac(name) for name in stage.instances}


def test_arp_for_a_live_peer_is_answered_with_its_own_mac(stage):
    assert arp_answer(stage, "red-a1", "10.0.1.6") == stage.mac("red-a2")


def test_arp_for_a_free_address_is_met_with_silence(stage):
    assert arp_answer(stage, "red-a1", FREE) == ""


def test_arp_for_an_address_of_another_subnet_is_met_with_silence(stage):
    assert arp_answer(stage, "red-a1", "10.0.2.5") == ""


def test_the_same_address_in_two_vpcs_is_two_instances(stage):
    stage.run("blue-b9", "ping", "-c1", "-W1", "10.0.1.5")
    assert stage.mac("red-a1") != stage.mac("blue-a1")
    for vpc in ("red", "blue"):
        peer = {"red": "red-b1", "blue": "blue-b9"}[vpc]
        said = stage.run(peer, "ping", "-c3", "-W1", "-i0.2", "10.0.1.5").stdout.decode()
        assert "3 received" in said


def test_what_only_the_other_vpc_has_is_unreachable_and_the_reason_is_counted(stage):
    before = stage.drops("drop_no_mapping")
    assert pinged(stage, "blue-a1", "10.0.2.9")
    assert not pinged(stage, "red-a1", "10.0.2.9")
    assert stage.drops("drop_no_mapping") > before


def test_a_free_address_of_another_subnet_answers_nothing_not_even_an_error(stage):
    said = stage.run("red-a1", "ping", "-c1", "-W1", "10.0.2.77").stdout.decode()
    assert "0 received" in said
    assert "nreachable" not in said


def test_a_peer_in_another_subnet_sees_the_ttl_unchanged(stage):
    said = stage.run("red-a1", "ping", "-c1", "-W2", "10.0.2.5").stdout.decode()
    assert "ttl=64" in said


def test_one_hop_is_enough_to_any_place_of_the_vpc(stage):
    assert pinged(stage, "red-a1", "10.0.2.5", "-t", "1")


@pytest.mark.parametrize("address", ["255.255.255.255", "10.0.1.255", "224.0.0.1"])
def test_broadcast_and_multicast_reach_nobody(stage, address):
    before = stage.drops("drop_multicast")
    assert not pinged(stage, "red-a1", address, "-b")
    assert stage.drops("drop_multicast") > before


def test_a_guests_claim_to_a_free_address_is_worth_nothing(stage):
    stage.run("red-a2", "ip", "addr", "add", f"{FREE}/24", "dev", "eth0")
    try:
        assert arp_answer(stage, "red-a1", FREE) == ""
        before = stage.drops("drop_source_address")
        assert not pinged(stage, "red-a2", "10.0.2.5", "-I", FREE)
        assert stage.drops("drop_source_address") > before
    finally:
        stage.run("red-a2", "ip", "addr", "del", f"{FREE}/24", "dev", "eth0")


def test_an_address_assigned_by_the_api_answers_arp_before_the_guest_knows_it_and_packets_once_it_does(stage):
    eni = stage.interfaces["red-a2"]["NetworkInterfaceId"]
    answer = stage.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.99"])
    stage.region.rookery("wait", answer["ResponseMetadata"]["HTTPHeaders"]["x-rookery-generation"])
    assert arp_answer(stage, "red-a1", "10.0.1.99") == stage.mac("red-a2")
    stage.run("red-a2", "ip", "addr", "add", "10.0.1.99/24", "dev", "eth0")
    assert pinged(stage, "red-b1", "10.0.1.99")
    answer = stage.ec2.unassign_private_ip_addresses(
        NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.1.99"]
    )
    stage.region.rookery("wait", answer["ResponseMetadata"]["HTTPHeaders"]["x-rookery-generation"])
    assert not pinged(stage, "red-b1", "10.0.1.99")


def test_gratuitous_arp_for_a_peers_address_moves_nothing(stage):
    before = stage.drops("drop_source_address")
    stage.run("red-a2", "ip", "addr", "add", "10.0.1.5/32", "dev", "eth0")
    try:
        stage.run("red-a2", "arping", "-c2", "-w2", "-U", "-I", "eth0", "10.0.1.5")
        assert stage.drops("drop_source_address") > before
        assert arp_answer(stage, "red-a2", ROUTER)
        said = stage.run("red-b1", "ping", "-c2", "-W1", "-i0.2", "10.0.1.5").stdout.decode()
        assert "2 received" in said
    finally:
        stage.run("red-a2", "ip", "addr", "del", "10.0.1.5/32", "dev", "eth0")


def test_a_forged_source_never_arrives(stage):
    stage.run("red-a2", "ip", "addr", "add", "1.2.3.4/32", "dev", "lo")
    before = stage.drops("drop_source_address")
    assert not pinged(stage, "red-a2", "10.0.2.5", "-I", "1.2.3.4")
    assert stage.drops("drop_source_address") > before


def test_a_forged_mac_never_arrives(stage):
    real = stage.mac("red-a2")
    before = stage.drops("drop_source_mac")
    stage.run("red-a2", "ip", "link", "set", "eth0", "address", "02:de:ad:be:ef:01")
    try:
        assert not pinged(stage, "red-a2", "10.0.2.5")
        assert stage.drops("drop_source_mac") > before
    finally:
        stage.run("red-a2", "ip", "link", "set", "eth0", "address", real)
        stage.run("red-a2", "ip", "route", "replace", "default", "via", ROUTER)
    assert pinged(stage, "red-a2", "10.0.2.5")


def test_packets_of_1500_bytes_pass_whole(stage):
    assert pinged(stage, "red-a1", "10.0.2.5", "-M", "do", "-s", "1472")


def test_fragments_pass(stage):
    assert pinged(stage, "red-a1", "10.0.2.5", "-s", "4000")


def test_a_guest_that_raises_its_mtu_is_told_that_fragmentation_is_needed(stage):
    stage.run("red-a2", "ip", "link", "set", "eth0", "mtu", "4000")
    try:
        done = stage.run("red-a2", "ping", "-c1", "-W1", "-M", "do", "-s", "1473", "10.0.2.5")
        assert "mtu = 1500" in done.stdout.decode() + done.stderr.decode()
        assert ROUTER in done.stdout.decode()
    finally:
        stage.run("red-a2", "ip", "link", "set", "eth0", "mtu", "1500")
        stage.run("red-a2", "ip", "route", "flush", "cache")


def test_a_megabyte_arrives_as_it_was_sent(stage):
    code = (
        "import hashlib,socket\n"
        "s=socket.create_server(('10.0.2.5',7000)); print('ready',flush=True)\n"
        "c,_=s.accept(); d=b''\n"
        "while b:=c.recv(1<<16): d+=b\n"
        "c.sendall(hashlib.sha256(d).hexdigest().encode()); c.close()"
    )
    stage.run(
        "red-b1",
        "sh",
        "-c",
        f'python3 -c "{code}" >/tmp/ready 2>&1 & while ! grep -q ready /tmp/ready; do :; done',
    )
    client = (
        "import hashlib,os,socket\n"
        "d=os.urandom(1<<20); c=socket.create_connection(('10.0.2.5',7000)); c.sendall(d); c.shutdown(1)\n"
        "assert c.recv(64).decode()==hashlib.sha256(d).hexdigest()"
    )
    done = stage.run("red-a1", "python3", "-c", client)
    assert done.returncode == 0, done.stderr.decode()


def test_a_subnet_with_an_instance_and_a_vpc_with_a_subnet_are_not_deleted(stage):
    subnet = stage.subnets["red-a"]
    for act in (lambda: stage.ec2.delete_subnet(SubnetId=subnet), lambda: delete_vpc_of(stage, subnet)):
        with pytest.raises(stage.ec2.exceptions.ClientError) as refused:
            act()
        assert refused.value.response["Error"]["Code"] == "DependencyViolation"


def delete_vpc_of(stage, subnet: str) -> None:
    vpc = stage.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
    stage.ec2.delete_vpc(VpcId=vpc)
