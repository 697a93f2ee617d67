"""What an instance sees instead of the machine's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from rookery.host.instances.guest import UserDataError, decoded, fstab
from rookery.host.instances.record import Places


def test_what_is_not_base64_is_an_error():
    with pytest.raises(UserDataError, match="not base64"):
        decoded("%%%")


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
