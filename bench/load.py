"""The programs that run inside the instances of a measurement: one client and one server per kind of load.

    python -m bench.load KIND ADDRESS SECONDS [SIZE]        prints one JSON line, with the CPU time of the program

The address says the family. Servers serve until SIGTERM, and SECONDS at the longest: on a busy machine nobody knows when a client begins.
`sendmmsg`/`recvmmsg` through ctypes hand 64 datagrams to the kernel in one call, so that Python is not what is measured.
"""

from __future__ import annotations

import ctypes
import json
import signal
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

PORT = 5301
BATCH = 64
FLOWS = 4992  # of new_flows(): whole batches
FLOW_SOURCES, FLOW_PORTS, FIRST_SOURCE, FLOW_PORT, FLOW_BYTES = 60_000, 8, 2000, 5310, 30
libc = ctypes.CDLL(None, use_errno=True)


class Told:
    """To end, by SIGTERM."""

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds
        signal.signal(signal.SIGTERM, self._now)

    def _now(self, _signal: int, _frame: object) -> None:
        self._end = 0

    def __bool__(self) -> bool:
        return time.monotonic() >= self._end


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET


class IoVector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class MessageHeader(ctypes.Structure):
    """struct msghdr of the C library on 64-bit Linux."""

    _fields_ = [
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.POINTER(IoVector)),
        ("vector_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]  # fmt: skip


class MultiMessage(ctypes.Structure):
    _fields_ = [("header", MessageHeader), ("length", ctypes.c_uint32)]


def _batch(size: int) -> tuple[ctypes.Array, list[object]]:
    buffers = [ctypes.create_string_buffer(size) for _ in range(BATCH)]
    vectors = [IoVector(ctypes.addressof(b), size) for b in buffers]
    messages = (MultiMessage * BATCH)()
    for message, vector in zip(messages, vectors, strict=True):
        message.header.vectors = ctypes.pointer(vector)
        message.header.vector_count = 1
    return messages, [buffers, vectors]


def udp_blast(address: str, seconds: float, size: int) -> dict[str, float]:
    """Datagrams as fast as the kernel takes them."""
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.connect((address, PORT))
    messages, keep = _batch(size)
    sent, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        sent += max(0, libc.sendmmsg(sock.fileno(), messages, BATCH, 0))
    del keep
    return {"sent": sent, "per_second": sent / seconds}


def udp_sink(address: str, seconds: float, size: int) -> dict[str, float]:
    """Counts what arrives; the rate is between the first and the last datagram."""
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    sock.bind((address, PORT))
    sock.settimeout(0.2)
    messages, keep = _batch(2048)
    received, first, last, told = 0, 0.0, 0.0, Told(seconds)
    while not told:
        got = libc.recvmmsg(sock.fileno(), messages, BATCH, 0x10000, None)  # MSG_WAITFORONE
        if got > 0:
            last = time.monotonic()
            first = first or last
            received += got
    del keep
    return {"received": received, "per_second": received / (last - first) if last > first else 0.0}


def echo(address: str, seconds: float, size: int) -> dict[str, float]:
    """Serves request/response and new connections, one at a time."""
    listener = socket.create_server((address, PORT), family=family_of(address), backlog=512)
    listener.settimeout(0.2)
    served, told = 0, Told(seconds)
    while not told:
        try:
            sock, _ = listener.accept()
        except TimeoutError:
            continue
        sock.settimeout(1.0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        served += 1
        _echo_until_closed(sock)
    return {"served": served}


def _echo_until_closed(sock: socket.socket) -> None:
    with sock:
        try:
            while data := sock.recv(4096):
                sock.sendall(data)
        except (TimeoutError, ConnectionResetError):
            return


def request_response(address: str, seconds: float, size: int) -> dict[str, float]:
    """One TCP connection, one byte there and back at a time: microseconds."""
    times = []
    with socket.create_connection((address, PORT), timeout=2) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + seconds
        while (start := time.perf_counter()) and time.monotonic() < end:
            sock.send(b"x")
            sock.recv(1)
            times.append((time.perf_counter() - start) * 1e6)
    times.sort()
    return {"p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100], "count": len(times)}


def connect(address: str, seconds: float, size: int) -> dict[str, float]:
    """New TCP connections one after another, each with one byte there and back; closed by reset (no TIME_WAIT)."""
    made, end = 0, time.monotonic() + seconds
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    while time.monotonic() < end:
        with socket.create_connection((address, PORT), timeout=2) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.send(b"x")
            made += len(sock.recv(1))
    return {"made": made, "per_second": made / seconds}


def new_flows(address: str, seconds: float, size: int) -> dict[str, float]:
    """FLOWS datagrams as fast as the kernel takes them, each of a flow of its own; `size`: the number of the first. IPv4, and without UDP's
    checksum, which is made by hand here."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    sock.connect((address, 0))
    batches = [_flow_batch(first) for first in range(size, size + FLOWS, BATCH)]
    began = time.monotonic()
    sent = sum(max(0, libc.sendmmsg(sock.fileno(), messages, BATCH, 0)) for messages, _keep in batches)
    return {"sent": sent, "per_second": sent / (time.monotonic() - began)}


def _flow_batch(first: int) -> tuple[ctypes.Array, list[object]]:
    messages, keep = _batch(FLOW_BYTES)
    for number, message in enumerate(messages, first):
        source, to = number % FLOW_SOURCES, number // FLOW_SOURCES % FLOW_PORTS
        head = struct.pack("!4H", FIRST_SOURCE + source, FLOW_PORT + to, FLOW_BYTES, 0)
        ctypes.memmove(message.header.vectors.contents.base, head, len(head))
    return messages, keep


def flow_sink(address: str, seconds: float, size: int) -> dict[str, float]:
    """Where new_flows() send to. Counts what the kernel delivers, and reads none of it."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(FLOW_PORTS)]
    for number, sock in enumerate(socks):
        sock.bind((address, FLOW_PORT + number))
    before, told = delivered(), Told(seconds)
    while not told:
        time.sleep(0.002)
    return {"received": delivered() - before}


def delivered() -> int:
    """IPv4 packets to this network namespace's own sockets (RFC 4293: ipInDelivers), but for TCP's: a balancer's checks are among them."""
    return _counted("Ip:", "InDelivers") - _counted("Tcp:", "InSegs")


def _counted(of: str, what: str) -> int:
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith(of))
    return int(values[names.index(what)])


def udp_echo(address: str, seconds: float, size: int) -> dict[str, float]:
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        sock.bind((address, PORT))
        sock.settimeout(0.2)
        answered, told = 0, Told(seconds)
        while not told:
            try:
                data, sender = sock.recvfrom(64)
            except TimeoutError:
                continue
            sock.sendto(data, sender)
            answered += 1
    return {"answered": answered}


def first_packets(address: str, seconds: float, size: int) -> dict[str, float]:
    """Of one flow after the other: the first datagram there and back, and the sixth; microseconds."""
    first, later, end = [], [], time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.connect((address, PORT))
            times = [_there_and_back(sock) for _ in range(6)]
        first.append(times[0])
        later.append(times[-1])
    return {"first_p50_us": statistics.median(first), "later_p50_us": statistics.median(later), "count": len(first)}


def _there_and_back(sock: socket.socket) -> float:
    began = time.perf_counter()
    sock.send(b"x")
    sock.recv(64)
    return (time.perf_counter() - began) * 1e6


PACE = 0.002  # seconds
PATIENCE = 0.5  # ... until a datagram counts as lost


def paced(address: str, seconds: float, size: int) -> dict[str, float]:
    """A datagram there and back at a time, in turn by one flow that stays and by one of its own: microseconds, and shares of what was lost."""
    times: dict[str, list[float]] = {"old": [], "new": []}
    asked, end = {"old": 0, "new": 0}, time.monotonic() + seconds
    with _asking(address) as stays:
        _ask(stays)
        while time.monotonic() < end:
            with _asking(address) as fresh:
                for kind, sock in (("old", stays), ("new", fresh)):
                    asked[kind] += 1
                    times[kind] += _ask(sock)
                    time.sleep(PACE)
    figures: dict[str, float] = {}
    for kind, found in times.items():
        found.sort()
        if not found:
            raise SystemExit(f"no datagram of an {kind} flow came back")
        figures |= {f"{kind}_p50_us": found[len(found) // 2], f"{kind}_p99_us": found[len(found) * 99 // 100]}
        figures[f"{kind}_lost"] = 1 - len(found) / asked[kind]
    return figures


def _asking(address: str) -> socket.socket:
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    sock.connect((address, PORT))
    return sock


def _ask(sock: socket.socket) -> list[float]:
    """Microseconds; nothing when it was lost."""
    try:
        return [_there_and_back(sock)]
    except TimeoutError:
        return []


def flow_flood(address: str, seconds: float, size: int) -> dict[str, float]:
    """Like new_flows(), `size` flows a second until it is told to end. Says "begun" first."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    sock.connect((address, 0))
    batches = [_flow_batch(first) for first in range(0, 4 * FLOWS, BATCH)]
    told, began, sent = Told(seconds), time.monotonic(), 0
    print("begun", flush=True)
    while not told:
        libc.sendmmsg(sock.fileno(), batches[sent % len(batches)][0], BATCH, 0)
        sent += 1
        time.sleep(max(0.0, began + sent * BATCH / size - time.monotonic()))
    return {"sent": sent * BATCH}


KINDS: dict[str, Callable[[str, float, int], dict[str, float]]] = {
    "udp-blast": udp_blast, "udp-sink": udp_sink, "echo": echo, "request-response": request_response, "connect": connect,
    "new-flows": new_flows, "flow-sink": flow_sink, "udp-echo": udp_echo, "first-packets": first_packets,
    "paced": paced, "flow-flood": flow_flood,
}  # fmt: skip


def main() -> None:
    kind, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    size = int(sys.argv[4]) if len(sys.argv) > 4 else 22
    before = time.process_time()
    figures = KINDS[kind](address, seconds, size)
    print(json.dumps(figures | {"cpu_seconds": time.process_time() - before}))


if __name__ == "__main__":
    main()
