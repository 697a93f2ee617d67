"""Minutes on an emulated processor: only on request. What is missing then is an error, and no reason to skip."""

from __future__ import annotations

import os

import pytest

from rookery.vm.kernel import Kernel, newest
from tests.kernels.machine import CHECKOUT


@pytest.fixture(scope="session")
def debian_12() -> Kernel:
    if "ROOKERY_TEST_KERNELS" not in os.environ:
        pytest.skip("boots another kernel, which takes minutes: make test-kernels")
    return newest(CHECKOUT / "build" / "kernels")
