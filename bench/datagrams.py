"""A stream of numbered datagrams, and who got which of them when: the programs of bench/edge_moves.py.

    python -m bench.datagrams send ADDRESS SECONDS      one every millisecond, to port 5302
    python -m bench.datagrams tell                      a line for each: its number, and the machine's monotonic clock in seconds
"""

from __future__ import annotations

import socket
import sys
import time

PORT = 5302
INTERVAL = 0.001  # seconds


def send(address: str, seconds: float) -> None:
    """Prints how many. One that is late is sent at once."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    number, begun = 0, time.monotonic()
    while (now := time.monotonic()) < begun + seconds:
        due = begun + number * INTERVAL
        if now < due:
            time.sleep(due - now)
        sock.sendto(number.to_bytes(8, "big"), (address, PORT))
        number += 1
    print(number)


def tell() -> None:
    """Until it is killed."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", PORT))
    print("ready", flush=True)
    while True:
        data = sock.recv(64)
        print(int.from_bytes(data, "big"), time.monotonic(), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], float(sys.argv[3]))
    else:
        tell()
