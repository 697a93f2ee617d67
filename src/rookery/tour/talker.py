"""Runs in an instance and does with sockets what it is told: a JSON list a line in, an answer a line out.

It keeps connections, so that rules can be changed while they live. `patience` are seconds until silence counts as such. Only
Python's own library: the instance's Python runs it, from its text (rookery.tour.talk).

    serve, listen        sockets that somebody else talks to
    greet                a server that says who it is and whom it sees; leave ends it
    connect, exchange    a connection that is kept; hold is connect to who greets
    ask, ask_by_udp      once, for a greeting; ask_for_echo for what was told before it
    look_up              a name
    keep_asking          one greeting after the other, until enough
    download             of a page, as slowly as one likes; hurry ends that
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
import threading
import time
from typing import Any

Datagram = tuple[str, int, int]  # who, from which port, how many bytes

held: dict[str, socket.socket] = {}
heard: dict[int, list[Datagram]] = {}
greeting: dict[int, list[socket.socket]] = {}
asked: dict[str, list[str]] = {}
downloads: dict[str, Download] = {}
enough = threading.Event()


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
    """Something goes there and comes back over the kept connection: "alive", "silent", "reset" or "broken"."""
    connection = held[name]
    connection.settimeout(patience)
    try:
        connection.sendall(b"x")
        return "alive" if connection.recv(65536) else "broken"
    except TimeoutError:
        return "silent"
    except OSError as error:
        return "reset" if isinstance(error, ConnectionResetError) else "broken"


def send_and_compare(name: str, size: int, patience: float) -> str:
    """So many bytes over the kept connection to an echo: "whole", or what came of them."""
    connection, block = held[name], bytes(range(256)) * 256
    connection.settimeout(patience)
    sent = (block * (size // len(block) + 1))[:size]
    threading.Thread(target=connection.sendall, args=(sent,), daemon=True).start()
    came = bytearray()
    try:
        while len(came) < size and (more := connection.recv(1 << 16)):
            came += more
    except OSError as error:
        return f"{len(came)} bytes, then {error}"
    return "whole" if came == sent else f"{len(came)} bytes, and others"


class Download:
    """Over one connection of HTTP, no faster than `pace` bytes a second until told to hurry."""

    def __init__(self, address: str, path: str, pace: int):
        self.received, self.complaint, self.over = 0, "", False
        self._pace, self._hurry = pace, threading.Event()
        self._connection = http.client.HTTPConnection(address, timeout=10)
        threading.Thread(target=self._go, args=(path,), daemon=True).start()

    def hurry(self) -> None:
        self._hurry.set()

    def _go(self, path: str) -> None:
        try:
            self._connection.request("GET", path)
            self._receive(self._connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            self.complaint = str(error) or type(error).__name__
        self.over = True

    def _receive(self, answer: http.client.HTTPResponse) -> None:
        began = time.monotonic()
        while piece := answer.read(16_384):
            self.received += len(piece)
            self._hurry.wait(max(0.0, self.received / self._pace - (time.monotonic() - began)))


def download(name: str, address: str, path: str, pace: int) -> None:
    downloads[name] = Download(address, path, pace)


def downloaded(name: str) -> tuple[int, bool, str]:
    """Bytes so far, whether it is over, and what was wrong."""
    one = downloads[name]
    return one.received, one.over, one.complaint


def hurry(name: str) -> None:
    downloads[name].hurry()


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


def greet(name: str, port: int) -> None:
    """TCP, of both families, and UDP of IPv4: "NAME sees 10.0.0.5 40000"; TCP echoes what comes after that."""
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("0.0.0.0", port))
    greeting[port] = [listener, datagrams]
    for serving in (_greet_connections, _greet_datagrams):
        threading.Thread(target=serving, args=(name, greeting[port][serving is _greet_datagrams]), daemon=True).start()


def _greet_connections(name: str, listener: socket.socket) -> None:
    def attend(connection: socket.socket, who: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(f"{name} sees {who[0].removeprefix('::ffff:')} {who[1]}\n".encode())
            echo(connection)

    with contextlib.suppress(OSError):  # closed
        while True:
            threading.Thread(target=attend, args=listener.accept(), daemon=True).start()


def _greet_datagrams(name: str, datagrams: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            _, who = datagrams.recvfrom(65536)
            if not who:  # shut down
                return
            datagrams.sendto(f"{name} sees {who[0]} {who[1]}\n".encode(), who)


def leave(port: int) -> None:
    """New connections are refused from now on; those that are open go on."""
    for sock in greeting.pop(port):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # close alone would leave who waits in accept() there
        sock.close()


def hold(name: str, address: str, port: int, patience: float) -> str:
    """The greeting of a connection that is kept under this name; or "silent", "refused", "reset"."""
    became = connect(name, address, port, patience)
    return _greeting_of(held[name]) if became == "open" else became


def call(name: str, other: str) -> None:
    """A kept connection has another name from now on."""
    held[other] = held.pop(name)


def _greeting_of(connection: socket.socket) -> str:
    said = b""
    try:
        while not said.endswith(b"\n"):
            more = connection.recv(256)
            if not more:
                return "broken"
            said += more
    except TimeoutError:
        return "silent"
    except OSError:
        return "reset"
    return said.decode().strip()


def ask(address: str, port: int, patience: float) -> str:
    """The greeting; or "silent", "refused", "reset"."""
    try:
        with socket.create_connection((address, port), patience) as connection:
            return _greeting_of(connection)
    except TimeoutError:
        return "silent"
    except OSError as error:
        return "refused" if isinstance(error, ConnectionRefusedError) else str(error)


def ask_for_echo(address: str, port: int, size: int, patience: float) -> str:
    """Behind the greeting, what somebody on the way has told who greets, for that echoes it: so many bytes, hexadecimal, or fewer."""
    said = b""
    with contextlib.suppress(OSError), socket.create_connection((address, port), patience) as connection:
        while len(said.partition(b"\n")[2]) < size and (more := connection.recv(256)):
            said += more
    return said.partition(b"\n")[2].hex()


def ask_by_udp(address: str, port: int, patience: float) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(patience)
        asking.connect((address, port))
        try:
            asking.send(b"?")
            return asking.recv(256).decode().strip()
        except TimeoutError:
            return "silent"
        except OSError:
            return "refused"


def look_up(name: str) -> list[str]:
    """Its IPv4 addresses, sorted."""
    try:
        return sorted(socket.gethostbyname_ex(name)[2])
    except OSError:
        return []


def look_up_ipv6(name: str) -> list[str]:
    """Its IPv6 addresses, sorted."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None, socket.AF_INET6, socket.SOCK_STREAM)})
    except OSError:
        return []


def keep_asking(address: str, port: int, pause: float, patience: float) -> None:
    """From now on, a new connection every `pause` seconds."""
    answers = asked[f"{address} {port}"] = []
    enough.clear()

    def go_on() -> None:
        while not enough.is_set():
            answers.append(ask(address, port, patience))
            time.sleep(pause)

    threading.Thread(target=go_on, daemon=True).start()


def what_was_answered(address: str, port: int) -> dict[str, int]:
    """How often whom ("one", the first word of a greeting)."""
    said = [one.split()[0] for one in asked[f"{address} {port}"]]
    return {who: said.count(who) for who in sorted(set(said))}


def ask_no_more() -> None:
    enough.set()


TCP_AND_UDP = (serve, connect, exchange, send_and_compare, listen, say, what_was_heard)
GREETINGS = (greet, leave, hold, call, ask, ask_for_echo, ask_by_udp, look_up, look_up_ipv6, keep_asking, what_was_answered, ask_no_more)
DOWNLOADS = (download, downloaded, hurry)
DO: dict[str, Any] = {f.__name__: f for f in (*TCP_AND_UDP, *GREETINGS, *DOWNLOADS)}


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        word, *rest = json.loads(line)
        print(json.dumps(DO[word](*rest)), flush=True)


if __name__ == "__main__":
    main()
