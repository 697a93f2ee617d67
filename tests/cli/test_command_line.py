"""The command line from outside: speed, help, and what is said about wrong input. No region runs here."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COMMANDS = [
    "up",
    "down",
    "status",
    "wait",
    "env",
    "reset",
    "exec",
    "flow",
    "mappings",
    "trace",
    "watch",
    "doctor",
    "tour",
]


def rookery(*words: str, cwd: Path = CHECKOUT, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(CHECKOUT / "rookery"), *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


def absent() -> str:
    return f"t{secrets.token_hex(4)}"


def test_help_answers_at_once():
    """Counted as CPU time, so that a busy machine fails nobody: what is slow is importing too much."""

    def seconds() -> float:
        began = os.times()
        assert rookery("--help").returncode == 0
        ended = os.times()
        return ended.children_user + ended.children_system - began.children_user - began.children_system

    assert min(seconds() for _ in range(5)) < 0.4


@pytest.mark.parametrize("command", [*COMMANDS, "keys"])
def test_every_command_has_help(command: str):
    done = rookery(command, "--help")
    assert done.returncode == 0
    assert f"rookery {command}" in done.stdout


def test_it_runs_from_any_folder_through_a_link(tmp_path: Path):
    link = tmp_path / "rk"
    link.symlink_to(CHECKOUT / "rookery")
    done = subprocess.run([link, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0


def test_a_checkout_that_is_not_set_up_says_how(tmp_path: Path):
    (tmp_path / "rookery").write_bytes((CHECKOUT / "rookery").read_bytes())
    (tmp_path / "rookery").chmod(0o755)
    done = subprocess.run([tmp_path / "rookery", "up"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"make -C {tmp_path} setup" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("env",),
        ("flow", "10.0.0.5:1234"),
        ("mappings",),
        ("exec", "i-1", "--", "true"),
        ("trace", "i-1", "10.0.0.1"),
        ("wait", "3"),
        ("keys", "add", "AKIA", "secret"),
        ("reset",),
        ("watch",),
    ],
    ids=lambda words: words[0],
)
def test_a_region_that_is_not_running_is_said_so_in_one_line(words: tuple[str, ...]):
    name = absent()
    done = rookery(*words, ROOKERY_NAME=name)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"rookery: the region {name} is not running; start it with: {CHECKOUT}/rookery up --name {name}\n"
    )


def test_down_of_a_region_that_is_not_there_says_so_and_succeeds():
    name = absent()
    done = rookery("down", "--name", name)
    assert (done.returncode, done.stdout) == (0, f"There is no region {name} on this machine.\n")


@pytest.mark.parametrize("name", ["no-hyphens", "../../etc", "UPPER", "x" * 17])
@pytest.mark.parametrize("command", ["up", "down", "status", "doctor"])
def test_a_name_that_cannot_be_is_refused_before_anything_happens(command: str, name: str):
    existed = Path("/run/rookery", name).exists()  # "../../etc" does
    done = rookery(command, "--name", name)
    assert done.returncode == 1
    assert "cannot name a region" in done.stderr
    assert Path("/run/rookery", name).exists() == existed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--hosts", "0"), "0 hosts"),
        (("--zones", "3", "--hosts", "2"), "3 zones"),
        (("--port", "70000"), "port 70000"),
        (("--hosts", "many"), "integer"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_and_leaves_nothing(options: tuple[str, ...], said: str):
    name = absent()
    done = rookery("up", "--name", name, *options)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert not Path("/var/lib/rookery", name).exists()
    assert not Path("/run/rookery", name).exists()


def test_a_port_that_somebody_has_is_named_with_what_to_do():
    name = absent()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = rookery("up", "--name", name, "--port", str(port))
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be used: Address already in use" in done.stderr
    assert "--port NUMBER" in done.stderr
    assert not Path("/var/lib/rookery", name).exists()


def test_doctor_tells_findings_as_data():
    done = rookery("doctor", "--json", "--name", absent())
    assert '"what": "bpf filesystem"' in done.stdout


def test_two_kinds_of_probe_at_once_are_refused():
    done = rookery("trace", "a", "b", "--tcp", "1", "--udp", "2", ROOKERY_NAME=absent())
    assert done.returncode == 2
    assert "one of --tcp, --udp and --icmp" in done.stderr
