"""Terraform with its AWS provider, where they are on this machine."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rookery.log import JsonLines
from rookery.testing.running_api import ACCESS_KEY, SECRET, RunningApi

MIRROR = Path("/opt/tf-plugins")  # a filesystem mirror of the provider
TERRAFORM = shutil.which("terraform")


def needs_terraform(test: Callable[..., None]) -> Callable[..., None]:
    for absent, reason in (
        (not TERRAFORM, "no program terraform on PATH: this client is not tried"),
        (not MIRROR.is_dir(), f"no AWS provider in {MIRROR}: a test downloads nothing"),
    ):
        test = pytest.mark.skipif(absent, reason=reason)(test)
    return test


class Refusals(logging.Handler):
    """What the API logs of requests that were refused or came again: Terraform says what the last attempt was told, not what became of the
    first."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno > logging.INFO or getattr(record, "code", "") or getattr(record, "attempt", ""):
            self.lines.append(self.format(record))


def in_folder(
    folder: Path, api: RunningApi, refusals: Refusals, files: Mapping[str, str], **variables: str
) -> Callable[..., str]:
    """Runs it in `folder`, which gets these files; what it says. `variables` of the configuration, beside the API's `url`."""
    for name, text in files.items():
        (folder / name).write_text(text)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CHECKPOINT_DISABLE": "1",
        "GOGC": "400",  # a provider reads its schemas at each start: a third of it is collecting garbage, where memory is short
        "TF_VAR_url": api.url,
        **{f"TF_VAR_{name}": value for name, value in variables.items()},
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(TERRAFORM), *arguments, "-no-color"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        told = "\n".join(refusals.lines[-30:])
        assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-4000:]}\n{told}"
        return done.stdout

    run("init", f"-plugin-dir={MIRROR}")
    return run
