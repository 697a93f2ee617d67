"""DHCP clients of the world, in an instance of a running region whose security group and network ACL deny everything.

    10.40.1.0/24   guest .10, the only one
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pytest

from rookery.region import namespaces
from rookery.region.inside import entering
from rookery.region.layout import Layout
from rookery.region.ready import host_states
from rookery.region.status import PartState, current, live_generation, look
from tests.waiting import until

ADDRESS = "10.40.1.10"
TELLS = "#!/bin/sh\necho heard: $1\nenv\necho heard all\n"  # what a client runs when it has heard something
WRITE = f"cat > /tmp/tells << 'END'\n{TELLS}END\nchmod +x /tmp/tells\n"
LEASE = {"ip": ADDRESS, "mask": "24", "router": "10.40.1.1", "serverid": "10.40.1.1", "lease": "3600", "broadcast": "10.40.1.255",
         "mtu": "1500", "hostname": "ip-10-40-1-10", "dns": "10.40.0.2", "domain": "ec2.internal"}  # fmt: skip


class Scene(NamedTuple):
    region: Any
    ec2: Any
    vpc: str
    subnet: str
    instance: str
    enter: list[str]  # the beginning of a command line that runs in the instance, whether its agent lives or not
    interface: str

    def inside(self, *command: str) -> str:
        """What the command says that succeeds in the instance."""
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def asks_with(self, client: str) -> dict[str, str]:
        """The environment in which the client's script ran last."""
        said = self.inside("sh", "-c", WRITE + client).rpartition("heard:")[2].splitlines()
        return variables(said[1:])

    def udhcpc(self, device: str = "eth0") -> dict[str, str]:
        return self.asks_with(f"busybox udhcpc -i {device} -f -q -n -t 10 -T 1 -s /tmp/tells -O mtu -O ntpsrv -O wins")

    def dhclient(self, family: str) -> dict[str, str]:
        """Its own script would take the address away at its end."""
        files = f"-lf /tmp/leases{family} -pf /tmp/pid{family} -sf /tmp/tells"
        return self.asks_with(f"dhclient {family} -1 {files} eth0; dhclient {family} -x {files} eth0 > /tmp/end")

    def now(self, answer: dict[str, Any]) -> None:
        generation = int(answer["ResponseMetadata"]["HTTPHeaders"]["x-rookery-generation"])
        until(lambda: live_generation(self.region.name) >= generation, "every host has it")


def variables(lines: Iterable[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines if "=" in line)


class RunningClient:
    """busybox's, which goes on renewing."""

    def __init__(self, scene: Scene):
        command = WRITE + "exec busybox udhcpc -i eth0 -f -s /tmp/tells -p /tmp/renewing -O ntpsrv"
        self._scene = scene
        self._process = subprocess.Popen(
            [*scene.enter, "sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def hears(self, what: str) -> dict[str, str]:
        """Once it has run its script for that."""
        lines = self._process.stdout
        assert lines is not None
        assert any(line == f"heard: {what}\n" for line in lines), "it ended"
        return variables(line.rstrip() for line in iter(lines.readline, "heard all\n"))

    def renews(self) -> dict[str, str]:
        """By unicast to its server, as it does after half an hour."""
        self._scene.inside("sh", "-c", "kill -USR1 $(cat /tmp/renewing)")
        return self.hears("renew")

    def end(self) -> None:
        self._scene.inside("sh", "-c", "kill $(cat /tmp/renewing)")
        self._process.communicate(timeout=20)


@pytest.fixture
def client(scene: Scene) -> Iterator[RunningClient]:
    made = RunningClient(scene)
    yield made
    made.end()


@pytest.fixture(scope="module")
def scene(region: Any) -> Iterator[Scene]:
    _, key = region.new_account()
    ec2 = region.client(key=key)
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    subnet = closed_subnet(ec2, vpc)
    group = ec2.create_security_group(GroupName="closed", Description="admits nothing", VpcId=vpc)["GroupId"]
    everything = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
    wanted = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "PrivateIpAddress": ADDRESS, "Ipv6AddressCount": 1}
    image = ec2.describe_images()["Images"][0]["ImageId"]
    asked = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
    made = ec2.run_instances(**asked, NetworkInterfaces=[wanted])["Instances"][0]
    waiter = ec2.get_waiter("instance_running")
    waiter.wait(InstanceIds=[made["InstanceId"]], WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    enter, _ = entering(region.name, made["InstanceId"], [])
    yield Scene(region, ec2, vpc, subnet, made["InstanceId"], enter, made["NetworkInterfaces"][0]["NetworkInterfaceId"])
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])


def closed_subnet(ec2: Any, vpc: str) -> str:
    """Both families; its ACL is a new one, which denies everything."""
    block = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    blocks = {"CidrBlock": "10.40.1.0/24", "Ipv6CidrBlock": block.replace("/56", "/64")}
    subnet = ec2.create_subnet(VpcId=vpc, AvailabilityZone=zone, **blocks)["Subnet"]["SubnetId"]
    closed = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    acls = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["NetworkAcls"]
    association = next(one for one in acls[0]["Associations"] if one["SubnetId"] == subnet)
    ec2.replace_network_acl_association(
        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=closed
    )
    return subnet


def test_busyboxs_client_gets_the_primary_address_and_all_options(scene: Scene):
    """T1-10."""
    told = scene.udhcpc()
    assert {name: told.get(name) for name in LEASE} == LEASE


def test_iscs_client_gets_the_same(scene: Scene):
    told = scene.dhclient("-4")
    assert told["reason"] == "BOUND"
    assert told["new_ip_address"] == ADDRESS and told["new_dhcp_lease_time"] == "3600"
    assert told["new_domain_name_servers"] == "10.40.0.2" and told["new_domain_name"] == "ec2.internal"
    assert told["new_interface_mtu"] == "1500" and told["new_host_name"] == "ip-10-40-1-10"


def test_iscs_client_for_ipv6_gets_the_interfaces_address_and_nothing_else(scene: Scene):
    found = scene.ec2.describe_network_interfaces(NetworkInterfaceIds=[scene.interface])["NetworkInterfaces"][0]
    told = scene.dhclient("-6")
    assert told["reason"] == "BOUND6"
    assert (told["new_ip6_address"], told["new_ip6_prefixlen"]) == (found["Ipv6Addresses"][0]["Ipv6Address"], "128")
    assert (told["new_preferred_life"], told["new_max_life"]) == ("140", "450")
    assert not {"new_dhcp6_name_servers", "new_dhcp6_domain_search"} & told.keys()


def test_another_option_set_arrives_with_the_next_renewal_and_the_address_stays(scene: Scene, client: RunningClient):
    """T1-22."""
    assert client.hears("bound")["domain"] == "ec2.internal"
    configured = [
        {"Key": "domain-name", "Values": ["corp.example"]},
        {"Key": "domain-name-servers", "Values": ["192.0.2.53", "AmazonProvidedDNS"]},
        {"Key": "ntp-servers", "Values": ["192.0.2.123"]},
    ]
    made = scene.ec2.create_dhcp_options(DhcpConfigurations=configured)["DhcpOptions"]["DhcpOptionsId"]
    try:
        scene.now(scene.ec2.associate_dhcp_options(DhcpOptionsId=made, VpcId=scene.vpc))
        changed = {**LEASE, "dns": "192.0.2.53 10.40.0.2", "domain": "corp.example", "ntpsrv": "192.0.2.123"}
        del changed["mtu"]  # this client does not ask for it, and skips what it did not ask for
        until(lambda: client.renews().get("domain") == "corp.example", "the services have it, too")
        told = client.renews()
        assert {name: told.get(name) for name in changed} == changed
        scene.now(scene.ec2.associate_dhcp_options(DhcpOptionsId="default", VpcId=scene.vpc))
        until(lambda: "domain" not in client.renews(), "the services have it, too")
        told = client.renews()
        assert told["ip"] == ADDRESS and "dns" not in told and "ntpsrv" not in told
    finally:
        first = scene.ec2.describe_dhcp_options(Filters=[{"Name": "value", "Values": ["AmazonProvidedDNS"]}])
        of_the_account = next(one for one in first["DhcpOptions"] if one["DhcpOptionsId"] != made)
        scene.now(
            scene.ec2.associate_dhcp_options(DhcpOptionsId=of_the_account["DhcpOptionsId"], VpcId=scene.vpc)
        )
        until(lambda: client.renews().get("domain") == "ec2.internal", "as before")


def healthy(scene: Scene) -> list[PartState]:
    found = look(scene.region.name)
    return found.parts if found.healthy else []


def test_an_interface_plugged_into_a_running_instance_gets_its_own_primary_address(scene: Scene):
    """T2-01."""
    wanted = {"SubnetId": scene.subnet, "PrivateIpAddress": "10.40.1.20"}
    made = scene.ec2.create_network_interface(**wanted)["NetworkInterface"]
    attached = {"NetworkInterfaceId": made["NetworkInterfaceId"], "InstanceId": scene.instance, "DeviceIndex": 1}
    attachment = scene.ec2.attach_network_interface(**attached)["AttachmentId"]
    try:
        until(lambda: "eth1" in scene.inside("ls", "/sys/class/net"), "the device")
        assert scene.inside("cat", "/sys/class/net/eth1/address").strip() == made["MacAddress"]
        told = scene.udhcpc("eth1")
        assert (told["ip"], told["hostname"], told["router"]) == ("10.40.1.20", "ip-10-40-1-20", "10.40.1.1")
        assert scene.udhcpc()["ip"] == ADDRESS
    finally:
        scene.ec2.detach_network_interface(AttachmentId=attachment)
        until(lambda: detached(scene, made["NetworkInterfaceId"]), "it is out")
        scene.ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])


def detached(scene: Scene, interface: str) -> bool:
    found = scene.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    return found[0]["Status"] == "available"


@pytest.mark.parametrize("address", ["169.254.169.123", "fd00:ec2::123"])
def test_ntpsecs_client_sees_the_hosts_time_at_stratum_3(scene: Scene, address: str):
    """Instance and host have one clock: what differs is what the exchange cost."""
    told = json.loads(scene.inside("ntpdig", "-j", "-p", "3", address))
    assert (told["ip"], told["stratum"], told["leap"]) == (address, 3, "no-leap")
    assert abs(told["offset"]) < 0.05


@pytest.mark.parametrize("parts", [["-services"], [""], ["-services", ""]], ids=["services", "agent", "both"])
def test_leases_outlive_the_death_of_those_who_give_them(scene: Scene, parts: list[str]):
    before = {part.name: part for part in until(lambda: healthy(scene), "after the test before")}
    host = next(one.name for one in host_states(current(scene.region.name)) if one.status and one.status.instances)
    victims = [before[f"{host}{part}"] for part in parts]
    for victim in victims:
        os.kill(victim.pid, signal.SIGKILL)
    assert scene.udhcpc()["ip"] == ADDRESS, "the client's patience is longer than the supervisor's"

    def back() -> bool:
        now = {part.name: part for part in look(scene.region.name).parts}
        return all(now[one.name].restarts == one.restarts + 1 and not now[one.name].problem for one in victims)

    until(back, "the supervisor starts them again")
    assert scene.udhcpc()["ip"] == ADDRESS


def test_the_services_namespace_comes_back_when_somebody_removes_it(scene: Scene):
    host = next(one.name for one in host_states(current(scene.region.name)) if one.status and one.status.instances)
    until(lambda: healthy(scene), "after the test before")
    namespaces.remove(Layout(scene.region.name).services_namespace(host))
    until(lambda: namespaces.is_sound(Layout(scene.region.name).services_namespace(host)), "the agent mends it")
    assert scene.udhcpc()["ip"] == ADDRESS
