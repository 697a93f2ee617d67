"""Sends and checks data, inside an instance: `python traffic.py serve-tcp | tcp | serve-udp | udp | gso ADDRESS ...`.

Only the standard library, for it runs in an instance's namespace. Prints what arrived: bytes and SHA-256."""

from __future__ import annotations

import hashlib
import random
import socket
import sys
import time

PORT = 7000
UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
SLOWLY = 0.005  # between two reads of a download that shall last


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


def serve_greeted(address: str, datagrams: str) -> None:
    """As serve_udp, of whoever was answered first."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.bind((address, PORT))
        here.settimeout(5)
        print("ready", flush=True)
        here.sendto(b"penguin", here.recvfrom(65535)[1])
        received = [here.recv(65535) for _ in range(int(datagrams))]
    print(told(b"".join(received)), flush=True)


def greeted_gso(address: str, size: str, segment: str) -> None:
    """As gso, of a flow that is known on its way already: datagrams of a new one may overtake each other in a cell."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.settimeout(5)
        here.connect((address, PORT))
        here.send(b"hello")
        here.recv(100)
        here.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, int(segment))
        here.send(data(int(size)))
    print(told(data(int(size))))


def cuttable(address: str, size: str, datagrams: str) -> None:
    """UDP without don't-fragment, whatever path MTU is known."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        here.connect((address, PORT))
        for _ in range(int(datagrams)):
            here.send(data(int(size)))
    print(told(data(int(size)) * int(datagrams)))


def refused(address: str) -> None:
    """Nobody listens there: the other end's kernel says so, and ours knows whom it means."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as here:
        here.settimeout(5)
        here.connect((address, PORT + 1))
        here.send(b"anybody?")
        try:
            here.recv(1)
        except ConnectionRefusedError:
            print("refused")


def offer(address: str, size: str) -> None:
    """Sends to whoever connects."""
    with socket.create_server((address, PORT), family=family(address)) as listener:
        print("ready", flush=True)
        connection, _ = listener.accept()
        with connection:
            connection.sendall(data(int(size)))


def fetch(address: str, milliseconds: str) -> None:
    """Slowly: says after each part of so much time that it goes on."""
    received, said = bytearray(), time.monotonic()
    with socket.create_connection((address, PORT), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        while part := connection.recv(8192):
            received += part
            time.sleep(SLOWLY)
            if time.monotonic() - said >= int(milliseconds) / 1000:
                print("another part", flush=True)
                said = time.monotonic()
    print(told(bytes(received)), flush=True)


if __name__ == "__main__":
    ROLES = {"serve-tcp": serve_tcp, "tcp": tcp, "serve-udp": serve_udp, "udp": udp, "gso": gso, "cuttable": cuttable,
             "serve-greeted": serve_greeted, "greeted-gso": greeted_gso, "refused": refused, "offer": offer, "fetch": fetch}  # fmt: skip
    ROLES[sys.argv[1]](*sys.argv[2:])
