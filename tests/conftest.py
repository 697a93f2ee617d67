"""What all tests share: how they are spread over workers, and a region to talk to.

    region         one running region for all files that ask for it: end-to-end tests make VPCs of their own in it
    fresh_region   a factory of regions of one's own, for tests that kill parts; they go away with the test
    module_region  the same; they go away with the file

Four workers share the tests (make test), file by file: what a module builds is built once. One of them gets all that waits for clients'
own clocks: a file of one test is followed by the next at once. Some files stay together:

    "region"    those that talk to the session's region, so that there is one (a file that is not named here gets another)
    "balancing" those that stand on one street of balancers (tests/balancing/conftest.py)
    "faults"    those that kill parts and measure how long that is felt: no two of these at a time
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rookery.region.access import client_environment

CHECKOUT = Path(__file__).resolve().parents[1]
REAL = ("real_packets", "faults")
TOGETHER = {  # the longest first
    "region": (
        "tests/region/test_edge_fleet.py",
        "tests/region/test_edges.py",
        "tests/region/test_gateways.py",
        "tests/region/test_guests.py",
        "tests/region/test_running_region.py",
        "tests/rules/",
        "tests/isolation/",
        "tests/moves/",
        "tests/faults/test_forgery.py",
        "tests/services/test_public_names.py",
        "tests/services/test_real_clients.py",
        "tests/services/test_user_data.py",
    ),
    "balancing": ("tests/balancing/",),
    "faults": ("tests/faults/",),
}
LONG = (  # of the others; the first wait most of their time, by their own clocks
    "tests/api/test_terraform.py",
    "tests/api/test_ansible.py",
    "tests/api/test_balancers_terraform.py",
    "tests/api/test_balancers_ansible.py",
    "tests/api/test_ansible_endpoints.py",
    "tests/test_checkout.py",
    "tests/netns/",
    "tests/region/",
    "tests/dataplane/",
)
SHARED = ExitStack()  # of what the files that run now share
REGION_FIXTURES = {"region", "fresh_region", "module_region"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Every worker collects everything, and pytest compiles test files itself, which is most of it: each worker begins with a share of its own,
    so that each file is compiled once. What does not load is told when it is collected."""
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    own, all_of_them = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    for file in sorted((CHECKOUT / "tests").rglob("test_*.py"))[own::all_of_them]:
        with suppress(Exception, pytest.skip.Exception):
            import_module(".".join(file.relative_to(CHECKOUT).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if REGION_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real_packets)
    items.sort(key=lambda item: turn(item.nodeid))  # of equals, the order stays


def shares_the_region(item: pytest.Item) -> bool:
    """Whether `region` is this file's, which ends with what shares it, and not a region of the test's own."""
    found = item._fixtureinfo.name2fixturedefs.get("region", ()) if isinstance(item, pytest.Function) else ()  # noqa: SLF001
    return bool(found) and found[-1].func.__module__ == __name__


def together(nodeid: str) -> str:
    """The files that run in one worker: a name of theirs, or the only file's."""
    file = nodeid.partition("::")[0]
    return next((name for name, places in TOGETHER.items() if file.startswith(places)), file)


def turn(nodeid: str) -> int:
    """What is short comes last, so that all workers end at about the same time."""
    kept = [*TOGETHER]
    if together(nodeid) in kept:
        return kept.index(together(nodeid))
    return len(kept) + next((number for number, place in enumerate(LONG) if nodeid.startswith(place)), len(LONG))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, which may be absent
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Not --dist loadgroup: pytest-xdist 3.8 writes the groups where pytest 9.2 no longer looks (its issue 1386)."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    return Together(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if os.geteuid() and any(item.get_closest_marker(mark) for mark in REAL):
        pytest.fail("this test builds namespaces: run the tests as root", pytrace=False)
    if shares_the_region(item) and together(item.nodeid) != "region":
        pytest.fail("the shared region ends with the files that TOGETHER names, and this one is not among them", pytrace=False)


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
        from botocore.config import Config  # noqa: PLC0415 - half a second that pure tests need not wait

        access, secret = key or self.first_key()
        return session().client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, parameter_validation=True),
        )

    def first_key(self) -> tuple[str, str]:
        variables = client_environment(self.name)
        return variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]

    def new_account(self) -> tuple[str, tuple[str, str]]:
        """(account id, key): an account that nobody else has used."""
        account = f"{secrets.randbelow(10**12):012d}"
        key = (f"AKIATEST{secrets.token_hex(6).upper()}", secrets.token_hex(20))
        done = self.rookery("keys", "add", *key, "--account", account)
        assert done.returncode == 0, done.stderr.decode()
        return account, key


@cache
def session() -> Any:
    """Keeps the services' models, of which EC2's takes a client a quarter of a second to load."""
    import boto3  # noqa: PLC0415

    return boto3.session.Session()


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
    SHARED.callback(take_down, one)
    yield one
    SHARED.close()


def take_down(one: RunningRegion) -> None:
    done = one.rookery("down")
    assert done.returncode == 0, done.stderr.decode()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """What files share ends with the last of them, not with the session: a region in which nothing happens takes a fifth of a processor."""
    yield
    if nextitem is None or together(nextitem.nodeid) != together(item.nodeid):
        SHARED.close()


@contextmanager
def regions() -> Iterator[Callable[..., RunningRegion]]:
    made: list[RunningRegion] = []

    def make(hosts: int = 2, zones: int = 2, *options: str) -> RunningRegion:
        """Without edges and without a cell, unless `options` say how many: most tests need none."""
        for part in ("--edges", "--nodes"):
            options = options if part in options else (*options, part, "0")
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
