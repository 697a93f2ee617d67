"""The API is killed again and again in the middle of a storm of calls: what it answered is there, and nothing is half there.

three boto3 clients --> python -m rookery.api (kill -9, started again) --> one SQLite file      (four hosts, nobody runs them)
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.parsers import ResponseParserError

from rookery.api.credentials import add_key, create_sealing_key
from rookery.api.handlers.image_catalogue import NAMESPACE_IMAGE
from rookery.model.codec import encode
from rookery.model.keys import host_key
from rookery.model.objects import Host
from rookery.store.sqlite import SqliteStore
from rookery.testing.invariants import broken
from tests.faults.harm import until

T = TypeVar("T")
KEY, SECRET = "AKIDEXAMPLE", "secret"
ACCOUNT = "123456789012"
KILLS = 4
AT_LEAST = 25  # answers between one kill and the next


class Api:
    """The process, over a store of its own."""

    def __init__(self, folder: Path):
        self.database, self.sealing_key = folder / "store.db", folder / "sealing.key"
        sealing = create_sealing_key(self.sealing_key)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        hosts = [Host(name=f"host-{n}", zone=n % 2, address=f"100.64.1.{n}") for n in range(4)]

        async def register(store: SqliteStore) -> None:
            await store.txn([], {host_key(host.name): encode(host) for host in hosts})
            await add_key(store, sealing, KEY, SECRET, ACCOUNT)

        self.with_store(register)
        self.start()

    def with_store(self, work: Callable[[SqliteStore], Awaitable[T]]) -> T:
        async def run() -> T:
            store = SqliteStore.open(self.database)
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def start(self) -> None:
        places = ("--database", str(self.database), "--sealing-key", str(self.sealing_key))
        command = (sys.executable, "-m", "rookery.api", "--name", "storm", *places, "--port", str(self.port))
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        until(self._answers, "the API answers")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def client(self) -> Any:
        import boto3  # noqa: PLC0415

        return boto3.Session().client(
            "ec2",
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(retries={"max_attempts": 0}),
        )


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    one = Api(tmp_path)
    yield one
    one.kill()


class Client:
    """One thread's calls, and what it was answered."""

    def __init__(self, api: Api, number: int, vpc_id: str, subnet_id: str):
        self._ec2, self._number = api.client(), number
        self._vpc_id, self._subnet_id = vpc_id, subnet_id
        self.subnets: set[str] = set()
        self.launched: dict[str, list[str]] = {}  # client token -> instances
        self.terminated: set[str] = set()
        self.answers = 0
        self.unanswered = 0

    def storm(self, over: threading.Event) -> None:
        for turn in itertools.count():
            if over.is_set():
                return
            self._make_subnet(turn)
            self._launch(turn)
            if turn % 3 == 2:
                self._terminate(self.launched[self._token(turn - 1)])

    def _ask(self, call: Callable[..., T], **parameters: Any) -> T | None:
        """None: nobody knows what became of it."""
        try:
            answer = call(**parameters)
        except (BotoCoreError, ResponseParserError):
            # The connection broke, perhaps between the head of the answer and its body, or nobody listened. A refusal is a
            # ClientError and fails the test.
            self.unanswered += 1
            return None
        self.answers += 1
        return answer

    def _make_subnet(self, turn: int) -> None:
        block = f"10.{self._number}.{turn // 16}.{turn % 16 * 16}/28"
        answer: Any = self._ask(self._ec2.create_subnet, VpcId=self._vpc_id, CidrBlock=block)
        if answer:
            self.subnets.add(answer["Subnet"]["SubnetId"])

    def _token(self, turn: int) -> str:
        return f"{self._number}-{turn}"

    def _launch(self, turn: int) -> None:
        """Asked again under its token until it is answered."""
        token, answer = self._token(turn), None
        while not answer:
            answer = self._ask(
                self._ec2.run_instances,
                ImageId=NAMESPACE_IMAGE.id,
                InstanceType="t3.micro",
                MinCount=2,
                MaxCount=2,
                SubnetId=self._subnet_id,
                ClientToken=token,
            )
        self.launched[token] = [one["InstanceId"] for one in answer["Instances"]]

    def _terminate(self, instances: list[str]) -> None:
        if self._ask(self._ec2.terminate_instances, InstanceIds=instances):
            self.terminated.update(instances)


def test_what_was_answered_is_there_and_nothing_is_half_applied(api: Api):
    ec2 = api.client()
    vpcs = [ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in range(3)]
    home = ec2.create_subnet(VpcId=vpcs[0], CidrBlock="10.0.128.0/18")["Subnet"]["SubnetId"]
    clients = [Client(api, n, vpcs[n], home) for n in range(3)]
    over = threading.Event()
    with ThreadPoolExecutor(len(clients)) as pool:
        storms = [pool.submit(client.storm, over) for client in clients]
        for _ in range(KILLS):
            answers = sum(client.answers for client in clients)
            until(lambda so=answers: sum(client.answers for client in clients) > so + AT_LEAST, "answers")
            api.kill()
            api.start()
        over.set()
        for storm in storms:
            storm.result(30)
    assert sum(client.unanswered for client in clients) >= KILLS
    _compare(api, clients)


def _compare(api: Api, clients: list[Client]) -> None:
    entries = api.with_store(lambda store: store.range("")).entries
    assert broken(entries) == []
    ec2 = api.client()
    subnets = {one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
    assert subnets >= set().union(*(client.subnets for client in clients))
    found = {
        (one["ClientToken"], one["InstanceId"]): one["State"]["Name"]
        for reservation in ec2.describe_instances()["Reservations"]
        for one in reservation["Instances"]
    }
    launched = {(token, one) for c in clients for token, ids in c.launched.items() for one in ids}
    assert found.keys() == launched
    terminated = set().union(*(client.terminated for client in clients))
    assert {one for (_, one), state in found.items() if state == "shutting-down"} >= terminated
