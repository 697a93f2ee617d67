"""The rules of every VPC: its group sets and forwarders, its policies and network ACLs, its peerings.

Group sets and forwarders are counted interface by interface, and are the VPC's (rookery.mapping.vpc_rules): a host that holds it has
them all. Policies and network ACLs are made when a host needs them and kept until something in their VPC is touched; what a host
needs of them is put together without going through interfaces.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from rookery.intent.gateways import block_intents, edge_intents
from rookery.intent.groups import distinct
from rookery.intent.host import (
    AclIntent,
    GroupSetIntent,
    MappingIntent,
    NameIntent,
    PolicyIntent,
    PublicIntent,
    RuleIntent,
    RuleKey,
)
from rookery.intent.instance import forwarder_intent
from rookery.intent.names import zone_intents
from rookery.intent.peering import peering_intents
from rookery.intent.policy import acl_intent, policy_intent
from rookery.mapping.facts import InterfaceFacts, VpcFacts
from rookery.mapping.relations import Relations
from rookery.mapping.share import GroupsIn, Needs
from rookery.mapping.vpc_rules import VpcRules


class Rules:
    def __init__(self, relations: Relations):
        self._relations = relations
        self.of_vpcs = VpcRules()
        self.of_edges = VpcRules()  # what edges alone have of a VPC: its public addresses
        self._publics: dict[str, tuple[PublicIntent, ...]] = {}  # by interface id
        self._names: dict[str, tuple[NameIntent, ...]] = {}  # by instance id
        self._members: Counter[tuple[int, int]] = Counter()  # (VNI, group set) -> interfaces
        self._tops: defaultdict[int, Counter[int]] = defaultdict(Counter)  # VNI -> number of a set of nodes -> interfaces
        self._policies: defaultdict[int, dict[GroupsIn, PolicyIntent]] = defaultdict(dict)  # by VNI
        self._acls: defaultdict[int, dict[int, AclIntent]] = defaultdict(dict)  # by VNI and number

    def settle_interface(self, fact: InterfaceFacts, rows: tuple[MappingIntent, ...]) -> set[int]:
        """`rows`: the mappings that it claims from now on, instead of `fact.rows`. The VPCs whose interfaces are served by others
        than before."""
        was, now = (fact.rows[0] if fact.rows else None), (rows[0] if rows else None)
        self._settle_group_set(fact, was, now)
        self._settle_forwarder(fact, was, now)
        return self._settle_tops(was, now)

    def settle_publics(self, changed: dict[str, tuple[PublicIntent, ...]]) -> None:
        """By interface: all that it has from now on. What leaves goes before what comes: an address may move from one to
        another."""
        for interface in changed:
            for row in self._publics.pop(interface, ()):
                self.of_edges.delete(row.vni, row.key)
        for interface, rows in changed.items():
            for row in rows:
                self.of_edges.put(row.vni, row)
            if rows:
                self._publics[interface] = rows

    def layers(self, is_edge: bool) -> tuple[VpcRules, ...]:
        """What is the same for all that hold a VPC."""
        return (self.of_vpcs, self.of_edges) if is_edge else (self.of_vpcs,)

    def settle_names(self, instance: str, names: tuple[NameIntent, ...]) -> None:
        """`names`: all that the instance has from now on."""
        kept = {row.key for row in names}
        for row in self._names.pop(instance, ()):
            if row.key not in kept:
                self.of_vpcs.delete(row.vni, row.key)
        for row in names:
            self.of_vpcs.put(row.vni, row)
        if names:
            self._names[instance] = names

    def forget(self, vnis: Iterable[int]) -> None:
        """What was made in VPCs that were touched."""
        for vni in vnis:
            self._policies.pop(vni, None)
            self._acls.pop(vni, None)

    def of(self, needs: Needs, is_edge: bool, held: Iterable[int]) -> dict[RuleKey, RuleIntent]:
        """What a host, an edge or a node has beside layers(); as rookery.intent.whole has it. `held`: VNIs, of peers too."""
        rows = self._of_edge(needs) if is_edge else self._of_needs(needs)
        edges = edge_intents(self._relations.hosts.values())
        return {row.key: row for row in (*rows, *edges, *self._tops_in(held))}

    def _tops_in(self, vnis: Iterable[int]) -> Iterator[RuleIntent]:
        numbers = {number for vni in vnis for number in self._tops.get(vni, ())}
        return filter(None, map(self._relations.tops_numbered, numbers))

    def _of_edge(self, needs: Needs) -> Iterator[RuleIntent]:
        for vpc in filter(None, map(self._relations.vpc_numbered.get, needs.vnis)):
            yield from self._gateway(vpc)
            yield from block_intents(vpc)

    def _gateway(self, vpc: VpcFacts) -> Iterator[RuleIntent]:
        gateway = self._relations.gateway_of(vpc)
        if gateway:
            yield gateway

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
            yield from self._gateway(vpc)

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
        self, fact: InterfaceFacts, was: MappingIntent | None, now: MappingIntent | None
    ) -> None:
        left = (was.vni, was.group_set) if was and was.group_set else None
        joined = (now.vni, now.group_set) if now and now.group_set else None
        if left == joined:
            return
        if joined:
            self._members[joined] += 1
            if self._members[joined] == 1:
                row = GroupSetIntent(number=joined[1], groups=distinct(fact.groups))
                self.of_vpcs.put(joined[0], row)
        if left:
            self._leave(left)

    def _leave(self, group_set: tuple[int, int]) -> None:
        self._members[group_set] -= 1
        if not self._members[group_set]:
            del self._members[group_set]
            self.of_vpcs.delete(group_set[0], ("group-set", group_set[1], 0))

    def _settle_tops(self, was: MappingIntent | None, now: MappingIntent | None) -> set[int]:
        left, joined = ((row.vni, row.tops) if row and row.tops else None for row in (was, now))
        if left == joined:
            return set()
        moved = set()
        if joined and not self._tops[joined[0]][joined[1]]:
            moved.add(joined[0])
        if joined:
            self._tops[joined[0]][joined[1]] += 1
        if left and self._leave_tops(*left):
            moved.add(left[0])
        return moved

    def _leave_tops(self, vni: int, number: int) -> bool:
        """Whether no interface of the VPC is served by them any more."""
        served = self._tops[vni]
        served[number] -= 1
        if served[number]:
            return False
        del served[number]
        if not served:
            del self._tops[vni]
        return True

    def _settle_forwarder(
        self, fact: InterfaceFacts, was: MappingIntent | None, now: MappingIntent | None
    ) -> None:
        wanted = forwarder_intent(now) if now and self._forwards(fact) else None
        if was and (wanted is None or was.vni != wanted.vni):
            self.of_vpcs.delete(was.vni, ("forwarder", was.vni, was.interface))
        if wanted:
            self.of_vpcs.put(wanted.vni, wanted)

    def _forwards(self, fact: InterfaceFacts) -> bool:
        vpc, _ = self._relations.vpc_of(fact)
        return bool(fact.cell_attachment) or not fact.source_dest_check or (vpc is not None and self._relations.is_target(fact.id, vpc.id))
