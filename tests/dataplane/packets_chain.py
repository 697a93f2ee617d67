"""The chain option as a scapy layer: written by hand from docs/wire-format.md, as packets.py is."""

from __future__ import annotations

from scapy.fields import (
    BitField,
    ByteField,
    IntField,
    LEIntField,
    LELongField,
    LEShortField,
    ShortField,
    StrFixedLenField,
    XByteField,
    XShortField,
)
from scapy.packet import Packet, bind_layers

from tests.dataplane.packets import Ether

OPTION_AT, INNER_AT = 66, 162  # in a frame that a node sends to a node


class Chain(Packet):
    name = "chain"
    fields_desc = [
        XShortField("option_class", 0xFF52),
        XByteField("option_type", 0x82),
        BitField("option_reserved", 0, 3),
        BitField("option_length", 23, 5),
        IntField("epoch", 7),
        IntField("interface", 0),
        ByteField("step", 1),
        ByteField("top", 0),
        ByteField("decider", 255),
        ByteField("flags", 0),
        ByteField("asked", 0),
        ByteField("refused", 0),
        LEShortField("seconds", 0),
        ShortField("source_port", 0),
        ShortField("destination_port", 0),
        StrFixedLenField("source", bytes(16), 16),
        StrFixedLenField("destination", bytes(16), 16),
        ShortField("new_source_port", 0),
        ShortField("new_destination_port", 0),
        LEIntField("vni", 0),
        LEIntField("exit", 0),
        LEShortField("directive_flags", 0),
        LEShortField("target", 0xFFFF),
        LEIntField("target_generation", 0),
        LEIntField("idle_seconds", 0),
        LEIntField("initial_sequence", 0),
        LEIntField("directive_padding", 0),
        LELongField("version", 0),
    ]


bind_layers(Chain, Ether)


def chain_of(wire: bytes) -> Chain:
    return Chain(wire[OPTION_AT:INNER_AT])


def with_chain(wire: bytes, **changed: object) -> bytes:
    """The same packet with another option."""
    option = chain_of(wire)
    for name, value in changed.items():
        setattr(option, name, value)
    return wire[:OPTION_AT] + bytes(option)[: INNER_AT - OPTION_AT] + wire[INNER_AT:]
