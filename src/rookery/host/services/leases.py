"""DHCP at its two ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rookery.dataplane.formats import CallerSource, ServicePort
from rookery.host.services.datagrams import Datagram
from rookery.host.services.dhcp import v4, v6
from rookery.host.services.view import Guest, View

LOOKS = 10  # for a guest that asks before the agent's word of it is here
LOOK_SECONDS = 0.02
MOST_WAITING = 256


class Leases:
    def __init__(self, view: View):
        self._view = view
        self._waiting = 0

    def take_v4(self, asked: Datagram) -> None:
        self._when_known(asked, _answer_v4)

    def take_v6(self, asked: Datagram) -> None:
        """RFC 8415 section 18.4: clients ask from their link-local address."""
        if asked.caller.source == CallerSource.LINK_LOCAL:
            self._when_known(asked, _answer_v6)

    def _when_known(self, asked: Datagram, answer: Callable[[Datagram, Guest], None], looks: int = LOOKS) -> None:
        """A client that gets no answer asks again only seconds later, and a guest starts as soon as the agent can start it."""
        if guest := self._view.guest(asked.caller.interface):
            answer(asked, guest)
        elif looks and self._waiting < MOST_WAITING:
            self._waiting += 1
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_again, asked, answer, looks - 1)

    def _look_again(self, asked: Datagram, answer: Callable[[Datagram, Guest], None], looks: int) -> None:
        self._waiting -= 1
        self._when_known(asked, answer, looks)


def _answer_v4(asked: Datagram, guest: Guest) -> None:
    if answer := v4.answer(asked.payload, guest):
        asked.answer(answer.message, asked.caller.at_ipv4(answer.to), ServicePort.PORT_DHCP_CLIENT)


def _answer_v6(asked: Datagram, guest: Guest) -> None:
    if answer := v6.answer(asked.payload, guest):
        asked.answer(answer, port=ServicePort.PORT_DHCPV6_CLIENT)
