"""Who asks a service: written by the program on the guest's device into the source address of what the service receives
(bpf/formats/services.h), read here; and the address to which an answer goes."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple

from rookery.dataplane.formats import LAYOUTS, AskedAt, CallerConstant, CallerSource, Service
from rookery.dataplane.formats import Caller as Packed

LAYOUT = LAYOUTS[Packed]
PREFIX = int(CallerConstant.PREFIX).to_bytes(2, "big")
SERVICES = "fd00:ec2::"


class NotACaller(ValueError):
    """An address that no program wrote. Caught by the service's socket, which drops what came from it."""


class Caller(NamedTuple):
    interface: int  # number
    source: CallerSource
    asked: AskedAt
    identifier: bytes  # 8: of the guest's address, see CallerSource

    @property
    def ipv4(self) -> str:
        """Of CALLER_IPV4: the address from which the guest asks; 0.0.0.0 when it has none yet."""
        return socket.inet_ntop(socket.AF_INET, self.identifier[4:])

    def at_ipv4(self, address: str) -> Caller:
        """The same guest at another address: where an answer goes that gives it one."""
        return self._replace(source=CallerSource.IPV4, identifier=bytes(4) + ipaddress.IPv4Address(address).packed)


def service_address(service: Service) -> str:
    """Where a service listens in its namespace: fd00:ec2::254."""
    return f"{SERVICES}{service:x}"


def caller(address: str) -> Caller:
    """Of the source address of a packet, as a socket tells it. Raises NotACaller."""
    try:
        packed = Packed._make(LAYOUT.unpack(socket.inet_pton(socket.AF_INET6, address)))
        if packed.prefix != PREFIX:
            raise NotACaller(address)
        interface = int.from_bytes(packed.interface, "big")
        return Caller(interface, CallerSource(packed.source), AskedAt(packed.asked), packed.identifier)
    except (OSError, ValueError) as error:
        raise NotACaller(address) from error


def address_of(caller: Caller) -> str:
    """The reverse of caller()."""
    interface = caller.interface.to_bytes(4, "big")
    packed = Packed(PREFIX, caller.source, caller.asked, interface, caller.identifier)
    return socket.inet_ntop(socket.AF_INET6, LAYOUT.pack(*packed))
