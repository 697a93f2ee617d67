"""A resolver of the world that knows one name: `python one_name.py ADDRESS`."""

from __future__ import annotations

import socket
import sys

import dnslib

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
    here.bind((sys.argv[1], 53))
    print("ready", flush=True)
    while True:
        asked, client = here.recvfrom(4096)
        reply = dnslib.DNSRecord.parse(asked).reply(ra=1, aa=0)
        reply.add_answer(*dnslib.RR.fromZone("www.example.com. 60 A 192.0.2.80"))
        here.sendto(reply.pack(), client)
