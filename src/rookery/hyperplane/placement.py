"""Where does the cell's hash put a flow? What every node's program computes (bpf/stages/key.h, rendezvous.h), for those who ask: by the
rings and the living nodes that this node knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rookery.dataplane.cell import CellDataplane
from rookery.dataplane.formats import LAYOUTS, CellConfig, CellConstant, CellNode, CellNodeFlag, FlowKey
from rookery.hyperplane.ring import MASK, mix64, ranked


def siphash(key: bytes, message: bytes) -> int:
    """SipHash-1-3 (Aumasson, Bernstein 2012). `key`: 16 bytes; `message`: whole words of eight."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    state = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
    words = [int.from_bytes(message[at : at + 8], "little") for at in range(0, len(message), 8)]
    for word in (*words, (len(message) & 0xFF) << 56):
        v0, v1, v2, v3 = _round(state[0], state[1], state[2], state[3] ^ word)
        state = (v0 ^ word, v1, v2, v3)
    state = (state[0], state[1], state[2] ^ 0xFF, state[3])
    for _ in range(3):
        state = _round(*state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0, v2 = v0 + v1 & MASK, v2 + v3 & MASK
    v1, v3 = _rotated(v1, 13) ^ v0, _rotated(v3, 16) ^ v2
    v0, v2 = _rotated(v0, 32) + v3 & MASK, v2 + v1 & MASK
    v3, v1 = _rotated(v3, 21) ^ v0, _rotated(v1, 17) ^ v2
    return v0, v1, _rotated(v2, 32), v3


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> 64 - bits) & MASK


def place_hash(secret: bytes, key: FlowKey, handed_out: bool) -> int:
    """Of a flow to a port that the cell handed out only the attachment, its address and the block of ports count."""
    if not handed_out:
        return siphash(secret, LAYOUTS[FlowKey].pack(*key))
    address = key._replace(protocol=0, source_port=bytes(2), destination_port=bytes(2), source=bytes(16))
    block = int.from_bytes(key.destination_port, "big") // CellConstant.PORT_BLOCK
    return mix64(siphash(secret, LAYOUTS[FlowKey].pack(*address)) ^ block)


class Placement(NamedTuple):
    """By the half of the tables that is read."""

    config: CellConfig
    nodes: Mapping[int, CellNode]  # by place; those that there are
    living: int  # bits

    @classmethod
    def of(cls, dataplane: CellDataplane) -> Placement:
        """Raises DataplaneError."""
        config = dataplane.config
        rows = {place: dataplane.cell_nodes.get(dataplane.node_row(config.half, place)) for place in range(CellConstant.NODES_MAX)}
        there = {place: row for place, row in rows.items() if row and any(row.address)}
        return cls(config, there, dataplane.cell_living or MASK)

    def keepers(self, key: FlowKey, handed_out: bool, ring: CellNodeFlag = CellNodeFlag.CURRENT) -> list[int]:
        """Places, the primary first, at most two."""
        flow = place_hash(self.config.key, key, handed_out)
        living = self.living | 1 << self.config.self
        return ranked(flow, {place: row.seed for place, row in self.nodes.items() if row.flags & ring and living >> place & 1})[:2]
