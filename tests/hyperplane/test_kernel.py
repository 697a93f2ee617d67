"""Rules of attachments: there before a file's rows name them, and until no row does."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from rookery.dataplane.formats import AttachmentKey
from rookery.hyperplane.cell_file import CellFile, Refused
from rookery.hyperplane.kernel import NodeKernel
from rookery.intent.host import AclEntryIntent, AclIntent, HostIntent, RouteIntent
from rookery.mapping.protocol import Delta
from tests.hyperplane.fake_tables import FakeTable, FakeTables, Sizes
from tests.hyperplane.files import attachment, file

WAYS = ("mappings", "delegated", "forwarders", "routes", "gateways", "tops", "peerings", "edge_nodes", "rule_addresses", "rule_groups", "rule_ports")


class Tables(FakeTables):
    def __init__(self) -> None:
        super().__init__(Sizes(services=4, targets=16))
        for name in WAYS:
            setattr(self, name, FakeTable())


def acl(cidr: str, number: int = 1) -> AclIntent:
    entry = AclEntryIntent(number=100, egress=True, allow=True, protocol=6, cidr=cidr, from_port=443, to_port=443)
    return AclIntent(id="acl-1", number=number, vni=1, entries=(entry,))


def intent(*rules, generation=1) -> HostIntent:
    return HostIntent(host="node-1", generation=generation, rules={rule.key: rule for rule in rules})


@pytest.fixture
def tables():
    return Tables()


@pytest.fixture
def kernel(tables):
    return NodeKernel(tables, 1, has_intent=False)


def gate(tables) -> int:
    """The name of the list of rules that the attachment's subnet asks, in the half that is read."""
    return tables.attachments.rows[AttachmentKey(tables.config.half, 1, 1)].acl


def lists(tables) -> set[int]:
    return {key.list for key in tables.rule_ports.rows} | {key.list for key in tables.rule_addresses.rows}


def test_an_attachment_whose_rules_are_not_known_yet_lets_nothing_pass(kernel, tables):
    kernel.take(file(1), 0)
    assert gate(tables) == 0


def test_a_node_that_is_born_takes_no_file_before_it_knows_ways(tables):
    """It would answer probes, and drop what comes then."""
    newborn = NodeKernel(tables, 1)
    with pytest.raises(Refused):
        newborn.take(file(1), 0)
    assert tables.config.epoch == 0
    newborn.become(intent(acl("10.0.0.0/8")))
    newborn.take(file(1), 0)
    assert tables.config.epoch == 1 and gate(tables) in lists(tables) - {0}


def test_a_new_agent_takes_a_file_before_its_first_intent(kernel, tables):
    """What its predecessor was told is in the kernel."""
    kernel.become(intent(acl("10.0.0.0/8")))
    kernel.take(file(1), 0)
    NodeKernel(tables, 1).take(file(2), 0)
    assert tables.config.epoch == 2 and gate(tables) in lists(tables) - {0}


def test_the_next_file_finds_the_rules(kernel, tables):
    kernel.take(file(1), 0)
    kernel.become(intent(acl("10.0.0.0/8")))
    kernel.take(file(2), 0)
    assert gate(tables) in lists(tables) - {0}


def test_rules_that_changed_stay_until_no_half_that_is_read_names_them(kernel, tables):
    kernel.become(intent(acl("10.0.0.0/8")))
    kernel.take(file(1), 0)
    old = gate(tables)
    changed = acl("192.168.0.0/16")
    kernel.change(_delta(changed))
    assert gate(tables) == old and old in lists(tables)
    kernel.take(file(2), 0)
    assert gate(tables) not in (0, old)
    assert lists(tables) == {gate(tables)}


def _delta(*rules) -> Delta:
    return msgspec.structs.replace(Delta(base=1, generation=2), put_rules=list(rules))


def leads(table: int, *destinations: str) -> list[RouteIntent]:
    return [RouteIntent(table=table, destination=one, kind="internet") for one in destinations]


def moved(number: int, table: int) -> CellFile:
    """A file whose attachment asks this route table."""
    one = msgspec.structs.replace(file(1).intent, attachments=(attachment(1, route_table=table),), services=())
    return file(number, intent=one)


def routed(*routes: RouteIntent) -> HostIntent:
    return msgspec.structs.replace(intent(), routes={one.key: one for one in routes})


def tables_led(tables) -> dict[int, int]:
    """Route tables, and how many routes there are of each."""
    return Counter(key.table for key in tables.routes.rows)


def test_a_table_that_the_subnet_leaves_is_asked_until_a_file_says_so(kernel, tables):
    """Or an attachment would lead nowhere for as long as the object store is away."""
    kernel.become(routed(*leads(5, "0.0.0.0/0", "10.0.0.0/8")))
    kernel.take(moved(1, 5), 0)
    other = Delta(base=1, generation=2, put_routes=leads(6, "0.0.0.0/0"), delete_routes=[(5, "0.0.0.0/0"), (5, "10.0.0.0/8")])
    kernel.change(other)
    assert tables_led(tables) == {5: 2, 6: 1} and kernel.heal() == 0
    kernel.become(routed(*leads(6, "0.0.0.0/0")))
    assert tables_led(tables) == {5: 2, 6: 1}
    kernel.take(moved(2, 6), 0)
    assert tables_led(tables) == {6: 1} and kernel.heal() == 0


def asked(tables) -> int:
    """The route table of the attachment, in the half that is read."""
    return tables.attachments.rows[AttachmentKey(tables.config.half, 1, 1)].route_table


def test_a_file_that_is_faster_than_the_intent_leads_nobody_astray(kernel, tables):
    """The subnet has another route table, of which this node has not heard yet: the file is taken again when it has."""
    kernel.become(routed(*leads(5, "0.0.0.0/0")))
    kernel.take(moved(1, 5), 0)
    for epoch in (2, 3):
        kernel.take(moved(epoch, 6), 0)
        assert asked(tables) == 5 and kernel.waits and tables_led(tables) == {5: 1}
    kernel.change(Delta(base=1, generation=2, put_routes=leads(6, "0.0.0.0/0"), delete_routes=[(5, "0.0.0.0/0")]))
    assert tables_led(tables) == {5: 1, 6: 1}
    kernel.take(moved(3, 6), 0)
    assert asked(tables) == 6 and tables_led(tables) == {6: 1}


def test_a_file_that_names_rules_before_the_intent_does_keeps_those_that_were(kernel, tables):
    """The subnet has another network ACL."""
    kernel.become(intent(acl("10.0.0.0/8")))
    kernel.take(file(1), 0)
    old = gate(tables)
    other = msgspec.structs.replace(file(2).intent, attachments=(attachment(1, acl=2), attachment(2, acl=2)))
    kernel.take(file(2, intent=other), 0)
    assert gate(tables) == old and old in lists(tables) and kernel.waits
    kernel.change(_delta(acl("192.168.0.0/16", number=2)))
    kernel.take(file(2, intent=other), 0)
    assert gate(tables) in lists(tables) - {0, old}


def test_what_is_known_does_not_wait(kernel, tables):
    rules = acl("10.0.0.0/8")
    kernel.become(msgspec.structs.replace(routed(*leads(1, "0.0.0.0/0")), rules={rules.key: rules}))
    kernel.take(file(1), 0)
    assert not kernel.waits


def test_a_new_attachment_of_a_table_that_is_not_known_yet_is_there_and_waits(kernel, tables):
    kernel.become(intent(acl("10.0.0.0/8")))
    kernel.take(file(1), 0)
    assert asked(tables) == 1 and kernel.waits


def test_a_route_that_is_deleted_is_gone_at_once(kernel, tables):
    kernel.become(routed(*leads(5, "0.0.0.0/0", "10.0.0.0/8")))
    kernel.take(moved(1, 5), 0)
    kernel.change(Delta(base=1, generation=2, delete_routes=[(5, "0.0.0.0/0")]))
    assert tables_led(tables) == {5: 1}


def test_a_table_to_which_the_subnet_returns_has_the_routes_of_then(kernel, tables):
    kernel.become(routed(*leads(5, "0.0.0.0/0", "10.0.0.0/8")))
    kernel.take(moved(1, 5), 0)
    kernel.change(Delta(base=1, generation=2, delete_routes=[(5, "0.0.0.0/0"), (5, "10.0.0.0/8")]))
    kernel.change(Delta(base=2, generation=3, put_routes=leads(5, "10.0.0.0/8")))
    assert tables_led(tables) == {5: 1} and kernel.heal() == 0


def test_a_table_that_nobody_asks_goes_with_its_routes(kernel, tables):
    kernel.become(routed(*leads(5, "0.0.0.0/0"), *leads(7, "0.0.0.0/0")))
    kernel.take(moved(1, 5), 0)
    kernel.change(Delta(base=1, generation=2, delete_routes=[(7, "0.0.0.0/0")]))
    assert tables_led(tables) == {5: 1}


def test_a_pass_over_the_tables_mends_what_somebody_changed(kernel, tables):
    kernel.become(intent(acl("10.0.0.0/8")))
    kernel.take(file(1), 0)
    before = dict(tables.rule_addresses.rows)
    tables.rule_addresses.rows.clear()
    assert kernel.heal() == len(before)
    assert tables.rule_addresses.rows == before


def test_what_was_attached_with_another_subnets_rules_gets_none(kernel, tables):
    kernel.become(intent(acl("10.0.0.0/8", number=7)))
    one = msgspec.structs.replace(file(1).intent, attachments=(attachment(1, acl=8),), services=())
    kernel.take(file(1, intent=one), 0)
    assert gate(tables) == 0


def test_the_next_agent_keeps_the_rules_that_it_finds_until_it_knows_better(kernel, tables):
    kernel.become(intent(acl("10.0.0.0/8")))
    kernel.take(file(1), 0)
    known = gate(tables)
    successor = NodeKernel(tables, 1)
    successor.take(file(2), 0)
    assert gate(tables) == known != 0
    assert known in lists(tables)
    successor.become(intent(acl("10.9.0.0/16")))
    successor.take(file(3), 0)
    assert gate(tables) not in (known, 0)
