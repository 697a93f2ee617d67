"""The pages about the packet's path name everything that there is."""

from __future__ import annotations

from pathlib import Path

from rookery.dataplane.formats import Verdict
from rookery.trace.words import VERDICTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
STAGES = DOCS.parent / "bpf" / "stages"
NO_STAGE = {"packet.h", "report.h", "tables.h", "host_tables.h", "edge_tables.h", "cell_tables.h", "wrapping.h", "icmp.h", "ipv6.h", "device.h", "substrate.h"}


def test_every_verdict_is_on_the_page_with_its_sentence() -> None:
    page = (DOCS / "life-of-a-packet.md").read_text()
    assert [v.name for v, sentence in VERDICTS.items() if f"| {v.name} | {sentence} |" not in page] == []
    steps = page.split("## Every verdict")[0]
    assert [v.name for v in Verdict if v.name.startswith("DROP_") and v.name not in steps] == []


def test_every_stage_is_on_the_page() -> None:
    page = (DOCS / "life-of-a-packet.md").read_text()
    assert {f.name for f in STAGES.iterdir()} - NO_STAGE == {w for w in page.split("`") if w.endswith(".h")}


def test_the_wire_format_page_has_the_constants() -> None:
    page = (DOCS / "wire-format.md").read_text()
    assert all(word in page for word in ("6081", "0x6558", "0xff52", "66 bytes", "0x9e3779b1"))
