"""A stranger reads our wire format: tshark, given what host_egress really wrote, shows the Geneve that docs/wire-format.md draws.

    instance 11 (10.7.1.5) -- [host A] -- bytes --> a file --> tshark
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from rookery.dataplane.formats import Verdict
from rookery.dataplane.host import HostDataplane
from tests.dataplane import plan
from tests.dataplane.packets import ICMP, ROUTER, TCP, UDP, Ether, frame_from_11, mac_text

ANY_TRACE = 0x0ABC
CHECKED = [word for layer in ("ip", "udp", "tcp") for word in ("-o", f"{layer}.check_checksum:TRUE")]
FIELDS = (
    "frame.protocols", "ip.src", "ip.dst", "ip.flags.df", "ip.ttl", "ip.checksum.status", "udp.dstport", "udp.checksum",
    "geneve.version", "geneve.flags", "geneve.proto_type", "geneve.vni", "geneve.option.class", "geneve.option.type",
    "geneve.option.type.critical", "geneve.option.length", "geneve.option.unknown.data", "eth.src", "eth.dst",
)  # fmt: skip
WARNING = 0x600000  # wireshark, epan/proto.h: PI_WARN; a remark about a connection is PI_CHAT
COMPLAINTS = ("_ws.malformed", "_ws.expert.severity", "ip.bogus_header_length", "tcp.checksum.status")


def read_by_tshark(capture: Path, *fields: str) -> list[dict[str, list[str]]]:
    """One row a packet: all values of each field, the outermost first."""
    asked = [word for field in fields for word in ("-e", field)]
    shape = ["-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|", "-E", "separator=/t", "-n"]
    done = subprocess.run(["tshark", "-r", capture, *CHECKED, *shape, *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [{f: v.split("|") if v else [] for f, v in zip(fields, row, strict=True)} for row in rows]


def wire_bytes(host: HostDataplane, frame: Packet) -> bytes:
    outcome = host.what_if("host_egress", bytes(frame), plan.DEVICE, ANY_TRACE)
    assert outcome.verdict is Verdict.SENT
    return outcome.frame


@pytest.fixture
def captured(host_a: HostDataplane, tmp_path: Path) -> Path:
    """Three packets: UDP within the subnet, TCP across, an echo request."""
    echo = ICMP(type=8, id=77) / Raw(b"x" * 56)
    frames = [
        frame_from_11("10.7.1.6", content=UDP(sport=40001, dport=40002) / b"penguin"),
        frame_from_11("10.7.2.7", ROUTER, TCP(sport=40001, dport=40003, flags="PA") / Raw(b"y" * 1400)),
        frame_from_11("10.7.1.6", content=echo),
    ]
    path = tmp_path / "wire.pcap"
    wrpcap(str(path), [Ether(wire_bytes(host_a, frame)) for frame in frames])
    return path


def test_tshark_shows_vni_origin_and_the_packet_inside(captured: Path) -> None:
    first = read_by_tshark(captured, *FIELDS)[0]
    assert set(first.pop("geneve.option.length")) == {"16"}
    assert first == {
        "frame.protocols": ["eth:ethertype:ip:udp:geneve:eth:ethertype:ip:udp:data"],
        "ip.src": ["100.64.1.10", "10.7.1.5"],
        "ip.dst": ["100.64.1.11", "10.7.1.6"],
        "ip.flags.df": ["1", "1"],
        "ip.ttl": ["64", "64"],
        "ip.checksum.status": ["1", "1"],
        "udp.dstport": ["6081", "40002"],
        "udp.checksum": ["0x0000", first["udp.checksum"][1]],
        "geneve.version": ["0"],
        "geneve.flags": ["0x00"],
        "geneve.proto_type": ["0x6558"],
        "geneve.vni": ["0x000007"],
        "geneve.option.class": ["0xff52"],
        "geneve.option.type": ["0x01"],
        "geneve.option.type.critical": ["0"],
        "geneve.option.unknown.data": ["0000000b" "00000700" "00000000"],
        "eth.src": ["00:00:00:00:00:00", mac_text(11)],
        "eth.dst": ["00:00:00:00:00:00", mac_text(12)],
    }


def test_tshark_finds_each_packet_by_what_is_inside(captured: Path) -> None:
    rows = read_by_tshark(captured, "frame.protocols", "ip.dst", "tcp.dstport", "icmp.ident")
    layers = [row["frame.protocols"][0].split("geneve:")[1] for row in rows]
    assert layers == ["eth:ethertype:ip:udp:data", "eth:ethertype:ip:tcp:data", "eth:ethertype:ip:icmp:data"]
    assert [row["ip.dst"][1] for row in rows] == ["10.7.1.6", "10.7.2.7", "10.7.1.6"]
    assert (rows[1]["tcp.dstport"], rows[2]["icmp.ident"][0]) == (["40003"], "77")


def test_tshark_has_nothing_to_complain_about(captured: Path) -> None:
    rows = read_by_tshark(captured, *COMPLAINTS, "geneve.vni")
    assert len(rows) == 3
    assert [row for row in rows if row["_ws.malformed"] or row["ip.bogus_header_length"]] == []
    assert [row["tcp.checksum.status"] for row in rows] == [[], ["1"], []]
    assert [s for row in rows for s in row["_ws.expert.severity"] if int(s) >= WARNING] == []


def test_the_filter_of_the_wire_format_page_finds_the_packet(captured: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "wire-format.md").read_text()
    wanted = page.split("`-Y '")[1].split("'`")[0]
    done = subprocess.run(["tshark", "-r", captured, "-Y", wanted], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3), done.stderr
