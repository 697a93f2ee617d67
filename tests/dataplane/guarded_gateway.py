"""A NAT gateway whose subnet has a network ACL: how far does a connection come through it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rookery.dataplane.formats import Verdict
from tests.dataplane import plan_cell, rule_rows
from tests.dataplane.cells import Cell, Journey
from tests.dataplane.plan_cell import NAT

DENIED = 88  # number of the list


def legs(cell: Cell, rules: Iterable[rule_rows.Rule], ask: Callable[[], Journey], answer: Callable[[Journey], Journey]) -> tuple[str, ...]:
    """Verdicts: of the SYN, and of what answers it where it got through. The list is gone afterwards."""
    for node in cell.nodes:
        rule_rows.put_acl(node.real, DENIED, list(rules))
        guarded = plan_cell.attachment(NAT, acl=DENIED, open_egress=0, open_ingress=0)
        node.real.attachments.put_many({plan_cell.attachment_key(NAT): guarded})
    went = ask()
    verdicts = [went.verdict.name]
    if went.verdict is Verdict.SENT:
        verdicts.append(answer(went).verdict.name)
    for node in cell.nodes:
        rule_rows.remove_lists(node.real, DENIED)
    return tuple(verdicts)
