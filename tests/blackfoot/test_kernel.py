"""The edge's tables follow the intent: public addresses move between interfaces, and none leads where it should not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rookery.blackfoot import rows
from rookery.blackfoot.kernel import EdgeKernel
from rookery.dataplane.addresses import address_bytes
from rookery.dataplane.formats import MappingKey, PublicKey
from rookery.intent.host import BlockIntent, GatewayIntent, HostIntent, PublicIntent, RuleIntent
from rookery.mapping.protocol import Delta
from tests.host.journal import FakeMap, a_mapping

TABLES = ("mappings", "delegated", "routes", "forwarders", "gateways", "tops", "publics", "translations", "blocks")
GATEWAY = GatewayIntent(vni=7, internet=True, egress_only=False)
BLOCK = BlockIntent(cidr="2001:db8:7::/56", vni=7)


class Maps:
    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        for name in TABLES:
            setattr(self, name, FakeMap(name, self.entries))

    @property
    def rows(self) -> dict[str, dict]:
        return {name: getattr(self, name).rows for name in TABLES}


def public(last: int, interface: int, vni: int = 7) -> PublicIntent:
    return PublicIntent(address=f"203.0.113.{last}", vni=vni, interface=interface, private=f"10.7.1.{interface}")


def an_intent(*rules: RuleIntent) -> HostIntent:
    mappings = {m.key: m for m in map(a_mapping, (5, 6))}
    return HostIntent(host="edge-1", generation=1, mappings=mappings, rules={rule.key: rule for rule in rules})


def inward(maps: Maps) -> dict[str, int]:
    """Last byte of each public address -> interface."""
    return {key.address[-1]: row.interface for key, row in maps.publics.rows.items()}


def outward(maps: Maps) -> dict[int, int]:
    """Interface -> last byte of its public address."""
    return {key.address[-1]: row.public[-1] for key, row in maps.translations.rows.items()}


def following(*rules: RuleIntent) -> tuple[Maps, EdgeKernel]:
    maps = Maps()
    kernel = EdgeKernel(maps)
    kernel.become(an_intent(*rules))
    return maps, kernel


def change(kernel: EdgeKernel, put: list[RuleIntent] = [], delete: list[RuleIntent] = []) -> None:  # noqa: B006
    kernel.change(Delta(base=1, generation=2, put_rules=put, delete_rules=[rule.key for rule in delete]))


def test_a_public_address_leads_both_ways_and_a_block_to_its_vpc():
    maps, kernel = following(GATEWAY, BLOCK, public(9, 5))
    assert maps.publics.rows == rows.publics([public(9, 5)])
    assert maps.publics.rows[PublicKey(address_bytes("203.0.113.9"))].private == address_bytes("10.7.1.5")
    assert maps.translations.rows[MappingKey(7, address_bytes("10.7.1.5"))].public == address_bytes("203.0.113.9")
    assert kernel.announced_blocks == ["2001:db8:7::/56"]
    assert len(maps.gateways.rows) == 1


def test_an_address_that_moves_leaves_its_old_interface_without_a_way_out():
    maps, kernel = following(GATEWAY, public(9, 5))
    change(kernel, [public(9, 6)])
    assert (inward(maps), outward(maps)) == ({9: 6}, {6: 9})


def test_another_address_takes_the_place_of_the_first_in_one_step_or_in_two():
    maps, kernel = following(GATEWAY, public(9, 5))
    change(kernel, [public(8, 5)], [public(9, 5)])
    assert (inward(maps), outward(maps)) == ({8: 5}, {5: 8})
    change(kernel, [public(7, 5)])
    change(kernel, delete=[public(8, 5)])
    assert (inward(maps), outward(maps)) == ({7: 5}, {5: 7})


def test_two_addresses_that_change_places_both_lead_on():
    maps, kernel = following(GATEWAY, public(9, 5), public(8, 6))
    change(kernel, [public(8, 5), public(9, 6)])
    assert (inward(maps), outward(maps)) == ({8: 5, 9: 6}, {5: 8, 6: 9})


def test_a_released_address_leads_nowhere():
    maps, kernel = following(GATEWAY, BLOCK, public(9, 5))
    change(kernel, delete=[public(9, 5), BLOCK, GATEWAY])
    assert (inward(maps), outward(maps)) == ({}, {})
    assert (kernel.announced_blocks, maps.gateways.rows) == ([], {})


def test_an_address_comes_after_the_mapping_it_leads_to_and_goes_before_it():
    maps, kernel = following(GATEWAY)
    maps.entries.clear()
    there = a_mapping(9)
    kernel.change(Delta(base=1, generation=2, put_mappings=[there], put_rules=[public(3, 9)]))
    kernel.change(Delta(base=2, generation=3, delete_mappings=[there.key], delete_rules=[public(3, 9).key]))
    assert maps.entries == [
        ("put", "mappings"), ("put", "translations"), ("put", "publics"),
        ("delete", "publics"), ("delete", "translations"), ("delete", "mappings"),
    ]  # fmt: skip


def test_nothing_is_mended_before_the_first_intent_and_every_table_after_it():
    maps = Maps()
    maps.publics.rows = rows.publics([public(1, 5)])
    kernel = EdgeKernel(maps)
    assert kernel.heal() == 0
    kernel.become(an_intent(GATEWAY, public(9, 5)))
    maps.publics.rows |= rows.publics([public(1, 6)])
    maps.translations.rows.clear()
    assert kernel.heal() == 2
    assert (inward(maps), outward(maps)) == ({9: 5}, {5: 9})


ASSOCIATED = st.dictionaries(st.integers(1, 6), st.integers(5, 9), max_size=5).map(
    lambda by_address: {interface: last for last, interface in by_address.items()}
)


@given(st.lists(ASSOCIATED, min_size=1, max_size=6))
def test_after_any_row_of_changes_the_tables_are_those_of_a_snapshot(states: list[dict[int, int]]):
    maps, kernel = following()
    before: dict = {}
    for state in states:
        now = {rule.key: rule for rule in (public(last, interface) for interface, last in state.items())}
        changed = [rule for key, rule in now.items() if before.get(key) != rule]
        change(kernel, changed, [rule for key, rule in before.items() if key not in now])
        before = now
        whole = Maps()
        EdgeKernel(whole).become(an_intent(*now.values()))
        assert {k: maps.rows[k] for k in ("publics", "translations")} == {k: whole.rows[k] for k in ("publics", "translations")}
