"""Whether a processor really runs: asked of the emulator itself, where there is one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rookery.vm import qemu


@pytest.fixture
def unasked():
    qemu.accelerator.cache_clear()
    yield
    qemu.accelerator.cache_clear()


@pytest.mark.skipif(shutil.which(qemu.PROGRAM) is None, reason=f"{qemu.PROGRAM} is missing: run make guests")
def test_an_emulated_processor_says_a_word():
    assert qemu.says_a_word(qemu.processor("tcg"), within=60.0)


@pytest.mark.parametrize(
    ("script", "found"),
    [("printf SeaBIOS; exec sleep 60", "kvm"), ("exit 1", "tcg"), ("exec sleep 60", "tcg")],
    ids=["runs", "is refused", "says nothing"],
)
@pytest.mark.skipif(not Path("/dev/kvm").exists(), reason="no /dev/kvm: nothing to believe or not")
def test_kvm_is_believed_only_when_it_has_run_something(
    unasked, script: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "emulator"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(qemu, "PROGRAM", str(program))
    monkeypatch.setattr(qemu, "FIRST_WORD_WITHIN", 2.0)
    assert qemu.accelerator() == found
