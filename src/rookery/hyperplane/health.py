"""What is known of a target's health, from one check to the next; and what a node's words on it, and a cell's, come to. Pure.

    one way     an attachment of the balancer asks the target: rows of passed and failed checks make it healthy or not
    a node      asks by every attachment that may send there: unhealthy by one is unhealthy; where they differ, it says how each finds it
    a cell      what the majority of its nodes says, of the target and of each way

Words are (state, reason) as ELBv2 names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rookery.intent.balanced_targets import HEALTHY, INITIAL, UNHEALTHY, Word, by_way
from rookery.intent.cell import HealthCheckIntent, TargetIntent

PASSED = ""  # a result; else the reason why the check failed
FAILED, TIMEOUT, WRONG_CODE = "Target.FailedHealthChecks", "Target.Timeout", "Target.ResponseCodeMismatch"

# By target group's id and "address:port", or by_way() of it: a result. Who has none yet is not in it; nor are ways that agree.
Words = dict[str, dict[str, str]]


class Health(NamedTuple):
    """Seen by one way."""

    state: str = INITIAL
    reason: str = ""  # of the newest failed check, while it is unhealthy
    against: int = 0  # results in a row that speak against the state


def after(health: Health, result: str, check: HealthCheckIntent) -> Health:
    """The first check that passes makes a target healthy of which nothing was known."""
    speaks_against = (result == PASSED) == (health.state == UNHEALTHY)
    against = health.against + 1 if speaks_against else 0
    if result == PASSED:
        if health.state == UNHEALTHY and against < check.healthy:
            return health._replace(against=against)
        return Health(HEALTHY)
    if health.state == UNHEALTHY or against >= check.unhealthy:
        return Health(UNHEALTHY, result)
    return health._replace(against=against)


def node_word(seen: Iterable[Health]) -> str | None:
    """Of one target, by all ways that were tried. None: nothing is known yet."""
    known = [health for health in seen if health.state != INITIAL]
    bad = [health.reason for health in known if health.state == UNHEALTHY]
    return max(bad, default=PASSED) if known else None


def ways_that_differ(seen: Mapping[int, Health]) -> dict[int, str]:
    """A node's words on each way to one target, by the attachment's number; empty: as far as is known all find it alike."""
    known = {number: health for number, health in seen.items() if health.state != INITIAL}
    if len({health.state for health in known.values()}) < 2:
        return {}
    return {number: health.reason if health.state == UNHEALTHY else PASSED for number, health in sorted(known.items())}


def cell_word(said: Iterable[str], before: Word | None) -> Word | None:
    """`said`: the nodes' words on one target. As many on either side, or nobody: it stays as it was before; a target that had no word is
    healthy then, if anybody says so. None: nobody ever said anything."""
    count = Counter(said)
    good, bad = count[PASSED], count.total() - count[PASSED]
    if good == bad:
        return before or ((HEALTHY, "") if good else None)
    if good > bad:
        return (HEALTHY, "")
    del count[PASSED]
    return (UNHEALTHY, max(count, key=lambda reason: (count[reason], reason)))


def cell_words(
    targets: Iterable[TargetIntent], nodes: Iterable[Words], before: Mapping[str, Mapping[str, Word]]
) -> dict[str, dict[str, Word]]:
    """Of all targets that are checked; whoever is so no more is forgotten. Of a way only what differs from the target's own. `before`:
    the cell's words so far."""
    said: list[Words] = list(nodes)
    found: dict[str, dict[str, Word]] = {}
    for one in sorted(targets, key=lambda target: target.key):
        if one.checked_by:
            of_group = [node[one.group] for node in said if one.place in node.get(one.group, ())]
            known = before.get(one.group, {})
            word = cell_word((words[one.place] for words in of_group), known.get(one.place))
            if word is not None:
                found.setdefault(one.group, {}).update({one.place: word, **_ways(one, word, of_group, known)})
    return found


def _ways(one: TargetIntent, word: Word, said: Iterable[Mapping[str, str]], before: Mapping[str, Word]) -> dict[str, Word]:
    """Those by which a target is found otherwise than it is told."""
    nodes, found = list(said), {}
    for name in (by_way(one.place, number) for number in one.checked_by):
        if name not in before and not any(name in words for words in nodes):
            continue  # nobody ever found it otherwise: so it is with most
        of_way = cell_word((words.get(name, words[one.place]) for words in nodes), before.get(name, before.get(one.place)))
        if of_way is not None and of_way[0] != word[0]:
            found[name] = of_way
    return found
