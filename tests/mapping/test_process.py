"""`python -m rookery.mapping` as the supervisor runs it.

store file ---- the process ==== host-1 (an agent without a kernel)
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

from rookery.mapping.authority import issue, make_authority
from rookery.mapping.certificates import HOST, MAPPING, Identity, identity_of
from rookery.store.sqlite import SqliteStore
from rookery.testing.mapping_world import FakeAgent, host_config
from rookery.testing.things import address, hosts, launch, rows, subnet, vpc

SOURCES = str(Path(__file__).resolve().parents[2] / "src")


def start(directory: Path, port: int, identity: Identity) -> subprocess.Popen:
    words = ["--name", "test", "--database", str(directory / "store.db"), "--listen", f"127.0.0.1:{port}"]
    files = [
        "--ca",
        str(identity.authority),
        "--certificate",
        str(identity.certificate),
        "--key",
        str(identity.key),
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "rookery.mapping", *words, *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": SOURCES},
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_agents_heal_when_the_process_is_killed_and_comes_back(tmp_path):
    make_authority(tmp_path / "certificates", "test")
    identity, port = issue(tmp_path / "certificates", MAPPING), free_port()
    agent_files = issue(tmp_path / "certificates", HOST, "host-1")

    async def scene() -> None:
        store = SqliteStore.open(tmp_path / "store.db")
        revision = await store.txn([], rows(*hosts(2), *vpc(1), subnet(1, 1), *launch(1, 1, 10, "host-1")))
        agent = FakeAgent(host_config(tmp_path, "host-1", port, agent_files, "test"))
        async with agent.running():
            for n in range(11, 14):
                service = start(tmp_path, port, identity)
                assert await asyncio.to_thread(service.stdout.readline) == "ready\n"
                await agent.wait_generation(revision)
                assert agent.subscription.connected
                service.kill()
                service.communicate()
                revision = await store.txn([], rows(*launch(1, 1, n, "host-2")))
                assert (1, address(1, 1, n)) not in agent.addresses()
            service = start(tmp_path, port, identity)
            await agent.wait_generation(revision)
            assert agent.addresses() == {(1, address(1, 1, n)) for n in range(10, 14)}
            service.terminate()
            service.communicate(timeout=10)
            assert service.returncode == 0
        await store.close()

    asyncio.run(scene())


def test_a_process_without_its_certificate_says_so_and_ends(tmp_path):
    make_authority(tmp_path / "certificates", "test")
    service = start(tmp_path, free_port(), identity_of(tmp_path / "certificates", MAPPING))
    output, errors = service.communicate(timeout=20)
    assert (service.returncode, output) == (1, "")
    assert "mapping.pem" in errors
    assert "Traceback" not in errors


def test_a_process_whose_address_is_taken_says_so_and_ends(tmp_path):
    make_authority(tmp_path / "certificates", "test")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = start(tmp_path, taken.getsockname()[1], issue(tmp_path / "certificates", MAPPING))
        _, errors = service.communicate(timeout=20)
    assert service.returncode == 1
    assert "address already in use" in errors.lower()
    assert "Traceback" not in errors
