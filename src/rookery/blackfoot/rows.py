"""From the intent's words to the rows that only edges have (rookery.host.rows has the others). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from rookery.dataplane import formats
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import Block, BlockKey, MappingKey, PublicKey, Translation
from rookery.intent.host import BlockIntent, PublicIntent, RuleIntent, RuleKey


def publics(intents: Iterable[RuleIntent]) -> dict[PublicKey, formats.Public]:
    """Inward."""
    return {
        PublicKey(address_bytes(i.address)): formats.Public(i.vni, i.interface, address_bytes(i.private))
        for i in intents
        if isinstance(i, PublicIntent)
    }


def public_keys(keys: Iterable[RuleKey]) -> list[PublicKey]:
    return [PublicKey(address_bytes(str(address))) for kind, _, address in keys if kind == "public"]


def translations(intents: Iterable[RuleIntent]) -> dict[MappingKey, Translation]:
    """Outward."""
    return {
        MappingKey(i.vni, address_bytes(i.private)): Translation(address_bytes(i.address), i.interface)
        for i in intents
        if isinstance(i, PublicIntent)
    }


def translation_key(public: formats.Public) -> MappingKey:
    return MappingKey(public.vni, public.private)


def blocks(intents: Iterable[RuleIntent]) -> dict[BlockKey, Block]:
    return {_block_key(i.cidr): Block(i.vni) for i in intents if isinstance(i, BlockIntent)}


def block_keys(keys: Iterable[RuleKey]) -> list[BlockKey]:
    return [_block_key(str(cidr)) for kind, _, cidr in keys if kind == "block"]


def _block_key(cidr: str) -> BlockKey:
    network = ipaddress.IPv6Network(cidr)
    return BlockKey(network.prefixlen, network.network_address.packed)


def block_text(key: BlockKey) -> str:
    return f"{ipaddress.IPv6Address(key.address)}/{key.prefix_length}"
