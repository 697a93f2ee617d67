"""DHCP as a guest hears it: scapy writes the questions and reads the answers, independently of ours."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from rookery.host.services.dhcp.v4 import Answer, answer
from rookery.host.services.view import Guest
from rookery.intent.host import DhcpIntent
from tests.services.guests import guest

EVERYBODY = "255.255.255.255"
NONE = "0.0.0.0"
ROUTER, PRIMARY = "10.7.1.1", "10.7.1.5"


def message(
    kind: str,
    *options: Any,
    mac: str = "02:07:01:00:00:05",
    ciaddr: str = NONE,
    broadcast: bool = False,
    **header: Any,
) -> bytes:
    chaddr = bytes.fromhex(mac.replace(":", ""))
    flags = "B" if broadcast else 0
    bootp = BOOTP(xid=0xDEADBEEF, chaddr=chaddr, ciaddr=ciaddr, flags=flags, **header)
    return bytes(bootp / DHCP(options=[("message-type", kind), *options, "end"]))


def said(to: Answer | None) -> dict[str, Any]:
    """Options of an answer, by scapy's names."""
    assert to is not None, "no answer"
    listed = BOOTP(to.message)[DHCP].options
    return {name: values[0] if len(values) == 1 else values for name, *values in (o for o in listed if isinstance(o, tuple))}


def bootp(to: Answer | None) -> BOOTP:
    assert to is not None, "no answer"
    return BOOTP(to.message)


def test_an_offer_carries_every_option_of_the_behaviour_page():
    """T1-10."""
    offered = answer(message("discover"), guest())
    assert said(offered) == {
        "message-type": 2,
        "server_id": ROUTER,
        "lease_time": 3600,
        "renewal_time": 1800,
        "rebinding_time": 3150,
        "subnet_mask": "255.255.255.0",
        "router": ROUTER,
        "interface-mtu": 9001,
        "broadcast_address": "10.7.1.255",
        "name_server": "10.7.0.2",
        "hostname": b"ip-10-7-1-5",
        "domain": b"ec2.internal",
    }
    assert (bootp(offered).op, bootp(offered).xid, bootp(offered).yiaddr, bootp(offered).siaddr) == (2, 0xDEADBEEF, PRIMARY, NONE)
    assert len(offered.message) >= 300


def test_an_acknowledgement_carries_the_same():
    offered = said(answer(message("discover"), guest()))
    acknowledged = said(answer(message("request", ("server_id", ROUTER), ("requested_addr", PRIMARY)), guest()))
    assert acknowledged == {**offered, "message-type": 5}


def test_time_and_netbios_servers_are_named_where_the_option_set_has_them():
    configured = DhcpIntent(
        domain_name="corp.example",
        name_servers=("192.0.2.53", "AmazonProvidedDNS", "2001:db8::53"),
        ntp_servers=("192.0.2.123", "2001:db8::123"),
        netbios_name_servers=("192.0.2.44", "192.0.2.45"),
        netbios_node_type=2,
    )
    found = said(answer(message("discover"), guest(dhcp=configured)))
    assert found["name_server"] == ["192.0.2.53", "10.7.0.2"], "addresses of IPv6 have no place in IPv4's option"
    assert found["NTP_server"] == "192.0.2.123"
    assert found["NetBIOS_server"] == ["192.0.2.44", "192.0.2.45"]
    assert found["NetBIOS_node_type"] == 2
    assert found["domain"] == b"corp.example"


def test_the_default_option_set_hands_out_neither_name_server_nor_domain():
    """T1-22: a renewal after it was associated. The address stays."""
    renewed = answer(message("request", ciaddr=PRIMARY), guest(dhcp=DhcpIntent()))
    assert {"name_server", "domain", "NTP_server"} & said(renewed).keys() == set()
    assert bootp(renewed).yiaddr == PRIMARY


def test_a_vpc_without_dns_support_has_no_resolver_to_name():
    assert "name_server" not in said(answer(message("discover"), guest(dns_support=False)))


def test_a_second_interface_is_named_after_its_own_address():
    second = guest(number=9, device_index=1)
    assert said(answer(message("discover", mac="02:07:01:00:00:09"), second))["hostname"] == b"ip-10-7-1-9"


def test_secondary_addresses_are_never_offered():
    several = guest(addresses=(PRIMARY, "10.7.1.50"))
    assert bootp(answer(message("discover", ("requested_addr", "10.7.1.50")), several)).yiaddr == PRIMARY


@pytest.mark.parametrize(
    ("asked", "to"),
    [
        (message("discover"), PRIMARY),
        (message("discover", broadcast=True), EVERYBODY),
        (message("request", ("server_id", ROUTER), ("requested_addr", PRIMARY)), PRIMARY),
        (message("request", ("requested_addr", PRIMARY)), PRIMARY),
        (message("request", ciaddr=PRIMARY), PRIMARY),
        (message("request", ciaddr=PRIMARY, broadcast=True), PRIMARY),
    ],
    ids=["discover", "broadcast", "selecting", "init-reboot", "renewing", "renewing, broadcast"],
)
def test_answers_go_where_the_client_can_hear_them(asked: bytes, to: str):
    answered = answer(asked, guest())
    assert answered is not None and answered.to == to
    assert bootp(answered).yiaddr == PRIMARY


@pytest.mark.parametrize(
    "asked",
    [
        message("request", ("server_id", ROUTER), ("requested_addr", "10.7.1.6")),
        message("request", ("requested_addr", "192.168.1.10")),
        message("request", ciaddr="10.7.1.6"),
    ],
    ids=["selecting", "init-reboot", "renewing"],
)
def test_a_request_for_another_address_is_refused(asked: bytes):
    refused = answer(asked, guest())
    assert said(refused) == {"message-type": 6, "server_id": ROUTER, "error_message": b"this interface has 10.7.1.5"}
    assert refused.to == EVERYBODY
    assert (bootp(refused).yiaddr, bootp(refused).ciaddr) == (NONE, NONE)


def test_a_client_that_took_another_servers_offer_hears_nothing():
    assert answer(message("request", ("server_id", "10.7.1.9"), ("requested_addr", PRIMARY)), guest()) is None


def test_who_has_an_address_is_told_the_rest_without_a_lease():
    informed = answer(message("inform", ciaddr=PRIMARY), guest())
    assert informed is not None and informed.to == PRIMARY and bootp(informed).yiaddr == NONE
    assert {"lease_time", "renewal_time", "rebinding_time"} & said(informed).keys() == set()
    assert said(informed)["router"] == ROUTER
    assert answer(message("inform", ciaddr="10.7.1.6"), guest()) is None


@pytest.mark.parametrize("kind", ["decline", "release", "offer", "ack", "nak"])
def test_what_asks_nothing_is_not_answered(kind: str):
    assert answer(message(kind, ciaddr=PRIMARY), guest()) is None


@pytest.mark.parametrize(
    "odd",
    [
        message("discover", mac="02:07:01:00:00:06"),
        message("discover", giaddr="10.7.1.1"),
        message("discover", op=2),
        message("discover", htype=6),
        message("discover", hlen=8),
        message("discover")[:239],
        message("discover").replace(bytes((99, 130, 83, 99)), bytes(4)),
        message("request"),
    ],
    ids=["another's MAC", "a relay", "a reply", "token ring", "a long MAC", "short", "no cookie", "asks for nothing"],
)
def test_what_no_client_of_the_interface_says_is_not_answered(odd: bytes):
    assert answer(odd, guest()) is None


def test_the_clients_identifier_comes_back():
    """RFC 6842."""
    assert said(answer(message("discover", ("client_id", b"\x01abc")), guest()))["client_id"] == b"\x01abc"


def test_a_message_too_small_for_all_carries_what_the_client_asked_for_first():
    long = DhcpIntent(domain_name=".".join(["a" * 60] * 4), name_servers=("AmazonProvidedDNS",), ntp_servers=("192.0.2.1",) * 4)
    wanted = ("param_req_list", [42, 1, 3])
    small = answer(message("discover", wanted), guest(dhcp=long))
    assert small is not None and len(small.message) <= 576 - 28
    assert said(small)["NTP_server"] == ["192.0.2.1"] * 4
    assert "domain" not in said(small) and said(small)["lease_time"] == 3600
    large = answer(message("discover", wanted, ("max_dhcp_size", 1500)), guest(dhcp=long))
    assert said(large)["domain"] == long.domain_name.encode()


def test_options_in_the_fields_for_file_and_server_name_count():
    """RFC 2132 section 9.3."""
    plain = message("request", (52, b"\x01"))
    moved = plain[:108] + struct.pack("!BB4sB", 50, 4, bytes((10, 7, 1, 5)), 255).ljust(128, b"\0") + plain[236:]
    assert said(answer(moved, guest()))["message-type"] == 5


GUEST = guest()
FIELDS = st.fixed_dictionaries(
    {
        "mac": st.sampled_from(["02:07:01:00:00:05", "02:07:01:00:00:06", "ff:ff:ff:ff:ff:ff"]),
        "ciaddr": st.sampled_from([NONE, PRIMARY, "10.7.1.6", EVERYBODY, "127.0.0.1"]),
        "broadcast": st.booleans(),
        "giaddr": st.sampled_from([NONE, "10.7.1.9"]),
    }
)
OPTIONS = st.lists(st.tuples(st.integers(1, 254), st.binary(max_size=20)), max_size=8)


def holds(asked: bytes, of: Guest) -> None:
    """Whatever is asked: no answer, or one that gives the interface its own address and goes there or to everybody."""
    answered = answer(asked, of)
    if answered is None:
        return
    found = BOOTP(answered.message)
    assert answered.to in (of.interface.primary, EVERYBODY)
    assert found.yiaddr in (of.interface.primary, NONE)
    assert found.chaddr[:6] == bytes.fromhex(of.interface.mac.replace(":", ""))
    assert found.xid.to_bytes(4, "big") == asked[4:8]


@given(st.binary(max_size=700))
def test_any_bytes_are_answered_rightly_or_not_at_all(asked: bytes):
    holds(asked, GUEST)


@given(st.sampled_from(["discover", "request", "inform", "release", "decline"]), FIELDS, OPTIONS, st.integers(0, 400))
def test_any_message_is_answered_rightly_or_not_at_all(kind: str, fields: dict, options: list, cut: int):
    whole = message(kind, **fields)[:-1] + b"".join(bytes((n, len(v))) + v for n, v in options)
    holds(whole, GUEST)
    holds(whole[: len(whole) - cut], GUEST)
