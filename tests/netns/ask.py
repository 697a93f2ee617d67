"""A guest that asks a service: `python ask.py udp|tcp ADDRESS PORT BYTES [SOURCE-PORT]`. Only the standard library.
Prints who asked in the service's eyes, where the answer came from, its TTL, and whether it brought the question back whole."""

from __future__ import annotations

import random
import socket
import sys

IP_RECVTTL, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 12, 51, 52


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
    {"udp": udp, "tcp": tcp}[protocol](asked, int(at), int(size), int(bound[0]) if bound else 0)
