"""What `rookery cell` shows of nodes' reports."""

from __future__ import annotations

import time

import pytest

from rookery.cli.cell import _print_cell
from rookery.hyperplane.report import Cause, NodeReport, Share
from rookery.region.cells import CellRow, NodeRow, alarms_of, causes_of

NAT = "nat-0123456789abcdef0"
FULL = f"{NAT}: no port of 10.0.1.5 is free towards 192.0.2.80:443, tcp"
RESET = f"{NAT}: reset, for no node knows the flow: idle for more than 350 s, or never begun here"


def cause(text: str = FULL, ago: float = 5.0, *, alarm: bool = True) -> Cause:
    now = time.time()
    what = "drop_ports_exhausted" if alarm else "reset"
    return Cause(what=what, of=NAT, cause=text, seen=3, first=now - ago, last=now - ago, alarm=alarm)


def node(name: str = "node-1", problem: str = "", **said: object) -> NodeRow:
    given = {"epoch": 9, "hash": "ab" * 32, "rate": 123.4, "flows": 40, "resting": 6, "directives": 7, "packets": 5000, "dropped": 2} | said
    report = NodeReport(node=name, time=time.time(), **given)
    return NodeRow(name=name, address="100.64.1.212", draining=False, in_ring=True, shards=1, report=report, problem=problem)


def shown(capsys: pytest.CaptureFixture[str], *nodes: NodeRow) -> str:
    _print_cell(CellRow(name="cell-1", epoch=9, nodes=list(nodes), alarms=alarms_of(nodes), causes=causes_of(nodes)))
    return capsys.readouterr().out


def test_the_load_of_a_node_is_told_with_the_account_that_has_the_least_room(capsys: pytest.CaptureFixture[str]):
    text = shown(capsys, node(fullest=Share(account="123456789012", flows=40, allowed=80)))
    row = next(line for line in text.splitlines() if line.startswith("node-1"))
    assert row.split()[-10:] == ["123", "40", "6", "7", "50.0%", "of", "123456789012's", "5000", "2", "ok"]
    assert "ALARM" not in text


def test_what_is_missing_somewhere_and_what_is_wrong_with_a_node_are_alarms(capsys: pytest.CaptureFixture[str]):
    text = shown(capsys, node("node-1", "it goes by a file of 12 s ago"), node("node-2", causes=(cause(),)), node("node-3", causes=(cause(ago=9),)))
    alarms = [line for line in text.splitlines() if line.startswith("ALARM")]
    assert alarms == ["ALARM  node-1: it goes by a file of 12 s ago", f"ALARM  {FULL}"]  # once, though two nodes say it


def test_resets_and_what_was_missing_long_ago_are_no_alarms_and_are_told_as_causes(capsys: pytest.CaptureFixture[str]):
    text = shown(capsys, node(causes=(cause(RESET, 2, alarm=False), cause(ago=4000))))
    assert "ALARM" not in text
    told = [line for line in text.splitlines() if NAT in line]
    assert [line.split()[:2] for line in told] == [["2", "s"], ["66", "min"]]
    assert "reset" in told[0] and "drop_ports_exhausted" in told[1]


def test_a_node_that_has_said_nothing_fills_its_row(capsys: pytest.CaptureFixture[str]):
    silent = NodeRow(name="node-9", address="100.64.1.9", draining=True, in_ring=False, shards=0, problem="it has reported nothing yet")
    assert "node-9" in shown(capsys, silent)
