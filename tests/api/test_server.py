"""The API as a process: starts, answers, remembers after kill -9, stops when told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import boto3
import pytest
from botocore.config import Config
from starlette.applications import Starlette

from rookery.api.credentials import (
    SealingKeyError,
    UnsealError,
    add_key,
    create_sealing_key,
    read_sealing_key,
    seal,
    unseal,
)
from rookery.api.front import Front
from rookery.api.server import uvicorn_config
from rookery.api.signature import HttpRequest
from rookery.model.objects import AccessKey
from rookery.region.layout import CHECKOUT
from rookery.store.sqlite import SqliteStore
from rookery.testing.memory_store import MemoryStore


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def started(tmp_path):
    """A function that starts the process over the same files each time."""
    processes = []

    def start():
        port = free_port()
        command = [sys.executable, "-m", "rookery.api", "--name", "test", "--port", str(port)]
        command += ["--database", str(tmp_path / "store.db"), "--sealing-key", str(tmp_path / "sealing.key")]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
        log = (tmp_path / "log").open("ab")
        processes.append(subprocess.Popen(command, env=environment, stderr=log))
        wait_until_healthy(port, processes[-1])
        return processes[-1], port

    yield start
    for process in processes:
        process.kill()
        process.wait()


def wait_until_healthy(port, process):
    until = time.monotonic() + 15
    while time.monotonic() < until and process.poll() is None:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), 0.2),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health"),
            ):
                return
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)  # it may have ended instead
    raise AssertionError(f"the API did not become healthy: {process.poll()}")


def client(port):
    return boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="AKID",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 0}),
    )


def add(tmp_path):
    async def work():
        store = SqliteStore.open(tmp_path / "store.db")
        await add_key(store, read_sealing_key(tmp_path / "sealing.key"), "AKID", "secret", "123456789012")
        await store.close()

    asyncio.run(work())


def test_what_was_answered_survives_kill_minus_nine(started, tmp_path):
    process, port = started()
    add(tmp_path)  # while the API runs, as the CLI does
    vpc_id = client(port).create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    process.kill()
    process.wait()
    _, port = started()
    assert client(port).describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]["CidrBlock"] == "10.0.0.0/16"


def test_it_stops_at_sigterm_and_logs_json_lines(started, tmp_path):
    process, port = started()
    add(tmp_path)
    client(port).describe_vpcs()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) in (0, -signal.SIGTERM)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    (request,) = [line for line in lines if line["message"] == "request"]
    assert (request["action"], request["account"], request["region"], request["status"]) == (
        "DescribeVpcs",
        "123456789012",
        "us-east-1",
        200,
    )
    assert "secret" not in (tmp_path / "log").read_text()


def test_the_database_holds_no_secret_in_clear(started, tmp_path):
    started()
    add(tmp_path)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("store.db*") if file.is_file())
    assert b"AKID" in stored
    assert b"secret" not in stored.replace(b"sealed_secret", b"")


def test_a_sealing_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "sealing.key"
    create_sealing_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(SealingKeyError, match="others can read it"):
        create_sealing_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(SealingKeyError, match="5 bytes"):
        read_sealing_key(path)


def test_a_sealed_secret_opens_with_its_own_key_and_name_only():
    sealed = seal(bytes(32), "AKID", "secret")
    assert unseal(bytes(32), AccessKey(access_key="AKID", account="1", sealed_secret=sealed)) == "secret"
    for key, name in ((bytes(31) + b"1", "AKID"), (bytes(32), "AKOTHER")):
        with pytest.raises(UnsealError):
            unseal(key, AccessKey(access_key=name, account="1", sealed_secret=sealed))


@pytest.mark.parametrize(("said", "logged"), [("attempt=1; max=25", ""), ("attempt=3; max=25", "3"), (None, "")])
def test_the_log_tells_attempts_of_one_request_apart(caplog, said, logged):
    """A client that lost the answer asks again, and is refused for what its first attempt did."""
    headers = {"amz-sdk-request": [said]} if said else {}
    front = Front(MemoryStore(), bytes(32))
    with caplog.at_level("INFO", logger="rookery.api"):
        asyncio.run(front.handle(HttpRequest("POST", "/", "", headers, b"Action=CreateVpc")))
    assert [line.attempt for line in caplog.records if line.message == "request"] == [logged]


def test_a_connection_that_nobody_uses_is_closed_by_its_client_first() -> None:
    """What a client sends while the server closes gets no answer. Go's and Java's keep theirs for 90 and 60 seconds."""
    assert uvicorn_config(Starlette(), 0).timeout_keep_alive > 90
