"""An instance with a kernel of its own, up to where an emulator would start. Real ones: tests/netns/test_guests.py."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest

from rookery.host.instances import init
from rookery.host.instances.emulated import Emulated, card_of, given
from rookery.host.instances.guest import UserDataError
from rookery.host.instances.init import InitError
from rookery.host.instances.record import Places
from rookery.vm import qemu
from rookery.vm.command import Card
from rookery.vm.image import Image, image_in
from rookery.vm.offer import offered
from tests.host.journal import an_instance
from tests.vm.test_archive import entries

WANTED = msgspec.structs.replace(an_instance(5), kind="guest", hostname="ip-10-7-1-5")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "state", tmp_path / "run")
    made.prepare()
    return made


@pytest.fixture
def image(tmp_path: Path) -> Image:
    made = image_in(tmp_path)
    for file in made:
        file.write_bytes(b"bytes")
    return made


def test_a_card_bears_the_interfaces_name_address_and_size():
    assert card_of(WANTED.interfaces[0]) == Card(device="eni00000005", mac="02:00:00:00:00:05", mtu=1500)


def test_what_a_guest_is_given_whose_host_has_no_services():
    wanted = msgspec.structs.replace(WANTED, user_data=base64.b64encode(b"echo hello").decode())
    files = {name: content for name, (_, content) in entries(given(wanted)).items()}
    assert files == {
        "given": b"",
        "given/02:00:00:00:00:05": b"10.7.1.5/24 10.7.1.1\n",
        "given/hostname": b"ip-10-7-1-5\n",
        "given/user-data": b"echo hello",
    }


def test_user_data_that_is_not_base64_is_a_failed_boot():
    with pytest.raises(UserDataError):
        given(msgspec.structs.replace(WANTED, user_data="?"))


def test_a_host_without_a_guests_kernel_says_so_and_what_to_do(places: Places, tmp_path: Path):
    with pytest.raises(InitError, match="no guest's kernel: run make guests"):
        Emulated(places, image_in(tmp_path / "nowhere"), has_services=True).start(WANTED)
    assert not init.is_alive(places, WANTED.id)


def test_a_host_without_an_emulator_says_so_and_what_to_do(places: Places, image: Image, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(qemu, "PROGRAM", "qemu-system-nowhere")
    with pytest.raises(InitError, match="qemu-system-nowhere is missing: run make guests"):
        Emulated(places, image, has_services=True).start(WANTED)
    assert offered(image.kernel.parent) == (False, "qemu-system-nowhere is missing: run make guests")


def test_a_device_that_leaves_a_guest_which_has_just_ended_is_no_error(places: Places, image: Image):
    Emulated(places, image, has_services=True).let_go(WANTED.id, "eni00000005")
