"""The checkout agrees with itself: style, types, pinned packages, one list of each."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("tool", [("ruff", "check", "."), ("mypy",)], ids=("ruff", "mypy"))
def test_the_tool_has_nothing_to_say(tool):
    command = [sys.executable, "-m", *tool]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_direct_dependency_is_pinned_to_the_same_version_for_the_environment():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    direct = {*project["dependencies"], *project["optional-dependencies"]["test"]}
    locked = set((CHECKOUT / "tools/requirements.txt").read_text().split("\n"))
    assert {pin.lower() for pin in direct} <= {pin.lower() for pin in locked}


def test_every_package_of_the_environment_is_pinned():
    lines = (CHECKOUT / "tools/requirements.txt").read_text().splitlines()
    loose = [
        line for line in lines if not line.startswith("#") and not re.fullmatch(r"[\w.-]+==[\w.]+", line)
    ]
    assert loose == []


def test_tests_of_the_machine_are_collected_without_xdist_too():
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:xdist", "tests/region/test_substrate.py"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_tests_of_a_file_run_in_one_worker():
    """Were they spread, each worker would build for itself what the file builds once, and all would still pass."""
    files = ["tests/host/test_answers.py", "tests/host/test_guest.py", "tests/host/test_plan.py"]
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *files]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    ran = set(re.findall(r"^\[(gw\d)\].* PASSED (\S+?)::", done.stdout, re.MULTILINE))
    assert sorted(file for _, file in ran) == files
