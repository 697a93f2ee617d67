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


def test_what_shares_something_reaches_one_worker():
    """pytest-xdist names the group behind the test: had it not, whatever a file builds would be built in every worker."""
    command = [sys.executable, "-m", "pytest", "-v", "-n", "1", "--dist", "loadgroup", "tests/host/test_answers.py"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "@tests.host.test_answers" in done.stdout
