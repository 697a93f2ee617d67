"""What a TCP that receives makes of segments: by hand, from RFC 9293 (3.10.7.4), without a window."""

from __future__ import annotations

AROUND = 1 << 32


class Receiver:
    def __init__(self) -> None:
        self.isn: int | None = None
        self.stream = bytearray()  # without a gap
        self._held: dict[int, int] = {}  # place in the stream -> byte, behind a gap: who comes first is believed
        self._end: int | None = None

    def take(self, sequence: int, payload: bytes, flags: str) -> None:
        if "S" in flags:
            if self.isn is None:
                self.isn = sequence
            return
        assert self.isn is not None
        place = (sequence - self.isn - 1 + AROUND // 2) % AROUND - AROUND // 2
        for n, byte in enumerate(payload):
            if place + n >= len(self.stream):
                self._held.setdefault(place + n, byte)
        while len(self.stream) in self._held:
            self.stream.append(self._held.pop(len(self.stream)))
        if "F" in flags:
            self._end = place + len(payload)

    @property
    def ended(self) -> bool:
        return self._end == len(self.stream)

    @property
    def acknowledges(self) -> int:
        assert self.isn is not None
        return (self.isn + 1 + len(self.stream) + self.ended) % AROUND
