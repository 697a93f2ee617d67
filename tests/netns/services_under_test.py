"""Sockets in a services' namespace, as the real services have them: TCP and UDP at all their addresses. Whatever is asked, they
answer with who asked, where, and with the question itself.

Only the standard library, for it runs in that namespace: `python services_under_test.py`. Prints "ready"."""

from __future__ import annotations

import selectors
import socket

UDP_NO_CHECK6_RX, SO_RCVBUFFORCE = 102, 33
HOPS_OF_TIME = 7  # another hop limit than the usual
UDP = (("fd00:ec2::67", 67), ("fd00:ec2::253", 53), ("fd00:ec2::123", 123), ("fd00:ec2::547", 547))
TCP = (("fd00:ec2::253", 53), ("fd00:ec2::254", 80))


def listen(selector: selectors.BaseSelector) -> None:
    for at in UDP:
        here = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        here.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)
        here.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)  # a slow reader is no loss on the path
        if at[1] == 123:
            here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS_OF_TIME)
        here.bind(at)
        selector.register(here, selectors.EVENT_READ, answer)
    for at in TCP:
        listener = socket.create_server(at, family=socket.AF_INET6, backlog=64)
        selector.register(listener, selectors.EVENT_READ, accept)


def answer(here: socket.socket) -> None:
    question, asker = here.recvfrom(65535)
    here.sendto(told(here, asker) + question, asker)


def told(here: socket.socket, asker: tuple[object, ...]) -> bytes:
    return f"{asker[0]} {asker[1]} at {here.getsockname()[0]}\n".encode()


def accept(listener: socket.socket) -> None:
    """All that comes until the guest has said everything; then all of it back."""
    connection, asker = listener.accept()
    with connection:
        question = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        connection.sendall(told(connection, asker) + question)


if __name__ == "__main__":
    with selectors.DefaultSelector() as ready:
        listen(ready)
        print("ready", flush=True)
        while True:
            for key, _ in ready.select():
                key.data(key.fileobj)
