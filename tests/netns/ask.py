"""A guest that asks a service: `python ask.py udp|udp-unsummed|tcp|udp-gso|flood ADDRESS PORT BYTES [SOURCE-PORT]`. Only the
standard library. Prints who asked in the service's eyes, where the answer came from, its TTL, and whether it brought the
question back whole; of a super-packet and a flood, how many answers came."""

from __future__ import annotations

import itertools
import random
import socket
import sys
import time

IP_RECVTTL, IPV6_RECVHOPLIMIT, SO_NO_CHECK, UDP_SEGMENT, SO_RCVBUFFORCE = 12, 51, 11, 103, 33
QUIET = 1.0  # seconds without an answer end a flood


def data(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def told(answer: bytes, question: bytes, source: str, ttl: int) -> None:
    line, _, rest = answer.partition(b"\n")
    print(line.decode(), "from", source, "ttl", ttl, "whole" if rest == question else "damaged")


def udp(address: str, port: int, size: int, source_port: int) -> None:
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.settimeout(5)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if here.family == socket.AF_INET:
            here.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        else:
            here.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
        here.bind(("", source_port))
        here.sendto(data(size), (address, port))
        answer, ancillary, _, source = here.recvmsg(65535, 256)
        ttl = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
        told(answer, data(size), source[0], ttl)


def udp_unsummed(address: str, port: int, size: int, _source_port: int) -> None:
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.settimeout(5)
        here.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        here.sendto(data(size), (address, port))
        answer, source = here.recvfrom(65535)
        told(answer, data(size), source[0], 0)


def udp_gso(address: str, port: int, size: int, _source_port: int) -> None:
    """One call, five datagrams: the kernel cuts them."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.settimeout(5)
        here.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        here.sendto(data(size) * 5, (address, port))
        answers = [here.recv(65535).partition(b"\n")[2] for _ in range(5)]
        print(sum(answer == data(size) for answer in answers))


def flood(address: str, port: int, milliseconds: int, _source_port: int) -> None:
    """Some thousands a second; how many answers, how many questions, and seconds of sending."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        here.connect((address, port))
        begun, sent = time.monotonic(), 0
        while (seconds := time.monotonic() - begun) < milliseconds / 1000:
            sent += sum(here.send(b"x") for _ in range(8))
            time.sleep(0.001)
        print(answers_until_quiet(here), sent, seconds)


def answers_until_quiet(here: socket.socket) -> int:
    here.settimeout(QUIET)
    for count in itertools.count():
        try:
            here.recv(2048)
        except TimeoutError:
            return count
    raise AssertionError


def tcp(address: str, port: int, size: int, _source_port: int) -> None:
    with socket.socket(family(address), socket.SOCK_STREAM) as here:
        here.settimeout(5)
        here.connect((address, port))
        here.sendall(data(size))
        here.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: here.recv(1 << 20), b""))
        told(answer, data(size), address, 0)


if __name__ == "__main__":
    protocol, asked, at, size, *bound = sys.argv[1:]
    roles = {"udp": udp, "udp-unsummed": udp_unsummed, "udp-gso": udp_gso, "tcp": tcp, "flood": flood}
    roles[protocol](asked, int(at), int(size), int(bound[0]) if bound else 0)
