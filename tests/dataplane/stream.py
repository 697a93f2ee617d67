"""What a TCP that receives makes of segments: by hand, from RFC 9293 (3.10.7.4), without a window."""

from __future__ import annotations

AROUND = 1 << 32


class Receiver:
    def __init__(self) -> None:
        self.isn: int | None = None
        self._held: dict[int, int] = {}  # place in the stream -> byte: who comes first is believed
        self._end: int | None = None

    def take(self, sequence: int, payload: bytes, flags: str) -> None:
        if "S" in flags:
            if self.isn is None:
                self.isn = sequence
            return
        assert self.isn is not None
        place = (sequence - self.isn - 1 + AROUND // 2) % AROUND - AROUND // 2
        for n, byte in enumerate(payload):
            if place + n >= 0:
                self._held.setdefault(place + n, byte)
        if "F" in flags:
            self._end = place + len(payload)

    @property
    def stream(self) -> bytes:
        """Without a gap."""
        length = next(n for n in range(len(self._held) + 1) if n not in self._held)
        return bytes(self._held[n] for n in range(length))

    @property
    def ended(self) -> bool:
        return self._end == len(self.stream)

    @property
    def acknowledges(self) -> int:
        assert self.isn is not None
        return (self.isn + 1 + len(self.stream) + self.ended) % AROUND
