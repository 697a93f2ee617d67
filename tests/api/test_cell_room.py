"""What a cell has no room for is refused before it is stored, and no account takes all of it.

internet -- igw -- VPC 10.0.0.0/16 -- subnet a 10.0.1.0/24 (zone a, cell-0), subnet b 10.0.2.0/28 (zone b, cell-1)
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from rookery.api import room
from rookery.api.operation import ApiError
from rookery.api.quotas import Quotas
from rookery.hyperplane import cell_file
from rookery.intent.cell_rows import Rows, rows_by_account
from rookery.intent.cell_whole import cell_intent
from rookery.model.balancers import TargetGroup
from rookery.model.objects import Cell, NetworkInterface, TargetHealth
from rookery.store.sqlite import SqliteStore
from rookery.testing.invariants import broken
from rookery.testing.running_api import RunningApi
from tests.api.balancer_scene import (
    balance,
    balanced_account,
    deregister,
    elb,
    forward,
    group,
    listen,
    modify,
    refusal,
    register,
    state_now,
    web_instances,
)
from tests.api.nat_scene import available

ROUNDS = 8
MINE, ANOTHER = "123456789012", "210987654321"
ALL_OF_IT = Quotas(cell_share=100)
PLENTY = Rows(*[1000] * len(Rows._fields))


@pytest.fixture
def here():
    return balanced_account()


@pytest.fixture
def only(monkeypatch):
    """Says how much room each cell has of a kind; half of it is one account's."""

    def say(**rows):
        monkeypatch.setattr(room, "ROOM", PLENTY._replace(**rows))

    return say


def refused(call, *arguments, **parameters):
    """Code and message."""
    with pytest.raises(ApiError) as caught:
        call(*arguments, **parameters)
    return caught.value.code, caught.value.message


def taken(here, cell="cell-0"):
    return rows_by_account(here.view.everybodys, cell)[MINE]


# ------------------------------------------------------------------------------------------------------------ what is counted


def a_service_and_its_consumer(here, balancer):
    made = here.view.call(
        "CreateVpcEndpointServiceConfiguration",
        NetworkLoadBalancerArns=[balancer["LoadBalancerArn"]],
        AcceptanceRequired=False,
    )["ServiceConfiguration"]
    consumer = here.view.make_vpc("10.9.0.0/16")
    subnet = here.view.make_subnet(consumer, "10.9.1.0/24", zone="us-east-1a")
    return {
        "VpcId": consumer.id,
        "VpcEndpointType": "Interface",
        "ServiceName": made["ServiceName"],
        "SubnetIds": [subnet.id],
    }


def in_the_file(here, cell):
    """Rows, when all checks have passed."""
    groups = here.view.all(TargetGroup)
    whole = Cell(name=cell, zones=(), nodes=())
    first = cell_intent(state_now(here), whole)
    words = {one.id: {} for one in groups}
    for target in first.targets:
        words[target.group][target.place] = ("healthy", "")
    made = cell_intent(state_now(here), whole, TargetHealth(cell=cell, targets=words))
    return Rows(
        attachments=len(made.attachments),
        addresses=sum(len(one.addresses) + len(one.draining_addresses) for one in made.attachments),
        services=len(made.services),
        choices=sum(len(one.choices) for one in made.services),
        targets=len(made.targets),
        groups=len({one.group for one in made.targets}),
    )


@pytest.mark.parametrize("crossed", ["false", "true"])
def test_as_much_is_counted_as_the_file_holds_when_everybody_is_healthy(here, crossed):
    one, two, three = web_instances(here, 3)
    balancer = balance(here)
    by_instance, by_address = group(here, "one", Protocol="TCP_UDP"), group(here, "two", TargetType="ip", Protocol="TCP_UDP")
    register(here, by_instance, one, two, three, (three, 81))
    register(here, by_address, "10.0.1.77", "10.0.2.7")
    elb(here, "RegisterTargets", TargetGroupArn=by_address, Targets=[{"Id": "192.168.7.7", "AvailabilityZone": "all"}])
    listen(here, balancer, (by_instance, 1), (by_address, 2), port=53, protocol="TCP_UDP")
    tcp = group(here, "three")
    register(here, tcp, one, two)
    listen(here, balancer, tcp, port=80)
    deregister(here, tcp, two)
    modify(here, "ModifyTargetGroupAttributes", {"load_balancing.cross_zone.enabled": crossed}, TargetGroupArn=tcp)
    here.view.call("CreateVpcEndpoint", **a_service_and_its_consumer(here, balancer))
    available(here)
    for cell in ("cell-0", "cell-1"):
        assert taken(here, cell) == in_the_file(here, cell)
    assert taken(here).services == 2 * 3 and taken(here).attachments == 3


def test_a_target_that_nobody_sends_to_takes_no_row(here):
    register(here, group(here, TargetType="ip"), "10.0.1.9")
    assert rows_by_account(here.view.everybodys, "cell-0") == {}


def test_what_a_cell_has_room_for_is_what_its_file_has_rows_for():
    kinds = (
        cell_file.ATTACHMENTS,
        cell_file.ADDRESSES,
        cell_file.SERVICES,
        cell_file.CHOICES,
        cell_file.TARGETS,
        cell_file.CHECKS,
    )
    assert tuple(room.ROOM) == tuple(kind.rows for kind in kinds)


# ------------------------------------------------------------------------------------------------------- what is refused, and how


def test_a_load_balancer_too_many(here, only):
    only(attachments=2)
    balance(here, "one")
    assert refused(balance, here, "two") == (
        "TooManyLoadBalancers",
        "An account may have 1 of the 2 addresses of gateways, load balancers and endpoints for which the cell cell-0 of Hyperplane has room",
    )
    elb(here, "DeleteLoadBalancer", LoadBalancerArn=elb(here, "DescribeLoadBalancers")["LoadBalancers"][0]["LoadBalancerArn"])
    balance(here, "two")


def test_a_zone_for_which_there_is_no_room(here, only):
    only(attachments=2)
    balance(here, "one", Subnets=[here.b.id])
    two = balance(here, "two", Subnets=[here.a.id])
    more = {"LoadBalancerArn": two["LoadBalancerArn"], "Subnets": [here.a.id, here.b.id]}
    assert refusal(here, "SetSubnets", **more) == "AvailabilityZoneNotSupported"


def test_a_listener_too_many_and_one_that_begins_to_listen_twice(here, only):
    only(services=4)
    balancer, arn = balance(here), group(here, TargetType="ip", Protocol="TCP_UDP")
    made = listen(here, balancer, arn, port=1, protocol="UDP")
    listen(here, balancer, arn, port=2)
    assert refused(listen, here, balancer, arn, port=3)[0] == "TooManyListeners"
    assert refusal(here, "ModifyListener", ListenerArn=made["ListenerArn"], Protocol="TCP_UDP") == "TooManyListeners"
    elb(here, "ModifyListener", ListenerArn=made["ListenerArn"], Port=7)  # nothing more is taken
    elb(here, "DeleteListener", ListenerArn=made["ListenerArn"])
    listen(here, balancer, arn, port=3)


def test_targets_too_many_for_the_cell_and_for_its_choices(here, only):
    only(targets=4)
    balancer, arn = balance(here), group(here, TargetType="ip")
    listen(here, balancer, arn)
    register(here, arn, "10.0.1.21", "10.0.1.22")
    assert refused(register, here, arn, "10.0.1.23")[0] == "TooManyTargets"
    only(choices=4)
    assert refused(listen, here, balancer, arn, port=81)[0] == "TooManyTargets"
    assert refused(register, here, arn, "10.0.1.23")[0] == "TooManyTargets"
    register(here, arn, "10.0.2.7")  # in the other zone, whose cell chooses it


def test_targets_of_a_group_count_when_somebody_begins_to_send_to_it(here, only):
    only(targets=4)
    arn = group(here, TargetType="ip")
    register(here, arn, "10.0.1.21", "10.0.1.22", "10.0.1.23")
    assert refused(listen, here, balance(here), arn)[0] == "TooManyTargets"


def test_a_zone_crossed_needs_room(here, only):
    only(choices=4)
    arn = group(here, TargetType="ip")
    register(here, arn, "10.0.1.21", "10.0.1.22", "10.0.2.7")
    listen(here, balance(here), arn)
    wanted = {"TargetGroupArn": arn, "Attributes": [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]}
    assert refusal(here, "ModifyTargetGroupAttributes", **wanted) == "InvalidConfigurationRequest"


def test_a_target_group_in_use_too_many(here, only):
    only(groups=2)
    balancer, one, two = balance(here), group(here, "one", TargetType="ip"), group(here, "two", TargetType="ip")
    made = listen(here, balancer, one)
    assert refused(listen, here, balancer, two, port=81)[0] == "TooManyUniqueTargetGroupsPerLoadBalancer"
    elb(here, "ModifyListener", ListenerArn=made["ListenerArn"], DefaultActions=forward(two))


def test_a_nat_gateway_and_an_address_of_one_too_many(here, only):
    only(attachments=2)
    gateway = available(here)
    assert refused(available, here)[0] == "NatGatewayLimitExceeded"
    only(addresses=2)
    more = here.view.call("AllocateAddress", Domain="vpc")["AllocationId"]
    wanted = {"NatGatewayId": gateway.id, "AllocationIds": [more]}
    assert here.view.refusal("AssociateNatGatewayAddress", **wanted) == "AddressLimitExceeded"
    only(addresses=4)
    private = available(here, ConnectivityType="private")
    wanted = {"NatGatewayId": private.id, "PrivateIpAddressCount": 1}
    assert here.view.refusal("AssignPrivateNatGatewayAddress", **wanted) == "PrivateIpAddressLimitExceeded"


def test_an_endpoint_too_many_also_for_what_its_service_listens_for(here, only):
    balancer = balance(here)
    wanted = a_service_and_its_consumer(here, balancer)
    arn = group(here, TargetType="ip")
    listen(here, balancer, arn, port=1)
    listen(here, balancer, arn, port=2)
    only(attachments=2)
    assert here.view.refusal("CreateVpcEndpoint", **wanted) == "VpcEndpointLimitExceeded"
    only(services=6)
    assert here.view.refusal("CreateVpcEndpoint", **wanted) == "VpcEndpointLimitExceeded"
    only(services=8)
    here.view.call("CreateVpcEndpoint", **wanted)
    assert refused(listen, here, balancer, arn, port=3)[0] == "TooManyListeners"


# --------------------------------------------------------------------------------------------------------------------- shares


def others(here, count):
    """Interfaces of another account at cell-0."""
    mine = balance(here, "model", Subnets=[here.a.id])
    front = next(one for one in here.view.all(NetworkInterface) if one.cell_attachment)
    elb(here, "DeleteLoadBalancer", LoadBalancerArn=mine["LoadBalancerArn"])
    return [replace(front, id=f"eni-{n:017x}", account=ANOTHER) for n in range(count)]


def test_another_accounts_rows_are_none_of_my_share_and_all_of_the_cells(here, only):
    here.view.others += others(here, 3)
    only(attachments=6)
    for name in "abc":
        balance(here, name, Subnets=[here.a.id])
    assert refused(balance, here, "d", Subnets=[here.a.id])[1].startswith("An account may have 3 of the 6")
    here.view.others.pop()
    assert refused(balance, here, "d", Subnets=[here.a.id])[1].startswith("An account may have 3 of the 6")


def test_a_cell_that_others_have_filled_has_no_room(here, only):
    here.view.others += others(here, 3)
    only(attachments=4)
    balance(here, "one", Subnets=[here.a.id])
    code, message = refused(balance, here, "two", Subnets=[here.a.id])
    assert (code, message[:37]) == ("TooManyLoadBalancers", "The cell cell-0 of Hyperplane has no ")


def test_who_has_more_than_a_share_keeps_it_and_changes_what_takes_no_more(here, only):
    balancer, arn = balance(here), group(here, TargetType="ip")
    made = [listen(here, balancer, arn, port=port) for port in (1, 2, 3, 4)]
    only(services=4)
    assert refused(listen, here, balancer, arn, port=5)[0] == "TooManyListeners"
    register(here, arn, "10.0.1.9")
    elb(here, "DeleteListener", ListenerArn=made[0]["ListenerArn"])


def test_a_regions_operator_says_how_much_a_share_is(here, only):
    only(services=4)
    here.view.quotas = replace(here.view.quotas, cell_share=100)
    balancer, arn = balance(here), group(here, TargetType="ip")
    for port in (1, 2, 3, 4):
        listen(here, balancer, arn, port=port)
    assert refused(listen, here, balancer, arn, port=5)[0] == "TooManyListeners"


# ------------------------------------------------------------------------------------------------------------- two calls at once


@pytest.fixture
def two(tmp_path):
    """Two API processes' worth, and an account at each."""
    file = tmp_path / "store.db"
    with (
        RunningApi(SqliteStore.open(file), bytes(32), quotas=ALL_OF_IT) as one,
        RunningApi(SqliteStore.open(file), bytes(32), quotas=ALL_OF_IT) as other,
    ):
        one.add_hosts()
        one.add_cells(zones=(0,))
        for n, api in enumerate((one, other)):
            api.add_key(f"AKID{n}", "secret", f"{n}" * 12)
        yield one, other


def code_of(call, **parameters):
    try:
        call(**parameters)
    except ClientError as refusal:
        return refusal.response["Error"]["Code"]
    return ""


@pytest.mark.parametrize("accounts", [(0, 0), (0, 1)], ids=["of one account", "of two accounts"])
def test_two_calls_at_once_never_both_get_the_last_room(two, only, accounts):
    calls = []
    for api, account in zip(two, accounts, strict=True):
        keys = {"access_key": f"AKID{account}", "secret": "secret"}
        subnets = api.client(**keys).describe_subnets()["Subnets"]
        subnet = next(one["SubnetId"] for one in subnets if one["AvailabilityZone"].endswith("a"))
        calls.append((api.client("elbv2", **keys), subnet))
    for turn in range(ROUNDS):
        only(attachments=turn + 1)
        say_all = {"Type": "network", "Scheme": "internal"}
        with ThreadPoolExecutor(2) as pool:
            running = [
                pool.submit(code_of, client.create_load_balancer, Name=f"lb{turn}-{n}", Subnets=[subnet], **say_all)
                for n, (client, subnet) in enumerate(calls)
            ]
            assert sorted(one.result() for one in running) == ["", "TooManyLoadBalancers"]
    assert broken(two[0].run(two[0].store.range("")).entries) == []
