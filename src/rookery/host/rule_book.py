"""Every list of rules that this host holds, each compiled once, and what a person calls them.

A list that cannot be compiled is not there: the interfaces that need it get 0 for its name, and their packets are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from rookery.dataplane.formats import Direction, Gates, RuleBits, RuleConstant, RuleGroupKey
from rookery.host.rule_lists import (
    CompiledList,
    Names,
    compile_acl,
    compile_policy,
    group_rows,
    sets_by_group,
)
from rookery.intent.host import AclIntent, GroupSetIntent, PolicyIntent, RuleIntent, RuleKey

FORMER_NAMES = 1024  # lists whose rules may have admitted a flow that is still there

Key = RuleKey


class Gated(Protocol):
    """An interface, of an instance or at a cell."""

    @property
    def vni(self) -> int: ...

    @property
    def group_set(self) -> int: ...

    @property
    def acl(self) -> int: ...

    @property
    def tcp_established_seconds(self) -> int: ...

    @property
    def udp_stream_seconds(self) -> int: ...

    @property
    def udp_seconds(self) -> int: ...


class RuleBook:
    def __init__(self) -> None:
        self._lists: dict[Key, tuple[PolicyIntent | AclIntent, CompiledList | None]] = {}
        self._sets: dict[Key, GroupSetIntent] = {}
        self._names: dict[int, Names] = {}
        self.faults: dict[Key, str] = {}

    def become(self, rules: Mapping[Key, RuleIntent]) -> None:
        for key in [key for key in (*self._lists, *self._sets) if key not in rules]:
            self._forget(key)
        self._put(rules.values())

    def change(self, put: Iterable[RuleIntent], delete: Iterable[Key]) -> None:
        put = list(put)
        for key in set(delete) - {rule.key for rule in put}:
            self._forget(key)
        self._put(put)

    def has(self, key: Key) -> bool:
        """Was the list told, be it one that cannot be compiled?"""
        return key in self._lists

    @property
    def lists(self) -> dict[int, CompiledList]:
        """By their names in the kernel."""
        return {found.number: found for _, found in self._lists.values() if found}

    def group_rows(self) -> dict[RuleGroupKey, RuleBits]:
        having = sets_by_group(self._sets.values())
        rows: dict[RuleGroupKey, RuleBits] = {}
        for compiled in self.lists.values():
            rows |= group_rows(compiled, having)
        return rows

    def gates(self, interface: Gated) -> Gates:
        """With 0 for the name of a list that is not there: nothing passes."""
        policy = self._list(("policy", interface.group_set, 0), interface.vni)
        acl = self._list(("acl", interface.acl, 0), interface.vni)
        return Gates(
            policy=policy.number if policy else 0,
            acl=acl.number if acl else 0,
            tcp_established=interface.tcp_established_seconds,
            udp_stream=interface.udp_stream_seconds,
            udp=interface.udp_seconds,
            open_egress=acl.open[Direction.EGRESS] if acl else 0,
            open_ingress=acl.open[Direction.INGRESS] if acl else 0,
            padding=0,
        )

    def said(self, number: int, direction: int, rule: int) -> str:
        """Of the rule that counted at a gate: "sgr-... of sg-... (tcp 443 from 10.0.0.0/16)", "no rule of sg-a, sg-b allows it"."""
        names = self._names.get(number)
        if names is None:
            return "a rule that is gone" if rule != RuleConstant.NONE else ""
        if rule != RuleConstant.NONE:
            return names.rules.get((direction, rule), f"rule {rule} of {names.of}")
        if names.is_acl:
            return f"no entry of {names.of} fits, and what fits none is denied"
        way = "egress" if direction == Direction.EGRESS else "ingress"
        return f"no {way} rule of {names.of or 'its security groups'} allows it"

    def _list(self, key: Key, vni: int) -> CompiledList | None:
        _, found = self._lists.get(key, (None, None))
        return found if found and found.vni == vni else None

    def _put(self, rules: Iterable[RuleIntent]) -> None:
        for rule in rules:
            if isinstance(rule, GroupSetIntent):
                self._sets[rule.key] = rule
            elif isinstance(rule, PolicyIntent | AclIntent) and self._lists.get(rule.key, (None,))[0] != rule:
                self._compile(rule)

    def _compile(self, rule: PolicyIntent | AclIntent) -> None:
        self._forget(rule.key)
        try:
            compiled = compile_policy(rule) if isinstance(rule, PolicyIntent) else compile_acl(rule)
        except ValueError as error:
            of = ", ".join(rule.groups) if isinstance(rule, PolicyIntent) else rule.id
            self.faults[rule.key] = f"the rules of {of} cannot be kept, and its interfaces' packets are dropped: {error}"
            compiled = None
        self._lists[rule.key] = (rule, compiled)
        if compiled:
            self._remember(compiled)

    def _remember(self, compiled: CompiledList) -> None:
        names = {number: name for number, name in self._names.items() if number != compiled.number}
        names[compiled.number] = compiled.names
        current = self.lists
        former = [number for number in names if number not in current]
        for number in former[:-FORMER_NAMES]:
            del names[number]
        self._names = names  # whole: another thread reads it

    def _forget(self, key: Key) -> None:
        self._lists.pop(key, None)
        self._sets.pop(key, None)
        self.faults.pop(key, None)
