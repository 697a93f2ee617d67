"""The agent of an edge with real programs, tables and BGP: see one_edge.py for the topology."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from rookery.blackfoot import rows
from rookery.blackfoot.uplink import UplinkError, look_at
from rookery.dataplane.formats import UplinkFlag
from rookery.intent.host import BlockIntent, GatewayIntent
from rookery.region.errors import NoAnswer
from rookery.trace import packet
from rookery.trace.packet import Probe
from tests.blackfoot.one_edge import EDGE, POOL, OneEdge, built
from tests.blackfoot.test_kernel import public
from tests.host.journal import a_mapping
from tests.netns.two_hosts import run
from tests.waiting import until

pytestmark = pytest.mark.real_packets

GATEWAY = GatewayIntent(vni=7, internet=True, egress_only=False)
BLOCK = BlockIntent(cidr="2001:db8:7::/56", vni=7)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneEdge]:
    with built(tmp_path_factory.mktemp("edge") / "one") as one:
        one.change(mappings=(a_mapping(5),), rules=(GATEWAY, BLOCK, public(9, 5)))
        one.wait_outside(POOL, BLOCK.cidr)
        yield one


def ping_from_outside() -> bytes:
    return packet.ip_frame(packet.NO_MAC, packet.NO_MAC, "192.0.2.80", "203.0.113.9", Probe.of(None, None))


def leads_in(edge: OneEdge) -> bool:
    return edge.what_if("blackfoot_inward", ping_from_outside()).verdict == "sent"


def test_what_the_service_says_is_in_the_tables_and_leads_in(edge: OneEdge):
    told, status = edge.told(), edge.status()
    assert (told.publics, told.blocks, told.problem, status.mappings) == (1, 1, "", 1)
    assert (status.connected, told.draining) == (True, False)
    assert leads_in(edge)


def test_it_tells_its_sessions_and_what_they_export(edge: OneEdge):
    told = until(lambda: (found := edge.told()).sessions and found.sessions[0].bfd == "Up" and found, lambda: str(edge.told()))
    assert [(one.neighbour, one.state) for one in told.sessions] == [("198.51.100.0", "Established")]
    assert told.announced == sorted([BLOCK.cidr, POOL])


def test_a_block_that_comes_or_goes_is_announced_or_withdrawn(edge: OneEdge):
    more = BlockIntent(cidr="2001:db8:8::/56", vni=7)
    edge.change(rules=(more,))
    edge.wait_outside(POOL, BLOCK.cidr, more.cidr)
    edge.change(unrule=(more.key,))
    edge.wait_outside(POOL, BLOCK.cidr)


def test_drained_it_is_withdrawn_and_shut_to_hosts_but_packets_pass_and_its_next_agent_knows(edge: OneEdge):
    assert edge.drain(True).draining
    edge.wait_outside()
    with closing(edge.tables()) as tables:
        assert tables.uplink.flags & UplinkFlag.CLOSING
    assert leads_in(edge)
    assert edge.end_agent() == 0
    edge.start_agent()
    until(lambda: answers(edge), edge.log)
    assert edge.told().draining and edge.routes_outside() == set()
    assert not edge.drain(False).draining
    edge.wait_outside(POOL, BLOCK.cidr)
    with closing(edge.tables()) as tables:
        assert not tables.uplink.flags & UplinkFlag.CLOSING


def test_while_its_agent_is_dead_packets_and_announcements_go_on(edge: OneEdge):
    edge.kill("agent")
    with closing(edge.tables()) as tables:
        found = tables.publics.get(next(iter(rows.publics([public(9, 5)]))))
        assert found is not None and found.interface == 5
        assert not tables.uplink.flags & UplinkFlag.CLOSING
    assert edge.routes_outside() == {POOL, BLOCK.cidr}
    edge.start_agent()
    until(lambda: answers(edge), edge.log)
    assert edge.routes_outside() == {POOL, BLOCK.cidr}
    with closing(edge.tables()) as tables:
        assert not tables.uplink.flags & UplinkFlag.CLOSING, "an agent that only comes back shuts nothing"
    until(lambda: edge.status().generation, "the snapshot is applied")


def answers(edge: OneEdge) -> bool:
    try:
        return edge.status().connected
    except NoAnswer:
        return False


def test_rows_settings_and_files_changed_behind_its_back_are_mended(edge: OneEdge):
    with closing(edge.tables()) as tables:
        tables.publics.put_many(rows.publics([public(77, 6)]))
    inside = ("nsenter", f"--net=/run/netns/{edge.netns(EDGE)}", "--")
    run(*inside, "sysctl", "-qw", "net.ipv4.conf.x0.forwarding=1")
    edge.config.bird_config.write_text("# somebody's\n")

    def mended() -> bool:
        with closing(edge.tables()) as tables:
            stray = next(iter(rows.publics([public(77, 6)])))
            forwarding = run(*inside, "sysctl", "-n", "net.ipv4.conf.x0.forwarding").strip()
            whole = "protocol bgp" in edge.config.bird_config.read_text()
            return tables.publics.get(stray) is None and forwarding == "0" and whole

    until(mended, edge.log)
    assert edge.status().healed >= 2


def test_a_bird_that_is_killed_is_withdrawn_and_announces_again_when_it_is_back(edge: OneEdge):
    edge.kill("bird")
    edge.wait_outside()
    assert "BIRD does not answer" in edge.told().problem
    edge.start_bird("bird", EDGE, edge.folder / "run")
    edge.wait_outside(POOL, BLOCK.cidr)
    until(lambda: edge.told().problem == "", lambda: edge.told().problem)


def test_bfd_notices_within_half_a_second_that_an_edge_stands_still(edge: OneEdge):
    until(lambda: [one.bfd for one in edge.told().sessions] == ["Up"], "BFD is up")
    edge.processes["bird"].send_signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        edge.wait_outside()
        assert time.monotonic() - began < 1.5  # 0.3 s, and what a busy machine takes
    finally:
        edge.processes["bird"].send_signal(signal.SIGCONT)
    edge.wait_outside(POOL, BLOCK.cidr)


def is_shut(edge: OneEdge) -> bool:
    with closing(edge.tables()) as tables:
        return bool(tables.uplink.flags & UplinkFlag.CLOSING)


@contextmanager
def cut(edge: OneEdge) -> Iterator[None]:
    """Its cable, at the other end."""
    outside = ("ip", "-netns", edge.netns("outside"))
    run(*outside, "link", "set", EDGE, "down")
    try:
        yield
    finally:
        run(*outside, "link", "set", EDGE, "up")
        run(*outside, "address", "replace", "2001:db8:fe:1::1/64", "dev", EDGE, "nodad")


def test_without_a_carrier_hosts_are_led_elsewhere_and_no_death_of_the_agent_changes_that(edge: OneEdge):
    with cut(edge):
        until(lambda: is_shut(edge), edge.log)
        assert edge.told().problem == "the uplink has no carrier"
        assert leads_in(edge), "what still comes is handled"
        edge.kill("agent")
        edge.start_agent()
        until(lambda: answers(edge) and edge.status().generation, edge.log)
        assert is_shut(edge)
    until(lambda: not is_shut(edge), edge.log)
    edge.wait_outside(POOL, BLOCK.cidr)


def test_without_a_bgp_session_for_long_hosts_are_led_elsewhere(edge: OneEdge):
    edge.kill("router")
    until(lambda: is_shut(edge), edge.log)
    assert edge.told().problem.startswith("no BGP session for")
    edge.start_bird("router", "outside", edge.folder / "outside")
    until(lambda: not is_shut(edge), edge.log)
    edge.wait_outside(POOL, BLOCK.cidr)


def test_without_its_uplink_nothing_is_announced_and_the_next_agent_opens_what_took_its_place(edge: OneEdge):
    run("ip", "-netns", edge.netns(EDGE), "link", "delete", "x0")
    assert edge.processes["agent"].wait(15) == 2, edge.log()
    with closing(edge.tables()) as tables:
        assert (tables.uplink.ifindex, tables.uplink.flags) == (0, UplinkFlag.CLOSING | UplinkFlag.FILLED)
    assert "blackhole" not in edge.config.bird_config.read_text()
    edge.start_agent()
    assert edge.processes["agent"].wait(15) == 2, "there is no device x0"
    edge.plug_uplink()
    edge.start_agent()
    edge.wait_outside(POOL, BLOCK.cidr)
    until(lambda: not is_shut(edge), edge.log)
    assert leads_in(edge)


def test_what_only_hosts_can_answer_is_refused_in_words(edge: OneEdge):
    told = edge.what_if("blackfoot_inward", ping_from_outside())
    assert told.steps[-1].program == "blackfoot_inward"
    with pytest.raises(NoAnswer, match="an edge has no program 'host_egress'"):
        edge.what_if("host_egress", ping_from_outside())


def test_a_second_agent_is_refused(edge: OneEdge):
    first = edge.processes["agent"]
    edge.start_agent()
    second, edge.processes["agent"] = edge.processes["agent"], first
    assert second.wait(15) == 2
    assert f"another agent of {EDGE} is running" in edge.log()


def test_an_uplink_that_is_missing_is_named(tmp_path: Path):
    config = msgspec.structs.replace(OneEdge(tmp_path).config, uplink_device="x9")
    with pytest.raises(UplinkError, match="no device x9"):
        look_at(config)
