"""The services' process at its sockets: see station.py for the topology."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from scapy.layers import dhcp6
from scapy.layers.dhcp import BOOTP
from scapy.layers.ntp import NTPHeader

from rookery.dataplane.formats import AskedAt, CallerSource, Service, ServicePort
from rookery.host.services.view import Guest
from rookery.intent.host import DhcpIntent
from tests.services import test_dhcp, test_dhcpv6, test_ntp
from tests.services.guests import guest
from tests.services.station import Station, asks, built, hears_nothing, says
from tests.waiting import until

pytestmark = pytest.mark.real_packets

FIVE, SIX, TWIN = guest(7, 5), guest(7, 6), guest(8, 5, primary="10.7.1.5", mac="02:07:01:00:00:05", router="10.7.1.1")


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """With an agent that knows three guests, and serving."""
    with built(tmp_path) as made:
        made.make_services_namespace()
        made.start_agent().knows(FIVE, SIX, TWIN)
        made.start()
        made.wait_serving()
        yield made


def everybody(station: Station, of: Guest) -> socket.socket:
    """Where the guest's DHCP client hears what goes to everybody, port 68."""
    to_all = station.caller(of, IPv4Address("255.255.255.255").packed, asked=AskedAt.EVERYBODY)
    return station.at(to_all, ServicePort.PORT_DHCP_CLIENT)


def without_address(station: Station, of: Guest) -> socket.socket:
    return station.at(station.caller(of, bytes(4), asked=AskedAt.EVERYBODY), ServicePort.PORT_DHCP_CLIENT)


def with_address(station: Station, of: Guest, asked: AskedAt, port: int = 0) -> socket.socket:
    return station.at(station.caller(of, IPv4Address(of.interface.primary).packed, asked=asked), port)


def discovers(station: Station, of: Guest) -> BOOTP:
    """Broadcast, as busybox does: the answer goes to everybody."""
    with without_address(station, of) as asking, everybody(station, of) as hearing:
        asked = test_dhcp.message("discover", mac=of.interface.mac, broadcast=True)
        says(asking, Service.DHCP, ServicePort.PORT_DHCP, asked)
        return BOOTP(hearing.recv(4096))


def renews(station: Station, of: Guest) -> dict:
    """Unicast to the router."""
    with with_address(station, of, AskedAt.ROUTER, ServicePort.PORT_DHCP_CLIENT) as client:
        asked = test_dhcp.message("request", mac=of.interface.mac, ciaddr=of.interface.primary)
        reply = asks(client, Service.DHCP, ServicePort.PORT_DHCP, asked)
        return test_dhcp.said(test_dhcp.Answer(reply, ""))


def tells_time(station: Station, of: Guest) -> NTPHeader:
    with with_address(station, of, AskedAt.SERVICE) as client:
        return NTPHeader(asks(client, Service.TIME, ServicePort.PORT_TIME, test_ntp.packet()))


def test_twins_in_two_vpcs_and_their_neighbour_each_get_their_own_lease(station: Station):
    assert [discovers(station, one).yiaddr for one in (FIVE, SIX, TWIN)] == ["10.7.1.5", "10.7.1.6", "10.7.1.5"]
    assert renews(station, FIVE)["name_server"] == "10.7.0.2"
    assert renews(station, TWIN)["name_server"] == "10.8.0.2"


def test_a_client_that_takes_unicast_is_answered_at_the_address_it_gets(station: Station):
    with without_address(station, FIVE) as asking, with_address(
        station, FIVE, AskedAt.EVERYBODY, ServicePort.PORT_DHCP_CLIENT
    ) as hearing:
        says(asking, Service.DHCP, ServicePort.PORT_DHCP, test_dhcp.message("discover"))
        assert BOOTP(hearing.recv(4096)).yiaddr == "10.7.1.5"


def test_dhcp_for_ipv6_is_answered_at_the_clients_link_local_address(station: Station):
    link_local = station.caller(FIVE, bytes.fromhex("0007 01ff fe00 0005"), CallerSource.LINK_LOCAL)
    with station.at(link_local, ServicePort.PORT_DHCPV6_CLIENT) as client:
        asked = test_dhcpv6.message(dhcp6.DHCP6_Solicit, test_dhcpv6.CLIENT, test_dhcpv6.identity())
        told = dhcp6._dhcp6_dispatcher(asks(client, Service.DHCPV6, ServicePort.PORT_DHCPV6, asked))
    assert test_dhcpv6.leases(told) == {"2001:db8:7:1::5": (140, 450)}


def test_the_time_is_the_hosts_within_what_the_exchange_took(station: Station):
    told = tells_time(station, FIVE)
    assert told.stratum == 3
    assert 0 <= float(told.sent) - float(told.recv) < 5
    assert abs(float(told.sent) - test_ntp.UNIX_IN_1900 - Path("/proc/self").stat().st_mtime) < 60


def test_who_is_not_of_this_host_and_what_no_program_wrote_is_not_answered(station: Station):
    stranger = guest(9, 5)
    plain = ("fd52:401::1", "fd53:401:7:5::1")
    with with_address(station, stranger, AskedAt.SERVICE) as client:
        says(client, Service.TIME, ServicePort.PORT_TIME, test_ntp.packet())
        tells_time(station, FIVE)
        assert hears_nothing(client), plain


def test_a_guest_that_asks_before_the_agent_told_of_it_is_answered_when_it_has(station: Station):
    late = guest(7, 9)
    with without_address(station, late) as asking, everybody(station, late) as hearing:
        asked = test_dhcp.message("discover", mac=late.interface.mac, broadcast=True)
        says(asking, Service.DHCP, ServicePort.PORT_DHCP, asked)
        assert station.agent is not None
        station.agent.learns(late)
        assert BOOTP(hearing.recv(4096)).yiaddr == "10.7.1.9"


def test_a_change_of_the_option_set_arrives_with_the_next_renewal(station: Station):
    """T1-22."""
    assert renews(station, FIVE)["domain"] == b"ec2.internal"
    assert station.agent is not None
    station.agent.learns(guest(7, 5, dhcp=DhcpIntent(ntp_servers=("192.0.2.123",))))
    until(lambda: "domain" not in renews(station, FIVE), station.log)
    renewed = renews(station, FIVE)
    assert "name_server" not in renewed and renewed["NTP_server"] == "192.0.2.123"


def test_a_guest_that_is_gone_is_not_answered_any_more(station: Station):
    assert station.agent is not None
    station.agent.learns(forgets=(SIX,))
    until(lambda: silent_about_time(station, SIX), station.log)
    assert tells_time(station, FIVE).stratum == 3


def silent_about_time(station: Station, of: Guest) -> bool:
    with with_address(station, of, AskedAt.SERVICE) as client:
        says(client, Service.TIME, ServicePort.PORT_TIME, test_ntp.packet())
        tells_time(station, FIVE)
        return hears_nothing(client)


def test_leases_outlive_the_agent_and_the_process_itself(station: Station):
    assert station.agent is not None
    station.agent.end()
    assert renews(station, FIVE)["router"] == "10.7.1.1", "what they knew they still know"
    assert station.end(signal.SIGKILL) == -signal.SIGKILL
    station.start()
    station.start_agent().knows(FIVE, TWIN)
    station.wait_serving()
    until(lambda: silent_about_time_or_known(station), station.log)
    assert renews(station, FIVE)["router"] == "10.7.1.1"
    assert discovers(station, TWIN).yiaddr == "10.7.1.5"


def silent_about_time_or_known(station: Station) -> bool:
    with with_address(station, FIVE, AskedAt.SERVICE) as client:
        client.settimeout(0.2)
        try:
            return bool(asks(client, Service.TIME, ServicePort.PORT_TIME, test_ntp.packet()))
        except TimeoutError:
            return False
