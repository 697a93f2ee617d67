"""Probes of the machine."""

from __future__ import annotations

import shutil

import pytest

from rookery.host import doctor
from rookery.host.doctor import TOOLS, probe_host
from rookery.host.instances import namespace
from rookery.host.services.kernel_clock import UNKEPT


def test_every_probe_has_a_name_of_its_own_and_a_sentence():
    probes = probe_host()
    assert len({probe.name for probe in probes}) == len(probes)
    assert all(probe.sentence for probe in probes)
    assert namespace.named("rookery-doctor-") == []


@pytest.mark.parametrize(("error", "said"), [(UNKEPT, "nobody keeps it"), (3_400, "right within 3 ms")])
def test_the_hosts_clock_is_instances_clock(monkeypatch: pytest.MonkeyPatch, error: int, said: str):
    monkeypatch.setattr(doctor, "largest_error", lambda: error)
    assert next(probe for probe in probe_host() if probe.name == "clock").sentence.startswith(said)


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    missing = {probe.name: probe.sentence for probe in probe_host() if not probe.ok}
    assert {name: missing[name] for name in TOOLS} == {name: f"missing: apt install {p}" for name, p in TOOLS.items()}
