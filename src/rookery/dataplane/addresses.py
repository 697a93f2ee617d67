"""Text to bytes and back: the only place where an address changes its form.

`address_*`: 16 bytes, IPv4 as ::ffff:a.b.c.d. `substrate_*`: 4 bytes, network order. `mac_*`: 6 bytes."""

from __future__ import annotations

import socket

IPV4_PREFIX = b"\0" * 10 + b"\xff\xff"


def address_bytes(text: str) -> bytes:
    """Raises ValueError."""
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return IPV4_PREFIX + socket.inet_pton(socket.AF_INET, text)
    except OSError as error:
        raise ValueError(f"{text!r} is not an IP address") from error


def address_text(packed: bytes) -> str:
    """Empty for ::, which no packet carries: "not known"."""
    if packed[:12] == IPV4_PREFIX:
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed) if any(packed) else ""


def substrate_bytes(text: str) -> bytes:
    """Raises ValueError."""
    try:
        return socket.inet_pton(socket.AF_INET, text)
    except OSError as error:
        raise ValueError(f"{text!r} is not an IPv4 address") from error


def substrate_text(packed: bytes) -> str:
    """Empty for 0.0.0.0: "not known"."""
    return socket.inet_ntop(socket.AF_INET, packed) if any(packed) else ""


def mac_bytes(text: str) -> bytes:
    """Raises ValueError."""
    packed = bytes.fromhex(text.replace(":", ""))
    if len(packed) != 6:
        raise ValueError(f"{text!r} is not a MAC address")
    return packed


def mac_text(packed: bytes) -> str:
    return packed.hex(":")
