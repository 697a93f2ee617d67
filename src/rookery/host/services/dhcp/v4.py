"""DHCP (RFC 2131) for a guest. Pure: a lease follows from the interface, so none is remembered, and none is lost.

An answer carries all options that there are, whether the client asked for them or not (option 55 only says which matter most
when the client's message size is too small for all): so every client learns the MTU, which few ask for and all must keep.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rookery.host.services.dhcp.message import IP_AND_UDP, NONE, Kind, Option, Question, parse, reply
from rookery.host.services.view import Guest
from rookery.intent.host import InterfaceIntent
from rookery.intent.names import host_name

LEASE_SECONDS = 3600
EVERYBODY = "255.255.255.255"
PROVIDED = "AmazonProvidedDNS"
PRIMARY_DEVICE = 0

Options = list[tuple[Option, bytes]]


class Answer(NamedTuple):
    message: bytes
    to: str  # IPv4; port 68


def answer(message: bytes, guest: Guest) -> Answer | None:
    """None: nothing is said to that. Only the interface itself is answered, whatever MAC the message claims."""
    question = parse(message)
    if question is None or not guest.interface.primary or question.mac != _mac(guest.interface):
        return None
    if question.kind == Kind.DISCOVER:
        return _lease(question, guest, Kind.OFFER)
    if question.kind == Kind.REQUEST:
        return _request(question, guest)
    if question.kind == Kind.INFORM:
        return _inform(question, guest)
    return None  # DECLINE: the address is the guest's whatever it thinks; RELEASE: it stays its own


def _request(question: Question, guest: Guest) -> Answer | None:
    """Which of a client's four states it is in: RFC 2131 section 4.3.2."""
    interface, server, wanted = guest.interface, question.address(Option.SERVER), question.address(Option.REQUESTED_ADDRESS)
    if Option.SERVER in question.options and server != interface.router:
        return None  # it took another server's offer
    if Option.REQUESTED_ADDRESS not in question.options:  # it renews or rebinds
        wanted = question.client_address
        if wanted == NONE:
            return None
    if wanted != interface.primary:
        return _refusal(question, guest)
    return _lease(question, guest, Kind.ACK)


def _inform(question: Question, guest: Guest) -> Answer | None:
    """The client has its address by other means; it gets everything but a lease."""
    if question.client_address not in (guest.interface.primary, *guest.interface.addresses):
        return None
    return Answer(_written(question, guest, Kind.ACK, NONE, _of_network(guest)), question.client_address)


def _lease(question: Question, guest: Guest, kind: Kind) -> Answer:
    yours = guest.interface.primary
    return Answer(_written(question, guest, kind, yours, _of_network(guest)), _goes_to(question, yours))


def _refusal(question: Question, guest: Guest) -> Answer:
    text = f"this interface has {guest.interface.primary}".encode()
    return Answer(_written(question, guest, Kind.NAK, NONE, [(Option.TEXT, text)]), EVERYBODY)


def _goes_to(question: Question, yours: str) -> str:
    """RFC 2131 section 4.1."""
    if question.client_address == yours:
        return yours
    return EVERYBODY if question.broadcast else yours


def _written(question: Question, guest: Guest, kind: Kind, yours: str, options: Options) -> bytes:
    head: Options = [(Option.KIND, bytes((kind,))), (Option.SERVER, _packed(guest.interface.router))]
    if yours != NONE:
        head += _of_lease()
    if client := question.options.get(Option.CLIENT):
        head.append((Option.CLIENT, client))  # RFC 6842
    listed = question.options.get(Option.PARAMETERS, b"")
    asked = [option for option in options if option[0] in listed]
    asked.sort(key=lambda option: listed.index(option[0]))
    rest = [option for option in options if option[0] not in listed]
    client_address = question.client_address if kind == Kind.ACK else NONE
    room = min(question.room, guest.interface.mtu - IP_AND_UDP)
    return reply(question, client_address, yours, head + asked + rest, room)


def _of_lease() -> Options:
    times = {
        Option.LEASE_SECONDS: LEASE_SECONDS,
        Option.RENEWAL_SECONDS: LEASE_SECONDS // 2,
        Option.REBINDING_SECONDS: LEASE_SECONDS * 7 // 8,
    }
    return [(option, seconds.to_bytes(4, "big")) for option, seconds in times.items()]


def _of_network(guest: Guest) -> Options:
    interface, said = guest.interface, guest.interface.services.dhcp
    subnet = ipaddress.IPv4Network((interface.primary, interface.prefix_length), strict=False)
    options: Options = [
        (Option.SUBNET_MASK, subnet.netmask.packed),
        (Option.ROUTERS, _packed(interface.router)),
        (Option.MTU, interface.mtu.to_bytes(2, "big")),
        (Option.BROADCAST_ADDRESS, subnet.broadcast_address.packed),
        (Option.NAME_SERVERS, b"".join(map(_packed, _name_servers(interface)))),
        (Option.HOST_NAME, _host_name(guest).encode()),
        (Option.DOMAIN_NAME, said.domain_name.encode()),
        (Option.NTP_SERVERS, _all_ipv4(said.ntp_servers)),
        (Option.NETBIOS_NAME_SERVERS, _all_ipv4(said.netbios_name_servers)),
        (Option.NETBIOS_NODE_TYPE, bytes((said.netbios_node_type,)) if said.netbios_node_type else b""),
    ]
    return [(option, value) for option, value in options if value]


def _name_servers(interface: InterfaceIntent) -> Iterator[str]:
    """Where the VPC has its DNS support switched off there is no resolver to name."""
    for server in interface.services.dhcp.name_servers:
        if server != PROVIDED:
            yield from (server,) if _is_ipv4(server) else ()
        elif interface.resolver and interface.services.dns_support:
            yield interface.resolver


def _host_name(guest: Guest) -> str:
    """The instance's name is that of its first interface."""
    if guest.interface.device_index == PRIMARY_DEVICE:
        return guest.instance.hostname
    return host_name(guest.interface.primary)


def _all_ipv4(addresses: tuple[str, ...]) -> bytes:
    return b"".join(_packed(address) for address in addresses if _is_ipv4(address))


def _is_ipv4(address: str) -> bool:
    return ":" not in address


@lru_cache(4096)
def _packed(address: str) -> bytes:
    return ipaddress.IPv4Address(address).packed


def _mac(interface: InterfaceIntent) -> bytes:
    return bytes.fromhex(interface.mac.replace(":", ""))
