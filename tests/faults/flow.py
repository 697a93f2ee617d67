"""A TCP connection that knows whether what arrives is what was sent. Runs inside instances, with nothing but Python.

    flow.py receive PORT             says "listening", takes one connection, says "received N" at its end
    flow.py send ADDRESS PORT        sends a block every few milliseconds until its stdin is closed, says "sent N"

Block: number, 8 bytes; 16 KiB of noise; SHA-256 of both. A block that is not the next one, or not whole, ends it with 1.
"""

import hashlib
import os
import select
import socket
import sys

NOISE = 16 << 10
BLOCK = 8 + NOISE + 32
PAUSE = 0.005
SILENCE = 20.0


def block(number: int) -> bytes:
    body = number.to_bytes(8, "big") + os.urandom(NOISE)
    return body + hashlib.sha256(body).digest()


def send(address: str, port: str) -> int:
    number = 0
    with socket.create_connection((address, int(port)), SILENCE) as connection:
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            connection.sendall(block(number))
            number += 1
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    print("sent", number, flush=True)
    return 0


def receive(port: str) -> int:
    with socket.create_server(("", int(port))) as listener:
        print("listening", flush=True)
        connection = listener.accept()[0]
    connection.settimeout(SILENCE)
    number = 0
    with connection, connection.makefile("rb") as stream:
        while found := stream.read(BLOCK):
            body, digest = found[:-32], found[-32:]
            if body[:8] != number.to_bytes(8, "big") or hashlib.sha256(body).digest() != digest:
                return 1
            number += 1
    print("received", number, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit({"send": send, "receive": receive}[sys.argv[1]](*sys.argv[2:]))
