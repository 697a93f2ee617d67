"""Hosts ask a resolver of the world: the one that they are told of, or the one of the emulated internet.

    rookery-...-control 100.64.0.2   a small resolver; the only place in the world that knows www.example.com
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode

from rookery.region.inside import entering
from rookery.region.layout import MAPPING_SERVICE_ADDRESS, PAGE_ADDRESSES, PAGE_NAME, Layout
from rookery.region.namespaces import inside

RESOLVER = str(Path(__file__).with_name("one_name.py"))
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(bytes.fromhex(sys.argv[1]), ("169.254.169.253", 53))
print(s.recv(4096).hex())
"""


@contextmanager
def resolver(region: Any) -> Iterator[None]:
    command = inside(Layout(region.name).control_namespace, sys.executable, RESOLVER, MAPPING_SERVICE_ADDRESS)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


def launched(region: Any) -> str:
    ec2 = region.client()
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, InstanceType="t3.small", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[made], WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    return made


def resolved(region: Any, instance: str, name: str) -> dns.message.Message:
    query = dns.message.make_query(name, "A")
    enter, environment = entering(region.name, instance, ["python3", "-c", ASK, query.to_wire().hex()])
    done = subprocess.run(enter, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return dns.message.from_wire(bytes.fromhex(done.stdout))


def test_a_public_name_is_asked_for_where_the_region_was_told_to_ask(fresh_region: Callable[..., Any]):
    region = fresh_region(1, 1, "--dns-upstream", MAPPING_SERVICE_ADDRESS)
    instance = launched(region)
    with resolver(region):
        told = resolved(region, instance, "www.example.com")
    assert [row.to_text() for row in told.answer[0]] == ["192.0.2.80"]


def test_where_nothing_was_said_the_server_of_the_emulated_internet_is_asked(region: Any):
    instance = launched(region)
    assert [row.to_text() for row in resolved(region, instance, PAGE_NAME).answer[0]] == [PAGE_ADDRESSES[0]]
    assert resolved(region, instance, "www.example.org").rcode() == dns.rcode.NXDOMAIN


def test_a_resolver_that_no_host_can_reach_is_refused_at_the_start(region: Any):
    done = region.rookery("up", "--name", f"{region.name}x", "--port", "1", "--dns-upstream", "192.0.2.53")
    assert done.returncode == 1
    assert "has no way to 192.0.2.53" in done.stderr.decode()
    odd = region.rookery("up", "--name", f"{region.name}x", "--dns-upstream", "resolver.example")
    assert odd.returncode == 1 and "DNS upstream resolver.example" in odd.stderr.decode()
