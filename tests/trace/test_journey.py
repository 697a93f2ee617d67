"""A trace's way from agent to agent. The agents here are scripted; what they are asked is compared whole.

i-web 10.0.1.5 (host-1) --- router .1 --- i-db 10.0.2.7 (host-2), i-near 10.0.1.9 (host-1)
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from rookery.host.control import EventLine, WhatIf, WhatIfReply
from rookery.model.objects import (
    Attachment,
    CidrAssociation,
    ElasticIp,
    Host,
    Instance,
    NetworkInterface,
    Resource,
    Subnet,
    Vpc,
)
from rookery.region.directory import Directory
from rookery.region.errors import Ambiguous, NotFound
from rookery.trace.journey import from_outside, journey, next_hop
from rookery.trace.packet import Probe
from rookery.trace.telling import drop_line, step_line, tell

OWNER = {"account": "123456789012", "region": "us-east-1"}
VPC = Vpc(
    id="vpc-0000000000000a0b1",
    cidr_associations=(CidrAssociation("vpc-cidr-assoc-1", "10.0.0.0/16"),),
    **OWNER,
)
SUBNETS = [
    Subnet(id=f"subnet-{n}", vpc_id=VPC.id, cidr=f"10.0.{n}.0/24", zone="us-east-1a", **OWNER) for n in (1, 2)
]
HOSTS = [
    Host(name="host-1", zone=0, address="100.64.1.10"),
    Host(name="host-2", zone=1, address="100.64.2.11"),
]
ROUTER_MAC = "02:72:00:00:00:01"


def machine(name: str, address: str, host: str, subnet: Subnet) -> list[Resource]:
    last = int(address.rsplit(".", 1)[1])
    eni = f"eni-{last:08x}"
    attachment = Attachment(id=f"eni-attach-{name}", instance_id=f"i-{name}", host=host)
    interface = NetworkInterface(
        id=eni,
        vpc_id=VPC.id,
        subnet_id=subnet.id,
        zone=subnet.zone,
        mac=f"02:00:00:00:00:{last:02x}",
        addresses=(address,),
        attachment=attachment,
        **OWNER,
    )
    instance = Instance(
        id=f"i-{name}",
        image_id="ami-1",
        instance_type="t3.micro",
        subnet_id=subnet.id,
        vpc_id=VPC.id,
        zone=subnet.zone,
        host=host,
        interface_ids=(eni,),
        tags={"Name": name},
        **OWNER,
    )
    return [interface, instance]


@pytest.fixture
def known() -> Directory:
    machines = [
        *machine("web", "10.0.1.5", "host-1", SUBNETS[0]),
        *machine("near", "10.0.1.9", "host-1", SUBNETS[0]),
        *machine("db", "10.0.2.7", "host-2", SUBNETS[1]),
    ]
    return Directory([VPC, *SUBNETS, *machines], HOSTS)


class Agents:
    """Answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: WhatIfReply | Callable[[bytes], WhatIfReply]):
        self.answers = list(answers)
        self.asked: list[tuple[str, WhatIf]] = []

    def __call__(self, host: str, request: WhatIf) -> WhatIfReply:
        self.asked.append((host, request))
        return self.answers.pop(0)


def event(step: str, **more: object) -> EventLine:
    return EventLine(host="host-1", time=0.0, program="host_egress", step=step, **more)


def arp_reply(address: str, mac: str = ROUTER_MAC) -> WhatIfReply:
    frame = Ether(src=mac, dst="02:00:00:00:00:05") / ARP(op=2, hwsrc=mac, psrc=address, pdst="10.0.1.5")
    steps = [event("arp_answered", destination=address, detail=int(mac.replace(":", ""), 16))]
    return WhatIfReply(verdict="answered", frame=bytes(frame), steps=steps, delivered_to="eni-00000005")


WRAPPED = bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / IP(src="100.64.1.10", dst="100.64.2.11") / UDP(dport=6081) / b"geneve")


def test_a_packet_to_another_host_leaves_one_and_arrives_at_the_other(known: Directory):
    sent = WhatIfReply(verdict="sent", frame=WRAPPED, steps=[])
    delivered = WhatIfReply(verdict="delivered", frame=b"", steps=[], delivered_to="eni-00000007")
    agents = Agents(arp_reply("10.0.1.1"), sent, delivered)
    told = journey(known, "web", "db", Probe.of(None, None), agents)
    assert (told.delivered, told.delivered_to, told.destination_host) == (True, "i-db", "host-2")
    assert [(host, ask.program, ask.interface) for host, ask in agents.asked] == [
        ("host-1", "host_egress", "eni-00000005"),
        ("host-1", "host_egress", "eni-00000005"),
        ("host-2", "host_ingress", ""),
    ]
    assert Ether(agents.asked[1][1].frame).dst == ROUTER_MAC
    assert agents.asked[2][1].frame[14:] == WRAPPED[14:]
    assert len({ask.trace for _, ask in agents.asked}) == 1
    assert 1 <= agents.asked[0][1].trace <= 0xFFFF


def test_a_neighbour_on_the_same_host_is_reached_in_one_leg(known: Directory):
    here = WhatIfReply(verdict="delivered", frame=b"", steps=[], delivered_to="eni-00000009")
    agents = Agents(arp_reply("10.0.1.9", "02:00:00:00:00:09"), here)
    told = journey(known, "i-web", "10.0.1.9", Probe.of(80, None), agents)
    assert (told.delivered, told.delivered_to, told.destination_host) == (True, "i-near", "host-1")
    assert told.next_hop == "10.0.1.9"


def test_a_packet_to_a_service_ends_at_the_host(known: Directory):
    steps = [event("served", detail=0x254, source="10.0.1.5", destination="169.254.169.254")]
    served = WhatIfReply(verdict="served", frame=b"", steps=steps)
    agents = Agents(arp_reply("10.0.1.1"), served)
    told = journey(known, "web", "169.254.169.254", Probe.of(80, None), agents)
    assert (told.served, told.delivered, len(agents.asked)) == (True, False, 2)
    *_, step, end = tell(told)
    assert step.endswith("given to the host's metadata service: no security group, network ACL or route is asked")
    assert end == "served at host-1: given to the services of the host"


def test_when_nobody_answers_arp_no_packet_is_sent(known: Directory):
    silent = WhatIfReply(verdict="drop_arp_unanswered", frame=b"", steps=[])
    agents = Agents(silent)
    told = journey(known, "web", "10.0.1.77", Probe.of(None, None), agents)
    assert (told.delivered, told.verdict, len(agents.asked)) == (False, "drop_arp_unanswered", 1)


def test_a_packet_dropped_at_arrival_is_told_with_its_reason(known: Directory):
    sent = WhatIfReply(verdict="sent", frame=WRAPPED, steps=[])
    dropped = WhatIfReply(verdict="drop_source_not_at_host", frame=b"", steps=[])
    told = journey(known, "web", "db", Probe.of(None, None), Agents(arp_reply("10.0.1.1"), sent, dropped))
    assert (told.delivered, told.verdict, told.destination_host) == (False, "drop_source_not_at_host", "")
    assert list(tell(told))[-1] == (
        "dropped (drop_source_not_at_host): the inner source does not live at the host that sent the packet"
    )


def test_every_step_is_a_line_of_words(known: Directory):
    steps = [
        event("source_checked", source="10.0.1.5", interface="eni-00000005"),
        event("route_found", detail=1),
        event("mapping_found", destination="10.0.2.7", outer_destination="100.64.2.11", detail=41),
        event("wrapped", vni=VPC.vni, outer_source="100.64.1.10", outer_destination="100.64.2.11"),
    ]
    sent = WhatIfReply(verdict="sent", frame=WRAPPED, steps=steps)
    delivered = WhatIfReply(verdict="delivered", frame=b"", steps=[], delivered_to="eni-00000007")
    told = journey(known, "web", "db", Probe.of(None, None), Agents(arp_reply("10.0.1.1"), sent, delivered))
    lines = "\n".join(tell(told))
    for words in (
        "ARP: who has 10.0.1.1?",
        ROUTER_MAC,
        "source checked",
        "route found: local",
        "generation 41",
    ):
        assert words in lines
    assert "VPC 00a0b1: host-1 -> host-2" in lines
    assert "10.0.2.7 lives at host-2" in lines
    assert lines.endswith("delivered to i-db at host-2")


def with_ipv6(known: Directory) -> Directory:
    """The same, with 2001:db8:1::/64 and 2001:db8:2::/64: i-web ::5, i-db ::7."""
    subnets = [
        msgspec.structs.replace(
            subnet, ipv6_cidr_associations=(CidrAssociation(f"assoc-{n}", f"2001:db8:{n}::/64"),)
        )
        for n, subnet in enumerate(SUBNETS, 1)
    ]
    own = {"eni-00000005": "2001:db8:1::5", "eni-00000007": "2001:db8:2::7"}
    interfaces = [
        msgspec.structs.replace(known.interface(eni), ipv6_addresses=(address,)) for eni, address in own.items()
    ]
    return Directory([*(known.resources | {one.id: one for one in (*subnets, *interfaces)}).values()], HOSTS)


def test_an_ipv6_packet_asks_for_the_router_and_leaves(known: Directory):
    answer = (
        Ether(src=ROUTER_MAC, dst="02:00:00:00:00:05")
        / IPv6(src="fe80:ec2::1", dst="2001:db8:1::5", hlim=255)
        / ICMPv6ND_NA(tgt="fe80:ec2::1")
        / ICMPv6NDOptDstLLAddr(lladdr=ROUTER_MAC)
    )
    found = WhatIfReply(verdict="answered", frame=bytes(answer), steps=[])
    sent = WhatIfReply(verdict="sent", frame=WRAPPED, steps=[])
    delivered = WhatIfReply(verdict="delivered", frame=b"", steps=[], delivered_to="eni-00000007")
    agents = Agents(found, sent, delivered)
    told = journey(with_ipv6(known), "web", "2001:DB8:2:0::7", Probe.of(80, None), agents)
    assert (told.delivered_to, told.source, told.destination) == ("i-db", "2001:db8:1::5", "2001:db8:2::7")
    read = Ether(agents.asked[1][1].frame)
    assert (read.dst, read[IPv6].src, read[IPv6].dst) == (ROUTER_MAC, "2001:db8:1::5", "2001:db8:2::7")
    assert "neighbour discovery: who has fe80:ec2::1?" in "\n".join(tell(told))


def test_an_interface_without_ipv6_sends_none(known: Directory):
    with pytest.raises(NotFound, match="eni-00000009 has no IPv6 address"):
        journey(with_ipv6(known), "near", "2001:db8:2::7", Probe.of(None, None), Agents())


def test_the_next_hop_is_the_router_only_outside_the_subnet():
    assert next_hop(SUBNETS[0], "10.0.1.200") == "10.0.1.200"
    assert next_hop(SUBNETS[0], "10.0.2.7") == "10.0.1.1"


def test_an_instance_is_found_by_id_and_by_name(known: Directory):
    assert known.instance("db").id == known.instance("i-db").id == "i-db"


def test_a_name_that_nobody_has_and_one_that_two_have_are_refused(known: Directory):
    with pytest.raises(NotFound, match="'mail' is no instance"):
        known.instance("mail")
    twin = Directory([*known.resources.values(), *machine("db2", "10.0.2.8", "host-2", SUBNETS[1])], HOSTS)
    twin.resources["i-db2"].tags["Name"] = "db"
    with pytest.raises(Ambiguous, match="i-db, i-db2"):
        twin.instance("db")


def test_a_destination_may_be_an_address_that_nobody_has(known: Directory):
    assert known.address("10.9.9.9", VPC.id) == "10.9.9.9"
    with pytest.raises(NotFound):
        known.address("10.9.9", VPC.id)


def test_a_live_drop_is_told_with_whose_it_is_and_who_sent_it(known: Directory):
    drop = EventLine(
        host="host-2",
        time=0.0,
        program="host_ingress",
        step="dropped",
        verdict="drop_source_not_at_host",
        interface="eni-00000007",
        source="10.0.1.5",
        destination="10.0.2.7",
        outer_source="100.64.1.10",
        protocol=17,
        source_port=1000,
        destination_port=53,
    )
    told = drop_line(drop, known)
    assert "host-2  i-db (db)  10.0.1.5:1000 -> 10.0.2.7:53 udp, sent by host-1  drop_source_not_at_host: " in told


def test_an_alarm_is_told_as_one(known: Directory):
    alarm = EventLine(host="host-2", time=0.0, program="", step="alarm", verdict="drop_source_mac", detail=3)
    assert "host-2  ALARM  drop_source_mac, 3 so far: the sender's MAC" in drop_line(alarm, known)


ALLOWED = "sgr-00000001 of sg-1 (tcp 443 to 10.0.0.0/16)"


def gate(step: str, rule: str, direction: str = "egress", **more: object) -> EventLine:
    return event(step, direction=direction, rule=rule, **more)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (gate("connection_made", ALLOWED), f"egress: allowed by {ALLOWED}, tracked from now on"),
        (gate("connection_found", ALLOWED), f"egress: a tracked flow, once admitted by {ALLOWED}"),
        (gate("untracked", ALLOWED), f"egress: allowed by {ALLOWED}, not tracked: open both ways, or it begins no flow"),
        (
            gate("acl_allowed", "acl-1 rule 100 (allow all protocols from 0.0.0.0/0)", "ingress"),
            "ingress: allowed by acl-1 rule 100 (allow all protocols from 0.0.0.0/0)",
        ),
        (
            event("service_answered", detail=0x253, source="10.0.0.2", destination="10.0.1.5"),
            "answered by the host's DNS service: 10.0.0.2 -> 10.0.1.5",
        ),
        (event("route_found", detail=3), "route found: to an interface"),
        (event("route_found", detail=4), "route found: peering"),
        (event("forwarder_found", detail=9), "forwarder found: the route leads to eni-00000009"),
        (event("forwarder_found", detail=10), "forwarder found: the route leads to interface 0x0000000a"),
        (event("peer_found", detail=0xA0B1), "peering: the destination is looked up in VPC 00a0b1"),
        (
            event("forwarded", detail=9, outer_source="100.64.1.10"),
            "verified: eni-00000009 at host-1 may speak for others",
        ),
    ],
)
def test_a_gate_names_its_rule_and_a_way_its_target(line: EventLine, words: str):
    assert step_line(line, {"100.64.1.10": "host-1"}, {9: "eni-00000009"}) == words


def test_a_packet_that_no_rule_admits_is_told_with_the_groups(known: Directory):
    rule = "no ingress rule of sg-1, sg-2 allows it"
    drop = gate("dropped", rule, "ingress", verdict="drop_security_group_ingress")
    sent = WhatIfReply(verdict="sent", frame=WRAPPED, steps=[])
    dropped = WhatIfReply(verdict="drop_security_group_ingress", frame=b"", steps=[drop])
    told = journey(known, "web", "db", Probe.of(443, None), Agents(arp_reply("10.0.1.1"), sent, dropped))
    assert list(tell(told))[-1] == (
        "dropped (drop_security_group_ingress): no rule of the receiver's security groups admits it, "
        f"and it belongs to no tracked flow: {rule}"
    )
    assert drop_line(drop, known).endswith(f"it belongs to no tracked flow: {rule}")


EDGE = Host(name="edge-1", zone=0, address="100.64.1.20", is_edge=True)
TO_EDGE = bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / IP(src="100.64.1.10", dst=EDGE.address) / UDP(dport=6081) / b"geneve")
OUT = event("sent_outside", source="203.0.113.5", destination="192.0.2.80")


def with_edge(known: Directory) -> Directory:
    """i-db is 203.0.113.7 outside."""
    public = ElasticIp(id="eipalloc-1", address="203.0.113.7", interface_id="eni-00000007", **OWNER)
    return Directory([*known.resources.values(), public], [*HOSTS, EDGE])


def test_a_packet_to_the_internet_leaves_at_an_edge(known: Directory):
    sent = WhatIfReply(verdict="sent", frame=TO_EDGE, steps=[])
    translated = event("source_translated", source="203.0.113.5")
    out = WhatIfReply(verdict="sent", frame=b"", steps=[translated, OUT])
    agents = Agents(arp_reply("10.0.1.1"), sent, out)
    told = journey(with_edge(known), "web", "192.0.2.80", Probe.of(443, None), agents)
    assert [(host, ask.program) for host, ask in agents.asked[2:]] == [("edge-1", "blackfoot_outward")]
    assert agents.asked[2][1].frame[14:] == TO_EDGE[14:]
    assert (told.left_at, told.seen_as, told.delivered) == ("edge-1", "203.0.113.5", False)
    lines = list(tell(told))
    assert "  edge-1   source translated: seen outside as 203.0.113.5" in lines
    assert lines[-1] == "left the region at edge-1, seen outside as 203.0.113.5"


def test_a_packet_to_a_public_address_of_the_region_turns_back_at_the_edge(known: Directory):
    sent = WhatIfReply(verdict="sent", frame=TO_EDGE, steps=[])
    back = WhatIfReply(verdict="sent", frame=WRAPPED, steps=[event("wrapped")])
    delivered = WhatIfReply(verdict="delivered", frame=b"", steps=[], delivered_to="eni-00000007")
    agents = Agents(arp_reply("10.0.1.1"), sent, back, delivered)
    told = journey(with_edge(known), "web", "203.0.113.7", Probe.of(443, None), agents)
    assert [host for host, _ in agents.asked] == ["host-1", "host-1", "edge-1", "host-2"]
    assert (told.delivered_to, told.left_at) == ("i-db", "")


def test_a_packet_that_an_edge_drops_ends_there(known: Directory):
    sent = WhatIfReply(verdict="sent", frame=TO_EDGE, steps=[])
    dropped = WhatIfReply(verdict="drop_no_public_address", frame=b"", steps=[])
    told = journey(with_edge(known), "web", "192.0.2.80", Probe.of(443, None), Agents(arp_reply("10.0.1.1"), sent, dropped))
    assert list(tell(told))[-1] == (
        "dropped (drop_no_public_address): the sender has no public address: no way out to the internet"
    )


@pytest.mark.parametrize("destination", ["203.0.113.7", "db"])
def test_a_packet_from_outside_comes_in_through_an_edge(known: Directory, destination: str):
    wrapped = WhatIfReply(verdict="sent", frame=WRAPPED, steps=[])
    delivered = WhatIfReply(verdict="delivered", frame=b"", steps=[], delivered_to="eni-00000007")
    agents = Agents(wrapped, delivered)
    told = from_outside(with_edge(known), "192.0.2.80", destination, Probe.of(443, None), agents)
    assert [(host, ask.program) for host, ask in agents.asked] == [
        ("edge-1", "blackfoot_inward"), ("host-2", "host_ingress"),
    ]  # fmt: skip
    made = Ether(agents.asked[0][1].frame)
    assert (made[IP].src, made[IP].dst) == ("192.0.2.80", "203.0.113.7")
    assert next(iter(tell(told))) == "the internet (192.0.2.80) at edge-1 sends to 203.0.113.7: tcp port 443"
    assert told.delivered_to == "i-db"


def test_what_has_no_public_address_is_not_reached_from_outside(known: Directory):
    with pytest.raises(NotFound, match="i-near has no public address"):
        from_outside(with_edge(known), "192.0.2.80", "near", Probe.of(None, None), Agents())
    with pytest.raises(NotFound, match="no edge"):
        from_outside(known, "192.0.2.80", "203.0.113.7", Probe.of(None, None), Agents())
