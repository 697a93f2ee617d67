"""The proxy protocol's header, version 2, written and read by hand from HAProxy's proxy-protocol.txt and from what AWS's network load
balancers send: the programs' own code has nothing of it. Also run as a program inside namespaces: the standard library only."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LENGTH = 100
CRC32C, NOTHING, AWS = 0x03, 0x04, 0xEA


def _table() -> list[int]:
    rows = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 if crc & 1 else crc >> 1
        rows.append(crc)
    return rows


_TABLE = _table()


def crc32c(content: bytes) -> int:
    """Castagnoli's (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


class Said(NamedTuple):
    source: str
    destination: str
    source_port: int
    destination_port: int
    endpoint: str = ""  # vpce-...


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def header(said: Said) -> bytes:
    """As AWS writes it: filled up with zeros. Of either family."""
    ends = b"".join(ipaddress.ip_address(one).packed for one in (said.source, said.destination))
    ends += said.source_port.to_bytes(2, "big") + said.destination_port.to_bytes(2, "big")
    own = tlv(AWS, b"\x01" + said.endpoint.encode()) if said.endpoint else b""
    family = b"\x21" if ":" in said.source else b"\x11"
    fixed = SIGNATURE + b"\x21" + family + (LENGTH - 16).to_bytes(2, "big") + ends

    def whole(crc: int) -> bytes:
        begun = fixed + tlv(CRC32C, crc.to_bytes(4, "big")) + own
        return begun + tlv(NOTHING, bytes(LENGTH - len(begun) - 3))

    return whole(crc32c(whole(0)))


def _is_intact(content: bytes, crc: bytes | None) -> bool:
    """A sender may leave the CRC out."""
    if crc is None:
        return True
    place = content.index(tlv(CRC32C, crc)) + 3
    return crc32c(content[:place] + bytes(4) + content[place + 4 :]) == int.from_bytes(crc, "big")


def read(content: bytes) -> Said:
    """What a target may believe. Raises ValueError."""
    if content[:12] != SIGNATURE or content[12:16] not in (b"\x21\x11\x00\x54", b"\x21\x21\x00\x54") or len(content) != LENGTH:
        raise ValueError(f"no header of proxy protocol, version 2: {content.hex()}")
    size_of = 16 if content[13] == 0x21 else 4
    tlvs, at = {}, 20 + 2 * size_of
    while at < LENGTH:
        size = int.from_bytes(content[at + 1 : at + 3], "big")
        tlvs[content[at]] = content[at + 3 : at + 3 + size]
        at += 3 + size
    if at != LENGTH or not _is_intact(content, tlvs.get(CRC32C)):
        raise ValueError(f"damaged: {content.hex()}")
    addresses = (str(ipaddress.ip_address(content[n : n + size_of])) for n in (16, 16 + size_of))
    ports = (int.from_bytes(content[n : n + 2], "big") for n in (16 + 2 * size_of, 18 + 2 * size_of))
    return Said(*addresses, *ports, tlvs.get(AWS, b"\x01")[1:].decode())
