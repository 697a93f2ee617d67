"""The rules of every VPC: its group sets and forwarders, its policies and network ACLs, its peerings.

Group sets and forwarders are counted interface by interface; policies and network ACLs are made when a host needs them and
kept until something in their VPC is touched. What a host holds is put together from these, without going through interfaces.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from rookery.intent.groups import distinct
from rookery.intent.host import (
    AclIntent,
    ForwarderIntent,
    GroupSetIntent,
    MappingIntent,
    NameIntent,
    PolicyIntent,
    RuleIntent,
    RuleKey,
)
from rookery.intent.instance import forwarder_intent
from rookery.intent.names import zone_intents
from rookery.intent.peering import peering_intents
from rookery.intent.policy import acl_intent, policy_intent
from rookery.mapping.facts import InterfaceFacts, VpcFacts
from rookery.mapping.relations import Relations, Touched
from rookery.mapping.share import GroupsIn, Needs

Key = RuleKey


class Rules:
    def __init__(self, relations: Relations):
        self._relations = relations
        self._of_interfaces: defaultdict[int, dict[Key, RuleIntent]] = defaultdict(dict)  # by VNI
        self._names: dict[str, tuple[NameIntent, ...]] = {}  # by instance id
        self._members: Counter[tuple[int, int]] = Counter()  # (VNI, group set) -> interfaces
        self._policies: defaultdict[int, dict[GroupsIn, PolicyIntent]] = defaultdict(dict)  # by VNI
        self._acls: defaultdict[int, dict[int, AclIntent]] = defaultdict(dict)  # by VNI and number

    def settle_interface(
        self, fact: InterfaceFacts, rows: tuple[MappingIntent, ...], touched: Touched
    ) -> None:
        """`rows`: the mappings that it claims from now on, instead of `fact.rows`."""
        was, now = (fact.rows[0] if fact.rows else None), (rows[0] if rows else None)
        self._settle_group_set(fact, was, now, touched)
        self._settle_forwarder(fact, was, now, touched)

    def settle_names(self, instance: str, names: tuple[NameIntent, ...], touched: Touched) -> None:
        """`names`: all that the instance has from now on."""
        kept = {row.key for row in names}
        for row in self._names.pop(instance, ()):
            if row.key not in kept:
                self._delete(row.vni, row.key, touched)
        for row in names:
            self._put(row.vni, row, touched)
        if names:
            self._names[instance] = names

    def forget(self, vnis: Iterable[int]) -> None:
        """What was made in VPCs that were touched."""
        for vni in vnis:
            self._policies.pop(vni, None)
            self._acls.pop(vni, None)

    def of(self, needs: Needs, held: Iterable[int]) -> dict[Key, RuleIntent]:
        """All that a host must hold; as rookery.intent.whole has it."""
        rules: dict[Key, RuleIntent] = {}
        for vni in held:
            rules |= self._of_interfaces.get(vni, {})
        for row in self._of_needs(needs):
            rules[row.key] = row
        return rules

    def _of_needs(self, needs: Needs) -> Iterator[RuleIntent]:
        """Should a fault give one set of groups to two VPCs, the smaller VNI wins."""
        relations = self._relations
        for groups in sorted(needs.groups, reverse=True):
            if groups[1] and (vpc := relations.vpc_numbered.get(groups[0])):
                yield self._policy(vpc, groups)
        for number in needs.acls:
            if acl := self._acl(number):
                yield acl
        for vpc in filter(None, map(relations.vpc_numbered.get, needs.vnis)):
            for peer in relations.peers(vpc):
                yield from peering_intents(vpc, peer)
            yield from zone_intents(vpc, relations.zones_of(vpc))

    def _policy(self, vpc: VpcFacts, groups: GroupsIn) -> PolicyIntent:
        made = self._policies[vpc.vni]
        if groups not in made:
            peers = {peer.id for peer in self._relations.peers(vpc)}
            made[groups] = policy_intent(vpc, groups[1], peers, self._relations)
        return made[groups]

    def _acl(self, number: int) -> AclIntent | None:
        acl = self._relations.acl_numbered.get(number)
        vpc = self._relations.vpcs.get(acl.vpc_id) if acl else None
        if acl is None or vpc is None:
            return None
        made = self._acls[vpc.vni]
        if number not in made:
            made[number] = acl_intent(acl, vpc)
        return made[number]

    def _settle_group_set(
        self, fact: InterfaceFacts, was: MappingIntent | None, now: MappingIntent | None, touched: Touched
    ) -> None:
        left = (was.vni, was.group_set) if was and was.group_set else None
        joined = (now.vni, now.group_set) if now and now.group_set else None
        if left == joined:
            return
        if joined:
            self._members[joined] += 1
            if self._members[joined] == 1:
                row = GroupSetIntent(number=joined[1], groups=distinct(fact.groups))
                self._put(joined[0], row, touched)
        if left:
            self._leave(left, touched)

    def _leave(self, group_set: tuple[int, int], touched: Touched) -> None:
        self._members[group_set] -= 1
        if not self._members[group_set]:
            del self._members[group_set]
            self._delete(group_set[0], ("group-set", group_set[1], 0), touched)

    def _settle_forwarder(
        self, fact: InterfaceFacts, was: MappingIntent | None, now: MappingIntent | None, touched: Touched
    ) -> None:
        wanted = forwarder_intent(now) if now and self._forwards(fact) else None
        if was and (wanted is None or was.vni != wanted.vni):
            self._delete(was.vni, ("forwarder", was.vni, was.interface), touched)
        if wanted:
            self._put(wanted.vni, wanted, touched)

    def _forwards(self, fact: InterfaceFacts) -> bool:
        vpc, _ = self._relations.vpc_of(fact)
        return not fact.source_dest_check or (vpc is not None and self._relations.is_target(fact.id, vpc.id))

    def _put(self, vni: int, row: GroupSetIntent | ForwarderIntent | NameIntent, touched: Touched) -> None:
        if self._of_interfaces[vni].get(row.key) != row:
            self._of_interfaces[vni][row.key] = row
            touched.rules.add(vni)

    def _delete(self, vni: int, key: Key, touched: Touched) -> None:
        rows = self._of_interfaces.get(vni, {})
        if rows.pop(key, None) is not None:
            touched.rules.add(vni)
            if not rows:
                del self._of_interfaces[vni]
