"""Values of botocore's shapes from a random source: valid ones, and ones that are wrong in a way clients get wrong."""

from __future__ import annotations

import datetime
import random
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

MAX_DEPTH = 6
_TYPES = {"string": str, "integer": int, "boolean": bool, "structure": dict}
_LETTERS = "abcXYZ019 -_./:*?&<>\"'%+=;éß中\U0001f427\r\n\t"
_NONSENSE = (
    "",
    " ",
    "-1",
    "0",
    "99999999999999999999999",
    "١٢",
    "true",
    "null",
    "10.0.0.0/16",
    "10.0.0.5/33",
    "vpc-0123456789abcdef0",
    "subnet-zz",
    "rtb-0123456789abcdef0",
    "us-east-1a",
    "../../etc/passwd",
    "%00",
    "a" * 5000,
    "\ufeff",
)


class Values:
    """`hints` gives members by name ("VpcId") values that mean something, so that handlers are reached."""

    def __init__(self, source: random.Random, hints: dict[str, list[Any]] | None = None):
        self._random = source
        self._hints = hints or {}

    def of(self, shape: Shape, name: str = "", depth: int = 0) -> Any:
        """A value that botocore's serialiser takes."""
        hints = [one for one in self._hints.get(name, ()) if _TYPES.get(shape.type_name) is type(one)]
        if hints and self._random.random() < 0.8:
            return self._random.choice(hints)
        if isinstance(shape, StructureShape):
            return self._structure(shape, depth)
        if isinstance(shape, ListShape):
            return self._list(shape, name, depth)
        if isinstance(shape, MapShape):
            return {self.of(shape.key, "", depth + 1): self.of(shape.value, "", depth + 1)}
        return getattr(self, f"_{shape.type_name}")(shape)

    def _structure(self, shape: StructureShape, depth: int) -> dict[str, Any]:
        chance = 0.7 if depth < 2 else 0.3
        required = set(shape.required_members)
        chosen = [
            (name, member)
            for name, member in shape.members.items()
            if name in required or (depth < MAX_DEPTH and self._random.random() < chance)
        ]
        if not chosen and depth <= MAX_DEPTH:  # the form of a query cannot say an empty structure
            chosen = list(shape.members.items())[:1]
        return {name: self.of(member, name, depth + 1) for name, member in chosen}

    def _list(self, shape: ListShape, name: str, depth: int) -> list[Any]:
        least = max(1, int(shape.metadata.get("min", 1)))
        length = min(max(least, self._random.randint(1, 3)), int(shape.metadata.get("max", 3)))
        singular = name.removesuffix("s")
        return [self.of(shape.member, singular, depth + 1) for _ in range(length)]

    def _string(self, shape: Shape) -> str:
        if isinstance(shape, StringShape) and shape.enum:
            return self._random.choice(shape.enum)
        least, most = int(shape.metadata.get("min", 1)), int(shape.metadata.get("max", 40))
        length = self._random.randint(least, max(least, min(most, least + 20)))
        return "".join(self._random.choice(_LETTERS) for _ in range(length))

    def _integer(self, shape: Shape, bits: int = 31) -> int:
        least, most = shape.metadata.get("min", -(1 << bits)), shape.metadata.get("max", (1 << bits) - 1)
        return self._random.randint(int(least), int(most))

    def _long(self, shape: Shape) -> int:
        return self._integer(shape, 63)

    def _boolean(self, _shape: Shape) -> bool:
        return self._random.random() < 0.5

    def _float(self, shape: Shape) -> float:
        least, most = shape.metadata.get("min", -1000), shape.metadata.get("max", 1000)
        return round(self._random.uniform(float(least), float(most)), 3)

    _double = _float

    def _blob(self, _shape: Shape) -> bytes:
        return self._random.randbytes(self._random.randint(0, 40))

    def _timestamp(self, _shape: Shape) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._random.randint(0, 2_000_000_000), datetime.UTC)

    def spoiled(self, form: dict[str, str]) -> dict[str, str]:
        """A serialised request with something wrong in it, or not."""
        names = list(form)
        victim = self._random.choice(names)
        changed = dict(form)
        kind = self._random.randrange(6)
        if kind == 0:
            del changed[victim]
        elif kind in (1, 2):
            changed[victim] = self._random.choice(_NONSENSE)
        elif kind == 3:
            changed[f"{victim}.{self._random.choice(['1', '0', 'x', '99999999999', 'Value'])}"] = "x"
        elif kind == 4:
            changed[
                self._random.choice(["Nonsense", "Filter.1.Colour", "VpcId.1.2.3", ".", "..", "1", "é"])
            ] = "x"
        else:
            changed[victim] = "".join(chr(self._random.randrange(1, 0x2FF)) for _ in range(8))
        return changed
