"""Real clients at a guest's end of the wire: curl, and what boto3 asks with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from rookery.host.services.metadata.contents import contents
from rookery.host.services.metadata.directory import Directory
from tests.services.metadata.plan import A, B, with_options, with_user_data
from tests.services.metadata.wire import Served, Wire, run, served

pytestmark = pytest.mark.real_packets
URL = "http://[fd00:ec2::254]"
BOTO = """
import sys
from botocore.utils import IMDSFetcher, InstanceMetadataRegionFetcher
class Item(IMDSFetcher):
    def get(self, path):
        return self._get_request(path, None, self._fetch_metadata_token()).text
print(InstanceMetadataRegionFetcher(base_url=sys.argv[1]).retrieve_region())
print(Item(base_url=sys.argv[1], config={"ec2_metadata_v1_disabled": True}).get("latest/meta-data/instance-id"))
"""
NO_ROLE = """
import sys
from botocore.utils import InstanceMetadataFetcher
print(InstanceMetadataFetcher(base_url=sys.argv[1]).retrieve_iam_role_credentials())
"""


@pytest.fixture
def service(wire: Wire) -> Iterator[Served]:
    with served(wire) as made:
        yield made


def curl(wire: Wire, *words: str) -> str:
    return run("ip", "netns", "exec", wire.guest(A), "curl", "-sg", "--max-time", "10", *words)


def python(wire: Wire, program: str) -> list[str]:
    return run("ip", "netns", "exec", wire.guest(A), sys.executable, "-c", program, URL).split("\n")


def test_curl_gets_a_token_and_with_it_what_is_there(wire, service):
    service.change(with_options(with_user_data(A, b"#!/bin/sh\n"), tokens="required"))
    token = curl(
        wire, "-X", "PUT", f"{URL}/latest/api/token", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60"
    )
    shown = ("-H", f"X-aws-ec2-metadata-token: {token}")
    assert curl(wire, *shown, f"{URL}/latest/user-data") == "#!/bin/sh\n"
    document = json.loads(curl(wire, *shown, f"{URL}/latest/dynamic/instance-identity/document"))
    assert (document["instanceId"], document["privateIp"]) == ("i-a", "10.7.1.5")
    assert curl(wire, "-o", "/dev/null", "-w", "%{http_code}", f"{URL}/latest/user-data") == "401"


@pytest.mark.usefixtures("service")
def test_curl_asks_for_many_things_over_one_connection_and_follows_to_a_directory(wire):
    paths = [f"{URL}/latest/meta-data/{name}" for name in ("mac", "ami-id", "placement")]
    said = curl(wire, "-L", "-w", "\n%{num_connects}\n", *paths)
    assert said.split("\n") == [
        "02:07:01:07:00:05", "1", "ami-1", "0", "availability-zone", "availability-zone-id", "region", "0", "",
    ]  # fmt: skip


@pytest.mark.usefixtures("service")
def test_curl_gets_pages_byte_for_byte_and_heads_without_waiting_for_them(wire):
    assert "404 - Not Found" in curl(wire, f"{URL}/latest/none")
    assert "Content-Length: 5" in curl(wire, "-I", f"{URL}/latest/meta-data/ami-id")
    assert curl(wire, "-0", f"{URL}/latest/meta-data/ami-id") == "ami-1"


def test_boto3_finds_its_region_and_asks_with_tokens_only(wire, service):
    service.change(with_options(A, tokens="required"))
    assert python(wire, BOTO) == ["us-east-1", "i-a", ""]


@pytest.mark.usefixtures("service")
def test_boto3_finds_no_role_and_goes_on(wire):
    assert python(wire, NO_ROLE) == ["{}", ""]


def test_a_walk_through_the_whole_tree_finds_what_each_listing_promises(wire, service):
    """As cloud-init's crawler walks: a listing's lines are what is asked next."""
    tagged = with_options(replace(A, metadata=replace(A.metadata, tags=(("Name", "web"),))), tags="enabled")
    service.change(tagged)
    start = "/latest/meta-data/"
    assert dict(walked(wire, start)) == dict(leaves(contents(tagged)["meta-data"], start))


def leaves(directory: Directory, path: str) -> Iterator[tuple[str, bytes]]:
    for name, child in directory.items():
        if isinstance(child, Directory):
            yield from leaves(child, f"{path}{name}/")
        else:
            yield path + name, child.encode()


def walked(wire: Wire, start: str) -> Iterator[tuple[str, bytes]]:
    for line in wire.ask(A, start).body.decode().split("\n"):
        path = f"{start}{line}"
        if line.endswith("/"):
            yield from walked(wire, path)
        else:
            found = wire.ask(A, path)
            assert found.status == 200, path
            yield path, found.body


def test_a_client_that_is_killed_in_the_middle_harms_nobody(wire, service):
    service.change(with_user_data(A, b"x" * 16_384))
    many = [f"{URL}/latest/user-data"] * 200
    killed = subprocess.Popen(
        ("ip", "netns", "exec", wire.guest(A), "curl", "-sg", "--limit-rate", "10k", *many),
        stdout=subprocess.DEVNULL,
    )
    try:
        assert wire.ask(B, "/latest/meta-data/instance-id").body == b"i-b"
    finally:
        killed.kill()
        killed.wait()
    assert wire.ask(B, "/latest/meta-data/instance-id").body == b"i-b"
