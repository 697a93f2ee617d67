"""A resolver of the world, small: dnslib on a port of the loopback, UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

import dnslib

Behave = Callable[[dnslib.DNSRecord, bool], Iterable[bytes]]


class World:
    """`behave`: query, over TCP or not -> the messages sent back."""

    def __init__(self, behave: Behave) -> None:
        self._behave = behave
        self.asked: list[dnslib.DNSRecord] = []
        self.ports: list[int] = []
        self.gate = asyncio.Event()  # closed, it holds all answers back
        self.gate.set()
        self.address = ""

    async def answers(self, wire: bytes, port: int, over_tcp: bool) -> list[bytes]:
        query = dnslib.DNSRecord.parse(wire)
        self.asked.append(query)
        self.ports.append(port)
        await self.gate.wait()
        return list(self._behave(query, over_tcp))

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            length = int.from_bytes(await reader.readexactly(2), "big")
            for answer in await self.answers(await reader.readexactly(length), 0, True):
                writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: set[asyncio.Task] = set()

    def connection_made(self, transport) -> None:
        self._transport = transport

    def datagram_received(self, data, addr) -> None:
        task = asyncio.create_task(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, address) -> None:
        for answer in await self._world.answers(data, address[1], False):
            self._transport.sendto(answer, address)


@contextlib.asynccontextmanager
async def world(behave: Behave) -> AsyncIterator[World]:
    made = World(behave)
    loop = asyncio.get_running_loop()
    tcp = await asyncio.start_server(made.serve_tcp, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    udp, _ = await loop.create_datagram_endpoint(lambda: Datagrams(made), local_addr=("127.0.0.1", port))
    made.address = f"127.0.0.1:{port}"
    try:
        yield made
    finally:
        made.gate.set()
        udp.close()
        tcp.close()
        await tcp.wait_closed()


def zone_file(text: str, rcode: str = "NOERROR") -> Behave:
    """Answers every question with the records of its name, and those of the zone's head (SOA) if it has none."""
    records = dnslib.RR.fromZone(text)

    def behave(query: dnslib.DNSRecord, over_tcp: bool) -> list[bytes]:
        reply = query.reply(ra=1, aa=0)
        reply.header.ad = 1
        reply.add_answer(*(rr for rr in records if rr.rname == query.q.qname and rr.rtype == query.q.qtype))
        if not reply.rr:
            reply.header.rcode = getattr(dnslib.RCODE, rcode)
            reply.add_auth(*(rr for rr in records if rr.rtype == dnslib.QTYPE.SOA))
        if query.ar:
            reply.add_ar(dnslib.EDNS0(udp_len=1232, flags="do" if query.ar[0].edns_do else ""))
        return [reply.pack()]

    return behave
