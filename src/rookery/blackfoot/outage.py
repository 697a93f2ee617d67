"""Does the uplink lead anywhere? When not, hosts shall look for other edges: the edge's program leaves their probes unanswered.

No carrier is certain at once. A BGP session takes a moment to come up, and the BIRD at either end may only begin anew: without any
session an edge is shut after PATIENCE_SECONDS, and opened with the first. Should all edges be shut because the outside itself is away, hosts
keep to all of them (rookery.host.edge_probes).
"""

from __future__ import annotations

import fcntl
import socket
import struct
import time
from collections.abc import Callable

PATIENCE_SECONDS = 2.0
SIOCGIFFLAGS = 0x8913  # linux/sockios.h
IFF_RUNNING = 0x40  # linux/if.h: up, and with a carrier
REQUEST = struct.Struct("16sH22x")  # struct ifreq


def has_carrier(device: str) -> bool:
    """False also when it is shut down, or gone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, REQUEST.pack(device.encode(), 0))
        except OSError:
            return False
    return bool(REQUEST.unpack(answer)[1] & IFF_RUNNING)


class Outage:
    """Pure: somebody else looks, and waits. `already`: an agent before this one had shut the edge; it stays so until the uplink is
    seen to lead somewhere."""

    def __init__(self, already: bool, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._led = clock()  # somewhere, last
        self.reason = "an earlier agent found that the uplink leads nowhere" if already else ""

    def look(self, carrier: bool, session: bool) -> bool:
        """What is seen now. True: the reason is another one than before; empty: there is no outage."""
        before = self.reason
        if carrier and session:
            self._led, self.reason = self._clock(), ""
        elif not carrier:
            self.reason = "the uplink has no carrier"
        elif self._clock() - self._led >= PATIENCE_SECONDS:
            self.reason = f"no BGP session for {PATIENCE_SECONDS:.0f} s"
        return self.reason != before
