"""The time (RFC 5905, server's side): what a client's packet is answered with. Pure.

The time is the host's, as whatever keeps the host's clock made it. Leap seconds are not smeared here: they are as on the host.
"""

from __future__ import annotations

import struct

PACKET = struct.Struct("!BBbbIII8s8s8s8s")
CLIENT, SERVER = 3, 4
VERSIONS = (3, 4)
STRATUM = 3  # what clients of AWS see
REFERENCE = bytes((169, 254, 169, 122))  # at that stratum: the address of who told us
PRECISION = -20  # log2 seconds: a microsecond
SHORT = 1 << 16  # units of a second in the short format
ROOT_DELAY = SHORT // 2000  # half a millisecond
MOST_DISPERSION = 1_000_000  # microseconds
REFERENCE_SECONDS = 64
EPOCH = 2_208_988_800  # 1970 in seconds of 1900
NANOSECONDS = 1_000_000_000


def answer(packet: bytes, received: int, now: int, error: int) -> bytes | None:
    """`received`, `now`: unix nanoseconds. `error`: the largest error that the kernel believes its clock has, microseconds.

    48 bytes, never more than was asked with; None: not a client's packet of a version that we speak. Of an unkept clock the
    kernel believes 16 seconds, with which no client would follow it: a guest shall agree with its host all the same."""
    if len(packet) < PACKET.size:
        return None
    version, mode = packet[0] >> 3 & 7, packet[0] & 7
    if mode != CLIENT or version not in VERSIONS:
        return None
    poll, transmitted = packet[2], packet[40:48]
    return PACKET.pack(
        version << 3 | SERVER,
        STRATUM,
        poll if poll < 128 else poll - 256,
        PRECISION,
        ROOT_DELAY,
        min(error, MOST_DISPERSION) * SHORT // 1_000_000,
        int.from_bytes(REFERENCE, "big"),
        timestamp(received - received % (REFERENCE_SECONDS * NANOSECONDS)),
        transmitted,
        timestamp(received),
        timestamp(now),
    )


def timestamp(nanoseconds: int) -> bytes:
    """Of unix time; seconds since 1900 wrap around in 2036, as the format means them to."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return struct.pack("!II", (seconds + EPOCH) & 0xFFFFFFFF, (rest << 32) // NANOSECONDS)
