"""The data plane under Debian 12's own cloud kernel (6.1), which has no tcx and lacks many a kfunc. Each test is a boot.

    this machine (any kernel) -- qemu, Debian's kernel, this machine's files -- pytest -- programs, maps, namespaces
"""

from __future__ import annotations

import pytest

from rookery.vm.kernel import Kernel
from tests.kernels.machine import CHECKOUT, Ended, run

BOOT = 120.0  # seconds, on a busy machine
SUITE = 2400.0  # emulated, and the machine may be busy with others
PATIENCE = 900  # seconds for one test in there
SUITES = {
    "every object loads, and the bytecode does what its tests say": ("tests/dataplane",),
    "what goes out of a host comes into another": ("tests/journeys",),
    "real packets through clsact": ("tests/netns/test_dataplane_path.py",),
    "the substrate's ports": ("tests/region/test_port_guard.py", "tests/region/test_straight.py"),
}
pytestmark = pytest.mark.timeout(SUITE + BOOT)


def pytest_in(kernel: Kernel, *words: str) -> Ended:
    """A worker for each of its processors. No cache: it is forgotten. Each test is named as it ends: time may be up before the last one's does."""
    options = ("-n", "2", "--dist", "loadfile", "-v", "-p", "no:cacheprovider", f"--timeout={PATIENCE}")
    return run(kernel, (".venv/bin/python", "-m", "pytest", *options, *words), SUITE)


def test_the_machine_runs_debians_kernel_and_tells_how_a_command_ended(debian_12: Kernel) -> None:
    ended = run(debian_12, ("sh", "-c", "uname -r; exit 7"), BOOT)
    assert (ended.code, ended.output) == (7, f"{debian_12.release}\n")


def test_a_write_in_the_machine_stays_there(debian_12: Kernel) -> None:
    ended = run(debian_12, ("sh", "-c", "echo changed > README.md && cat README.md"), BOOT)
    assert ended.output == "changed\n"
    with (CHECKOUT / "README.md").open() as mine:
        assert mine.readline() != "changed\n"


@pytest.mark.parametrize("words", SUITES.values(), ids=SUITES)
def test_under_debians_kernel(debian_12: Kernel, words: tuple[str, ...]) -> None:
    ended = pytest_in(debian_12, *words)
    assert ended.code == 0, f"{ended.output[-20_000:]}\n{ended.console}"
