"""A server that wants the proxy protocol's header, and its client: `python proxied.py serve | greet | echo | listen ADDRESS ...`.

Only the standard library and its neighbour, for it runs in an instance's namespace. Prints what arrived."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "dataplane"))

from proxy_header import LENGTH, read  # noqa: E402 - found by the line above
from traffic import PORT, data, told  # noqa: E402

PART = 500_000  # of an echo, which is told


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _accept(address: str) -> socket.socket:
    with socket.create_server((address, PORT), family=_family(address)) as listener:
        listener.settimeout(10)
        print("ready", flush=True)
        connection, _ = listener.accept()
    connection.settimeout(10)
    head = b""
    while len(head) < LENGTH and (more := connection.recv(LENGTH - len(head))):
        head += more
    print(*read(head), connection.getpeername()[0], flush=True)
    return connection


def serve(address: str) -> None:
    """Says everything back."""
    received = bytearray()
    with _accept(address) as connection:
        while part := connection.recv(1 << 16):
            received += part
            connection.sendall(part)
    print(told(bytes(received)))


def greet(address: str, size: str) -> None:
    """Speaks first, and is answered last."""
    with _accept(address) as connection:
        connection.sendall(data(int(size)))
        print(connection.recv(100).decode())


def _connect(address: str, port: str, *options: str) -> socket.socket:
    here = socket.socket(_family(address))
    here.settimeout(10)
    if "at once" in options:  # what ends the handshake has data in it already
        here.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    here.connect((address, int(port)))
    return here


def echo(address: str, port: str, size: str, *options: str) -> None:
    """Both ways at once. Says after each part that it goes on; what is asked to be slow waits for a line then."""
    content, received = data(int(size)), bytearray()
    with _connect(address, port, *options) as here:
        print("connected", *here.getsockname()[:2], flush=True)
        sender = threading.Thread(target=_send, args=(here, content, "slowly" in options))
        sender.start()
        while part := here.recv(1 << 16):
            received += part
        sender.join()
    assert bytes(received) == content
    print(told(content))


def _send(here: socket.socket, content: bytes, slowly: bool) -> None:
    for at in range(0, len(content), PART):
        here.sendall(content[at : at + PART])
        if slowly:
            print("another part", flush=True)
            sys.stdin.readline()
    here.shutdown(socket.SHUT_WR)


def listen(address: str, port: str, size: str) -> None:
    received = bytearray()
    with _connect(address, port) as here:
        while len(received) < int(size) and (part := here.recv(1 << 16)):
            received += part
        here.sendall(b"thanks")
    assert bytes(received) == data(int(size))
    print(told(bytes(received)))


if __name__ == "__main__":
    {"serve": serve, "greet": greet, "echo": echo, "listen": listen}[sys.argv[1]](*sys.argv[2:])
