"""A question goes through host_egress to a service that says it back as it came, and through host_services to the guest: what the
guest hears is its own question, turned round, byte for byte.

    instance 11 -- [host_egress] == bytes ==> a mirror == bytes ==> [host_services] -- instance 11
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.packet import Packet, Raw

from rookery.dataplane.formats import Ifindex, Verdict
from rookery.dataplane.host import HostDataplane
from tests.dataplane import plan, plan_ipv6
from tests.dataplane.objects import built_objects
from tests.dataplane.packets import IP, TCP, UDP
from tests.dataplane.packets_ipv6 import OWN
from tests.dataplane.packets_services import (
    FROM_SERVICES,
    OWN_IPV4,
    RESOLVER,
    ROUTER_IPV4,
    caller,
    heard_answer,
    question,
)

Service = tuple[str, type[Packet], int]
ANYTHING: list[Service] = [
    ("169.254.169.254", TCP, 80), ("169.254.169.253", UDP, 53), ("169.254.169.253", TCP, 53), (RESOLVER, UDP, 53),
    (RESOLVER, TCP, 53), ("169.254.169.123", UDP, 123), ("fd00:ec2::254", TCP, 80), ("fd00:ec2::253", UDP, 53),
    ("fd00:ec2::253", TCP, 53), ("fd00:ec2::123", UDP, 123),
]  # fmt: skip
IPV4_SOURCES, IPV6_SOURCES = ("10.7.1.5", "10.7.1.50", "10.7.1.17"), (OWN, "2001:db8:7:1::50")
NEVER_CUT = {"flags": "DF", "id": 0}  # what every answer says by IPv4


@pytest.fixture(scope="module")
def host() -> Iterator[HostDataplane]:
    pins = Path("/sys/fs/bpf") / f"rookery-t{secrets.token_hex(4)}"
    try:
        real = HostDataplane.open(pins, built_objects(), max_mappings=256)
        plan.fill(real, plan.host_a())
        plan_ipv6.fill(real, {11: plan.DEVICE})
        yield real
        real.close()
    finally:
        HostDataplane.remove_pins(pins)


def mirrored(frame: bytes) -> bytes:
    """Addresses and ports change places, which changes no sum."""
    macs = b"".join(bytes.fromhex(FROM_SERVICES[end].replace(":", "")) for end in ("dst", "src"))
    return macs + frame[12:22] + frame[38:54] + frame[22:38] + frame[56:58] + frame[54:56] + frame[58:]


def there_and_back(host: HostDataplane, asked: Packet) -> bytes:
    served = host.what_if("host_egress", bytes(asked), plan.DEVICE, 3)
    assert served.verdict is Verdict.SERVED
    heard = host.what_if("host_services", mirrored(served.frame), plan.DEVICE, 3)
    assert (heard.verdict, heard.target) == (Verdict.DELIVERED, plan.DEVICE)
    return heard.frame


class Asked(NamedTuple):
    service: Service
    port: int
    content: bytes
    ttl: int
    traffic_class: int
    source: int  # of the guest's addresses


QUESTIONS = st.builds(
    Asked,
    st.sampled_from(ANYTHING),
    st.integers(0, 65535),
    st.binary(max_size=1400),
    st.integers(1, 255),
    st.integers(0, 255),
    st.integers(0, 5),
)


@given(QUESTIONS)
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_comes_back_is_what_was_asked_turned_round(host: HostDataplane, asked: Asked) -> None:
    to, transport, at = asked.service
    ipv6 = ":" in to
    source = (IPV6_SOURCES if ipv6 else IPV4_SOURCES)[asked.source % (2 if ipv6 else 3)]
    ip = dict(zip(("hlim", "tc") if ipv6 else ("ttl", "tos"), asked[3:5], strict=True))
    sent = transport(sport=asked.port, dport=at) / Raw(asked.content)
    expected = heard_answer(to, transport(sport=at, dport=asked.port) / Raw(asked.content), source, **ip)
    assert there_and_back(host, question(to, sent, source, **ip, **({} if ipv6 else NEVER_CUT))) == bytes(expected)


def test_an_identification_is_not_brought_back(host: HostDataplane) -> None:
    asked = question(RESOLVER, UDP(sport=5, dport=53) / b"x", id=4711, flags=0)
    expected = heard_answer(RESOLVER, UDP(sport=53, dport=5) / b"x")
    assert there_and_back(host, asked) == bytes(expected)


def test_a_guest_without_an_address_is_answered_at_the_one_it_gets(host: HostDataplane) -> None:
    """DHCP's service knows the caller, and answers the same guest at another address."""
    discover = question("255.255.255.255", UDP(sport=68, dport=67) / b"discover", "0.0.0.0", "ff:ff:ff:ff:ff:ff")
    served = host.what_if("host_egress", bytes(discover), plan.DEVICE, 3).frame
    offer = bytearray(mirrored(served))
    assert offer[50:54] == bytes(4)
    offer[50:54] = bytes((10, 7, 1, 5))
    offer[60:62] = bytes(2)  # the socket would say it anew; without one the guest does not look
    heard = IP(host.what_if("host_services", bytes(offer), plan.DEVICE, 3).frame[14:])
    assert (heard.src, heard.dst, heard[UDP].sport, heard[UDP].dport) == (ROUTER_IPV4, OWN_IPV4, 67, 68)
    assert bytes(heard[UDP].payload) == b"discover"


def test_twins_ask_and_hear_apart(host: HostDataplane) -> None:
    """Interface 21 has the address of 11 in another VPC, and is put in its place on the same device: what differs is who asks."""
    asked = question("169.254.169.254", TCP(sport=1, dport=80))
    first = host.what_if("host_egress", bytes(asked), plan.DEVICE, 3).frame
    twin = plan.interface_row(plan.interface(21))._replace(mac=plan.mac(11))
    before = host.interfaces.get(Ifindex(plan.DEVICE))
    assert before
    try:
        host.interfaces.put_many({Ifindex(plan.DEVICE): twin})
        host.service_budgets.put_many({plan.InterfaceNumber(21): plan.formats.ServiceBudget(0)})
        second = host.what_if("host_egress", bytes(asked), plan.DEVICE, 3).frame
        stale = host.what_if("host_services", mirrored(first), plan.DEVICE, 3)
        assert stale.verdict is Verdict.DROP_SERVICE_REPLY
    finally:
        host.interfaces.put_many({Ifindex(plan.DEVICE): before})
    assert (first[22:38].hex(), second[22:38].hex()) == (packed(caller()), packed(caller(interface=21)))


def packed(address: str) -> str:
    return plan.address_bytes(address).hex()
