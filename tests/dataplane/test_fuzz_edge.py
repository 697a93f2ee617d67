"""An edge's programs against the model. More: `PYTHONPATH=src:. python -m tests.dataplane.fuzz_edge 1000000`."""

from __future__ import annotations

import os
import random

from tests.dataplane.edges import Edge
from tests.dataplane.fuzz_edge import fuzz

PACKETS = int(os.environ.get("ROOKERY_FUZZ_PACKETS", "40000"))


def test_programs_and_model_agree_on_random_packets(edge: Edge) -> None:
    verdicts = fuzz(edge, PACKETS, seed=random.SystemRandom().randrange(1 << 32))
    assert sum(verdicts.values()) == PACKETS
    common = {"SENT", "ANSWERED", "NOT_OURS", "DROP_NO_GATEWAY", "DROP_NO_PUBLIC_ADDRESS", "DROP_PRIVATE_DESTINATION",
              "DROP_PRIVATE_SOURCE", "DROP_UNKNOWN_PUBLIC_ADDRESS"}  # fmt: skip
    assert common <= {verdict.split()[1] for verdict in verdicts}
