"""Signed requests per second that one API process answers on one core, over HTTP on loopback.

    python bench/api_requests.py [--seconds 3] [--json]

The requests are signed beforehand: what is measured is the API and the sockets, not botocore's signer. The client runs in a
process of its own; rates are per second of wall-clock time, `cpu_us` is the API process's CPU time for one request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rookery.api.quotas import Quotas
from rookery.store.sqlite import SqliteStore
from rookery.testing.running_api import ACCESS_KEY, SECRET, RunningApi

CONNECTIONS = 8
READS = ("DescribeVpcs", "DescribeSubnets", "DescribeAvailabilityZones")


def signed(port: int, parameters: dict[str, str]) -> bytes:
    """The bytes of an HTTP/1.1 request."""
    body = urlencode({"Version": "2016-11-15", **parameters})
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Host": f"127.0.0.1:{port}",
    }
    request = AWSRequest("POST", f"http://127.0.0.1:{port}/", headers, body)
    SigV4Auth(Credentials(ACCESS_KEY, SECRET), "ec2", "us-east-1").add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join(["POST / HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", ""])
    return (head + body).encode()


async def ask(port: int, requests: list[bytes], until: float, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    while time.perf_counter() < until and number < len(requests) * 1_000_000:
        began = time.perf_counter()
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        if b" 200 " not in head[:16]:
            raise RuntimeError(f"the API refused: {head.decode()}")
        latencies.append(time.perf_counter() - began)
        number += 1
    writer.close()


def client(port: int, actions: list[dict[str, str]], seconds: float, answers: Queue[Any]) -> None:
    latencies: list[float] = []

    async def all_connections() -> None:
        requests = [signed(port, one) for one in actions]
        until = time.perf_counter() + seconds
        await asyncio.gather(*(ask(port, requests, until, latencies) for _ in range(CONNECTIONS)))

    asyncio.run(all_connections())
    answers.put(sorted(latencies))


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(port: int, actions: list[dict[str, str]], seconds: float) -> dict[str, float]:
    answers: Queue[Any] = Queue()
    process = Process(target=client, args=(port, actions, seconds, answers))
    before = cpu()
    process.start()
    latencies = answers.get(timeout=seconds + 30)
    process.join()
    return {
        "requests_per_second": round(len(latencies) / seconds),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 3),
        "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1000, 3),
        "cpu_us": round((cpu() - before) / len(latencies) * 1e6, 1),
    }


def tagging(vpc_id: str) -> list[dict[str, str]]:
    """A change of the store each time: another value of one tag."""
    tag = {"Action": "CreateTags", "ResourceId.1": vpc_id, "Tag.1.Key": "n"}
    return [{**tag, "Tag.1.Value": str(number)} for number in range(500)]


def run(seconds: float, progress: Callable[[str], None]) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteStore.open(Path(directory) / "store.db")
        with RunningApi(store, quotas=Quotas(vpcs=50)) as api:
            api.add_hosts()
            vpc_id = api.client().describe_vpcs()["Vpcs"][0]["VpcId"]
            rounds = {action: [{"Action": action}] for action in READS}
            rounds["CreateTags"] = tagging(vpc_id)
            found = {}
            for action, actions in rounds.items():
                progress(f"{action}: {seconds:g} s, {CONNECTIONS} connections")
                found[action] = measure(api.port, actions, seconds)
            return found


def table(found: dict[str, dict[str, float]]) -> str:
    columns = list(next(iter(found.values())))
    lines = ["| operation | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(str(row[c]) for c in columns) + " |" for name, row in found.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = run(arguments.seconds, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(found, indent=1) if arguments.json else table(found))


if __name__ == "__main__":
    main()
