"""A stream of numbered UDP packets and who answers each. Runs inside instances, with nothing but Python.

    stream.py answer NAME ADDRESS PORT   says "ready", answers every packet with its number and NAME; at the end of its
                                         stdin prints as JSON when it received each
    stream.py ask ADDRESS PORT SECONDS   says "ready", asks every SECONDS; at the end of its stdin prints as JSON
                                         [when it was asked, who answered or null] of every packet

Times are those of the machine's monotonic clock, which all instances share.
"""

import json
import select
import socket
import struct
import sys
import time

LAST_ANSWERS = 0.5  # seconds


def answer(name: str, address: str, port: str) -> None:
    received = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind((address, int(port)))
        print("ready", flush=True)
        while True:
            ready = select.select([here, sys.stdin], [], [])[0]
            if here in ready:
                number, peer = here.recvfrom(8)
                received.append(time.monotonic())
                here.sendto(number + name.encode(), peer)
            elif ready:
                break
    print(json.dumps(received), flush=True)


def ask(address: str, port: str, seconds: str) -> None:
    asked = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.connect((address, int(port)))
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            due = time.monotonic() + float(seconds)
            asked.append([time.monotonic(), None])
            here.send(struct.pack("!Q", len(asked) - 1))
            take(here, asked, due)
        take(here, asked, time.monotonic() + LAST_ANSWERS)
    print(json.dumps(asked), flush=True)


def take(here: socket.socket, asked: list, until: float) -> None:
    """Answers that come before `until`."""
    while (left := until - time.monotonic()) > 0:
        if select.select([here], [], [], left)[0]:
            said = here.recv(64)
            asked[struct.unpack_from("!Q", said)[0]][1] = said[8:].decode()


if __name__ == "__main__":
    {"answer": answer, "ask": ask}[sys.argv[1]](*sys.argv[2:])
