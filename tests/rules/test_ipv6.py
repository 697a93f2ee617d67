"""The same rules for IPv6, on real packets (stage: conftest.py)."""

from __future__ import annotations

from rookery.tour.permission import rule
from tests.rules.conftest import PATIENCE

WHOLE = "::/0"


def test_the_families_do_not_know_of_each_others_rules(stage):
    stage.wear("server", stage.group([rule("tcp", 22, source=WHOLE), rule("tcp", 80)]))
    stage.talk("server")
    client = stage.talk("client")

    def connect(address: str, port: int) -> str:
        return client("connect", "kept", address, port, PATIENCE)

    assert connect(stage.address_v6("server"), 22) == "open"
    assert connect(stage.address_v6("server"), 80) == "silent"
    assert connect(stage.address("server"), 22) == "silent"
    assert connect(stage.address("server"), 80) == "open"


def test_a_neighbour_and_a_far_instance_answer_pings(stage):
    for name in ("near", "server"):
        said = stage.run("client", "ping", "-c1", "-W2", stage.address_v6(name)).stdout.decode()
        assert "1 received" in said and "ttl=64" in said


def test_icmpv6_is_a_protocol_of_its_own(stage):
    stage.wear("server", stage.group([rule("icmpv6", 128, 0, WHOLE)]))
    assert stage.ping("client", stage.address_v6("server"))
    assert not stage.ping("client", stage.address("server"))


def test_an_address_that_the_api_did_not_give_is_worth_nothing(stage):
    stranger = stage.address_v6("client").rpartition(":")[0] + ":bad"
    stage.run("client", "ip", "-6", "addr", "add", f"{stranger}/128", "dev", "eth0", "nodad")
    try:
        before = stage.drops("drop_source_address")
        assert not stage.ping("client", stage.address_v6("server"), "-I", stranger)
        assert stage.drops("drop_source_address") > before
    finally:
        stage.run("client", "ip", "-6", "addr", "del", f"{stranger}/128", "dev", "eth0")


def test_fragments_and_large_packets_pass(stage):
    for size in (56, 1400, 4000):
        assert stage.ping("client", stage.address_v6("server"), f"-s{size}")


def test_the_trace_speaks_ipv6(stage):
    said = stage.trace(stage.instances["client"], stage.address_v6("server"), "--tcp", "22")
    assert "delivered to" in said
