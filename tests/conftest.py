"""What all tests share: how they are spread over two workers, and a region to talk to.

    region         one running region for the whole session: end-to-end tests make VPCs of their own in it
    fresh_region   a factory of regions of one's own, for tests that kill parts; they go away with the test
    module_region  the same; they go away with the file

Two workers share the tests (make test). What shares something runs in one of them, one after the other:

    group "region"    what talks to the session's region: there is one
    group "faults"    what kills parts and measures how long that is felt: no two of these at a time
    a file            the rest: what a module builds is built once
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
REAL = ("real_packets", "faults")
LONGEST = ("region", "faults", "tests.api.test_terraform", "tests.api.test_ansible", "tests.netns.test_dataplane_path")
REGION_FIXTURES = {"region", "fresh_region", "module_region"}


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in this same hook, and would come before a conftest
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if REGION_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real_packets)
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=longest_groups_first)  # of equals, the order stays


def group(item: pytest.Item) -> str:
    if item.get_closest_marker("faults"):
        return "faults"
    if "region" in getattr(item, "fixturenames", ()):
        return "region"
    return item.location[0].removesuffix(".py").replace("/", ".")


def longest_groups_first(item: pytest.Item) -> int:
    """What is short comes last, so that both workers end at about the same time."""
    if group(item) in LONGEST:
        return LONGEST.index(group(item))
    return len(LONGEST) + (item.get_closest_marker("real_packets") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if os.geteuid() and any(item.get_closest_marker(mark) for mark in REAL):
        pytest.fail("this test builds namespaces: run the tests as root", pytrace=False)


@dataclass(frozen=True)
class RunningRegion:
    name: str
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rookery(
        self, *words: str, given: bytes = b"", timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """`./rookery WORDS` about this region; the result, whatever its exit code."""
        return subprocess.run(
            [CHECKOUT / "rookery", *words],
            input=given,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=os.environ | {"ROOKERY_NAME": self.name},
        )

    def asked(self, *words: str) -> Any:
        """What a command that succeeds prints with --json."""
        done = self.rookery(words[0], "--json", *words[1:])
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def client(
        self, service: str = "ec2", region: str = "us-east-1", key: tuple[str, str] | None = None
    ) -> Any:
        """A boto3 client that signs with `key` (access key, secret), or with the region's first one."""
        import boto3  # noqa: PLC0415 - half a second that pure tests need not wait
        from botocore.config import Config  # noqa: PLC0415

        access, secret = key or self.first_key()
        return boto3.Session().client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, parameter_validation=True),
        )

    def first_key(self) -> tuple[str, str]:
        variables = self.asked("env")
        return variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]

    def new_account(self) -> tuple[str, tuple[str, str]]:
        """(account id, key): an account that nobody else has used."""
        account = f"{secrets.randbelow(10**12):012d}"
        key = (f"AKIATEST{secrets.token_hex(6).upper()}", secrets.token_hex(20))
        done = self.rookery("keys", "add", *key, "--account", account)
        assert done.returncode == 0, done.stderr.decode()
        return account, key


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def bring_up(hosts: int, zones: int, *options: str) -> RunningRegion:
    one = RunningRegion(f"t{secrets.token_hex(4)}", free_port())
    shape = ("--hosts", str(hosts), "--zones", str(zones), "--port", str(one.port))
    done = one.rookery("up", *shape, *options, timeout=100)
    if done.returncode:
        one.rookery("down")
        pytest.fail(f"no region: {done.stderr.decode()}")
    return one


@pytest.fixture(scope="session")
def region() -> Iterator[RunningRegion]:
    one = bring_up(hosts=4, zones=2)
    yield one
    done = one.rookery("down")
    assert done.returncode == 0, done.stderr.decode()


@contextmanager
def regions() -> Iterator[Callable[..., RunningRegion]]:
    made: list[RunningRegion] = []

    def make(hosts: int = 2, zones: int = 2, *options: str) -> RunningRegion:
        """Without edges, unless `options` say how many: most tests need none."""
        options = options if "--edges" in options else (*options, "--edges", "0")
        made.append(bring_up(hosts, zones, *options))
        return made[-1]

    yield make
    for one in made:
        done = one.rookery("down")
        assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def fresh_region() -> Iterator[Callable[..., RunningRegion]]:
    with regions() as make:
        yield make


@pytest.fixture(scope="module")
def module_region() -> Iterator[Callable[..., RunningRegion]]:
    with regions() as make:
        yield make
