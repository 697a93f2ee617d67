"""A region as its user sees it: up, used, looked into, down.

red-1 10.0.1.10 (zone a)  ---  VPC red 10.0.0.0/16  ---  red-2 10.0.2.10 (zone b)      and the same in blue: rookery tour
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from rookery.region import directory, owned, processes
from rookery.region.layout import Layout
from rookery.tour import twins


@pytest.fixture(scope="module")
def stage(region) -> dict[str, str]:
    return twins.set_up(region.name)


def test_every_part_is_healthy_and_every_host_says_where_it_is(region):
    told = region.asked("status")
    assert [part["problem"] for part in told["parts"]] == [""] * 24
    assert [(host["name"], host["zone"]) for host in told["hosts"]] == [
        ("host-1", 0),
        ("host-2", 1),
        ("host-3", 0),
        ("host-4", 1),
    ]
    assert all(host["status"]["connected"] for host in told["hosts"])


def test_up_on_a_running_region_does_nothing_and_says_so(region):
    before = region.asked("status")["parts"]
    done = region.rookery("up")
    assert done.returncode == 0
    assert "already running" in done.stderr.decode()
    assert [part["pid"] for part in region.asked("status")["parts"]] == [part["pid"] for part in before]
    assert "another build" not in done.stderr.decode()


def test_up_on_a_region_of_another_build_says_what_changes_it(region):
    note = Layout(region.name).run / "build"
    mine = note.read_text()
    try:
        note.write_text("of yesterday")
        said = region.rookery("up").stderr.decode()
    finally:
        note.write_text(mine)
    assert "another build, and goes on with that one's programs and substrate" in said
    assert f"rookery down --keep-data --name {region.name}, then up" in said


def test_up_with_another_shape_is_refused_while_it_runs(region):
    done = region.rookery("up", "--hosts", "6")
    assert done.returncode == 1
    assert "is running with 4 hosts" in done.stderr.decode()


@pytest.mark.parametrize("before", [{}, {"AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "of-work"}], ids=["fresh", "used"])
def test_the_aws_cli_works_with_what_env_prints(region, before):
    script = (
        f'eval "$({region_root()}/rookery env --name {region.name})" && aws ec2 describe-vpcs --output json'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/root"), **before},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert any(vpc["IsDefault"] for vpc in json.loads(done.stdout)["Vpcs"])


def test_a_key_of_another_account_sees_that_accounts_things_only(region, stage):
    account, key = region.new_account()
    theirs = region.client(key=key).describe_vpcs()["Vpcs"]
    assert {vpc["OwnerId"] for vpc in theirs} == {account}
    assert region.client("sts", key=key).get_caller_identity()["Account"] == account


def test_exec_passes_stdin_stdout_and_the_exit_code(region, stage):
    done = region.rookery(
        "exec", "red-1", "--", "sh", "-c", "cat; echo error >&2; exit 7", given=b"through\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"through\n", b"error\n")


def test_exec_is_inside_the_instance(region, stage):
    done = region.rookery("exec", stage["red-2"], "--", "hostname")
    assert done.stdout == b"ip-10-0-2-10\n"
    processes = region.rookery("exec", "red-2", "--", "sh", "-c", "ls -d /proc/[0-9]* | wc -l")
    assert int(processes.stdout) < 15


def test_exec_takes_nothing_of_the_callers_shell_inside(region, stage, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for tenants")
    assert b"not for tenants" not in region.rookery("exec", "red-1", "--", "env").stdout


@pytest.mark.parametrize("word", ["nobody", "i-00000000000000000"])
def test_an_instance_that_does_not_exist_is_named(region, word):
    done = region.rookery("exec", word, "--", "true")
    assert done.returncode == 1
    assert f"{word!r} is no instance" in done.stderr.decode()


def test_a_ping_crosses_hosts_inside_the_vpc_and_none_crosses_vpcs(region, stage):
    assert region.rookery("exec", "red-1", "--", "ping", "-c1", "-W5", "10.0.2.10").returncode == 0
    assert region.rookery("exec", "red-2", "--", "ping", "-c1", "-W1", "10.0.1.20").returncode == 1


def test_a_trace_tells_every_step_to_delivery(region, stage):
    done = region.rookery("trace", "red-1", "red-2", "--tcp", "80")
    said = done.stdout.decode()
    assert done.returncode == 0, said + done.stderr.decode()
    for words in ("ARP", "source checked", "route found: local", "mapping found", "wrapped", "verified"):
        assert words in said
    assert said.rstrip().endswith(f"delivered to {stage['red-2']} at {host_of(region, stage['red-2'])}")


def test_a_trace_of_a_packet_that_is_dropped_says_why_and_exits_with_1(region, stage):
    done = region.rookery("trace", "red-2", "10.0.1.20")
    assert done.returncode == 1
    assert "dropped" in done.stdout.decode()


def test_a_trace_leaves_no_mark_in_the_counters(region, stage):
    region.rookery("exec", "red-1", "--", "true")
    before = tenants_counters(region)
    assert region.rookery("trace", "red-1", "red-2").returncode == 0
    assert region.rookery("trace", "red-1", "10.0.1.99").returncode == 1
    assert tenants_counters(region) == before


def tenants_counters(region) -> list[dict]:
    """Without what goes on by itself: the agents' own connections, and guests that renew their ARP entries."""
    by_host = [host["status"]["counters"] for host in region.asked("status")["hosts"]]
    return [{k: v for k, v in one.items() if k not in ("not_ours", "answered")} for one in by_host]


def test_mappings_show_intent_and_kernel_side_by_side_without_a_difference(region, stage):
    generation = region.asked("status")["revision"]
    assert region.rookery("wait", str(generation)).returncode == 0
    rows = region.asked("mappings", "--vpc", "red")
    assert {row["address"] for row in rows} >= {"10.0.1.10", "10.0.2.10"}
    assert all(row["kernel_host"] == row["intended_host"] != "" for row in rows)
    assert [row["difference"] for row in rows] == [""] * len(rows)


def test_watch_shows_a_drop_with_its_reason_within_a_second(region, stage):
    command = [f"{region_root()}/rookery", "watch", "--json", "--name", region.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watcher:
        try:
            assert watcher.stderr.readline() == b"listening on all 4 hosts, 2 edges and 4 nodes of the cell\n"
            ping = ["exec", "red-2", "--name", region.name, "--", "ping", "-c3", "-W1", "10.0.1.20"]
            with subprocess.Popen([f"{region_root()}/rookery", *ping], stdout=subprocess.DEVNULL):
                events = map(json.loads, watcher.stdout)
                event = next(event for event in events if event["destination"] == "10.0.1.20")
                shown = time.time()
        finally:
            watcher.terminate()
    assert (event["verdict"], event["source"]) == ("drop_no_mapping", "10.0.2.10")
    assert shown - event["time"] < 1.0


def test_waiting_for_a_generation_that_does_not_come_ends_with_1(region):
    done = region.rookery("wait", "--timeout", "0.1", str(10**9))
    assert done.returncode == 1


def test_the_first_keys_file_and_the_state_are_for_root_only(region):
    state = Layout(region.name).state
    assert state.stat().st_mode & 0o077 == 0
    for secret in ("access-key.json", "sealing.key", "certificates/authority.key"):
        assert (state / secret).stat().st_mode & 0o077 == 0


def test_the_tour_succeeds_and_succeeds_again(region):
    for _ in range(2):
        done = region.rookery("tour", timeout=110)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert "The region stays up" in done.stdout.decode()


def test_a_second_region_beside_it_sees_nothing_of_it(region, stage, fresh_region):
    other = fresh_region(1, 1)
    assert other.rookery("exec", "red-1", "--", "true").returncode == 1
    assert [vpc["IsDefault"] for vpc in other.client().describe_vpcs()["Vpcs"]] == [True]
    assert region.rookery("exec", "red-1", "--", "ping", "-c1", "-W5", "10.0.2.10").returncode == 0
    other.rookery("down")
    assert region.rookery("exec", "red-1", "--", "ping", "-c1", "-W5", "10.0.2.10").returncode == 0


def test_down_leaves_nothing_and_up_begins_anew(fresh_region):
    devices = os.listdir("/sys/class/net")
    one = fresh_region(2, 2)
    assert len(traces_of(one.name)) > 5
    one.client().create_vpc(CidrBlock="10.9.0.0/16")
    assert one.rookery("down").returncode == 0
    assert traces_of(one.name) == []
    assert os.listdir("/sys/class/net") == devices
    assert owned.region_processes(Layout(one.name)) == []
    assert one.rookery("up", "--hosts", "1", "--zones", "1", "--port", str(one.port)).returncode == 0
    assert len(one.client().describe_vpcs()["Vpcs"]) == 1


def test_down_that_keeps_data_lets_up_bring_vpcs_and_instances_back(fresh_region):
    one = fresh_region(4, 2)
    stage = twins.set_up(one.name)
    assert one.rookery("down", "--keep-data").returncode == 0
    assert not Layout(one.name).run.exists()
    assert one.rookery("up").returncode == 0
    assert twins.set_up(one.name) == stage
    twins.wait_until(
        lambda: one.rookery("exec", "red-1", "--", "ping", "-c1", "-W1", "10.0.2.10").returncode == 0,
        lambda: "no ping after the region came back",
    )


def test_two_ups_at_once_make_one_region(fresh_region):
    one = fresh_region(1, 1)
    assert one.rookery("down", "--keep-data").returncode == 0
    command, environment = [f"{region_root()}/rookery", "up"], os.environ | {"ROOKERY_NAME": one.name}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    ours = [processes.arguments(process.pid) for process in owned.region_processes(Layout(one.name))]
    assert sum("rookery.region.supervisor" in words for words in ours) == 1
    assert sum("rookery.api" in words for words in ours) == 1


def host_of(region, instance_id: str) -> str:
    return directory.read(Layout(region.name)).instance(instance_id).host


def region_root() -> Path:
    return Path(__file__).resolve().parents[2]


def traces_of(name: str) -> list[str]:
    """Whatever on this machine carries the region's name; other regions may come and go meanwhile."""
    folders = [Path(f) for f in ("/run/netns", "/run/rookery", "/var/lib/rookery", "/sys/fs/bpf/rookery")]
    files = [
        str(entry)
        for folder in folders
        if folder.exists()
        for entry in folder.iterdir()
        if name in entry.name
    ]
    return files + [line for line in Path("/proc/self/mounts").read_text().splitlines() if name in line]
