"""The real API over a store in memory, on a loopback port of its own, for each test that asks for it.

boto3 --HTTP, SigV4--> uvicorn, front, handlers --> MemoryStore      (hosts: four in two zones, nobody runs them)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rookery.api.quotas import Quotas
from rookery.testing.memory_store import MemoryStore
from rookery.testing.running_api import RunningApi
from tests.api.terraform_runs import Refusals


@pytest.fixture
def api() -> Iterator[RunningApi]:
    with RunningApi(MemoryStore(), quotas=Quotas(vpcs=50, nat_elastic_ips=3)) as running:
        running.add_hosts()
        yield running


@pytest.fixture
def ec2(api: RunningApi) -> Any:
    """A boto3 client of the default account in us-east-1."""
    return api.client()


@pytest.fixture
def obedient_hosts(api: RunningApi) -> Iterator[None]:
    """Every instance becomes what it is wanted to be, twenty times a second."""
    ended = threading.Event()

    def obey() -> None:
        while not ended.wait(0.05):
            api.hosts_obey()

    thread = threading.Thread(target=obey)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture
def refusals() -> Iterator[Refusals]:
    log, kept = logging.getLogger("rookery.api"), Refusals()
    before = log.level
    log.addHandler(kept)
    log.setLevel(logging.INFO)
    yield kept
    log.setLevel(before)
    log.removeHandler(kept)


class Refusal:
    """What a client was told."""

    def __init__(self) -> None:
        self.code = ""
        self.message = ""
        self.status = 0


class Refused:
    """`with refused("InvalidVpc.Range") as refusal: ...`: the call must fail with this code."""

    def __init__(self, code: str):
        self._code = code
        self._refusal = Refusal()

    def __enter__(self) -> Refusal:
        return self._refusal

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if not isinstance(error, ClientError):
            assert error is not None, f"was not refused with {self._code}"
            return False
        self._refusal.code = error.response["Error"]["Code"]
        self._refusal.message = error.response["Error"]["Message"]
        self._refusal.status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert self._refusal.code == self._code, f"{self._refusal.code}: {self._refusal.message}"
        return True


@pytest.fixture
def refused() -> type[Refused]:
    return Refused
