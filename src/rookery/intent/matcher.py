"""The HTTP codes that a health check takes for a pass, as ELBv2 writes them: `200,301-399`."""

from __future__ import annotations

from itertools import groupby


def codes(matcher: str) -> set[int]:
    """What does not exist (399-200) is none."""
    found: set[int] = set()
    for part in filter(None, matcher.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def shortest(matcher: str) -> str:
    """The same codes, said once and in order: never longer than 200 codes that have no neighbour."""
    runs = groupby(enumerate(sorted(codes(matcher))), key=lambda one: one[1] - one[0])
    ends = [(run[0][1], run[-1][1]) for run in (list(run) for _, run in runs)]
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ends)
