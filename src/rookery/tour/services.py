"""`rookery tour services`: what every instance finds on its wire, asked for by real clients inside the instances: addresses,
names, metadata, time. Every step says what should happen, does it, and ends the tour when something else did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rookery.region.start import bring_up
from rookery.tour import asking, twins
from rookery.tour.asking import METADATA, RESOLVER, TIME
from rookery.tour.lesson import Lesson, become, expect, teach
from rookery.tour.twins import StageError
from rookery.tour.walk import TourFailed, goodbye, run, say, suffix
from rookery.trace.journey import travel
from rookery.trace.packet import Probe
from rookery.trace.telling import tell

TWIN = "10.0.2.10"
LEASE = ("ip", "mask", "router", "dns", "domain", "hostname", "mtu", "lease", "serverid")
BUDGET = 1024  # packets in a second


class Guide:
    """The stage (rookery.tour.twins) and the API that changes it."""

    def __init__(self, name: str):
        self.name = name
        self.ids = twins.set_up(name)
        self.ec2 = twins.client(name)

    def ask(self, one: str, program: str, *words: object) -> Any:
        """What a program of rookery.tour.asking prints in an instance, as JSON."""
        done = run(self.name, one, "python3", "-c", program, *map(str, words))
        if done.returncode:
            raise TourFailed(f"in {one}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def metadata(self, one: str, path: str, token: str = "") -> tuple[int, str]:
        """Status and body."""
        header = ["-H", f"X-aws-ec2-metadata-token: {token}"] if token else []
        done = run(self.name, one, "curl", "-s", "-m3", "-w", "\n%{http_code}", *header, f"http://{METADATA}/latest/{path}")
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def token(self, one: str, *more: str) -> tuple[int, str]:
        seconds = ("-H", "X-aws-ec2-metadata-token-ttl-seconds: 60")
        url = f"http://{METADATA}/latest/api/token"
        done = run(self.name, one, "curl", "-s", "-m3", "-w", "\n%{http_code}", "-X", "PUT", *seconds, *more, url)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def lease(self, one: str) -> dict[str, str]:
        """What DHCP offers now, by udhcpc's words; nothing of it is used."""
        done = run(self.name, one, "sh", "-c", asking.LEASE)
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    def trace(self, one: str, address: str, probe: Probe, option: str) -> None:
        print(f"    $ ./rookery trace{suffix(self.name)} {one} {address} {option}")
        for line in list(tell(travel(self.name, self.ids[one], address, probe)))[-4:]:
            print(f"      {line}")

    def describe(self, one: str) -> dict[str, Any]:
        found = self.ec2.describe_instances(InstanceIds=[self.ids[one]])["Reservations"]
        return found[0]["Instances"][0]

    def vpc(self, one: str) -> str:
        return self.describe(one)["VpcId"]


def take(name: str, progress: Callable[[str], None]) -> None:
    """Raises TourFailed and other RegionErrors; leaves the region running."""
    say(f"A region on this machine: ./rookery up{suffix(name)}")
    bring_up(name, {}, progress)
    say("Two VPCs, both 10.0.0.0/16; red-2 and blue-2 both have 10.0.2.10")
    try:
        guide = Guide(name)
        teach(LESSONS, guide)
    except (BotoCoreError, ClientError) as refused:
        raise StageError(f"the API: {refused}") from refused
    goodbye(name)


@contextmanager
def _shut(guide: Guide, one: str) -> Iterator[None]:
    """The instance has a security group that admits nothing either way."""
    found = guide.describe(one)
    interface, before = found["NetworkInterfaces"][0]["NetworkInterfaceId"], [g["GroupId"] for g in found["SecurityGroups"]]
    group = _closed_group(guide, found["VpcId"])
    guide.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])
    try:
        yield
    finally:
        guide.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=before)
        guide.ec2.delete_security_group(GroupId=group)


def _closed_group(guide: Guide, vpc: str) -> str:
    group = guide.ec2.create_security_group(GroupName="shut", Description="admits nothing", VpcId=vpc)["GroupId"]
    rules = guide.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
    guide.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=rules)
    return group


def _address(guide: Guide) -> None:
    with _shut(guide, "red-2"):
        lease = guide.lease("red-2")
        for word in LEASE:
            print(f"    {word:<9} {lease.get(word, '-')}")
        expect(lease.get("ip"), TWIN, "the address that DHCP gives")
        guide.trace("red-2", RESOLVER, Probe.of(None, 53), "--udp 53")


def _twins(guide: Guide) -> None:
    for one in ("red-2", "blue-2"):
        told = {path: guide.metadata(one, f"meta-data/{path}")[1] for path in ("local-ipv4", "instance-id")}
        print(f"    {one}: {told['local-ipv4']} is {told['instance-id']}")
        expect(told, {"local-ipv4": TWIN, "instance-id": guide.ids[one]}, f"the metadata of {one}")


def _names(guide: Guide) -> None:
    for name, expected in (("ip-10-0-2-10.ec2.internal", [TWIN]), ("no-such-name.ec2.internal", "NXDOMAIN")):
        seen = guide.ask("red-1", asking.DNS, RESOLVER, name, "A")
        print(f"    {name} A: {seen}")
        expect(seen, expected, name)
    instance = guide.ids["red-2"]
    guide.ec2.modify_private_dns_name_options(InstanceId=instance, EnableResourceNameDnsARecord=True)
    name = f"{instance}.ec2.internal"
    for one, expected in (("red-1", [TWIN]), ("blue-1", "NXDOMAIN")):
        become(partial(guide.ask, one, asking.DNS, RESOLVER, name, "A"), expected, f"{name}, asked by {one}")
        print(f"    {name} A, asked by {one}: {expected}")


def _tokens(guide: Guide) -> None:
    instance = guide.ids["red-2"]
    guide.ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="required")
    try:
        become(lambda: guide.metadata("red-2", "meta-data/")[0], 401, "metadata without a token")
        print("    HttpTokens=required; without a token: 401")
        status, token = guide.token("red-2")
        expect(status, 200, "a token")
        expect(guide.metadata("red-2", "meta-data/instance-id", token), (200, instance), "metadata with the token")
        print(f"    with its token: {instance}")
        expect(guide.metadata("blue-2", "meta-data/instance-id", token)[0], 401, "red-2's token in blue-2's hand")
        print("    the same token in blue-2's hand: 401")
        expect(guide.token("red-2", "-H", "X-Forwarded-For: 10.0.9.9")[0], 403, "a token through a proxy")
        print("    a token for somebody behind a proxy (X-Forwarded-For): 403")
    finally:
        guide.ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="optional")


def _container(guide: Guide) -> None:
    instance = guide.ids["red-1"]
    run(guide.name, "red-1", "sh", "-c", asking.CONTAINER)
    try:
        expect(_from_container(guide), 0, "a token for a container, hop limit 1")
        print("    a container behind the instance, HttpPutResponseHopLimit 1: its token never arrives")
        guide.ec2.modify_instance_metadata_options(InstanceId=instance, HttpPutResponseHopLimit=2)
        become(partial(_from_container, guide), 200, "a token for a container, hop limit 2")
        print("    hop limit 2: it does")
    finally:
        guide.ec2.modify_instance_metadata_options(InstanceId=instance, HttpPutResponseHopLimit=1)
        run(guide.name, "red-1", "sh", "-c", asking.NO_CONTAINER)


def _from_container(guide: Guide) -> int:
    """Status of a token's request; 0: no answer."""
    done = run(guide.name, "red-1", "sh", "-c", asking.TOKEN_IN_CONTAINER)
    return int(done.stdout.strip() or 0)


def _time(guide: Guide) -> None:
    seen = guide.ask("red-1", asking.NTP, TIME)
    print(f"    stratum {seen['stratum']}, {1000 * seen['offset']:+.1f} ms from this machine's clock")
    expect((seen["mode"], abs(seen["offset"]) < 1), (4, True), "the time")


def _flood(guide: Guide) -> None:
    seen = guide.ask("red-1", asking.FLOOD, RESOLVER, 2 * BUDGET, 3)
    print(f"    red-1 asks {2 * BUDGET} times a second for 3 seconds: {seen['answered']} answers, {seen['asked']} questions")
    if not 0.5 * BUDGET * 3 <= seen["answered"] <= BUDGET * 4:
        raise TourFailed(f"{seen['answered']} answers in 3 seconds: the budget is {BUDGET} packets a second")
    expect(guide.ask("blue-1", asking.DNS, RESOLVER, "ip-10-0-2-10.ec2.internal", "A"), [TWIN], "blue-1's own question")
    print("    blue-1 is answered as ever")


def _options(guide: Guide) -> None:
    vpc = guide.vpc("red-2")
    before = guide.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["DhcpOptionsId"]
    configuration = [
        {"Key": "domain-name", "Values": ["penguins.example"]},
        {"Key": "domain-name-servers", "Values": ["AmazonProvidedDNS"]},
    ]
    made = guide.ec2.create_dhcp_options(DhcpConfigurations=configuration)["DhcpOptions"]["DhcpOptionsId"]
    try:
        for options, expected in ((made, ("penguins.example", "10.0.0.2")), ("default", (None, None))):
            guide.ec2.associate_dhcp_options(DhcpOptionsId=options, VpcId=vpc)
            become(lambda: tuple(map(guide.lease("red-2").get, ("domain", "dns"))), expected, f"the lease with {options}")
            print(f"    {options}: domain {expected[0] or '-'}, dns {expected[1] or '-'}")
    finally:
        guide.ec2.associate_dhcp_options(DhcpOptionsId=before, VpcId=vpc)
        guide.ec2.delete_dhcp_options(DhcpOptionsId=made)


def _console(guide: Guide) -> None:
    def said() -> str:
        return guide.ec2.get_console_output(InstanceId=guide.ids["red-1"]).get("Output", "")

    twins.wait_until(said, lambda: "the console of red-1 says nothing")
    print("    $ aws ec2 get-console-output --instance-id ... --output text")
    for line in said().splitlines()[-4:]:
        print(f"      {line}")


LESSONS = (
    Lesson("An address comes by DHCP, though no rule admits anything: no group, ACL or route touches a service", _address),
    Lesson("Two instances with one address: each finds its own metadata", _twins),
    Lesson("Names: ip-... follows from the address, an instance's id is known in its own VPC", _names),
    Lesson("Tokens: required when the owner says so, of use to one instance only, and not through a proxy", _tokens),
    Lesson("The hop limit keeps tokens from containers behind an instance", _container),
    Lesson("Time", _time),
    Lesson("1,024 packets a second for one interface; its neighbour notices nothing", _flood),
    Lesson("DHCP options: another set reaches guests at renewal, and the set `default` has no name server at all", _options),
    Lesson("What an instance said on its console", _console),
)
