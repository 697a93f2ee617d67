"""Run in an instance: asks the resolver for its own name, `python3 flood.py SECONDS` as often as it can, or one question after
the other while SECONDS is 0. Only the standard library. Prints seconds, questions and answers."""

from __future__ import annotations

import socket
import struct
import sys
import time

RESOLVER = ("169.254.169.253", 53)
QUESTIONS = 50  # one after the other


def question(number: int) -> bytes:
    labels = f"{socket.gethostname()}.ec2.internal".split(".")
    name = b"".join(bytes((len(label),)) + label.encode() for label in labels) + b"\0"
    return struct.pack("!HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1)


def flood(here: socket.socket, seconds: float) -> tuple[int, int]:
    here.setblocking(False)
    asked = answered = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(16):
            try:
                here.sendto(question(asked), RESOLVER)
                asked += 1
            except BlockingIOError:
                break
        answered += drained(here)
    return asked, answered


def drained(here: socket.socket) -> int:
    count = 0
    try:
        while here.recv(4096):
            count += 1
    except BlockingIOError:
        return count


def one_by_one(here: socket.socket) -> tuple[int, int]:
    here.settimeout(5)
    for number in range(QUESTIONS):
        here.sendto(question(number), RESOLVER)
        here.recv(4096)
    return QUESTIONS, QUESTIONS


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
    seconds, began = float(sys.argv[1]), time.monotonic()
    asked, answered = flood(here, seconds) if seconds else one_by_one(here)
    print(time.monotonic() - began, asked, answered)
