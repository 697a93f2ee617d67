"""Ansible's modules against a running API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rookery.testing.running_api import ACCESS_KEY, SECRET, RunningApi


def in_folder(folder: Path, api: RunningApi, **variables: str) -> Callable[[str], int]:
    """Runs a playbook in `folder`; how many tasks changed something. `variables` of the plays, beside the interpreter `python`."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.json",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_PIPELINING": "true",
        "AWS_ENDPOINT_URL": api.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(text: str) -> int:
        (folder / "play.yml").write_text(text)
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local"]
        command += ["-e", json.dumps({"python": sys.executable, **variables}), folder / "play.yml"]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return json.loads(done.stdout)["stats"]["localhost"]["changed"]

    return run
