"""Runs in an instance and does with sockets what it is told: a JSON list a line in, an answer a line out.

It keeps connections, so that rules can be changed while they live. `patience` are seconds until silence counts as such. Only
Python's own library: the instance's Python runs it, from its text (rookery.tour.talk)."""

from __future__ import annotations

import json
import socket
import sys
import threading
from typing import Any

Datagram = tuple[str, int, int]  # who, from which port, how many bytes

held: dict[str, socket.socket] = {}
heard: dict[int, list[Datagram]] = {}


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def echo(connection: socket.socket) -> None:
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def serve(port: int) -> None:
    """TCP on both families: whatever comes goes back."""
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)

    def accept() -> None:
        while True:
            threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def connect(name: str, address: str, port: int, patience: float) -> str:
    """"open", "silent", or "refused": a policy never says so."""
    connection = socket.socket(family_of(address), socket.SOCK_STREAM)
    connection.settimeout(patience)
    try:
        connection.connect((address, port))
    except TimeoutError:
        return "silent"
    except OSError as error:
        return "refused" if isinstance(error, ConnectionRefusedError) else str(error)
    held[name] = connection
    return "open"


def exchange(name: str, patience: float) -> str:
    """Something goes there and comes back over the kept connection: "alive", "silent" or "broken"."""
    connection = held[name]
    connection.settimeout(patience)
    try:
        connection.sendall(b"x")
        return "alive" if connection.recv(65536) else "broken"
    except TimeoutError:
        return "silent"
    except OSError:
        return "broken"


def listen(port: int) -> None:
    """UDP: remembers what was heard, and answers when it is told to."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", port))
    held[f"udp {port}"], heard[port] = sock, []

    def receive() -> None:
        while True:
            data, source = sock.recvfrom(65536)
            heard[port].append((source[0].removeprefix("::ffff:"), source[1], len(data)))

    threading.Thread(target=receive, daemon=True).start()


def say(port: int, address: str, to_port: int, size: int) -> None:
    """A datagram from the UDP port."""
    sock = held[f"udp {port}"]
    sock.sendto(b"u" * size, (address if ":" in address else f"::ffff:{address}", to_port))


def what_was_heard(port: int) -> list[Datagram]:
    return heard[port]


DO: dict[str, Any] = {f.__name__: f for f in (serve, connect, exchange, listen, say, what_was_heard)}


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        word, *rest = json.loads(line)
        print(json.dumps(DO[word](*rest)), flush=True)


if __name__ == "__main__":
    main()
