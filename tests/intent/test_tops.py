"""Which nodes serve an account at a cell."""

from __future__ import annotations

import pytest

from rookery.intent import tops
from rookery.intent.tops import first_shard, tops_intent, tops_number, tops_of
from rookery.model.objects import Cell, CellAttachment, Host, NetworkInterface, Shard
from rookery.testing.things import OWNER, launch

ACCOUNT = OWNER["account"]
HOSTS = {f"node-{n}": Host(name=f"node-{n}", zone=0, address=f"100.64.240.{n}", cell="cell-a") for n in (1, 2, 3, 10)}
CELL = Cell(name="cell-a", zones=(0,), nodes=tuple(HOSTS))


def shard(*nodes: str, account: str = ACCOUNT, cell: str = "cell-a") -> Shard:
    return Shard(cell=cell, account=account, nodes=nodes)


def test_the_number_follows_from_the_names_alone():
    """Other builds of hosts and of the mapping service must agree on it."""
    assert tops_number("cell-a", "123456789012") == 0x70E040D1
    assert len({tops_number(cell, account) for cell in ("a", "b") for account in ("1", "2", "11")}) == 6


def test_zero_is_no_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tops, "blake2b", lambda *_, **__: type("Digest", (), {"digest": lambda self: bytes(4)})())
    assert tops.tops_number.__wrapped__("cell-a", "1") == 1


def test_an_interface_at_a_cell_is_of_its_own_accounts_set():
    interface: NetworkInterface = launch(1, 1, 60, "")[1]
    assert tops_of(interface) == 0
    at_cell = NetworkInterface(
        **OWNER, id=interface.id, vpc_id="vpc-1", subnet_id="subnet-1", zone="us-east-1a", mac=interface.mac,
        addresses=interface.addresses, cell_attachment=CellAttachment(cell="cell-a", of="nat-1"),
    )  # fmt: skip
    assert tops_of(at_cell) == tops_number("cell-a", ACCOUNT)


def test_addresses_are_sorted_and_nodes_without_a_row_are_left_out():
    found = tops_intent(shard("node-10", "node-9", "node-2"), CELL, HOSTS)
    assert found.addresses == ("100.64.240.10", "100.64.240.2")
    assert tops_intent(shard("node-9"), CELL, HOSTS).addresses == ()


def test_every_node_of_the_cell_may_speak_for_every_account():
    """One that drains, too."""
    drains = Cell(name="cell-a", zones=(0,), nodes=("", *HOSTS, "node-9"), draining=("node-1",))
    found = tops_intent(shard("node-1", "node-2"), drains, HOSTS)
    assert (found.addresses, found.others) == (("100.64.240.2",), ("100.64.240.1", "100.64.240.10", "100.64.240.3"))


def test_a_shard_all_of_whose_nodes_drain_keeps_them():
    drains = Cell(name="cell-a", zones=(0,), nodes=tuple(HOSTS), draining=("node-1", "node-2", "node-3"))
    found = tops_intent(shard("node-1", "node-2"), drains, HOSTS)
    assert (found.addresses, found.others) == (("100.64.240.1", "100.64.240.2"), ("100.64.240.10", "100.64.240.3"))


def test_a_shard_is_served_before_its_cell_is_known():
    assert tops_intent(shard("node-1"), None, HOSTS).addresses == ("100.64.240.1",)


def test_of_shards_with_one_number_the_first_by_name_counts():
    one, other = shard(account="2"), shard(account="1")
    assert first_shard([one, other]) is other
    assert first_shard([]) is None
