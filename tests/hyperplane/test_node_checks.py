"""What a node checks of its cell's file: for whom it speaks, and nobody else; and what becomes of the ways."""

from __future__ import annotations

import msgspec

from rookery.dataplane.errors import DataplaneError
from rookery.hyperplane.health import PASSED
from rookery.hyperplane.node_checks import NodeChecks
from rookery.intent.cell import CellIntent, HealthCheckIntent
from tests.hyperplane.files import attachment, file, in_order, target
from tests.hyperplane.target_servers import loopback, serving, until


class Ways:
    """`spoken`: interfaces of attachments for which hosts believe this node."""

    def __init__(self, *spoken: int):
        self.spoken = set(spoken)
        self.kept: set[tuple[int, int, str]] = set()
        self.is_broken = False
        self.open_socket = loopback

    def speaks_for(self, _vni: int, interface: int) -> bool:
        if self.is_broken:
            raise DataplaneError("the kernel says no")
        return interface in self.spoken

    def keep(self, wanted) -> None:
        self.kept = set(wanted)


def told(port: int, *checked_by: int):
    """The file of a cell whose only target is at this port."""
    settings = HealthCheckIntent(interval=1000)
    one = msgspec.structs.replace(target(1), port=port, checked_by=checked_by, check=settings)
    return file(intent=CellIntent(cell="cell-1", generation=1, attachments=(attachment(7), attachment(8)), targets=in_order([one])))


async def test_a_node_checks_in_the_name_of_those_for_whom_it_speaks():
    ways = Ways(7)
    async with serving() as server, NodeChecks(ways, lambda: None) as checks:
        checks.follow(told(server.port, 7, 8))
        await until(lambda: server.connections == 1, "the one check is made")
        assert ways.kept == {(1, 7, target(1).address)}


async def test_a_node_that_comes_to_a_shard_begins_and_one_that_leaves_it_ends_and_has_no_word():
    ways = Ways()
    async with serving() as server, NodeChecks(ways, lambda: None) as checks:
        checks.follow(told(server.port, 7))
        assert (checks.words, ways.kept) == ({}, set())
        ways.spoken = {7}
        checks.follow(told(server.port, 7))  # the same file
        await until(lambda: checks.words, "it has a word")
        assert [*checks.words.values()] == [{f"{target(1).address}:{server.port}": PASSED}]
        ways.spoken = set()
        checks.follow(told(server.port, 7))
        assert (checks.words, ways.kept) == ({}, set())


async def test_a_kernel_that_does_not_answer_changes_nothing():
    ways = Ways(7)
    async with serving() as server, NodeChecks(ways, lambda: None) as checks:
        checks.follow(told(server.port, 7))
        await until(lambda: checks.words, "it has a word")
        before, ways.is_broken = checks.words, True
        checks.follow(told(server.port, 8))
        assert checks.words == before


async def test_a_node_without_ways_makes_no_checks():
    async with NodeChecks(None, lambda: None) as checks:
        checks.follow(told(80, 7))
        assert checks.words == {}
