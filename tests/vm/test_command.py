"""The words an emulator is started with, and which of its ports is free."""

from __future__ import annotations

from pathlib import Path

from rookery.vm.command import PORTS, Card, Guest, command, free_port
from rookery.vm.image import image_in

CARDS = (Card("eni00000001", "02:00:00:00:00:01", 1500), Card("eni00000002", "02:00:00:00:00:02", 9001))
GUEST = Guest("i-1", image_in(Path("/images")), Path("/s/console.log"), Path("/r/i-1.control"), Path("/r,1/i-1.commands"), CARDS)


def values(option: str, guest: Guest = GUEST) -> list[str]:
    words = command(guest, "tcg")
    return [words[n + 1] for n, word in enumerate(words) if word == option]


def test_cards_sit_behind_ports_in_the_order_of_their_names_inside():
    cards = [value for value in values("-device") if "virtio-net-pci" in value]
    assert cards == [
        "driver=virtio-net-pci,id=eni00000001,netdev=wire-eni00000001,bus=port0,mac=02:00:00:00:00:01,host_mtu=1500,romfile=",
        "driver=virtio-net-pci,id=eni00000002,netdev=wire-eni00000002,bus=port1,mac=02:00:00:00:00:02,host_mtu=9001,romfile=",
    ]


def test_no_script_of_the_machine_is_run_for_a_card():
    assert all("script=no,downscript=no" in value for value in values("-netdev"))
    assert "spawn=deny" in values("-sandbox")[0]


def test_a_comma_in_a_path_is_no_end_of_the_path():
    assert "path=/r,,1/i-1.commands" in values("-chardev")[1]


def test_the_console_is_appended_to():
    assert values("-chardev")[0] == "file,id=console,path=/s/console.log,append=on"


def buses(*taken: int) -> list[dict]:
    """As query-pci tells it."""
    ports = [
        {"qdev_id": f"port{n}", "pci_bridge": {"devices": [{"qdev_id": "eni"}]} if n in taken else {"bus": {}}}
        for n in range(PORTS)
    ]
    return [{"bus": 0, "devices": [{"qdev_id": ""}, *ports]}]


def test_the_lowest_free_port_is_taken_and_all_may_be_taken():
    assert free_port(buses()) == 0
    assert free_port(buses(0, 1, 3)) == 2
    assert free_port(buses(*range(PORTS))) is None
