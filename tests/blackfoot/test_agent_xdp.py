"""An edge whose agent attaches XDP (`attach: xdp`), over veth in the place of network cards: see one_edge.py for the topology."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rookery.dataplane.attach import AttachMode
from rookery.host import card, ethtool
from rookery.host.card import CardError
from rookery.intent.host import GatewayIntent
from tests.blackfoot.one_edge import EDGE, POOL, OneEdge, built
from tests.blackfoot.test_agent import ping_from_outside
from tests.blackfoot.test_kernel import public
from tests.host.journal import a_mapping
from tests.netns.two_hosts import run
from tests.waiting import until

GATEWAY = GatewayIntent(vni=7, internet=True, egress_only=False)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneEdge]:
    with built(tmp_path_factory.mktemp("edge") / "one", attach="xdp") as one:
        one.change(mappings=(a_mapping(5),), rules=(GATEWAY, public(9, 5)))
        one.wait_outside(POOL)
        yield one


def has_xdp(edge: OneEdge, device: str) -> bool:
    return "prog/xdp" in run("ip", "-netns", edge.netns(EDGE), "link", "show", device)


@pytest.mark.real_packets
def test_both_devices_run_xdp_and_the_kernel_still_speaks_bgp(edge: OneEdge):
    assert edge.status().attach == "xdp"
    assert all(has_xdp(edge, device) for device in ("u0", "x0"))
    until(lambda: (told := edge.told()).sessions and told.sessions[0].bfd == "Up", lambda: str(edge.told()))
    assert edge.what_if("blackfoot_inward", ping_from_outside()).verdict == "sent"


@pytest.mark.real_packets
def test_no_card_takes_out_a_tag_before_xdp_sees_it(edge: OneEdge):
    for device in ("u0", "x0"):
        assert "rx-vlan-offload: off" in run("ip", "netns", "exec", edge.netns(EDGE), "ethtool", "-k", device)


@pytest.mark.real_packets
def test_a_program_that_was_taken_away_is_attached_again(edge: OneEdge):
    for pin in (edge.pins / "links").glob("*-xdp"):
        pin.unlink()
    until(lambda: has_xdp(edge, "u0") and has_xdp(edge, "x0"), edge.log)


@pytest.mark.real_packets
def test_the_next_agent_may_attach_without_it_and_with_it_again(edge: OneEdge):
    modes: list[AttachMode | None] = [None, "xdp"]
    for mode in modes:
        edge.attach = mode
        assert edge.end_agent() == 0
        edge.start_agent()
        until(lambda wanted=mode == "xdp": has_xdp(edge, "u0") == wanted == has_xdp(edge, "x0"), edge.log)
        assert edge.what_if("blackfoot_inward", ping_from_outside()).verdict == "sent"


def test_a_card_that_goes_on_joining_packets_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ethtool, "_ethtool", lambda *_words: "Features for u0:\nlarge-receive-offload: on [fixed]\nrx-gro-hw: off\n")
    with pytest.raises(CardError, match="large-receive-offload"):
        card.hand_over_as_received("u0")
