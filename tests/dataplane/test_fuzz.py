"""The programs against the model. More: `PYTHONPATH=src:. python -m tests.dataplane.fuzz 1000000`."""

from __future__ import annotations

import os
import random

from rookery.dataplane.host import HostDataplane
from tests.dataplane.fuzz import fuzz

PACKETS = int(os.environ.get("ROOKERY_FUZZ_PACKETS", "40000"))


def test_programs_and_model_agree_on_random_packets(host_a: HostDataplane) -> None:
    verdicts = fuzz(host_a, PACKETS, seed=random.SystemRandom().randrange(1 << 32))
    assert sum(verdicts.values()) == PACKETS
    sent = {"host_egress SENT", "host_ingress DELIVERED", "host_egress DELIVERED"}
    asked = {"host_egress SERVED", "host_egress DROP_SERVICE_OPTIONS", "host_services DELIVERED"}
    assert sent | asked <= verdicts.keys()
