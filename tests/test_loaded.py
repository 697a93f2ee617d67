"""What a part of a region does not need, it does not load: a region of ten machines has some twenty processes of Python, each of which pays."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKED = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"
TOOLS = {"botocore", "boto3", "scapy", "pytest", "numpy", "cryptography", "pyroute2.ndb", "pyroute2.ipdb", "sqlite3"}
PARTS = {
    "rookery.host.__main__": TOOLS,
    "rookery.host.services.__main__": TOOLS | {"pyroute2"},
    "rookery.blackfoot.__main__": TOOLS,
    "rookery.hyperplane.__main__": TOOLS,
    "rookery.hyperplane.controller": TOOLS | {"pyroute2", "websockets"},
    "rookery.metrics.__main__": TOOLS | {"pyroute2", "websockets"},
    "rookery.mapping.__main__": TOOLS | {"pyroute2"},
    "rookery.region.status": TOOLS | {"pyroute2", "websockets"},
}


@pytest.mark.parametrize("module", PARTS)
def test_a_part_loads_only_what_it_needs(module):
    done = subprocess.run([sys.executable, "-c", ASKED, module], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & PARTS[module] == set()
