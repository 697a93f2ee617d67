"""The services' process at its sockets: see station.py for the topology."""

from __future__ import annotations

import http.client
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path

import dns.message
import pytest
from scapy.layers import dhcp6
from scapy.layers.dhcp import BOOTP
from scapy.layers.ntp import NTPHeader

from rookery.dataplane.formats import AskedAt, CallerSource, Service, ServicePort
from rookery.host.services.caller import service_address
from rookery.host.services.names import CONNECTIONS
from rookery.host.services.sockets import DATAGRAM_BUCKETS
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
        return BOOTP(asks(asking, Service.DHCP, ServicePort.PORT_DHCP, asked, hearing=hearing))


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
        reply = asks(asking, Service.DHCP, ServicePort.PORT_DHCP, test_dhcp.message("discover"), hearing=hearing)
        assert BOOTP(reply).yiaddr == "10.7.1.5"


def test_dhcp_for_ipv6_is_answered_at_the_clients_link_local_address(station: Station):
    link_local = station.caller(FIVE, bytes.fromhex("0007 01ff fe00 0005"), CallerSource.LINK_LOCAL)
    with station.at(link_local, ServicePort.PORT_DHCPV6_CLIENT) as client:
        asked = test_dhcpv6.message(dhcp6.DHCP6_Solicit, test_dhcpv6.CLIENT, test_dhcpv6.identity())
        told = dhcp6._dhcp6_dispatcher(asks(client, Service.DHCPV6, ServicePort.PORT_DHCPV6, asked))
    assert test_dhcpv6.leases(told) == {"2001:db8:7:1::5": (140, 450)}


def test_the_time_is_the_hosts_within_what_the_exchange_took(station: Station):
    before = time.time()
    told = tells_time(station, FIVE)
    assert told.stratum == 3
    assert 0 <= float(told.sent) - float(told.recv) < 5
    assert before <= float(told.recv) - test_ntp.UNIX_IN_1900 <= time.time()


def test_who_is_not_of_this_host_is_not_answered(station: Station):
    with with_address(station, guest(9, 5), AskedAt.SERVICE) as stranger:
        says(stranger, Service.TIME, ServicePort.PORT_TIME, test_ntp.packet())
        assert tells_time(station, FIVE).stratum == 3
        assert hears_nothing(stranger)


@pytest.mark.parametrize("odd", ["fd52:301:7:5::a07:105", "fd52:409:7:5::a07:105"])
def test_a_source_that_no_program_writes_is_not_answered(station: Station, odd: str):
    with station.at_address(odd) as forged:
        says(forged, Service.TIME, ServicePort.PORT_TIME, test_ntp.packet())
        assert tells_time(station, FIVE).stratum == 3
        assert hears_nothing(forged)


def test_odd_bytes_at_any_port_end_nothing(station: Station):
    ports = {
        Service.DHCP: ServicePort.PORT_DHCP,
        Service.DHCPV6: ServicePort.PORT_DHCPV6,
        Service.TIME: ServicePort.PORT_TIME,
        Service.DNS: ServicePort.PORT_DNS,
    }
    with with_address(station, FIVE, AskedAt.SERVICE) as client:
        for length in (0, 1, 3, 12, 48, 240, 300, 4097, 9000):
            for service, port in ports.items():
                says(client, service, port, secrets.token_bytes(length))
    assert discovers(station, FIVE).yiaddr == "10.7.1.5"
    assert station.end() == 0
    assert "Traceback" not in station.log()


def test_a_guest_that_floods_a_port_fills_no_queue_but_its_own(station: Station):
    """While the process takes nothing, from more ports than there are buckets: whatever hashes ports would fill all."""
    assert FIVE.interface.number % DATAGRAM_BUCKETS != SIX.interface.number % DATAGRAM_BUCKETS
    station.send(signal.SIGSTOP)
    with ExitStack() as stack:
        flooders = [stack.enter_context(with_address(station, FIVE, AskedAt.SERVICE)) for _ in range(2 * DATAGRAM_BUCKETS)]
        for _ in range(400):
            for one in flooders:
                says(one, Service.TIME, ServicePort.PORT_TIME, test_ntp.packet())
        neighbour = stack.enter_context(with_address(station, SIX, AskedAt.SERVICE))
        for _ in range(3):  # one may be lost on its way, as in asks()
            says(neighbour, Service.TIME, ServicePort.PORT_TIME, test_ntp.packet())
        station.send(signal.SIGCONT)
        assert NTPHeader(neighbour.recv(4096)).stratum == 3


def name_question(name: str) -> bytes:
    return dns.message.make_query(name, "A").to_wire()


def test_names_are_answered_over_udp_and_tcp(station: Station):
    asked = name_question("ip-10-7-1-6.ec2.internal")
    with with_address(station, FIVE, AskedAt.RESOLVER) as client:
        over_udp = asks(client, Service.DNS, ServicePort.PORT_DNS, asked)
    with connected(station, FIVE, Service.DNS, ServicePort.PORT_DNS) as client:
        client.sendall(framed(asked) + framed(asked))
        over_tcp = [read_framed(client), read_framed(client)]
    assert dns.message.from_wire(over_udp).answer[0].to_text().endswith(" A 10.7.1.6")
    assert over_tcp == [over_udp, over_udp]


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def read_framed(client: socket.socket) -> bytes:
    return client.recv(int.from_bytes(client.recv(2, socket.MSG_WAITALL), "big"), socket.MSG_WAITALL)


def connected(station: Station, of: Guest, service: Service, port: int) -> socket.socket:
    address = station.caller(of, IPv4Address(of.interface.primary).packed)
    client = station.at(address, kind=socket.SOCK_STREAM)
    client.connect((service_address(service), port))
    return client


def test_a_guest_has_so_many_connections_to_the_resolver_and_leaves_others_theirs(station: Station):
    asked = framed(name_question("ip-10-7-1-6.ec2.internal"))
    with ExitStack() as stack:

        def answered(of: Guest) -> bool:
            client = stack.enter_context(connected(station, of, Service.DNS, ServicePort.PORT_DNS))
            try:
                client.sendall(asked)
                return bool(client.recv(2))
            except ConnectionError:
                return False

        assert [answered(FIVE) for _ in range(CONNECTIONS + 2)] == [True] * CONNECTIONS + [False] * 2
        assert answered(SIX)
    until(lambda: connection_works(station), station.log)


def connection_works(station: Station) -> bool:
    with connected(station, FIVE, Service.DNS, ServicePort.PORT_DNS) as client:
        try:
            client.sendall(framed(name_question("ip-10-7-1-6.ec2.internal")))
            return bool(client.recv(2))
        except ConnectionError:
            return False


def test_metadata_are_answered_to_each_guest_with_its_own(station: Station):
    assert [metadata(station, one, "local-ipv4") for one in (FIVE, SIX, TWIN)] == ["10.7.1.5", "10.7.1.6", "10.7.1.5"]
    assert [metadata(station, one, "instance-id") for one in (FIVE, TWIN)] == ["i-7-5", "i-8-5"]


def metadata(station: Station, of: Guest, item: str) -> str:
    with connected(station, of, Service.METADATA, ServicePort.PORT_METADATA) as client:
        client.sendall(f"GET /latest/meta-data/{item} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        reply = http.client.HTTPResponse(client)
        reply.begin()
        assert reply.status == 200
        return reply.read().decode()


def test_it_may_start_before_the_agent_and_before_the_namespace(tmp_path: Path):
    with built(tmp_path) as station:
        station.start()
        until(lambda: "waiting for the namespace" in station.log(), station.log)
        until(lambda: "no word from the agent" in station.log(), station.log)
        agent = station.start_agent()
        until(lambda: "has not made the namespace" in agent.feed.problem, lambda: agent.feed.problem)
        agent.knows(FIVE)
        station.make_services_namespace()
        station.wait_serving()
        assert discovers(station, FIVE).yiaddr == "10.7.1.5"


def test_a_namespace_made_anew_is_found(station: Station):
    station.remake_services_namespace()
    until(lambda: station.log().count(f"serving in {station.services_namespace}") == 2, station.log)
    assert discovers(station, FIVE).yiaddr == "10.7.1.5"
    assert metadata(station, SIX, "local-ipv4") == "10.7.1.6"


def test_a_second_one_does_not_take_the_firsts_packets(station: Station):
    done = station.run_another()
    assert (done.returncode, "other services of host-1 are running" in done.stderr) == (2, True)
    assert discovers(station, FIVE).yiaddr == "10.7.1.5"


def test_a_guest_that_asks_before_the_agent_told_of_it_is_answered_when_it_has(station: Station):
    late = guest(7, 9)
    with without_address(station, late) as asking, everybody(station, late) as hearing:
        asked = test_dhcp.message("discover", mac=late.interface.mac, broadcast=True)
        for _ in range(3):
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
        try:
            return not asks(client, Service.TIME, ServicePort.PORT_TIME, test_ntp.packet(), attempts=1)
        except TimeoutError:
            return True


def test_leases_outlive_the_agent_and_the_process_itself(station: Station):
    assert station.agent is not None
    station.agent.end()
    assert renews(station, FIVE)["router"] == "10.7.1.1", "what they knew they still know"
    assert station.end(signal.SIGKILL) == -signal.SIGKILL
    station.start()
    station.start_agent().knows(FIVE, TWIN)
    station.wait_serving()
    until(lambda: not silent_about_time(station, FIVE), station.log)
    assert renews(station, FIVE)["router"] == "10.7.1.1"
    assert discovers(station, TWIN).yiaddr == "10.7.1.5"
