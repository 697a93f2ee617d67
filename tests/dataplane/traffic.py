"""Sends and checks data, inside an instance: `python traffic.py serve-tcp | tcp | serve-udp | udp | gso ADDRESS ...`.

Only the standard library, for it runs in an instance's namespace. Prints what arrived: bytes and SHA-256."""

from __future__ import annotations

import hashlib
import random
import socket
import sys

PORT = 7000
UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33


def data(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def told(content: bytes) -> str:
    return f"{len(content)} {hashlib.sha256(content).hexdigest()}"


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve_tcp(address: str) -> None:
    with socket.create_server((address, PORT), family=family(address)) as listener:
        print("ready", flush=True)
        connection, _ = listener.accept()
        with connection:
            received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    print(told(received), flush=True)


def tcp(address: str, size: str) -> None:
    with socket.create_connection((address, PORT), timeout=5) as connection:
        connection.sendall(data(int(size)))
    print(told(data(int(size))))


def serve_udp(address: str, datagrams: str) -> None:
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)  # a slow reader is no loss on the path
        here.bind((address, PORT))
        here.settimeout(5)
        print("ready", flush=True)
        received = [here.recv(65535) for _ in range(int(datagrams))]
    print(told(b"".join(received)), flush=True)


def udp(address: str, size: str, datagrams: str) -> None:
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.connect((address, PORT))
        for _ in range(int(datagrams)):
            here.send(data(int(size)))
    print(told(data(int(size)) * int(datagrams)))


def gso(address: str, size: str, segment: str) -> None:
    """One send call; the kernel cuts it into datagrams."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, int(segment))
        here.connect((address, PORT))
        here.send(data(int(size)))
    print(told(data(int(size))))


if __name__ == "__main__":
    ROLES = {"serve-tcp": serve_tcp, "tcp": tcp, "serve-udp": serve_udp, "udp": udp, "gso": gso}
    ROLES[sys.argv[1]](*sys.argv[2:])
