"""Tables of choices: of each service CELL_CHOICES places, each of which says which target gets the flows that hash there.

Every place ranks the targets by weighted rendezvous hashing (the lowest -ln(u) / weight is best: Schindelhauer and Schomaker 2005),
and a target takes as many places as its share is worth, to the place: those that rank it best keep it, the rest go to their next. So
shares are as exact as Maglev's (Eisenbud et al. 2016), a target that leaves moves hardly a place but its own (about one of a hundred
others), and unlike Maglev's turns all places are computed at once, which lets every node rebuild all tables every two seconds."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

PLACES = 4093  # CELL_CHOICES (bpf/formats/cell.h): tests compare
NOBODY = 0xFFFF  # CELL_NO_TARGET
LARGEST_FRACTION = np.float32(2.0**-24)
AT_ONCE = 4  # targets: what is larger is fetched from the kernel page by page, each time, which costs more than the numbers

Table = NDArray[np.uint16]


def seed_of(target: tuple[str, str, int]) -> int:
    """Of a target's key: what a place ranks it by."""
    return int.from_bytes(blake2b("\0".join(map(str, target)).encode(), digest_size=8).digest(), "little")


def table(rows: Sequence[int], seeds: Sequence[int], weights: Sequence[int]) -> Table:
    """PLACES rows of targets. `rows`: of those that take new flows, none twice; `seeds`, `weights` (1 or more): theirs. Nobody takes
    flows: NOBODY everywhere."""
    if not rows:
        return np.full(PLACES, NOBODY, np.uint16)
    if len(rows) == 1:
        return np.full(PLACES, rows[0], np.uint16)
    owners = _owners(_scores(seeds, weights), shares(weights))
    return np.asarray(rows, np.uint16)[owners]


def shares(weights: Sequence[int]) -> NDArray[np.int64]:
    """How many places each is worth: the largest remainders are rounded up."""
    exact = np.asarray(weights, np.float64)
    exact *= PLACES / exact.sum()
    whole = np.floor(exact).astype(np.int64)
    up = np.argsort(whole - exact, kind="stable")[: PLACES - int(whole.sum())]
    whole[up] += 1
    return whole


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """rookery.hyperplane.ring.mix64, of many at once; overwrites what it is given."""
    numbers ^= numbers >> np.uint64(30)
    numbers *= np.uint64(0xBF58476D1CE4E5B9)
    numbers ^= numbers >> np.uint64(27)
    numbers *= np.uint64(0x94D049BB133111EB)
    numbers ^= numbers >> np.uint64(31)
    return numbers


PLACE_HASHES = _mixed(np.arange(1, PLACES + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def _scores(seeds: Sequence[int], weights: Sequence[int]) -> NDArray[np.float32]:
    """Target x place: the lower, the better."""
    scores = np.empty((len(seeds), PLACES), np.float32)
    seeded = np.asarray(seeds, np.uint64)[:, None]
    for first in range(0, len(seeds), AT_ONCE):
        block = slice(first, first + AT_ONCE)
        hashes = _mixed(PLACE_HASHES[None, :] ^ seeded[block])
        fractions = ((hashes >> np.uint64(40)).astype(np.float32) + np.float32(0.5)) * LARGEST_FRACTION
        np.log(fractions, out=scores[block])
    scores /= -np.asarray(weights, np.float32)[:, None]
    return scores


def _owners(scores: NDArray[np.float32], room: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each place's target, by its index. In each round the places that have none turn to the best that has room."""
    targets, places = scores.shape
    owners = np.empty(places, np.int64)
    waiting, open_ = np.arange(places), np.arange(targets)
    while len(waiting):
        among = scores[np.ix_(open_, waiting)] if len(waiting) < places else scores
        chosen = among.argmin(0)
        score, chosen = among[chosen, np.arange(len(waiting))], open_[chosen]
        order = _in_order(chosen, score)
        taken = _rank_within(chosen[order]) < room[chosen[order]]
        happy = order[taken]
        owners[waiting[happy]] = chosen[happy]
        room = room - np.bincount(chosen[happy], minlength=targets)
        waiting, open_ = np.sort(waiting[order[~taken]]), np.nonzero(room > 0)[0]
    return owners


def _in_order(chosen: NDArray[np.int64], score: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices by target, then score, then index: packed into one number each, because numbers are sorted at once. A score's bits are ordered as it
    is, for it is positive once -0 has become 0."""
    bits = (score + np.float32(0)).view(np.uint32).astype(np.uint64)
    packed = chosen.astype(np.uint64) << np.uint64(48) | bits << np.uint64(16) | np.arange(len(chosen), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64(0xFFFF)).astype(np.int64)


def _rank_within(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of sorted numbers: which of its like each is, from 0."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)
