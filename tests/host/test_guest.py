"""What an instance sees instead of the machine's own files."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from rookery.host.instances.guest import UserDataError, fstab, script_of
from rookery.host.instances.record import Places


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_a_script_keeps_its_interpreter_and_what_names_none_is_given_to_sh():
    assert script_of(encoded(b"#!/usr/bin/python3\nprint(1)\n")) == b"#!/usr/bin/python3\nprint(1)\n"
    assert script_of(encoded(b"echo hello")) == b"#!/bin/sh\necho hello"


@pytest.mark.parametrize("content", [b"#cloud-config\nruncmd: []", b"Content-Type: multipart/mixed", b"\x1f\x8b\x08"])
def test_formats_of_cloud_init_are_refused_in_the_log_and_not_run(content: bytes):
    script = script_of(encoded(content))
    assert script.startswith(b"#!/bin/sh\necho 'user data: only scripts are run") and script.endswith(b"exit 1\n")
    assert content not in script


def test_what_is_not_base64_is_an_error():
    with pytest.raises(UserDataError, match="not base64"):
        script_of("%%%")


def test_binds_come_before_what_hides_their_sources_and_proc_comes_last():
    lines = fstab(
        Path("/tmp/state/i-1"),
        {"hosts": Path("/etc/hosts"), "resolv.conf": Path("/run/systemd/resolve/stub-resolv.conf")},
        [Path("/var/lib/rookery"), Path("/tmp/my state")],
    ).splitlines()
    assert lines == [
        "instance /sys sysfs nosuid,nodev,noexec 0 0",
        "/tmp/state/i-1/hosts /etc/hosts none bind 0 0",
        "instance /run tmpfs nosuid,nodev,mode=755 0 0",
        "/tmp/state/i-1/guest /run/instance none bind,x-mount.mkdir 0 0",
        "/tmp/state/i-1/resolv.conf.d /run/systemd/resolve none bind,x-mount.mkdir 0 0",
        "instance /var/lib/rookery tmpfs ro,size=4k,mode=700 0 0",
        "instance /tmp/my\\040state tmpfs ro,size=4k,mode=700 0 0",
        "instance /tmp tmpfs nosuid,nodev,mode=1777 0 0",
        "instance /proc proc nosuid,nodev,noexec 0 0",
    ]


@pytest.mark.parametrize("bad", ["", "..", "../x", "i-1/../..", "i-", "eni-00000001", "i-00000001/"])
def test_what_is_no_instance_id_never_becomes_a_path(bad: str):
    with pytest.raises(ValueError, match="not an instance id"):
        Places(Path("/s"), Path("/r")).folder(bad)
