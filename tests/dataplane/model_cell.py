"""Which nodes keep a flow, written apart from bpf/stages/key.h and rendezvous.h: from the papers, and docs/wire-format.md.

SipHash-1-3 (Aumasson, Bernstein 2012) of a packed flow key; the heaviest nodes of a rendezvous (Thaler, Ravishankar 1998)."""

from __future__ import annotations

from collections.abc import Iterable

from rookery.dataplane.formats import LAYOUTS, CellConstant, FlowKey

MASK = (1 << 64) - 1


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & MASK


def _round(v: list[int]) -> None:
    v[0] = v[0] + v[1] & MASK
    v[2] = v[2] + v[3] & MASK
    v[1], v[3] = _rotate(v[1], 13) ^ v[0], _rotate(v[3], 16) ^ v[2]
    v[0] = _rotate(v[0], 32)
    v[2] = v[2] + v[1] & MASK
    v[0] = v[0] + v[3] & MASK
    v[1], v[3] = _rotate(v[1], 17) ^ v[2], _rotate(v[3], 21) ^ v[0]
    v[2] = _rotate(v[2], 32)


def siphash13(secret: bytes, message: bytes) -> int:
    k0, k1 = (int.from_bytes(secret[at : at + 8], "little") for at in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        _round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        _round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def mix64(number: int) -> int:
    """splitmix64's finalizer (Steele, Lea, Flood 2014)."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & MASK
    return number ^ number >> 31


def seed(place: int) -> int:
    return mix64(0x5EED + place)


def place_hash(secret: bytes, key: FlowKey, handed_out: bool) -> int:
    """`handed_out`: it leads to a port that the cell handed out, of which the block counts."""
    if not handed_out:
        return siphash13(secret, LAYOUTS[FlowKey].pack(*key))
    address = key._replace(source=bytes(16), protocol=0, source_port=bytes(2), destination_port=bytes(2))
    block = int.from_bytes(key.destination_port, "big") // CellConstant.PORT_BLOCK
    return mix64(siphash13(secret, LAYOUTS[FlowKey].pack(*address)) ^ block)


def keepers(secret: bytes, key: FlowKey, places: Iterable[int], handed_out: bool = False) -> list[int]:
    """Primary, then secondary, of those places."""
    flow = place_hash(secret, key, handed_out)
    return sorted(places, key=lambda place: (-mix64(flow ^ seed(place)), place))[:2]
