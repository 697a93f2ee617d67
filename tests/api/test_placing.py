"""In which of several cells does something new live? The emptiest that has room for it, in the zone; and there it stays.

internet -- igw -- VPC 10.0.0.0/16 -- subnet a 10.0.1.0/24 (zone a), subnet b 10.0.2.0/28 (zone b)
cell-1, cell-2, cell-3: of both zones, four nodes each
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rookery.api import room
from rookery.api.operation import HANDLERS, ApiError
from rookery.api.room import with_room
from rookery.intent.cell_rows import Rows, rows_by_account
from rookery.model.balancers import LoadBalancer
from rookery.model.objects import Cell, CellAttachment, CellStatus, NatGateway, NetworkInterface, VpcEndpoint
from rookery.region import cells
from rookery.store.interface import Conflict
from tests.api.balancer_scene import balance, elb, group, listen
from tests.api.edge_scene import public_account
from tests.api.nat_scene import time_passes
from tests.api.test_cell_room import PLENTY, a_service_and_its_consumer
from tests.api.test_two_accounts_at_once import ONE, Region

MINE, ANOTHER = "123456789012", "210987654321"
CELLS = ("cell-1", "cell-2", "cell-3")


def account(count=2):
    here = public_account()
    for name in CELLS[:count]:
        nodes = tuple(f"{name}-node-{n}" for n in range(1, 5))
        here.view.given_cells[name] = Cell(name=name, zones=(0, 1), nodes=nodes)
    return here


@pytest.fixture
def here():
    return account()


@pytest.fixture
def only(monkeypatch):
    """Says how much room each cell has of a kind; half of it is one account's."""
    return lambda **rows: monkeypatch.setattr(room, "ROOM", PLENTY._replace(**rows))


def gateway(here, subnet=None, addresses=1):
    """A private one; its id."""
    asked = {"SubnetId": (subnet or here.a).id, "ConnectivityType": "private"}
    more = {"SecondaryPrivateIpAddressCount": addresses - 1} if addresses > 1 else {}
    return here.view.call("CreateNatGateway", **asked, **more)["NatGateway"]["NatGatewayId"]


def homes(here, of):
    """Cells in which it lives, by zone's letter."""
    found = (one for one in here.view.all(NetworkInterface) if one.cell_attachment and one.cell_attachment.of == of)
    return {one.zone[-1]: one.cell_attachment.cell for one in found}


def cell_of(here, made):
    return homes(here, made)["a"]


def close(here, cell, closed=True):
    here.view.given_cells[cell] = replace(here.view.given_cells[cell], closed=closed)


# ------------------------------------------------------------------------------------------------------------ where it goes


def test_what_is_new_goes_to_the_emptiest_cell_and_what_is_there_stays(here):
    made = [gateway(here) for _ in range(4)]
    assert [cell_of(here, one) for one in made] == ["cell-1", "cell-2", "cell-1", "cell-2"]
    here.view.given_cells["cell-3"] = replace(here.view.given_cells["cell-2"], name="cell-3", nodes=("cell-3-node-1",))
    assert cell_of(here, gateway(here)) == "cell-3"
    assert [cell_of(here, one) for one in made] == ["cell-1", "cell-2", "cell-1", "cell-2"]


def test_the_emptiest_is_that_which_has_most_left_of_what_it_has_least_of(here, only):
    only(attachments=100, addresses=10)
    full = gateway(here, addresses=4)
    assert cell_of(here, full) == "cell-1"
    made = [gateway(here) for _ in range(4)]  # four attachments and four addresses there: no fuller of anything than the first cell
    assert {cell_of(here, one) for one in made} == {"cell-2"}


def test_the_zones_of_a_balancer_live_in_different_cells(here):
    arn = balance(here)["LoadBalancerArn"]
    (balancer,) = here.view.all(LoadBalancer)
    assert balancer.arn == arn
    assert homes(here, balancer.id) == {"a": "cell-1", "b": "cell-2"}
    assert {cell: set(here.view.shards(cell)) for cell in CELLS[:2]} == {"cell-1": {MINE}, "cell-2": {MINE}}


def test_an_account_whose_share_of_a_cell_is_used_goes_to_another_and_is_refused_when_it_has_none_left(here, only):
    only(attachments=2)
    assert [cell_of(here, gateway(here)) for _ in range(2)] == ["cell-1", "cell-2"]
    with pytest.raises(ApiError) as refused:
        gateway(here)
    assert refused.value.code == "NatGatewayLimitExceeded"
    assert "cell-1" in refused.value.message


def crowd(here, cell, count):
    """Interfaces of another account there."""
    front = next(one for one in here.view.all(NetworkInterface) if one.cell_attachment)
    at = CellAttachment(cell=cell, of="lb-00000000000000009")
    here.view.others += [replace(front, id=f"eni-{n:017x}", account=ANOTHER, cell_attachment=at) for n in range(count)]


def test_a_cell_that_seems_emptier_and_has_no_room_is_passed_over(here, only):
    only(attachments=12, addresses=8)
    assert [cell_of(here, gateway(here, addresses=n)) for n in (1, 4)] == ["cell-1", "cell-2"]
    crowd(here, "cell-1", 7)  # fuller than cell-2, where the account's share of addresses is used
    assert cell_of(here, gateway(here)) == "cell-1"


def test_what_grows_where_it_lives_finds_room_there_or_none(here, only):
    balancer = balance(here, Subnets=[here.a.id])
    arn = group(here, TargetType="ip")
    only(services=2)
    listen(here, balancer, arn, port=1)
    with pytest.raises(ApiError) as refused:
        listen(here, balancer, arn, port=2)
    assert (refused.value.code, "cell-1" in refused.value.message) == ("TooManyListeners", True)


def test_a_balancers_further_zone_finds_a_cell_with_room_for_all_that_it_listens_for(here, only):
    first, second = (balance(here, name, Subnets=[subnet.id]) for name, subnet in (("one", here.a), ("two", here.b)))
    (one, two) = here.view.all(LoadBalancer)
    assert (homes(here, one.id), homes(here, two.id)) == ({"a": "cell-1"}, {"b": "cell-2"})
    listen(here, first, group(here, TargetType="ip"), port=1)
    for port in (1, 2):
        listen(here, second, group(here, f"g{port}", TargetType="ip"), port=port)
    crowd(here, "cell-1", 7)
    only(attachments=12, services=4)
    elb(here, "SetSubnets", LoadBalancerArn=one.arn, Subnets=[here.a.id, here.b.id])
    assert homes(here, one.id) == {"a": "cell-1", "b": "cell-1"}


def test_an_endpoint_lives_in_the_cell_of_its_services_balancer(here, only):
    balancer = balance(here, Subnets=[here.a.id])
    (made,) = here.view.all(LoadBalancer)
    assert homes(here, made.id) == {"a": "cell-1"}
    wanted = a_service_and_its_consumer(here, balancer)
    here.view.call("CreateVpcEndpoint", **wanted)
    (endpoint,) = here.view.all(VpcEndpoint)
    assert homes(here, endpoint.id) == {"a": "cell-1"}  # cell-2 has nothing
    only(attachments=4)
    assert here.view.refusal("CreateVpcEndpoint", **wanted) == "VpcEndpointLimitExceeded"


def test_a_closed_cell_takes_nothing_and_one_without_a_living_node_is_the_last_resort(here):
    close(here, "cell-1")
    assert cell_of(here, gateway(here)) == "cell-2"
    close(here, "cell-2")
    assert here.view.refusal("CreateNatGateway", SubnetId=here.a.id, ConnectivityType="private") == "InsufficientCapacity"
    close(here, "cell-1", closed=False)
    close(here, "cell-2", closed=False)
    here.view.cell_statuses["cell-2"] = CellStatus(name="cell-2", epoch=9, generation=9, nodes={"cell-2-node-1": 9})
    assert {cell_of(here, gateway(here)) for _ in range(3)} == {"cell-2"}
    close(here, "cell-2")
    assert cell_of(here, gateway(here)) == "cell-1"


def test_what_is_placed_in_the_moment_in_which_its_cell_is_closed_is_decided_again():
    async def run():
        region = await Region().begin()
        home = region.subnet(ONE).id

        def decided():
            request = region.request(ONE, "CreateNatGateway", ConnectivityType="private", SubnetId=home)
            view = region.state.view(ONE, "us-east-1")
            return region.transaction(request, with_room(request, view, HANDLERS["CreateNatGateway"]))

        await region.commit(decided())  # the account has its shard
        made = decided()
        assert not await cells.close(region.store, "a", True)
        with pytest.raises(Conflict):
            await region.commit(made)
        await region.state.catch_up()
        with pytest.raises(ApiError, match="InsufficientCapacity"):
            decided()

    asyncio.run(run())


# ----------------------------------------------------------------------------------------------------------- whatever happens

SMALL = PLENTY._replace(attachments=6, addresses=8, services=4)
DEEDS = st.one_of(
    st.tuples(st.just("gateway"), st.sampled_from("ab"), st.integers(1, 3)),
    st.tuples(st.just("balancer"), st.sampled_from(["a", "b", "ab"])),
    st.tuples(st.just("listen"), st.integers(0, 5)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("close"), st.sampled_from(CELLS), st.booleans()),
    st.tuples(st.just("other"), st.sampled_from(CELLS)),
)


class World:
    def __init__(self):
        self.here = account(3)
        self.here.view.quotas = replace(self.here.view.quotas, nat_gateways=1000)
        self.arn = group(self.here, TargetType="ip")
        self.names = 0

    def do(self, deed):
        getattr(self, f"_{deed[0]}")(*deed[1:])

    def _gateway(self, zone, addresses):
        try:
            gateway(self.here, getattr(self.here, zone), addresses)
        except ApiError as error:
            if error.code in ("NatGatewayLimitExceeded", "InsufficientCapacity"):
                assert not any(self._fits(one, addresses) for one in self.here.view.cells()), error
            return
        time_passes(self.here)

    def _fits(self, cell, addresses):
        """By rules of its own: whether a gateway with so many addresses has room there."""
        counted = rows_by_account(self.here.view.everybodys, cell.name)
        mine, all_of_it = counted.get(MINE, Rows()), [sum(kind) for kind in zip(Rows(), *counted.values(), strict=True)]
        enough = mine.attachments + 1 <= SMALL.attachments // 2 and mine.addresses + addresses <= SMALL.addresses // 2
        return not cell.closed and enough and all_of_it[0] + 1 <= SMALL.attachments and all_of_it[1] + addresses <= SMALL.addresses

    def _balancer(self, zones):
        self.names += 1
        subnets = [getattr(self.here, zone).id for zone in zones]
        self._try(balance, self.here, f"lb{self.names}", Subnets=subnets)

    def _listen(self, index):
        for one in self.here.view.all(LoadBalancer)[index : index + 1]:
            self.names += 1
            self._try(listen, self.here, {"LoadBalancerArn": one.arn}, self.arn, port=self.names)

    def _try(self, call, *arguments, **parameters):
        with contextlib.suppress(ApiError):
            call(*arguments, **parameters)

    def _delete(self, index):
        there = [one.id for one in self.here.view.all(NatGateway) if one.state == "available"]
        for one in there[index : index + 1]:
            self.here.view.call("DeleteNatGateway", NatGatewayId=one)
            time_passes(self.here)

    def _close(self, cell, closed):
        close(self.here, cell, closed)

    def _other(self, cell):
        """Another account's, where there is room."""
        front = next((one for one in self.here.view.all(NetworkInterface) if one.cell_attachment), None)
        total = sum(rows.attachments for rows in rows_by_account(self.here.view.everybodys, cell).values())
        if front and total < SMALL.attachments and "nat-" not in front.cell_attachment.of:
            at = replace(front.cell_attachment, cell=cell)
            self.here.view.others.append(replace(front, id=f"eni-{total:08x}{len(self.here.view.others):09x}", account=ANOTHER, cell_attachment=at))

    def check(self, before):
        """`before`: homes of all interfaces. Now they live in those, and everything has room and a shard of its own cell."""
        after = self.homes()
        assert {one: cell for one, cell in after.items() if one in before} == {one: cell for one, cell in before.items() if one in after}
        for cell in self.here.view.cells():
            counted = rows_by_account(self.here.view.everybodys, cell.name)
            assert all(sum(kind) <= most for kind, most in zip(zip(Rows(), *counted.values(), strict=True), SMALL, strict=True))
            assert all(mine <= most // 2 for mine, most in zip(counted.get(MINE, Rows()), SMALL, strict=True))
            lives_here = cell.name in after.values()
            shards = self.here.view.shards(cell.name)
            assert not lives_here or MINE in shards
            assert all((shard.cell, set(shard.nodes) <= set(cell.nodes)) == (cell.name, True) for shard in shards.values())
            new = [one for one in after if one not in before and after[one] == cell.name]
            assert not (new and cell.closed)

    def homes(self):
        return {one.id: one.cell_attachment.cell for one in self.here.view.all(NetworkInterface) if one.cell_attachment}


@settings(max_examples=30, deadline=None)
@given(deeds=st.lists(DEEDS, min_size=1, max_size=14))
def test_no_cell_holds_more_than_it_has_room_for_and_nobody_is_refused_who_has_room_somewhere(deeds):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(room, "ROOM", SMALL)
        world = World()
        for deed in deeds:
            before = world.homes()
            world.do(deed)
            world.check(before)
