"""The agent of a host with real packets: see two_hosts.py for the topology."""

from __future__ import annotations

import base64
import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rookery.dataplane.addresses import substrate_text
from rookery.dataplane.formats import Gateway, GatewayFlag
from rookery.host.edge_probes import edge_set
from rookery.host.instances import namespace, network
from rookery.intent.host import EdgeIntent, GatewayIntent
from tests.netns.two_hosts import ADDRESSES, Guest, TwoHosts, built, run
from tests.waiting import until

pytestmark = pytest.mark.real_packets

SO_NO_CHECK = 11  # asm-generic/socket.h; Python has no name for it
WEB_SERVER = """#!/bin/sh
mkdir /tmp/web && cd /tmp/web && echo "hello from $(hostname)" > index.html
exec python3 -m http.server 80
"""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[TwoHosts]:
    with built(tmp_path) as two:
        yield two


def test_instances_of_one_vpc_talk_and_their_twins_of_another_never_hear_them(hosts: TwoHosts):
    a, b = Guest(7, 5, "host-1"), Guest(7, 6, "host-2")
    twin_a, twin_b = Guest(8, 5, "host-1"), Guest(8, 6, "host-2")
    hosts.launch(a, b, twin_a)
    assert hosts.pings(a, b) and hosts.pings(b, a)
    assert not hosts.pings(twin_a, b), "VPC 8 has nobody at 10.7.1.6 yet"
    hosts.launch(twin_b)
    until(lambda: hosts.pings(twin_a, twin_b), "the guest asks again for the address it asked for in vain")
    hosts.kill_agent("host-1")
    assert subprocess.run(
        ("ip", "netns", "exec", hosts.netns(a.id), "ping", "-c1", "-W1", b.address), capture_output=True, check=False
    ).returncode == 0


def test_user_data_starts_a_web_server_that_a_peer_reads(hosts: TwoHosts):
    client, server = Guest(7, 5, "host-1"), Guest(7, 6, "host-2", WEB_SERVER)
    hosts.launch(client, server)
    read = hosts.inside(client, "curl", "--silent", "--retry", "20", "--retry-delay", "0", "--retry-connrefused",
                        "--retry-max-time", "10", f"http://{server.address}/")  # fmt: skip
    assert run(*read) == "hello from ip-10-7-1-6\n"


def test_rows_deleted_and_forged_behind_its_back_are_mended(hosts: TwoHosts):
    a, b = Guest(7, 5, "host-1"), Guest(7, 6, "host-2")
    hosts.launch(a, b)
    kernel = hosts.open_dataplane("host-1")
    try:
        before = {name: dict(getattr(kernel, name).items()) for name in ("interfaces", "local_interfaces", "mappings", "routes")}
        forged = {key: row._replace(host=bytes(4)) for key, row in before["mappings"].items()}
        kernel.mappings.put_many(forged)
        kernel.mappings.put_many({key._replace(vni=9): row for key, row in before["mappings"].items()})
        for name in ("interfaces", "local_interfaces", "routes"):
            getattr(kernel, name).delete_many(before[name])
        until(
            lambda: {name: dict(getattr(kernel, name).items()) for name in before} == before, lambda: hosts.log("host-1")
        )
    finally:
        kernel.close()
    assert hosts.pings(a, b)
    until(lambda: hosts.ask("host-1", type="status")["healed"] >= 7, "counted")


def test_a_program_detached_behind_its_back_comes_back(hosts: TwoHosts):
    a, b = Guest(7, 5, "host-1"), Guest(7, 6, "host-2")
    hosts.launch(a, b)
    for link in (hosts.pins / "host-1" / "links").iterdir():
        link.unlink()
    until(lambda: hosts.ask("host-1", type="status")["healed"] >= 2, "mended")
    assert hosts.pings(a, b)


def test_a_device_deleted_by_hand_is_plugged_again_and_the_others_go_on_being_looked_after(hosts: TwoHosts):
    a, b, other = Guest(7, 5, "host-1"), Guest(7, 6, "host-2"), Guest(7, 7, "host-1")
    hosts.launch(a, b, other)
    for guest in (a, other):
        device = network.device_name(guest.intent().interfaces[0].number)
        run("ip", "-netns", hosts.netns("host-1"), "link", "delete", device)
        until(lambda guest=guest: hosts.pings(guest, b), "reached again through a new device")
    assert hosts.pings(a, b)


def test_stop_start_reboot_and_terminate_leave_nothing_behind(hosts: TwoHosts):
    def marks() -> dict[str, list[str]]:
        return {
            "namespaces": namespace.named(f"rookery-{hosts.region}-i-"),
            "links": sorted(p.name for p in (hosts.pins / "host-1" / "links").iterdir()),
            "devices": [
                line for line in run("ip", "-netns", hosts.netns("host-1"), "-br", "link").split() if "eni" in line
            ],
            "state": sorted(p.name for p in (hosts.folder / "state" / "host-1" / "instances").iterdir()),
            "pids": sorted(p.name for p in (hosts.folder / "run" / "host-1" / "instances").iterdir()),
            "rows": [str(len(dict(getattr(kernel, n).items()))) for n in ("interfaces", "local_interfaces")],
        }

    until(lambda: hosts.service.applied.keys() == ADDRESSES.keys(), "both agents are up")
    kernel = hosts.open_dataplane("host-1")
    try:
        before = marks()
        guest = Guest(7, 5, "host-1")
        hosts.launch(guest)
        for wanted, state, boot in (
            ("running", "running", 2),
            ("stopped", "stopped", 2),
            ("running", "running", 3),
            ("terminated", "terminated", 3),
        ):
            guest.boot = boot
            hosts.service.change("host-1", instances=(guest.intent(wanted),))
            hosts.wait_state(guest, state)
        hosts.service.change("host-1", forget=(guest.id,), unmap=(guest.mapping.key,))
        assert marks() == before
    finally:
        kernel.close()


def test_a_terminated_instance_is_silent_before_its_address_is_given_away(hosts: TwoHosts):
    deaf = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n"
    a, b = Guest(7, 5, "host-1", deaf), Guest(7, 6, "host-2")
    hosts.launch(a, b)
    assert hosts.pings(a, b)
    pid = hosts.pid(a)
    generation = hosts.service.change("host-1", instances=(a.intent("terminated"),), unmap=(a.mapping.key,))
    hosts.wait_applied("host-1", generation)
    assert os.path.exists(f"/proc/{pid}"), "it takes its time to end"
    kernel = hosts.open_dataplane("host-1")
    try:
        assert dict(kernel.interfaces.items()) == {}
    finally:
        kernel.close()
    hosts.wait_state(a, "terminated")


def test_without_the_mapping_service_everything_goes_on_and_its_return_brings_what_was_missed(hosts: TwoHosts):
    a, b = Guest(7, 5, "host-1"), Guest(7, 6, "host-2")
    hosts.launch(a, b)
    hosts.service.stop()
    until(lambda: not hosts.ask("host-1", type="status")["connected"], "the agent notices")
    assert hosts.pings(a, b)
    c = Guest(7, 9, "host-1")
    generation = hosts.service.change("host-1", instances=(c.intent(),), mappings=(c.mapping,))
    hosts.service.start()
    hosts.wait_applied("host-1", generation)
    hosts.wait_state(c, "running")
    assert hosts.pings(a, b) and hosts.pings(c, a)


@pytest.mark.parametrize(
    ("interface", "verdict"),
    [(12, "drop_source_not_at_host"), (0, "drop_not_an_edge")],
    ids=["in an instance's name", "in the internet's name"],
)
def test_a_forged_packet_raises_an_alarm_within_a_second(hosts: TwoHosts, interface: int, verdict: str):
    a, b = Guest(7, 5, "host-1"), Guest(7, 6, "host-2")
    hosts.launch(a, b)
    vpc = (7 << 8).to_bytes(4)
    geneve = bytes.fromhex("04006558") + vpc + bytes.fromhex("ff520103") + interface.to_bytes(4) + vpc + bytes(4)
    inner = bytes.fromhex(b.mac.replace(":", "") + a.mac.replace(":", "") + "0800")
    packet = bytes.fromhex("4500001c0000000040010000") + socket.inet_aton(a.address) + socket.inet_aton(b.address)
    with socket.socket(socket.AF_UNIX) as watcher:
        watcher.settimeout(5)
        watcher.connect(str(hosts.config("host-2").control_socket))
        watcher.sendall(b'{"type": "watch"}\n')
        lines = watcher.makefile("rb")
        assert b'"watching":"host-2"' in lines.readline()
        with namespace.inside(hosts.netns("wire")), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
            liar.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)  # as hosts send
            liar.sendto(geneve + inner + packet + bytes.fromhex("0800f7ff00000000"), (ADDRESSES["host-2"], 6081))
        started = time.monotonic()
        until(lambda: hosts.ask("host-2", type="status")["alarms"], lambda: hosts.log("host-2"), within=1.0)
        assert time.monotonic() - started < 1.0
        seen = [lines.readline() for _ in range(2)]
    (alarm,) = hosts.ask("host-2", type="status")["alarms"]
    assert alarm.startswith(f"{verdict} at ") and ": 1 packets, first " in alarm
    assert any(b'"step":"dropped"' in line and b'"source":"10.7.1.5"' in line for line in seen)
    assert any(b'"step":"alarm"' in line for line in seen)
    assert f'"alarm":{{"verdict":"{verdict}"' in hosts.log("host-2")


def test_the_control_socket_answers_root_only_and_says_what_it_cannot(hosts: TwoHosts):
    a, b = Guest(7, 5, "host-1"), Guest(7, 6, "host-2")
    hosts.launch(a, b)
    mode = hosts.config("host-1").control_socket.stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    status = hosts.ask("host-1", type="status")
    assert (status["host"], status["instances"], status["mappings"], status["connected"]) == ("host-1", 1, 2, True)
    rows = hosts.ask("host-1", type="mappings", vni=7)["rows"]
    assert [(r["address"], r["intended_host"], r["kernel_host"]) for r in rows] == [
        ("10.7.1.5", "100.64.1.10", "100.64.1.10"),
        ("10.7.1.6", "100.64.1.11", "100.64.1.11"),
    ]
    assert hosts.ask("host-1", type="mappings", vni=8)["rows"] == []
    assert hosts.ask("host-1", type="instance", id=b.id) == {"error": f"{b.id} is not on host-1"}
    assert "error" in hosts.ask("host-1", type="nonsense")
    assert "error" in hosts.ask("host-1", type="instance", id="../../etc")


def test_a_what_if_says_who_would_get_the_packet(hosts: TwoHosts):
    a, b = Guest(7, 5, "host-1"), Guest(7, 6, "host-1")
    hosts.launch(a, b)
    frame = bytes.fromhex(b.mac.replace(":", "") + a.mac.replace(":", "") + "0800" + "4500001c00004000400123c9")
    frame += socket.inet_aton(a.address) + socket.inet_aton(b.address) + bytes.fromhex("0800f7ff00000000")
    eni = a.intent().interfaces[0].id
    answer = hosts.ask(
        "host-1", type="what-if", program="host_egress", interface=eni, trace=7, frame=base64.b64encode(frame).decode()
    )
    assert "error" not in answer, answer
    assert answer["delivered_to"] == b.intent().interfaces[0].id
    assert answer["steps"][0]["step"] == "received"
    assert answer["steps"][0]["interface"] == eni


def test_rules_that_change_are_followed_and_named(hosts: TwoHosts):
    a, b, c = Guest(7, 5, "host-1"), Guest(7, 6, "host-1"), Guest(7, 7, "host-2")
    hosts.launch(a, b, c)
    assert hosts.pings(a, b) and hosts.pings(a, c)
    until(lambda: hosts.ask("host-1", type="status")["connections"] == 3, "two flows of a, one of b")
    assert [step["rule"] for step in what_if(hosts, a, b)["steps"] if step["direction"]] == [
        "sgr-000000071 of sg-00000000000000007 (all protocols to 10.7.0.0/16)",
        "sgr-000000070 of sg-00000000000000007 (all protocols from 10.7.0.0/16)",
    ]
    silent = msgspec.structs.replace(a.policy, rules=tuple(rule for rule in a.policy.rules if rule.egress))
    for host in ADDRESSES:
        hosts.wait_applied(host, hosts.service.change(host, rules=(silent,)))
    assert not hosts.pings(a, b) and not hosts.pings(a, c)
    refused = what_if(hosts, a, b)
    assert refused["verdict"] == "drop_security_group_ingress"
    assert refused["steps"][-1]["rule"] == f"no ingress rule of {a.policy.groups[0]} allows it"
    for host in ADDRESSES:
        hosts.wait_applied(host, hosts.service.change(host, unrule=(a.acl.key,)))
    assert what_if(hosts, a, b)["verdict"] == "drop_not_configured"


def test_an_agent_that_returns_keeps_the_lists_and_the_flows(hosts: TwoHosts):
    a, b = Guest(7, 5, "host-1"), Guest(7, 6, "host-2")
    hosts.launch(a, b)
    assert hosts.pings(a, b)
    second = hosts.open_dataplane("host-1")
    before = [dict(table.items()) for table in (second.rule_addresses, second.rule_ports, second.interfaces)]
    hosts.kill_agent("host-1")
    generation = hosts.service.applied.pop("host-1")
    hosts.start_agent("host-1")
    hosts.wait_applied("host-1", generation)
    assert before == [dict(table.items()) for table in (second.rule_addresses, second.rule_ports, second.interfaces)]
    status = hosts.ask("host-1", type="status")
    assert status["max_connections"] >= 1 << 10 and not status["alarms"]
    assert hosts.pings(a, b)
    second.close()


def what_if(hosts: TwoHosts, source: Guest, destination: Guest) -> dict[str, Any]:
    """An echo request between two instances of host-1."""
    frame = bytes.fromhex(destination.mac.replace(":", "") + source.mac.replace(":", ""))
    frame += bytes.fromhex("08004500001c00004000400123c9")
    frame += socket.inet_aton(source.address) + socket.inet_aton(destination.address) + bytes.fromhex("0800f7ff00000000")
    request = {"program": "host_egress", "interface": source.intent().interfaces[0].id, "trace": 7}
    return hosts.ask("host-1", type="what-if", frame=base64.b64encode(frame).decode(), **request)


def test_a_launch_takes_a_tenth_of_a_second_of_the_agents_time(hosts: TwoHosts):
    hosts.launch(Guest(7, 5, "host-1"))
    times = []
    for last in range(10, 15):
        guest = Guest(7, last, "host-1")
        started = time.monotonic()
        hosts.launch(guest)
        times.append(time.monotonic() - started)
    assert sorted(times)[2] < 0.3, times


def test_an_agent_refuses_a_substrate_that_cannot_carry_its_instances(hosts: TwoHosts):
    until(lambda: "host-1" in hosts.service.applied, "the agent is up")
    assert hosts.stop_agent("host-1") == 0
    run("ip", "-netns", hosts.netns("host-1"), "link", "set", "u0", "mtu", "1500")
    hosts.start_agent("host-1")
    assert hosts.agents["host-1"].wait(10) == 2
    assert "u0 has an MTU of 1500, configured is 1700: ip link set u0 mtu 1700" in hosts.log("host-1")


def test_devices_are_named_after_the_interface():
    assert network.device_name(0x1A2B3C4D) == "eni1a2b3c4d"


def test_edges_are_admitted_and_all_chosen_while_none_answers(hosts: TwoHosts):
    """There is nobody at these addresses: the host keeps to both. One that is taken away is chosen no more."""
    edges = [EdgeIntent(name=f"edge-{n}", address=f"100.64.1.{20 + n}") for n in (1, 2)]
    gateway = GatewayIntent(vni=7, internet=True, egress_only=False)
    hosts.launch(Guest(7, 5, "host-1"))
    hosts.wait_applied("host-1", hosts.service.change("host-1", rules=(*edges, gateway)))
    kernel = hosts.open_dataplane("host-1")
    try:
        assert {substrate_text(key.address) for key, _ in kernel.edge_nodes.items()} == {e.address for e in edges}
        assert [row for _, row in kernel.gateways.items()] == [Gateway(GatewayFlag.INTERNET, 0)]
        until(lambda: kernel.edges == edge_set(e.address for e in edges), lambda: hosts.log("host-1"))
        hosts.kill_agent("host-1")
        assert kernel.edges.living == 2
        hosts.start_agent("host-1")
        gone = hosts.service.change("host-1", unrule=(edges[0].key,))
        hosts.wait_applied("host-1", gone)
        until(lambda: kernel.edges == edge_set([edges[1].address]), lambda: hosts.log("host-1"))
    finally:
        kernel.close()
