"""DHCPv6 as a guest hears it: scapy writes the questions and reads the answers, independently of ours."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import dhcp6

from rookery.host.services.dhcp.v6 import answer, server_identity
from rookery.host.services.view import Guest
from tests.services.guests import AWS_DEFAULT, guest

ADDRESS = "2001:db8:7:1::5"
GUEST = guest()
SERVER = server_identity(GUEST.interface)
CLIENT = dhcp6.DHCP6OptClientId(duid=dhcp6.DUID_LL(lladdr="02:07:01:00:00:05"))
OUR_SERVER = dhcp6.DHCP6OptServerId(duid=dhcp6.DUID_LL(lladdr="02:07:01:00:00:01"))
ANOTHER_SERVER = dhcp6.DHCP6OptServerId(duid=dhcp6.DUID_LL(lladdr="02:07:01:00:00:99"))


def identity(*addresses: str, iaid: int = 77) -> Any:
    return dhcp6.DHCP6OptIA_NA(iaid=iaid, ianaopts=[dhcp6.DHCP6OptIAAddress(addr=one) for one in addresses])


def message(kind: type, *options: Any) -> bytes:
    packet = kind(trid=0xABCDEF)
    for option in options:
        packet = packet / option
    return bytes(packet)


def heard(asked: bytes, of: Guest = GUEST) -> Any:
    """The answer, read by scapy."""
    found = answer(asked, of)
    assert found is not None, "no answer"
    return dhcp6._dhcp6_dispatcher(found)


def leases(found: Any) -> dict[str, tuple[int, int]]:
    """Of the first association: address -> preferred, valid seconds."""
    options = found[dhcp6.DHCP6OptIA_NA].ianaopts
    return {one.addr: (one.preflft, one.validlft) for one in options if isinstance(one, dhcp6.DHCP6OptIAAddress)}


def status(association: Any) -> int:
    return next(one.statuscode for one in association.ianaopts if isinstance(one, dhcp6.DHCP6OptStatusCode))


def test_a_solicitation_is_answered_by_an_advertisement_of_the_address_and_nothing_else():
    found = heard(message(dhcp6.DHCP6_Solicit, CLIENT, identity()))
    assert isinstance(found, dhcp6.DHCP6_Advertise) and found.trid == 0xABCDEF
    assert leases(found) == {ADDRESS: (140, 450)}
    assert (found[dhcp6.DHCP6OptIA_NA].iaid, found[dhcp6.DHCP6OptIA_NA].T1, found[dhcp6.DHCP6OptIA_NA].T2) == (77, 70, 112)
    assert bytes(found[dhcp6.DHCP6OptClientId].duid) == bytes(CLIENT.duid)
    assert bytes(found[dhcp6.DHCP6OptServerId].duid) == SERVER
    assert [type(layer) for layer in layers(found)] == [
        dhcp6.DHCP6_Advertise, dhcp6.DHCP6OptClientId, dhcp6.DHCP6OptServerId, dhcp6.DHCP6OptIA_NA,
    ]  # fmt: skip


def layers(packet: Any) -> list[Any]:
    found = []
    while packet:
        found.append(packet)
        packet = packet.payload
    return found


def test_a_client_in_a_hurry_gets_it_at_once():
    found = heard(message(dhcp6.DHCP6_Solicit, CLIENT, dhcp6.DHCP6OptRapidCommit(), identity()))
    assert isinstance(found, dhcp6.DHCP6_Reply) and dhcp6.DHCP6OptRapidCommit in found
    assert leases(found) == {ADDRESS: (140, 450)}


@pytest.mark.parametrize(
    "asked",
    [
        message(dhcp6.DHCP6_Request, CLIENT, OUR_SERVER, identity()),
        message(dhcp6.DHCP6_Request, CLIENT, OUR_SERVER, identity(ADDRESS)),
        message(dhcp6.DHCP6_Renew, CLIENT, OUR_SERVER, identity(ADDRESS)),
        message(dhcp6.DHCP6_Rebind, CLIENT, identity(ADDRESS)),
    ],
    ids=["request", "request with address", "renew", "rebind"],
)
def test_a_client_gets_its_address_again_and_again(asked: bytes):
    found = heard(asked)
    assert isinstance(found, dhcp6.DHCP6_Reply) and leases(found) == {ADDRESS: (140, 450)}


def test_all_addresses_of_the_interface_are_given():
    several = guest(ipv6_addresses=(ADDRESS, "2001:db8:7:1::50"))
    assert leases(heard(message(dhcp6.DHCP6_Solicit, CLIENT, identity()), several)).keys() == {ADDRESS, "2001:db8:7:1::50"}


def test_an_answer_is_one_packet_however_many_addresses_there_are():
    many = guest(mtu=1500, ipv6_addresses=tuple(f"2001:db8:7:1::{n:x}" for n in range(0x100, 0x180)))
    told = answer(message(dhcp6.DHCP6_Solicit, CLIENT, dhcp6.DHCP6OptRapidCommit(), identity()), many)
    assert told is not None and 1500 - 48 - 28 < len(told) <= 1500 - 48
    assert next(iter(leases(dhcp6._dhcp6_dispatcher(told)))) == "2001:db8:7:1::100"


def test_the_option_set_says_how_long_an_address_is_preferred():
    long = guest(dhcp=msgspec.structs.replace(AWS_DEFAULT, ipv6_preferred_seconds=2_147_483_647))
    found = heard(message(dhcp6.DHCP6_Solicit, CLIENT, identity()), long)
    assert leases(found) == {ADDRESS: (2_147_483_647, 2_147_483_957)}


def test_an_address_that_left_the_interface_ends_at_renewal():
    found = heard(message(dhcp6.DHCP6_Renew, CLIENT, OUR_SERVER, identity(ADDRESS, "2001:db8:7:1::66")))
    assert leases(found) == {ADDRESS: (140, 450), "2001:db8:7:1::66": (0, 0)}


def test_a_client_from_another_subnet_is_told_that_it_moved():
    elsewhere = identity("2001:db8:9:9::5")
    requested = heard(message(dhcp6.DHCP6_Request, CLIENT, OUR_SERVER, elsewhere))
    assert status(requested[dhcp6.DHCP6OptIA_NA]) == 4 and leases(requested) == {}
    confirmed = heard(message(dhcp6.DHCP6_Confirm, CLIENT, elsewhere))
    assert confirmed[dhcp6.DHCP6OptStatusCode].statuscode == 4


def test_a_client_that_wakes_up_in_its_subnet_may_stay():
    confirmed = heard(message(dhcp6.DHCP6_Confirm, CLIENT, identity(ADDRESS)))
    assert confirmed[dhcp6.DHCP6OptStatusCode].statuscode == 0
    assert answer(message(dhcp6.DHCP6_Confirm, CLIENT, identity()), GUEST) is None, "it named nothing to confirm"


@pytest.mark.parametrize("kind", [dhcp6.DHCP6_Release, dhcp6.DHCP6_Decline])
def test_who_gives_an_address_back_is_thanked(kind: type):
    assert heard(message(kind, CLIENT, OUR_SERVER, identity(ADDRESS)))[dhcp6.DHCP6OptStatusCode].statuscode == 0


def test_other_questions_than_for_addresses_are_answered_with_nothing():
    found = heard(message(dhcp6.DHCP6_InfoRequest, dhcp6.DHCP6OptOptReq(reqopts=[23, 24])))
    assert [type(layer) for layer in layers(found)] == [dhcp6.DHCP6_Reply, dhcp6.DHCP6OptServerId]


def test_an_interface_without_ipv6_has_no_address_to_give():
    without = guest(ipv6_addresses=())
    found = heard(message(dhcp6.DHCP6_Solicit, CLIENT, identity()), without)
    assert status(found[dhcp6.DHCP6OptIA_NA]) == 2


def test_prefixes_and_second_associations_get_their_own_refusal():
    asked = message(dhcp6.DHCP6_Solicit, CLIENT, identity(), identity(iaid=78), dhcp6.DHCP6OptIA_PD(iaid=1))
    found = heard(asked)
    second = found[dhcp6.DHCP6OptIA_NA].payload[dhcp6.DHCP6OptIA_NA]
    assert (second.iaid, status(second)) == (78, 2)
    assert found[dhcp6.DHCP6OptIA_PD].iapdopt[0].statuscode == 6


@pytest.mark.parametrize(
    "odd",
    [
        message(dhcp6.DHCP6_Solicit, identity()),
        message(dhcp6.DHCP6_Solicit, CLIENT, OUR_SERVER, identity()),
        message(dhcp6.DHCP6_Request, CLIENT, identity()),
        message(dhcp6.DHCP6_Request, CLIENT, ANOTHER_SERVER, identity()),
        message(dhcp6.DHCP6_Renew, CLIENT, ANOTHER_SERVER, identity()),
        message(dhcp6.DHCP6_Rebind, CLIENT, OUR_SERVER, identity()),
        message(dhcp6.DHCP6_InfoRequest, CLIENT, identity()),
        message(dhcp6.DHCP6_InfoRequest, ANOTHER_SERVER),
        message(dhcp6.DHCP6_Advertise, CLIENT, OUR_SERVER, identity()),
        bytes(dhcp6.DHCP6_RelayForward()),
        message(dhcp6.DHCP6_Solicit, CLIENT, identity())[:-1],
    ],
    ids=[
        "nobody's solicitation", "a solicitation of a server", "a request of no server", "another server's request",
        "another server's renewal", "a rebinding of a server", "a question with addresses", "another server's question",
        "a server's word", "a relay", "cut short",
    ],
)  # fmt: skip
def test_what_breaks_the_rules_of_the_protocol_is_not_answered(odd: bytes):
    assert answer(odd, GUEST) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_answered_rightly_or_not_at_all(asked: bytes):
    only_its_own(asked)


PIECES = st.lists(
    st.one_of(
        st.sampled_from([CLIENT, OUR_SERVER, ANOTHER_SERVER, identity(), identity(ADDRESS), identity("fe80::1"), identity("::")]).map(bytes),
        st.binary(max_size=40),
    ),
    max_size=5,
)


@given(st.integers(0, 13), PIECES)
def test_any_message_is_answered_rightly_or_not_at_all(kind: int, pieces: list[bytes]):
    only_its_own(bytes((kind, 1, 2, 3)) + b"".join(pieces))


def only_its_own(asked: bytes) -> None:
    """No address but the interface's own is ever given for a time."""
    if (found := answer(asked, GUEST)) is None:
        return
    assert found[1:4] == asked[1:4] and found[0] in (2, 7)
    read = dhcp6._dhcp6_dispatcher(found)
    if dhcp6.DHCP6OptIA_NA in read:
        assert {address for address, times in leases(read).items() if times != (0, 0)} <= {ADDRESS}
