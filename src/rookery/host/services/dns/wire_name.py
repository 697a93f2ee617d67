"""Names as messages carry them (RFC 1035, 3.1), lower case, to and from the text by which the view knows them.

On the wire a label may hold any byte, dots too; here such a byte becomes \\046, so that no label looks like two."""

from __future__ import annotations

import string

import dns.name

LONGEST_LABEL = 63
LONGEST_TEXT = 254  # with a length in front and the root behind it has 255 bytes
ROOT = b"\0"

USUAL = string.ascii_lowercase + string.digits + "-_*"
ESCAPES = {code: f"\\{code:03d}" for code in range(256) if chr(code) not in USUAL}


def text_of(name: bytes) -> str:
    """Of a whole name in lower case: without the last dot."""
    labels = []
    at = 0
    while length := name[at]:
        labels.append(name[at + 1 : at + 1 + length].decode("latin-1").translate(ESCAPES))
        at += 1 + length
    return ".".join(labels)


def wire_of(text: str) -> bytes:
    """Lower case. Raises dns.exception.DNSException: no name."""
    labels = text.split(".")
    if len(text) < LONGEST_TEXT and all(
        0 < len(label) <= LONGEST_LABEL and label.strip(USUAL) == "" for label in labels
    ):
        return b"".join(bytes((len(label),)) + label.encode() for label in labels) + ROOT
    wire = dns.name.from_text(text).to_wire() or ROOT
    return wire.lower()  # a label's length is below 64: no letter


def ancestors(name: bytes) -> list[bytes]:
    """The name itself, what it lies in, and so on, without the root."""
    found = []
    while name[0]:
        found.append(name)
        name = name[1 + name[0] :]
    return found


def is_within(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


def depth(zone: str) -> int:
    """How specific it is: the number of its labels."""
    return zone.count(".") + 1 if zone else 0
