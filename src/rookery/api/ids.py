"""New ids and MAC addresses, from the operating system's random source (they are also claims on the wire)."""

from __future__ import annotations

import secrets


class RandomIds:
    """rookery.api.operation.Ids. Whether a number is free is decided by the commit's claims, not here."""

    def new(self, prefix: str) -> str:
        """'<prefix>-' and 17 hex digits. The last six are never all zero: VNI 0 and number 0 mean "none"."""
        while True:
            digits = secrets.token_hex(9)[:17]
            if int(digits[-6:], 16):
                return f"{prefix}-{digits}"

    def mac(self) -> str:
        """Locally administered, unicast; 02 as its first octet."""
        return "02:" + ":".join(f"{octet:02x}" for octet in secrets.token_bytes(5))
